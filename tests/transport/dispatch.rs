//! The API's own messages and methods behind the transport, called by byte and by our own client.

use std::sync::Arc;
use std::time::Duration;

use auraed::client::Channel;
use auraed::grpc::call::{Answer, Input, Kind};
use auraed::grpc::status::{Code, Status};
use auraed::proto::aurae::discovery::v0::{DiscoverRequest, DiscoverResponse};
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::grpc::health::v1::health_check_response::ServingStatus;
use auraed::proto::grpc::health::v1::*;
use auraed::proto::grpc::reflection::v1::*;
use auraed::proto::{self, Answers, Items, Method};
use auraed::services::discovery::Discovery;
use auraed::services::health::HealthService;
use auraed::services::reflection::Reflection;
use auraed::services::vitals::Vitals;
use auraed::transport::listen::{Address, Listener};
use auraed::transport::{Service, Timeouts};
use smol::stream::StreamExt;

use crate::common::message;
use crate::common::peer::Head;
use crate::common::server::TestServer;

const DISCOVER: &str = "/aurae.discovery.v0.DiscoveryService/Discover";
const ALLOCATE: &str = "/aurae.runtime.v0.CellService/Allocate";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The API on a machine without cells.
struct Api {
    discovery: Discovery,
    health: HealthService,
    reflection: Reflection,
}

impl Api {
    fn start() -> TestServer<Self> {
        let vitals = Arc::new(Vitals::new(Box::new(|| Box::pin(async { true }))));
        let discovery = Discovery { vitals: vitals.clone() };
        let api = Self { discovery, health: HealthService::new(vitals), reflection: Reflection };
        TestServer::new(api, Timeouts::default())
    }
}

impl Service for Api {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        Method::from_path(path)
    }

    fn kind(&self, method: Method) -> Kind {
        method.kind()
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        proto::call(self, method, input)
    }
}

impl proto::DiscoveryService for Api {
    async fn discover(&self, request: DiscoverRequest) -> Result<DiscoverResponse, Status> {
        self.discovery.discover(request).await
    }
}

impl proto::Health for Api {
    async fn check(&self, request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
        self.health.check(request).await
    }

    async fn list(&self, request: HealthListRequest) -> Result<HealthListResponse, Status> {
        self.health.list(request).await
    }

    async fn watch(&self, request: HealthCheckRequest) -> Result<Answers<HealthCheckResponse>, Status> {
        self.health.watch(request).await.map(Answers::new)
    }
}

impl proto::ServerReflection for Api {
    async fn server_reflection_info(
        &self,
        requests: Items<ServerReflectionRequest>,
    ) -> Result<Answers<ServerReflectionResponse>, Status> {
        self.reflection.server_reflection_info(requests).await.map(Answers::new)
    }
}

impl proto::ObserveService for Api {
    async fn get_aurae_daemon_log_stream(
        &self,
        _: GetAuraeDaemonLogStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        Ok(Answers::new(Box::pin(smol::stream::empty())))
    }

    async fn get_sub_process_stream(
        &self,
        _: GetSubProcessStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        Ok(Answers::new(Box::pin(smol::stream::empty())))
    }

    async fn watch_events(&self, _: ObserveServiceWatchEventsRequest) -> Result<Answers<Event>, Status> {
        Ok(Answers::new(Box::pin(smol::stream::empty())))
    }
}

impl proto::CellService for Api {
    async fn allocate(
        &self,
        request: CellServiceAllocateRequest,
    ) -> Result<CellServiceAllocateResponse, Status> {
        let cell_name = request.cell.unwrap_or_default().name;
        Ok(CellServiceAllocateResponse { cell_name, cgroup_v2: true })
    }

    async fn free(&self, request: CellServiceFreeRequest) -> Result<CellServiceFreeResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn start(&self, request: CellServiceStartRequest) -> Result<CellServiceStartResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn stop(&self, request: CellServiceStopRequest) -> Result<CellServiceStopResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn signal(&self, request: CellServiceSignalRequest) -> Result<CellServiceSignalResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn update(&self, request: CellServiceUpdateRequest) -> Result<CellServiceUpdateResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell.unwrap_or_default().name))
    }

    async fn wait(&self, request: CellServiceWaitRequest) -> Result<CellServiceWaitResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn list(&self, _: CellServiceListRequest) -> Result<CellServiceListResponse, Status> {
        Ok(CellServiceListResponse { cells: Vec::new() })
    }

    async fn get(&self, request: CellServiceGetRequest) -> Result<CellServiceGetResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn freeze(&self, request: CellServiceFreezeRequest) -> Result<CellServiceFreezeResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }

    async fn thaw(&self, request: CellServiceThawRequest) -> Result<CellServiceThawResponse, Status> {
        Err(Status::new(Code::NotFound, request.cell_name))
    }
}

#[test]
fn a_message_that_is_no_protobuf_of_its_type_is_internal() {
    let server = Api::start();
    let mut peer = server.peer();
    // A cut field, a wrong wire type, a name that is not UTF-8, a varint without end.
    let bad: [&[u8]; 4] = [
        b"\x0a\x05ab",
        b"\x08\x01",
        b"\x0a\x03\x0a\x01\xff",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ];
    for (stream, payload) in (1..).step_by(2).zip(bad) {
        let answer = peer.call(stream, &Head::of(ALLOCATE), payload);
        assert_eq!(answer.status(), Code::Internal, "{payload:?}");
        assert!(answer.text().contains("aurae.runtime.v0.CellServiceAllocateRequest"), "{}", answer.text());
    }
    let answer = peer.call(101, &Head::of(ALLOCATE), b"\x0a\x03\x0a\x01a");
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"\x0a\x01a\x10\x01".to_vec())]));
}

#[test]
fn unknown_fields_are_skipped() {
    let server = Api::start();
    let mut peer = server.peer();
    assert_eq!(peer.call(1, &Head::of(DISCOVER), b"\xfa\x07\x02hi").status(), Code::Ok);
}

#[test]
fn a_planned_method_is_unimplemented() {
    let server = Api::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of("/aurae.runtime.v0.PodService/Start"), b"");
    assert_eq!(answer.status(), Code::Unimplemented);
    assert!(answer.text().contains("planned"), "{}", answer.text());
}

/// As grpcurl does.
#[test]
fn reflection_answers_while_the_request_stays_open() {
    let server = Api::start();
    let mut peer = server.peer();
    peer.grants = true;
    peer.headers(1, 0, &Head::of(REFLECT));
    peer.data(1, 0, &message(b"\x3a\x01*"));
    let service = b"aurae.runtime.v0.CellService";
    peer.until("the services are listed", |peer| {
        peer.so_far(1).is_some_and(|a| a.data.windows(service.len()).any(|part| part == service))
    });
    peer.data(1, 0, &message(b"\x22\x1caurae.runtime.v0.CellService"));
    let file = b"aurae/runtime/v0/runtime.proto";
    peer.until("the file comes", |peer| {
        peer.so_far(1).is_some_and(|a| a.data.windows(file.len()).any(|part| part == file))
    });
    peer.data(1, 1, b"");
    assert_eq!(peer.answer(1).status(), Code::Ok);
}

#[test]
fn a_watch_goes_on_until_it_is_cut() {
    let server = Api::start();
    let mut peer = server.peer();
    peer.request(1, &Head::of(WATCH), &message(b""));
    peer.until("the first status", |peer| peer.so_far(1).is_some_and(|a| a.data == message(b"\x08\x01")));
    peer.request(3, &Head::of(WATCH), &message(b"\x0a\x04nope"));
    peer.until("unknown", |peer| peer.so_far(3).is_some_and(|a| a.data == message(b"\x08\x03")));
    peer.catch_up();
    assert!([1, 3].iter().all(|stream| !peer.so_far(*stream).unwrap().ended));
}

/// Our own client, with as many calls at once as a connection has streams.
#[test]
fn our_client_makes_all_kinds_of_calls() {
    let server = Api::start();
    let path = std::env::temp_dir().join(format!("auraed-{}-client.sock", std::process::id()));
    let address = Address::Unix(path.clone());
    let listener = Listener::bind(address.clone()).unwrap();
    server.executor.spawn(listener.run(server.server.clone())).detach();
    let executor = smol::Executor::new();
    smol::future::block_on(executor.run(async {
        let channel = Channel::connect(&address, Some(Duration::from_secs(3600)), &executor).await.unwrap();
        // The listener outlives the test, with the executor's thread.
        std::fs::remove_file(&path).unwrap();
        let discovery = proto::DiscoveryServiceClient::new(&channel);
        assert!(discovery.discover(&DiscoverRequest {}).await.unwrap().healthy);

        let cells = proto::CellServiceClient::new(&channel);
        let request = CellServiceFreeRequest { cell_name: "zelle-ä".into(), ..Default::default() };
        assert_eq!(cells.free(&request).await, Err(Status::new(Code::NotFound, "zelle-ä")));

        let names: Vec<String> = (0..500).map(|number| format!("cell-{number}")).collect();
        let calls = names.iter().map(|name| {
            let cell = Some(Cell { name: name.clone(), ..Cell::default() });
            let cells = &cells;
            async move { cells.allocate(&CellServiceAllocateRequest { cell }).await.unwrap().cell_name }
        });
        let answers: Vec<String> = all(calls).await;
        assert_eq!(answers, names);

        let health = proto::HealthClient::new(&channel);
        let mut items = health.watch(&HealthCheckRequest::default()).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    }));
}

/// What all of them give, in their order, worked on at the same time.
async fn all<F: Future<Output = T>, T>(calls: impl Iterator<Item = F>) -> Vec<T> {
    let mut calls: Vec<_> = calls.map(|call| (Box::pin(call), None)).collect();
    std::future::poll_fn(|cx| {
        for (call, done) in calls.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(answer) = call.as_mut().poll(cx) {
                *done = Some(answer);
            }
        }
        if calls.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    calls.into_iter().filter_map(|(_, done)| done).collect()
}
