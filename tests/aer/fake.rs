//! Services that answer as the tests need it, and note what they were asked.

use auraed::grpc::call::{Answer, Input, Kind};
use auraed::grpc::status::{Code, Status, Violation};
use auraed::proto::aurae::discovery::v0::{DiscoverRequest, DiscoverResponse};
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::grpc::health::v1::health_check_response::ServingStatus;
use auraed::proto::grpc::health::v1::*;
use auraed::proto::grpc::reflection::v1::{ServerReflectionRequest, ServerReflectionResponse};
use auraed::proto::*;
use auraed::transport::Service;
use smol::Timer;
use smol::stream::StreamExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers by the names in the request.
#[derive(Default)]
pub struct Fake(Mutex<String>);

/// How many lines a program writes that is named by its exit code.
pub const LINES: u64 = 20_000;

impl Fake {
    pub fn note(&self, request: impl Into<String>) {
        *self.0.lock().expect("no test panics here") = request.into();
    }

    pub fn noted(&self) -> String {
        self.0.lock().expect("no test panics here").clone()
    }
}

impl DiscoveryService for Fake {
    async fn discover(&self, _: DiscoverRequest) -> Result<DiscoverResponse, Status> {
        Ok(DiscoverResponse { healthy: true, version: "1.2.3".to_owned() })
    }
}

/// A stream of these, and then of nothing more if it is followed.
pub fn items<T: prost::Message + Send + 'static>(
    items: Vec<T>,
    no_follow: bool,
) -> Result<Answers<T>, Status> {
    let items = smol::stream::iter(items.into_iter().map(Ok));
    let items: Items<T> =
        if no_follow { Box::pin(items) } else { Box::pin(items.chain(smol::stream::pending())) };
    Ok(Answers::new(items))
}

pub fn line(channel: &str, sequence: u64, line: &str) -> LogItem {
    let (channel, line) = (channel.to_owned(), line.to_owned());
    LogItem { channel, line, sequence, timestamp: 1_700_000_000, nanos: 5, ..LogItem::default() }
}

impl ObserveService for Fake {
    async fn get_aurae_daemon_log_stream(
        &self,
        request: GetAuraeDaemonLogStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.note(format!("{request:?}"));
        let item = LogItem {
            level: LogLevel::Warn.into(),
            target: "auraed::x".to_owned(),
            fields: [("cell".to_owned(), "web".to_owned())].into(),
            ..line("auraed", 1, "not well")
        };
        items(vec![item], request.no_follow)
    }

    async fn get_sub_process_stream(
        &self,
        request: GetSubProcessStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.note(format!("{request:?}"));
        let stopping = || Err(Status::new(Code::Unavailable, "the daemon is stopping"));
        let then_stopping = |items: Vec<LogItem>| {
            Ok(Answers::new(Box::pin(smol::stream::iter(items.into_iter().map(Ok).chain([stopping()])))))
        };
        match (request.executable_name.as_str(), request.from_sequence) {
            ("talker", None) => items(
                vec![
                    LogItem { dropped: 12, ..line("talker::stdout", 13, "one") },
                    line("talker::stderr", 14, "two"),
                    LogItem { partial: true, ..line("talker::stdout", 15, "thr") },
                    line("talker::stdout", 16, "ee"),
                    LogItem { partial: true, ..line("talker::stdout", 17, "fo") },
                    LogItem { dropped: 3, ..line("talker::stdout", 21, "five") },
                    LogItem { partial: true, ..line("talker::stdout", 22, "si") },
                ],
                true,
            ),
            ("quiet", None) => items(vec![line("quiet::stdout", 1, "one")], false),
            ("leaver", None) => then_stopping(vec![line("leaver::stdout", 1, "one")]),
            ("leaver", Some(2)) => Err(Status::new(Code::NotFound, "there is no \"leaver\"")),
            ("stopper", None | Some(2)) => then_stopping(vec![line("stopper::stdout", 1, "one")]),
            ("turner", None) => then_stopping(vec![line("turner::stdout", 99, "one")]),
            ("turner", Some(100)) => Err(Status::new(Code::OutOfRange, "there is no 100")),
            ("turner", Some(0)) => items(vec![line("turner::stdout", 7, "two")], true),
            // With an item too much, which a client must not show again.
            ("repeater", None) => then_stopping(vec![line("repeater::stdout", 1, "one")]),
            ("repeater", Some(2)) => {
                items(vec![line("repeater::stdout", 1, "one"), line("repeater::stdout", 2, "two")], true)
            }
            ("heir", None) => then_stopping(vec![
                line("heir::stdout", 1, "one"),
                LogItem { partial: true, ..line("heir::stdout", 2, "ha") },
            ]),
            ("heir", Some(3)) => items(vec![line("heir::stdout", 70, "whole")], true),
            ("loser", None) => then_stopping(vec![line("loser::stdout", 1, "one")]),
            ("loser", Some(2)) => {
                items(vec![LogItem { dropped: 2, ..line("loser::stdout", 4, "more") }], true)
            }
            ("9", _) => {
                let lost = Status::new(Code::DataLoss, "2 items are missing at the end");
                let lines = [Ok(line("9::stdout", 1, "one")), Err(lost)];
                Ok(Answers::new(Box::pin(smol::stream::iter(lines))))
            }
            (name, from) if name.parse::<u8>().is_ok() => {
                let lines = (from.unwrap_or(1)..=LINES).map(|n| line("x::stdout", n, &format!("line {n}")));
                items(lines.collect(), true)
            }
            (name, from) => Err(Status::new(Code::NotFound, format!("there is no {name:?} from {from:?}"))),
        }
    }

    async fn watch_events(
        &self,
        request: ObserveServiceWatchEventsRequest,
    ) -> Result<Answers<Event>, Status> {
        self.note(format!("{request:?}"));
        let event = Event {
            r#type: EventType::CellAllocated.into(),
            timestamp: 1_700_000_000,
            sequence: 4,
            dropped: 3,
            cell_name: "web".to_owned(),
            ..Event::default()
        };
        let exited = Event {
            r#type: EventType::ExecutableExited.into(),
            sequence: 5,
            dropped: 0,
            executable_name: "job".to_owned(),
            pid: 7,
            exit_code: Some(3),
            ..event.clone()
        };
        items(vec![event, exited], request.no_follow)
    }
}

impl Health for Fake {
    async fn check(&self, request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
        assert_eq!(request.service, "");
        let status =
            if self.noted() == "unwell" { ServingStatus::NotServing } else { ServingStatus::Serving };
        Ok(HealthCheckResponse { status: status.into() })
    }

    async fn list(&self, _: HealthListRequest) -> Result<HealthListResponse, Status> {
        Err(unused())
    }

    async fn watch(&self, _: HealthCheckRequest) -> Result<Answers<HealthCheckResponse>, Status> {
        Err(unused())
    }
}

impl ServerReflection for Fake {
    async fn server_reflection_info(
        &self,
        _: Items<ServerReflectionRequest>,
    ) -> Result<Answers<ServerReflectionResponse>, Status> {
        Err(unused())
    }
}

impl CellService for Fake {
    async fn allocate(
        &self,
        request: CellServiceAllocateRequest,
    ) -> Result<CellServiceAllocateResponse, Status> {
        self.note(format!("{request:?}"));
        let cell_name = request.cell.unwrap_or_default().name;
        let violation =
            |field: &str, why: &str| Violation { field: field.to_owned(), description: why.to_owned() };
        if cell_name == "bad" {
            return Err(Status::bad_request(&[
                violation("cell.name", "\"bad\" is bad"),
                violation("cell.cpu.weight", "0 is too small"),
            ]));
        }
        let cgroup_v2 = cell_name != "old";
        Ok(CellServiceAllocateResponse { cell_name, cgroup_v2 })
    }

    async fn update(&self, request: CellServiceUpdateRequest) -> Result<CellServiceUpdateResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceUpdateResponse { cell: request.cell })
    }

    async fn free(&self, request: CellServiceFreeRequest) -> Result<CellServiceFreeResponse, Status> {
        self.note(format!("{request:?}"));
        match request.cell_name.as_str() {
            "gone" => Err(Status::new(Code::NotFound, "there is no cell \"gone\"")),
            _ => Ok(CellServiceFreeResponse {}),
        }
    }

    async fn start(&self, request: CellServiceStartRequest) -> Result<CellServiceStartResponse, Status> {
        self.note(format!("{request:?}"));
        if request.executable.is_some_and(|executable| executable.name == "slow") {
            Timer::never().await;
        }
        Ok(CellServiceStartResponse { pid: 4711, uid: 1000, gid: 0 })
    }

    async fn stop(&self, request: CellServiceStopRequest) -> Result<CellServiceStopResponse, Status> {
        self.note(format!("{request:?}"));
        Timer::after(Duration::from_millis(request.grace_period_ms.unwrap_or(0).into())).await;
        Ok(CellServiceStopResponse {})
    }

    async fn signal(&self, request: CellServiceSignalRequest) -> Result<CellServiceSignalResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceSignalResponse {})
    }

    async fn get(&self, request: CellServiceGetRequest) -> Result<CellServiceGetResponse, Status> {
        let cell = match request.cell_name.as_str() {
            "web" => CellService::list(self, CellServiceListRequest {}).await?.cells.pop(),
            name => {
                let cell = Some(Cell { name: name.to_owned(), ..Cell::default() });
                Some(CellGraphNode { cell, ..CellGraphNode::default() })
            }
        };
        Ok(CellServiceGetResponse { cell })
    }

    async fn freeze(&self, request: CellServiceFreezeRequest) -> Result<CellServiceFreezeResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceFreezeResponse {})
    }

    async fn thaw(&self, request: CellServiceThawRequest) -> Result<CellServiceThawResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceThawResponse {})
    }

    async fn wait(&self, request: CellServiceWaitRequest) -> Result<CellServiceWaitResponse, Status> {
        let ended = CellServiceWaitResponse { pid: 4711, ..CellServiceWaitResponse::default() };
        Ok(match request.executable_name.as_str() {
            "hog" => CellServiceWaitResponse {
                exit_signal: Some(9),
                oom_killed: true,
                oom_cell_name: "web".to_owned(),
                ..ended
            },
            "crasher" => CellServiceWaitResponse { exit_signal: Some(11), restarts: 2, ..ended },
            code => CellServiceWaitResponse { exit_code: code.parse().ok(), ..ended },
        })
    }

    async fn list(&self, _: CellServiceListRequest) -> Result<CellServiceListResponse, Status> {
        let cell = |name: &str| Cell { name: name.to_owned(), ..Cell::default() };
        let usage =
            CellUsage { cpu_us: Some(1_234_567), memory_bytes: Some(12_900_000), ..CellUsage::default() };
        let cpu = CpuController { weight: Some(200), ..CpuController::default() };
        let cpuset = CpusetController { cpus: Some("0-1".to_owned()), mems: None };
        let sleeper = CellExecutable {
            name: "sleeper".to_owned(),
            description: "naps".to_owned(),
            pid: 4711,
            state: CellExecutableState::Running.into(),
            ..CellExecutable::default()
        };
        let web = CellGraphNode {
            cell: Some(Cell { cpu: Some(cpu), cpuset: Some(cpuset), ..cell("web") }),
            children: vec![CellGraphNode { cell: Some(cell("web/api")), ..CellGraphNode::default() }],
            executables: vec![sleeper],
            usage: Some(usage),
            frozen: true,
            ..CellGraphNode::default()
        };
        Ok(CellServiceListResponse { cells: vec![web] })
    }
}

pub fn unused() -> Status {
    Status::new(Code::Unimplemented, "aer does not call this")
}

pub struct Api(pub Arc<Fake>);

impl Service for Api {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        Method::from_path(path)
    }

    fn kind(&self, method: Method) -> Kind {
        method.kind()
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        call(&*self.0, method, input)
    }
}
