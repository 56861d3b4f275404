//! The services of the API. Each translates between messages and the runtime, and knows nothing of sockets, frames or
//! how a call got here.

mod captures;
pub mod cells;
pub mod discovery;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod health;
pub mod observe;
mod readings;
pub mod reflection;
mod refusal;
mod starts;
pub mod supervisor;
pub mod vitals;

use std::sync::Arc;

use crate::grpc::status::Status;
use crate::proto::aurae::discovery::v0::*;
use crate::proto::aurae::observe::v0::*;
use crate::proto::aurae::runtime::v0::*;
use crate::proto::grpc::health::v1::*;
use crate::proto::grpc::reflection::v1::*;
use crate::proto::{Answers, CellService, DiscoveryService, Health, Items, ObserveService, ServerReflection};
use crate::runtime::logs::Feed;

use cells::{Cells, Runtime};
use discovery::Discovery;
use health::HealthService;
pub use observe::EventLog;
use observe::Observe;
use reflection::Reflection;
use vitals::Vitals;

/// All services of a daemon, as the generated table wants them.
pub struct Services<R> {
    discovery: Discovery,
    health: HealthService,
    reflection: Reflection,
    cells: Cells<R>,
    observe: Observe,
}

impl<R: Runtime> Services<R> {
    pub fn new(vitals: Arc<Vitals>, runtime: R, daemon_log: Arc<Feed>, events: Arc<Feed>) -> Self {
        Self {
            discovery: Discovery { vitals: vitals.clone() },
            health: HealthService::new(vitals),
            reflection: Reflection,
            cells: Cells { runtime },
            observe: Observe { daemon_log, events },
        }
    }
}

impl<R: Runtime> DiscoveryService for Services<R> {
    async fn discover(&self, request: DiscoverRequest) -> Result<DiscoverResponse, Status> {
        self.discovery.discover(request).await
    }
}

impl<R: Runtime> Health for Services<R> {
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

impl<R: Runtime> ObserveService for Services<R> {
    async fn get_aurae_daemon_log_stream(
        &self,
        request: GetAuraeDaemonLogStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.observe.daemon_log(request)
    }

    async fn get_sub_process_stream(
        &self,
        request: GetSubProcessStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.observe.output(&self.cells.runtime, request)
    }

    async fn watch_events(
        &self,
        request: ObserveServiceWatchEventsRequest,
    ) -> Result<Answers<Event>, Status> {
        self.observe.events(request)
    }
}

impl<R: Runtime> ServerReflection for Services<R> {
    async fn server_reflection_info(
        &self,
        requests: Items<ServerReflectionRequest>,
    ) -> Result<Answers<ServerReflectionResponse>, Status> {
        self.reflection.server_reflection_info(requests).await.map(Answers::new)
    }
}

impl<R: Runtime> CellService for Services<R> {
    async fn allocate(
        &self,
        request: CellServiceAllocateRequest,
    ) -> Result<CellServiceAllocateResponse, Status> {
        self.cells.allocate(request).await
    }

    async fn free(&self, request: CellServiceFreeRequest) -> Result<CellServiceFreeResponse, Status> {
        self.cells.free(request).await
    }

    async fn start(&self, request: CellServiceStartRequest) -> Result<CellServiceStartResponse, Status> {
        self.cells.start(request).await
    }

    async fn stop(&self, request: CellServiceStopRequest) -> Result<CellServiceStopResponse, Status> {
        self.cells.stop(request).await
    }

    async fn wait(&self, request: CellServiceWaitRequest) -> Result<CellServiceWaitResponse, Status> {
        self.cells.wait(request).await
    }

    async fn list(&self, request: CellServiceListRequest) -> Result<CellServiceListResponse, Status> {
        self.cells.list(request).await
    }

    async fn signal(&self, request: CellServiceSignalRequest) -> Result<CellServiceSignalResponse, Status> {
        self.cells.signal(request).await
    }

    async fn get(&self, request: CellServiceGetRequest) -> Result<CellServiceGetResponse, Status> {
        self.cells.get(request).await
    }

    async fn freeze(&self, request: CellServiceFreezeRequest) -> Result<CellServiceFreezeResponse, Status> {
        self.cells.freeze(request).await
    }

    async fn thaw(&self, request: CellServiceThawRequest) -> Result<CellServiceThawResponse, Status> {
        self.cells.thaw(request).await
    }

    async fn update(&self, request: CellServiceUpdateRequest) -> Result<CellServiceUpdateResponse, Status> {
        self.cells.update(request).await
    }
}

#[cfg(test)]
mod tests {
    //! The services put together and called as the daemon and a client do: by path, with bytes.

    use bytes::Bytes;
    use smol::future::block_on;
    use smol::stream::StreamExt;

    use crate::grpc::call::{Input, Messages, Reply};
    use crate::grpc::status::{Code, Status};
    use crate::proto::aurae::discovery::v0::*;
    use crate::proto::aurae::runtime::v0::*;
    use crate::proto::grpc::health::v1::health_check_response::ServingStatus;
    use crate::proto::grpc::health::v1::*;
    use crate::proto::*;

    use super::fuzz::{Notebook, services};

    type Services = super::Services<Notebook>;

    /// A channel without a socket.
    impl Channel for Services {
        async fn unary(&self, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
            match reply(self, path, Input::One(message)).await? {
                Reply::One(message) => Ok(message),
                Reply::Many(_) => panic!("{path} is not unary"),
            }
        }

        async fn server_streaming(&self, path: &'static str, message: Bytes) -> Result<Messages, Status> {
            match reply(self, path, Input::One(message)).await? {
                Reply::Many(messages) => Ok(messages),
                Reply::One(_) => panic!("{path} gives one message"),
            }
        }
    }

    async fn reply(services: &Services, path: &str, input: Input) -> Result<Reply, Status> {
        call(services, Method::from_path(path).expect("a known path"), input).await
    }

    #[test]
    fn a_client_gets_what_the_service_gives() {
        let services = services();
        let discovered = block_on(DiscoveryServiceClient::new(&services).discover(&DiscoverRequest {}));
        assert!(discovered.expect("discover answers").healthy);

        let cells = CellServiceClient::new(&services);
        let cell = Some(Cell { name: "a/b".to_owned(), ..Cell::default() });
        let allocated = block_on(cells.allocate(&CellServiceAllocateRequest { cell }));
        assert_eq!(allocated.expect("allocate answers").cell_name, "a/b");

        let (cell_name, executable_name) = ("gone".to_owned(), "x".to_owned());
        let request = CellServiceStopRequest { cell_name, executable_name, grace_period_ms: Some(0) };
        assert_eq!(block_on(cells.stop(&request)), Err(Status::new(Code::NotFound, "gone")));
    }

    #[test]
    fn a_start_says_whom_it_runs_as() {
        let services = services();
        let start = |uid, gid| {
            let (name, command) = ("x".to_owned(), "true".to_owned());
            let executable = Some(Executable { name, command, ..Executable::default() });
            let request = CellServiceStartRequest { cell_name: "a".to_owned(), executable, uid, gid };
            block_on(CellServiceClient::new(&services).start(&request)).map(|answer| (answer.uid, answer.gid))
        };
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        assert_eq!(start(None, None), Ok(own));
        assert_eq!(start(Some(7), None), Ok((7, own.1)));
        assert_eq!(start(Some(7), Some(8)), Ok((7, 8)));
        assert_eq!(start(Some(u32::MAX), None).expect_err("no user").code, Code::InvalidArgument);
    }

    #[test]
    fn a_client_gets_a_stream() {
        let services = services();
        let health = HealthClient::new(&services);
        let items = block_on(health.watch(&HealthCheckRequest::default())).expect("watch begins");
        services.health.vitals.shut_down();
        let items: Vec<_> = block_on(items.map(|item| item.map(|response| response.status())).collect());
        assert_eq!(items[0], Ok(ServingStatus::NotServing));
        assert_eq!(items[1].as_ref().unwrap_err().code, Code::Unavailable);
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn both_versions_of_reflection_have_one_handler() {
        let services = services();
        let request: &[u8] = b"\x3a\x01*"; // list_services: "*"
        for path in [
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            let input = Input::Many(Box::pin(smol::stream::iter([Ok(Bytes::from_static(request))])));
            let Ok(Reply::Many(answers)) = block_on(reply(&services, path, input)) else { panic!("{path}") };
            let answers: Vec<_> = block_on(answers.collect());
            let [Ok(answer)] = answers.as_slice() else { panic!("{path}: {answers:?}") };
            let name = SERVICES[0].as_bytes();
            assert!(answer.windows(name.len()).any(|window| window == name), "{path}");
        }
    }

    /// Whatever the bytes are, each method ends in an answer or a status.
    #[test]
    fn every_method_answers_an_empty_message() {
        let services = services();
        for method in Method::ALL.iter().copied().filter(|method| !method.is_planned()) {
            let input = match method.kind() {
                crate::grpc::call::Kind::Bidirectional => Input::Many(Box::pin(smol::stream::empty())),
                _ => Input::One(Bytes::new()),
            };
            if let Err(status) = block_on(call(&services, method, input)) {
                assert_eq!(status.code, Code::InvalidArgument, "{method:?}");
            }
        }
    }

    #[test]
    fn a_planned_method_says_so() {
        let services = services();
        for method in Method::ALL.iter().copied().filter(|method| method.is_planned()) {
            let Err(status) = block_on(call(&services, method, Input::One(Bytes::new()))) else {
                panic!("{method:?} was served")
            };
            let message = format!("{} is planned, not built yet", &method.path()[1..]);
            assert_eq!(status, Status::new(Code::Unimplemented, message));
        }
    }
}
