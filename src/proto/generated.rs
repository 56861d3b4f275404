// Made by codegen/ from proto/. Never edit: `cargo run --manifest-path codegen/Cargo.toml` writes it anew.
// Made from inputs with the fingerprint d02a422fb45111f9.

use std::future::Future;
use crate::grpc::call::{Answer, Input, Kind};
use crate::grpc::status::Status;
use super::{
    Answers, Channel, File, Items, ask, ask_stream, bidirectional, server_streaming,
    unary,
};
/// Every method of the API, planned ones too. A small value that stands for a method in logs, limits, policy and fuzzing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Method {
    /// `/aurae.discovery.v0.DiscoveryService/Discover`
    DiscoveryServiceDiscover,
    /// `/aurae.observe.v0.ObserveService/GetAuraeDaemonLogStream`
    ObserveServiceGetAuraeDaemonLogStream,
    /// `/aurae.observe.v0.ObserveService/GetSubProcessStream`
    ObserveServiceGetSubProcessStream,
    /// `/aurae.observe.v0.ObserveService/WatchEvents`
    ObserveServiceWatchEvents,
    /// `/aurae.runtime.v0.CellService/Allocate`
    CellServiceAllocate,
    /// `/aurae.runtime.v0.CellService/Free`
    CellServiceFree,
    /// `/aurae.runtime.v0.CellService/Start`
    CellServiceStart,
    /// `/aurae.runtime.v0.CellService/Stop`
    CellServiceStop,
    /// `/aurae.runtime.v0.CellService/List`
    CellServiceList,
    /// `/aurae.runtime.v0.CellService/Get`
    CellServiceGet,
    /// `/aurae.runtime.v0.CellService/Update`
    CellServiceUpdate,
    /// `/aurae.runtime.v0.CellService/Freeze`
    CellServiceFreeze,
    /// `/aurae.runtime.v0.CellService/Thaw`
    CellServiceThaw,
    /// `/aurae.runtime.v0.CellService/Wait`
    CellServiceWait,
    /// `/aurae.runtime.v0.CellService/Signal`
    CellServiceSignal,
    /// `/aurae.runtime.v0.PodService/Allocate`
    PodServiceAllocate,
    /// `/aurae.runtime.v0.PodService/Start`
    PodServiceStart,
    /// `/aurae.runtime.v0.PodService/Stop`
    PodServiceStop,
    /// `/aurae.runtime.v0.PodService/Free`
    PodServiceFree,
    /// `/grpc.health.v1.Health/Check`
    HealthCheck,
    /// `/grpc.health.v1.Health/List`
    HealthList,
    /// `/grpc.health.v1.Health/Watch`
    HealthWatch,
    /// `/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`
    ServerReflectionV1Info,
    /// `/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo`
    ServerReflectionV1alphaInfo,
}
impl Method {
    /// Each method, at the index of its number.
    pub const ALL: &'static [Method] = &[
        Method::DiscoveryServiceDiscover,
        Method::ObserveServiceGetAuraeDaemonLogStream,
        Method::ObserveServiceGetSubProcessStream,
        Method::ObserveServiceWatchEvents,
        Method::CellServiceAllocate,
        Method::CellServiceFree,
        Method::CellServiceStart,
        Method::CellServiceStop,
        Method::CellServiceList,
        Method::CellServiceGet,
        Method::CellServiceUpdate,
        Method::CellServiceFreeze,
        Method::CellServiceThaw,
        Method::CellServiceWait,
        Method::CellServiceSignal,
        Method::PodServiceAllocate,
        Method::PodServiceStart,
        Method::PodServiceStop,
        Method::PodServiceFree,
        Method::HealthCheck,
        Method::HealthList,
        Method::HealthWatch,
        Method::ServerReflectionV1Info,
        Method::ServerReflectionV1alphaInfo,
    ];
    /// The method of a request's `:path`, `/package.Service/Method`; `None` when there is no such method.
    pub fn from_path(path: &str) -> Option<Method> {
        let method = match path {
            "/aurae.discovery.v0.DiscoveryService/Discover" => {
                Method::DiscoveryServiceDiscover
            }
            "/aurae.observe.v0.ObserveService/GetAuraeDaemonLogStream" => {
                Method::ObserveServiceGetAuraeDaemonLogStream
            }
            "/aurae.observe.v0.ObserveService/GetSubProcessStream" => {
                Method::ObserveServiceGetSubProcessStream
            }
            "/aurae.observe.v0.ObserveService/WatchEvents" => {
                Method::ObserveServiceWatchEvents
            }
            "/aurae.runtime.v0.CellService/Allocate" => Method::CellServiceAllocate,
            "/aurae.runtime.v0.CellService/Free" => Method::CellServiceFree,
            "/aurae.runtime.v0.CellService/Start" => Method::CellServiceStart,
            "/aurae.runtime.v0.CellService/Stop" => Method::CellServiceStop,
            "/aurae.runtime.v0.CellService/List" => Method::CellServiceList,
            "/aurae.runtime.v0.CellService/Get" => Method::CellServiceGet,
            "/aurae.runtime.v0.CellService/Update" => Method::CellServiceUpdate,
            "/aurae.runtime.v0.CellService/Freeze" => Method::CellServiceFreeze,
            "/aurae.runtime.v0.CellService/Thaw" => Method::CellServiceThaw,
            "/aurae.runtime.v0.CellService/Wait" => Method::CellServiceWait,
            "/aurae.runtime.v0.CellService/Signal" => Method::CellServiceSignal,
            "/aurae.runtime.v0.PodService/Allocate" => Method::PodServiceAllocate,
            "/aurae.runtime.v0.PodService/Start" => Method::PodServiceStart,
            "/aurae.runtime.v0.PodService/Stop" => Method::PodServiceStop,
            "/aurae.runtime.v0.PodService/Free" => Method::PodServiceFree,
            "/grpc.health.v1.Health/Check" => Method::HealthCheck,
            "/grpc.health.v1.Health/List" => Method::HealthList,
            "/grpc.health.v1.Health/Watch" => Method::HealthWatch,
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => {
                Method::ServerReflectionV1Info
            }
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
                Method::ServerReflectionV1alphaInfo
            }
            _ => return None,
        };
        Some(method)
    }
    /// The `:path` of its requests.
    pub fn path(self) -> &'static str {
        match self {
            Method::DiscoveryServiceDiscover => {
                "/aurae.discovery.v0.DiscoveryService/Discover"
            }
            Method::ObserveServiceGetAuraeDaemonLogStream => {
                "/aurae.observe.v0.ObserveService/GetAuraeDaemonLogStream"
            }
            Method::ObserveServiceGetSubProcessStream => {
                "/aurae.observe.v0.ObserveService/GetSubProcessStream"
            }
            Method::ObserveServiceWatchEvents => {
                "/aurae.observe.v0.ObserveService/WatchEvents"
            }
            Method::CellServiceAllocate => "/aurae.runtime.v0.CellService/Allocate",
            Method::CellServiceFree => "/aurae.runtime.v0.CellService/Free",
            Method::CellServiceStart => "/aurae.runtime.v0.CellService/Start",
            Method::CellServiceStop => "/aurae.runtime.v0.CellService/Stop",
            Method::CellServiceList => "/aurae.runtime.v0.CellService/List",
            Method::CellServiceGet => "/aurae.runtime.v0.CellService/Get",
            Method::CellServiceUpdate => "/aurae.runtime.v0.CellService/Update",
            Method::CellServiceFreeze => "/aurae.runtime.v0.CellService/Freeze",
            Method::CellServiceThaw => "/aurae.runtime.v0.CellService/Thaw",
            Method::CellServiceWait => "/aurae.runtime.v0.CellService/Wait",
            Method::CellServiceSignal => "/aurae.runtime.v0.CellService/Signal",
            Method::PodServiceAllocate => "/aurae.runtime.v0.PodService/Allocate",
            Method::PodServiceStart => "/aurae.runtime.v0.PodService/Start",
            Method::PodServiceStop => "/aurae.runtime.v0.PodService/Stop",
            Method::PodServiceFree => "/aurae.runtime.v0.PodService/Free",
            Method::HealthCheck => "/grpc.health.v1.Health/Check",
            Method::HealthList => "/grpc.health.v1.Health/List",
            Method::HealthWatch => "/grpc.health.v1.Health/Watch",
            Method::ServerReflectionV1Info => {
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            }
            Method::ServerReflectionV1alphaInfo => {
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
            }
        }
    }
    /// How many messages travel each way.
    pub fn kind(self) -> Kind {
        match self {
            Method::DiscoveryServiceDiscover => Kind::Unary,
            Method::ObserveServiceGetAuraeDaemonLogStream => Kind::ServerStreaming,
            Method::ObserveServiceGetSubProcessStream => Kind::ServerStreaming,
            Method::ObserveServiceWatchEvents => Kind::ServerStreaming,
            Method::CellServiceAllocate => Kind::Unary,
            Method::CellServiceFree => Kind::Unary,
            Method::CellServiceStart => Kind::Unary,
            Method::CellServiceStop => Kind::Unary,
            Method::CellServiceList => Kind::Unary,
            Method::CellServiceGet => Kind::Unary,
            Method::CellServiceUpdate => Kind::Unary,
            Method::CellServiceFreeze => Kind::Unary,
            Method::CellServiceThaw => Kind::Unary,
            Method::CellServiceWait => Kind::Unary,
            Method::CellServiceSignal => Kind::Unary,
            Method::PodServiceAllocate => Kind::Unary,
            Method::PodServiceStart => Kind::Unary,
            Method::PodServiceStop => Kind::Unary,
            Method::PodServiceFree => Kind::Unary,
            Method::HealthCheck => Kind::Unary,
            Method::HealthList => Kind::Unary,
            Method::HealthWatch => Kind::ServerStreaming,
            Method::ServerReflectionV1Info => Kind::Bidirectional,
            Method::ServerReflectionV1alphaInfo => Kind::Bidirectional,
        }
    }
    /// True when it is declared, but no service implements it yet.
    pub fn is_planned(self) -> bool {
        matches!(
            self, Method::PodServiceAllocate | Method::PodServiceStart |
            Method::PodServiceStop | Method::PodServiceFree
        )
    }
}
/// Gives one call to the service that implements it. `input` must fit the method's [`Kind`].
pub fn call<'a, S>(services: &'a S, method: Method, input: Input) -> Answer<'a>
where
    S: DiscoveryService + ObserveService + CellService + Health + ServerReflection,
{
    match method {
        Method::DiscoveryServiceDiscover => {
            unary(input, |request| DiscoveryService::discover(services, request))
        }
        Method::ObserveServiceGetAuraeDaemonLogStream => {
            server_streaming(
                input,
                |request| ObserveService::get_aurae_daemon_log_stream(services, request),
            )
        }
        Method::ObserveServiceGetSubProcessStream => {
            server_streaming(
                input,
                |request| ObserveService::get_sub_process_stream(services, request),
            )
        }
        Method::ObserveServiceWatchEvents => {
            server_streaming(
                input,
                |request| ObserveService::watch_events(services, request),
            )
        }
        Method::CellServiceAllocate => {
            unary(input, |request| CellService::allocate(services, request))
        }
        Method::CellServiceFree => {
            unary(input, |request| CellService::free(services, request))
        }
        Method::CellServiceStart => {
            unary(input, |request| CellService::start(services, request))
        }
        Method::CellServiceStop => {
            unary(input, |request| CellService::stop(services, request))
        }
        Method::CellServiceList => {
            unary(input, |request| CellService::list(services, request))
        }
        Method::CellServiceGet => {
            unary(input, |request| CellService::get(services, request))
        }
        Method::CellServiceUpdate => {
            unary(input, |request| CellService::update(services, request))
        }
        Method::CellServiceFreeze => {
            unary(input, |request| CellService::freeze(services, request))
        }
        Method::CellServiceThaw => {
            unary(input, |request| CellService::thaw(services, request))
        }
        Method::CellServiceWait => {
            unary(input, |request| CellService::wait(services, request))
        }
        Method::CellServiceSignal => {
            unary(input, |request| CellService::signal(services, request))
        }
        Method::HealthCheck => unary(input, |request| Health::check(services, request)),
        Method::HealthList => unary(input, |request| Health::list(services, request)),
        Method::HealthWatch => {
            server_streaming(input, |request| Health::watch(services, request))
        }
        Method::ServerReflectionV1Info => {
            bidirectional(
                input,
                |requests| ServerReflection::server_reflection_info(services, requests),
            )
        }
        Method::ServerReflectionV1alphaInfo => {
            bidirectional(
                input,
                |requests| ServerReflection::server_reflection_info(services, requests),
            )
        }
        Method::PodServiceAllocate
        | Method::PodServiceStart
        | Method::PodServiceStop
        | Method::PodServiceFree => super::planned(method.path()),
    }
}
/// Tells a client what it has reached.
pub trait DiscoveryService: Send + Sync {
    /// Confirms that an Aurae daemon answers here, and says which version it is and whether it can do its work.
    fn discover(
        &self,
        request: aurae::discovery::v0::DiscoverRequest,
    ) -> impl Future<
        Output = Result<aurae::discovery::v0::DiscoverResponse, Status>,
    > + Send;
}
/// Calls `aurae.discovery.v0.DiscoveryService`. Calls that are planned, and bidirectional ones, have no stub.
pub struct DiscoveryServiceClient<'a, C> {
    channel: &'a C,
}
impl<'a, C: Channel> DiscoveryServiceClient<'a, C> {
    pub fn new(channel: &'a C) -> Self {
        Self { channel }
    }
    /// Confirms that an Aurae daemon answers here, and says which version it is and whether it can do its work.
    pub fn discover(
        &self,
        request: &aurae::discovery::v0::DiscoverRequest,
    ) -> impl Future<Output = Result<aurae::discovery::v0::DiscoverResponse, Status>> {
        ask(self.channel, Method::DiscoveryServiceDiscover.path(), request)
    }
}
/// Gives the output of the daemon and of the processes that it started, line by line, and tells what becomes of cells and
/// executables.
///
/// What is given is held in memory, the newest part of it: 64 KiB of each output unless its executable asked for another
/// size. A stream begins with what is held, then gives what follows. A client that reads too slowly loses the oldest items,
/// and is told how many: by the next item (dropped) or, where the last ones are lost, by the status DATA_LOSS. It slows
/// nobody, unless the executable has LOG_MODE_BLOCK.
/// A daemon that stops ends all streams with UNAVAILABLE before it ends what runs.
pub trait ObserveService: Send + Sync {
    /// The daemon's own log, from the oldest item that it still holds, and then every new one. Ends when the daemon stops or
    /// the client leaves.
    fn get_aurae_daemon_log_stream(
        &self,
        request: aurae::observe::v0::GetAuraeDaemonLogStreamRequest,
    ) -> impl Future<
        Output = Result<Answers<aurae::observe::v0::LogItem>, Status>,
    > + Send;
    /// The output of one executable that CellService.Start started: what is still held, then what follows, both outputs in the
    /// order in which they were read. Ends with OK when the executable has ended and all of its output is delivered: it is not
    /// to be restarted, and no process that it started has its output open any more. One that has ended can be read until
    /// its name is used again or its cell is freed. A process or a name that is not known is NOT_FOUND.
    fn get_sub_process_stream(
        &self,
        request: aurae::observe::v0::GetSubProcessStreamRequest,
    ) -> impl Future<
        Output = Result<Answers<aurae::observe::v0::LogItem>, Status>,
    > + Send;
    /// What has become of cells and executables, from the oldest event that is still held, and then every new one. Ends when
    /// the daemon stops or the client leaves.
    fn watch_events(
        &self,
        request: aurae::observe::v0::ObserveServiceWatchEventsRequest,
    ) -> impl Future<Output = Result<Answers<aurae::observe::v0::Event>, Status>> + Send;
}
/// Calls `aurae.observe.v0.ObserveService`. Calls that are planned, and bidirectional ones, have no stub.
pub struct ObserveServiceClient<'a, C> {
    channel: &'a C,
}
impl<'a, C: Channel> ObserveServiceClient<'a, C> {
    pub fn new(channel: &'a C) -> Self {
        Self { channel }
    }
    /// The daemon's own log, from the oldest item that it still holds, and then every new one. Ends when the daemon stops or
    /// the client leaves.
    pub fn get_aurae_daemon_log_stream(
        &self,
        request: &aurae::observe::v0::GetAuraeDaemonLogStreamRequest,
    ) -> impl Future<Output = Result<Items<aurae::observe::v0::LogItem>, Status>> {
        ask_stream(
            self.channel,
            Method::ObserveServiceGetAuraeDaemonLogStream.path(),
            request,
        )
    }
    /// The output of one executable that CellService.Start started: what is still held, then what follows, both outputs in the
    /// order in which they were read. Ends with OK when the executable has ended and all of its output is delivered: it is not
    /// to be restarted, and no process that it started has its output open any more. One that has ended can be read until
    /// its name is used again or its cell is freed. A process or a name that is not known is NOT_FOUND.
    pub fn get_sub_process_stream(
        &self,
        request: &aurae::observe::v0::GetSubProcessStreamRequest,
    ) -> impl Future<Output = Result<Items<aurae::observe::v0::LogItem>, Status>> {
        ask_stream(
            self.channel,
            Method::ObserveServiceGetSubProcessStream.path(),
            request,
        )
    }
    /// What has become of cells and executables, from the oldest event that is still held, and then every new one. Ends when
    /// the daemon stops or the client leaves.
    pub fn watch_events(
        &self,
        request: &aurae::observe::v0::ObserveServiceWatchEventsRequest,
    ) -> impl Future<Output = Result<Items<aurae::observe::v0::Event>, Status>> {
        ask_stream(self.channel, Method::ObserveServiceWatchEvents.path(), request)
    }
}
/// Cells: named shares of the machine in which processes run.
///
/// A cell is a control group with limits. Cells form a tree, and the limits of a cell bound all cells inside it. A cell
/// costs next to nothing until something runs in it.
///
/// A bad field is INVALID_ARGUMENT, with one violation for each such field in the status details. A call that fails
/// changes nothing.
pub trait CellService: Send + Sync {
    /// Makes a cell and sets its limits. Starts no process, but for the one that isolate_process takes. A name that is taken
    /// is ALREADY_EXISTS, a parent that does not exist NOT_FOUND, a limit that this kernel cannot enforce
    /// FAILED_PRECONDITION.
    fn allocate(
        &self,
        request: aurae::runtime::v0::CellServiceAllocateRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceAllocateResponse, Status>,
    > + Send;
    /// Ends every process in a cell, waits until none is left, and removes the cell. A cell that is not there is
    /// NOT_FOUND, one that has cells inside it FAILED_PRECONDITION unless they are to be freed with it.
    fn free(
        &self,
        request: aurae::runtime::v0::CellServiceFreeRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceFreeResponse, Status>,
    > + Send;
    /// Starts an executable in a cell, and answers when the program runs. May be called again to run more than one in the
    /// same cell. A cell that is not there is NOT_FOUND, a name that is in use there ALREADY_EXISTS; the name of an
    /// executable that has exited may be used again when no process that it started is left. A program that cannot be
    /// executed is an error that names the reason, and leaves nothing behind. One that does not run within 20 seconds, because
    /// a process of its user stops it or a file system doesn't answer, is killed, and FAILED_PRECONDITION.
    fn start(
        &self,
        request: aurae::runtime::v0::CellServiceStartRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceStartResponse, Status>,
    > + Send;
    /// Ends one executable of a cell with all processes that it started, and answers when they are gone; it is not restarted
    /// after that. It is listed as exited from then on, until its name is used again or its cell is freed, or until there are
    /// as many executables as there may be and its place is needed. An executable that has exited, by itself or by an earlier
    /// Stop, can be stopped once more: that ends what it left running, and has it listed no longer. After that, and for a name
    /// that never was, the answer is NOT_FOUND. Stops of one executable at the same time succeed together, as one.
    fn stop(
        &self,
        request: aurae::runtime::v0::CellServiceStopRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceStopResponse, Status>,
    > + Send;
    /// Lists all cells, as a tree, with what runs in them and what they use.
    fn list(
        &self,
        request: aurae::runtime::v0::CellServiceListRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceListResponse, Status>,
    > + Send;
    /// Tells of one cell what List tells of all: the cell, those inside it, what runs in them and what they use.
    fn get(
        &self,
        request: aurae::runtime::v0::CellServiceGetRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceGetResponse, Status>,
    > + Send;
    /// Changes limits of a cell and of all that runs in it; all of the changes, or none. What the request does not name stays
    /// as it is. Refused like a limit of Allocate, and FAILED_PRECONDITION while the cell, one inside or one around it is
    /// being updated.
    fn update(
        &self,
        request: aurae::runtime::v0::CellServiceUpdateRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceUpdateResponse, Status>,
    > + Send;
    /// Stops all processes of a cell where they are, and answers when they stand still; also those in the cells inside it.
    /// They keep their memory and notice nothing. A process that cannot be interrupted, as while a disk doesn't answer, may
    /// keep the cell from coming to rest: after 5 seconds the answer is INTERNAL and names it, and the cell goes on as before.
    /// Nothing can be started in a frozen cell (FAILED_PRECONDITION), and a cell that is allocated in it is frozen. It can be
    /// freed, and executables in it can be stopped, at once: frozen processes cannot handle SIGTERM, and are killed without a
    /// grace period. Freezing a frozen cell is no error; freezing one that is being freed is FAILED_PRECONDITION.
    fn freeze(
        &self,
        request: aurae::runtime::v0::CellServiceFreezeRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceFreezeResponse, Status>,
    > + Send;
    /// Lets the processes of a frozen cell go on. Cells inside it that were frozen themselves stay frozen. Thawing a cell that
    /// is not frozen is no error.
    fn thaw(
        &self,
        request: aurae::runtime::v0::CellServiceThawRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceThawResponse, Status>,
    > + Send;
    /// Answers when an executable has ended, and how; at once if it has ended before. It has ended when its first process
    /// has, and is not to be restarted; what that started may still run. A name that is not there is NOT_FOUND, also when it
    /// goes because the executable could not be started.
    fn wait(
        &self,
        request: aurae::runtime::v0::CellServiceWaitRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceWaitResponse, Status>,
    > + Send;
    /// Sends a signal to an executable, and answers when it has been sent. One that has exited is FAILED_PRECONDITION, unless
    /// the signal is for all of its processes and some are left. In a frozen cell the signal waits until the cell is thawed,
    /// but for SIGKILL, which ends a process there at once, except on cgroup version 1.
    fn signal(
        &self,
        request: aurae::runtime::v0::CellServiceSignalRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceSignalResponse, Status>,
    > + Send;
}
/// Calls `aurae.runtime.v0.CellService`. Calls that are planned, and bidirectional ones, have no stub.
pub struct CellServiceClient<'a, C> {
    channel: &'a C,
}
impl<'a, C: Channel> CellServiceClient<'a, C> {
    pub fn new(channel: &'a C) -> Self {
        Self { channel }
    }
    /// Makes a cell and sets its limits. Starts no process, but for the one that isolate_process takes. A name that is taken
    /// is ALREADY_EXISTS, a parent that does not exist NOT_FOUND, a limit that this kernel cannot enforce
    /// FAILED_PRECONDITION.
    pub fn allocate(
        &self,
        request: &aurae::runtime::v0::CellServiceAllocateRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceAllocateResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceAllocate.path(), request)
    }
    /// Ends every process in a cell, waits until none is left, and removes the cell. A cell that is not there is
    /// NOT_FOUND, one that has cells inside it FAILED_PRECONDITION unless they are to be freed with it.
    pub fn free(
        &self,
        request: &aurae::runtime::v0::CellServiceFreeRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceFreeResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceFree.path(), request)
    }
    /// Starts an executable in a cell, and answers when the program runs. May be called again to run more than one in the
    /// same cell. A cell that is not there is NOT_FOUND, a name that is in use there ALREADY_EXISTS; the name of an
    /// executable that has exited may be used again when no process that it started is left. A program that cannot be
    /// executed is an error that names the reason, and leaves nothing behind. One that does not run within 20 seconds, because
    /// a process of its user stops it or a file system doesn't answer, is killed, and FAILED_PRECONDITION.
    pub fn start(
        &self,
        request: &aurae::runtime::v0::CellServiceStartRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceStartResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceStart.path(), request)
    }
    /// Ends one executable of a cell with all processes that it started, and answers when they are gone; it is not restarted
    /// after that. It is listed as exited from then on, until its name is used again or its cell is freed, or until there are
    /// as many executables as there may be and its place is needed. An executable that has exited, by itself or by an earlier
    /// Stop, can be stopped once more: that ends what it left running, and has it listed no longer. After that, and for a name
    /// that never was, the answer is NOT_FOUND. Stops of one executable at the same time succeed together, as one.
    pub fn stop(
        &self,
        request: &aurae::runtime::v0::CellServiceStopRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceStopResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceStop.path(), request)
    }
    /// Lists all cells, as a tree, with what runs in them and what they use.
    pub fn list(
        &self,
        request: &aurae::runtime::v0::CellServiceListRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceListResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceList.path(), request)
    }
    /// Tells of one cell what List tells of all: the cell, those inside it, what runs in them and what they use.
    pub fn get(
        &self,
        request: &aurae::runtime::v0::CellServiceGetRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceGetResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceGet.path(), request)
    }
    /// Changes limits of a cell and of all that runs in it; all of the changes, or none. What the request does not name stays
    /// as it is. Refused like a limit of Allocate, and FAILED_PRECONDITION while the cell, one inside or one around it is
    /// being updated.
    pub fn update(
        &self,
        request: &aurae::runtime::v0::CellServiceUpdateRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceUpdateResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceUpdate.path(), request)
    }
    /// Stops all processes of a cell where they are, and answers when they stand still; also those in the cells inside it.
    /// They keep their memory and notice nothing. A process that cannot be interrupted, as while a disk doesn't answer, may
    /// keep the cell from coming to rest: after 5 seconds the answer is INTERNAL and names it, and the cell goes on as before.
    /// Nothing can be started in a frozen cell (FAILED_PRECONDITION), and a cell that is allocated in it is frozen. It can be
    /// freed, and executables in it can be stopped, at once: frozen processes cannot handle SIGTERM, and are killed without a
    /// grace period. Freezing a frozen cell is no error; freezing one that is being freed is FAILED_PRECONDITION.
    pub fn freeze(
        &self,
        request: &aurae::runtime::v0::CellServiceFreezeRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceFreezeResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceFreeze.path(), request)
    }
    /// Lets the processes of a frozen cell go on. Cells inside it that were frozen themselves stay frozen. Thawing a cell that
    /// is not frozen is no error.
    pub fn thaw(
        &self,
        request: &aurae::runtime::v0::CellServiceThawRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceThawResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceThaw.path(), request)
    }
    /// Answers when an executable has ended, and how; at once if it has ended before. It has ended when its first process
    /// has, and is not to be restarted; what that started may still run. A name that is not there is NOT_FOUND, also when it
    /// goes because the executable could not be started.
    pub fn wait(
        &self,
        request: &aurae::runtime::v0::CellServiceWaitRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceWaitResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceWait.path(), request)
    }
    /// Sends a signal to an executable, and answers when it has been sent. One that has exited is FAILED_PRECONDITION, unless
    /// the signal is for all of its processes and some are left. In a frozen cell the signal waits until the cell is thawed,
    /// but for SIGKILL, which ends a process there at once, except on cgroup version 1.
    pub fn signal(
        &self,
        request: &aurae::runtime::v0::CellServiceSignalRequest,
    ) -> impl Future<
        Output = Result<aurae::runtime::v0::CellServiceSignalResponse, Status>,
    > {
        ask(self.channel, Method::CellServiceSignal.path(), request)
    }
}
/// Tells load balancers and supervisors whether to send calls here.
pub trait Health: Send + Sync {
    /// The state of one service, now. An unknown service is NOT_FOUND.
    fn check(
        &self,
        request: grpc::health::v1::HealthCheckRequest,
    ) -> impl Future<
        Output = Result<grpc::health::v1::HealthCheckResponse, Status>,
    > + Send;
    /// The state of every service, now, under its full name; the server as a whole under the empty name.
    fn list(
        &self,
        request: grpc::health::v1::HealthListRequest,
    ) -> impl Future<
        Output = Result<grpc::health::v1::HealthListResponse, Status>,
    > + Send;
    /// The state of one service at once, and again each time the daemon notices that it has changed. The state of an
    /// unknown service is SERVICE_UNKNOWN. Ends with UNAVAILABLE when the daemon stops.
    fn watch(
        &self,
        request: grpc::health::v1::HealthCheckRequest,
    ) -> impl Future<
        Output = Result<Answers<grpc::health::v1::HealthCheckResponse>, Status>,
    > + Send;
}
/// Calls `grpc.health.v1.Health`. Calls that are planned, and bidirectional ones, have no stub.
pub struct HealthClient<'a, C> {
    channel: &'a C,
}
impl<'a, C: Channel> HealthClient<'a, C> {
    pub fn new(channel: &'a C) -> Self {
        Self { channel }
    }
    /// The state of one service, now. An unknown service is NOT_FOUND.
    pub fn check(
        &self,
        request: &grpc::health::v1::HealthCheckRequest,
    ) -> impl Future<Output = Result<grpc::health::v1::HealthCheckResponse, Status>> {
        ask(self.channel, Method::HealthCheck.path(), request)
    }
    /// The state of every service, now, under its full name; the server as a whole under the empty name.
    pub fn list(
        &self,
        request: &grpc::health::v1::HealthListRequest,
    ) -> impl Future<Output = Result<grpc::health::v1::HealthListResponse, Status>> {
        ask(self.channel, Method::HealthList.path(), request)
    }
    /// The state of one service at once, and again each time the daemon notices that it has changed. The state of an
    /// unknown service is SERVICE_UNKNOWN. Ends with UNAVAILABLE when the daemon stops.
    pub fn watch(
        &self,
        request: &grpc::health::v1::HealthCheckRequest,
    ) -> impl Future<
        Output = Result<Items<grpc::health::v1::HealthCheckResponse>, Status>,
    > {
        ask_stream(self.channel, Method::HealthWatch.path(), request)
    }
}
/// Gives clients the API of this server, so that they can call it without its .proto files.
pub trait ServerReflection: Send + Sync {
    /// One answer for each request, in order. The answers must come from one server, hence the stream.
    fn server_reflection_info(
        &self,
        requests: Items<grpc::reflection::v1::ServerReflectionRequest>,
    ) -> impl Future<
        Output = Result<Answers<grpc::reflection::v1::ServerReflectionResponse>, Status>,
    > + Send;
}
/// The full name of every service, planned and empty ones too.
pub static SERVICES: &[&str] = &[
    "aurae.discovery.v0.DiscoveryService",
    "aurae.observe.v0.ObserveService",
    "aurae.runtime.v0.CellService",
    "aurae.runtime.v0.PodService",
    "aurae.runtime.v0.SpawnService",
    "aurae.runtime.v0.InstanceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
/// Every file of the API, sorted by name.
pub static FILES: &[File] = &[
    File {
        name: "aurae/discovery/v0/discovery.proto",
        start: 0,
        end: 262,
        dependencies: &[],
        messages: "\
aurae.discovery.v0.DiscoverRequest\n\
aurae.discovery.v0.DiscoverResponse\n\
",
        members: "\
aurae.discovery.v0.DiscoverResponse.healthy\n\
aurae.discovery.v0.DiscoverResponse.version\n\
aurae.discovery.v0.DiscoveryService\n\
aurae.discovery.v0.DiscoveryService.Discover\n\
",
    },
    File {
        name: "aurae/observe/v0/observe.proto",
        start: 262,
        end: 2872,
        dependencies: &[],
        messages: "\
aurae.observe.v0.Event\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest\n\
aurae.observe.v0.GetSubProcessStreamRequest\n\
aurae.observe.v0.LogItem\n\
aurae.observe.v0.LogItem.FieldsEntry\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest\n\
",
        members: "\
aurae.observe.v0.EVENT_TYPE_CELL_ALLOCATED\n\
aurae.observe.v0.EVENT_TYPE_CELL_FREED\n\
aurae.observe.v0.EVENT_TYPE_CELL_UPDATED\n\
aurae.observe.v0.EVENT_TYPE_DAEMON_STARTED\n\
aurae.observe.v0.EVENT_TYPE_DAEMON_STOPPING\n\
aurae.observe.v0.EVENT_TYPE_EXECUTABLE_EXITED\n\
aurae.observe.v0.EVENT_TYPE_EXECUTABLE_OUT_OF_MEMORY\n\
aurae.observe.v0.EVENT_TYPE_EXECUTABLE_REMOVED\n\
aurae.observe.v0.EVENT_TYPE_EXECUTABLE_RESTARTED\n\
aurae.observe.v0.EVENT_TYPE_EXECUTABLE_STARTED\n\
aurae.observe.v0.EVENT_TYPE_UNSPECIFIED\n\
aurae.observe.v0.Event._exit_code\n\
aurae.observe.v0.Event._exit_signal\n\
aurae.observe.v0.Event.cell_name\n\
aurae.observe.v0.Event.dropped\n\
aurae.observe.v0.Event.executable_name\n\
aurae.observe.v0.Event.exit_code\n\
aurae.observe.v0.Event.exit_signal\n\
aurae.observe.v0.Event.nanos\n\
aurae.observe.v0.Event.oom_cell_name\n\
aurae.observe.v0.Event.pid\n\
aurae.observe.v0.Event.restarts\n\
aurae.observe.v0.Event.sequence\n\
aurae.observe.v0.Event.timestamp\n\
aurae.observe.v0.Event.type\n\
aurae.observe.v0.EventType\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest._from_sequence\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest._since\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest._tail_lines\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest.from_sequence\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest.level\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest.no_follow\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest.since\n\
aurae.observe.v0.GetAuraeDaemonLogStreamRequest.tail_lines\n\
aurae.observe.v0.GetSubProcessStreamRequest._from_sequence\n\
aurae.observe.v0.GetSubProcessStreamRequest._since\n\
aurae.observe.v0.GetSubProcessStreamRequest._tail_lines\n\
aurae.observe.v0.GetSubProcessStreamRequest.cell_name\n\
aurae.observe.v0.GetSubProcessStreamRequest.channel_type\n\
aurae.observe.v0.GetSubProcessStreamRequest.executable_name\n\
aurae.observe.v0.GetSubProcessStreamRequest.from_sequence\n\
aurae.observe.v0.GetSubProcessStreamRequest.no_follow\n\
aurae.observe.v0.GetSubProcessStreamRequest.process_id\n\
aurae.observe.v0.GetSubProcessStreamRequest.since\n\
aurae.observe.v0.GetSubProcessStreamRequest.tail_lines\n\
aurae.observe.v0.LOG_CHANNEL_TYPE_STDERR\n\
aurae.observe.v0.LOG_CHANNEL_TYPE_STDOUT\n\
aurae.observe.v0.LOG_CHANNEL_TYPE_UNSPECIFIED\n\
aurae.observe.v0.LOG_LEVEL_DEBUG\n\
aurae.observe.v0.LOG_LEVEL_ERROR\n\
aurae.observe.v0.LOG_LEVEL_INFO\n\
aurae.observe.v0.LOG_LEVEL_TRACE\n\
aurae.observe.v0.LOG_LEVEL_UNSPECIFIED\n\
aurae.observe.v0.LOG_LEVEL_WARN\n\
aurae.observe.v0.LogChannelType\n\
aurae.observe.v0.LogItem.FieldsEntry.key\n\
aurae.observe.v0.LogItem.FieldsEntry.value\n\
aurae.observe.v0.LogItem.channel\n\
aurae.observe.v0.LogItem.dropped\n\
aurae.observe.v0.LogItem.fields\n\
aurae.observe.v0.LogItem.level\n\
aurae.observe.v0.LogItem.line\n\
aurae.observe.v0.LogItem.nanos\n\
aurae.observe.v0.LogItem.partial\n\
aurae.observe.v0.LogItem.sequence\n\
aurae.observe.v0.LogItem.target\n\
aurae.observe.v0.LogItem.timestamp\n\
aurae.observe.v0.LogLevel\n\
aurae.observe.v0.ObserveService\n\
aurae.observe.v0.ObserveService.GetAuraeDaemonLogStream\n\
aurae.observe.v0.ObserveService.GetSubProcessStream\n\
aurae.observe.v0.ObserveService.WatchEvents\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest._from_sequence\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest._since\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest.from_sequence\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest.no_follow\n\
aurae.observe.v0.ObserveServiceWatchEventsRequest.since\n\
",
    },
    File {
        name: "aurae/runtime/v0/runtime.proto",
        start: 2872,
        end: 11209,
        dependencies: &[],
        messages: "\
aurae.runtime.v0.CapabilitySet\n\
aurae.runtime.v0.Cell\n\
aurae.runtime.v0.CellExecutable\n\
aurae.runtime.v0.CellGraphNode\n\
aurae.runtime.v0.CellServiceAllocateRequest\n\
aurae.runtime.v0.CellServiceAllocateResponse\n\
aurae.runtime.v0.CellServiceFreeRequest\n\
aurae.runtime.v0.CellServiceFreeResponse\n\
aurae.runtime.v0.CellServiceFreezeRequest\n\
aurae.runtime.v0.CellServiceFreezeResponse\n\
aurae.runtime.v0.CellServiceGetRequest\n\
aurae.runtime.v0.CellServiceGetResponse\n\
aurae.runtime.v0.CellServiceListRequest\n\
aurae.runtime.v0.CellServiceListResponse\n\
aurae.runtime.v0.CellServiceSignalRequest\n\
aurae.runtime.v0.CellServiceSignalResponse\n\
aurae.runtime.v0.CellServiceStartRequest\n\
aurae.runtime.v0.CellServiceStartResponse\n\
aurae.runtime.v0.CellServiceStopRequest\n\
aurae.runtime.v0.CellServiceStopResponse\n\
aurae.runtime.v0.CellServiceThawRequest\n\
aurae.runtime.v0.CellServiceThawResponse\n\
aurae.runtime.v0.CellServiceUpdateRequest\n\
aurae.runtime.v0.CellServiceUpdateResponse\n\
aurae.runtime.v0.CellServiceWaitRequest\n\
aurae.runtime.v0.CellServiceWaitResponse\n\
aurae.runtime.v0.CellUsage\n\
aurae.runtime.v0.Container\n\
aurae.runtime.v0.CpuController\n\
aurae.runtime.v0.CpusetController\n\
aurae.runtime.v0.Executable\n\
aurae.runtime.v0.Executable.EnvEntry\n\
aurae.runtime.v0.IoController\n\
aurae.runtime.v0.IoMax\n\
aurae.runtime.v0.LogPolicy\n\
aurae.runtime.v0.MemoryController\n\
aurae.runtime.v0.PidsController\n\
aurae.runtime.v0.Pod\n\
aurae.runtime.v0.PodServiceAllocateRequest\n\
aurae.runtime.v0.PodServiceAllocateResponse\n\
aurae.runtime.v0.PodServiceFreeRequest\n\
aurae.runtime.v0.PodServiceFreeResponse\n\
aurae.runtime.v0.PodServiceStartRequest\n\
aurae.runtime.v0.PodServiceStartResponse\n\
aurae.runtime.v0.PodServiceStopRequest\n\
aurae.runtime.v0.PodServiceStopResponse\n\
aurae.runtime.v0.Pressure\n\
aurae.runtime.v0.PressureShare\n\
aurae.runtime.v0.RestartPolicy\n\
aurae.runtime.v0.Rlimit\n\
",
        members: "\
aurae.runtime.v0.CELL_EXECUTABLE_STATE_EXITED\n\
aurae.runtime.v0.CELL_EXECUTABLE_STATE_RESTARTING\n\
aurae.runtime.v0.CELL_EXECUTABLE_STATE_RUNNING\n\
aurae.runtime.v0.CELL_EXECUTABLE_STATE_UNSPECIFIED\n\
aurae.runtime.v0.CapabilitySet.names\n\
aurae.runtime.v0.Cell.cpu\n\
aurae.runtime.v0.Cell.cpuset\n\
aurae.runtime.v0.Cell.io\n\
aurae.runtime.v0.Cell.isolate_network\n\
aurae.runtime.v0.Cell.isolate_process\n\
aurae.runtime.v0.Cell.memory\n\
aurae.runtime.v0.Cell.name\n\
aurae.runtime.v0.Cell.pids\n\
aurae.runtime.v0.CellExecutable._exit_code\n\
aurae.runtime.v0.CellExecutable._exit_signal\n\
aurae.runtime.v0.CellExecutable._exited_ms\n\
aurae.runtime.v0.CellExecutable.description\n\
aurae.runtime.v0.CellExecutable.exit_code\n\
aurae.runtime.v0.CellExecutable.exit_signal\n\
aurae.runtime.v0.CellExecutable.exited_ms\n\
aurae.runtime.v0.CellExecutable.gid\n\
aurae.runtime.v0.CellExecutable.name\n\
aurae.runtime.v0.CellExecutable.oom_cell_name\n\
aurae.runtime.v0.CellExecutable.oom_killed\n\
aurae.runtime.v0.CellExecutable.pid\n\
aurae.runtime.v0.CellExecutable.restarts\n\
aurae.runtime.v0.CellExecutable.started_ms\n\
aurae.runtime.v0.CellExecutable.state\n\
aurae.runtime.v0.CellExecutable.uid\n\
aurae.runtime.v0.CellExecutableState\n\
aurae.runtime.v0.CellGraphNode.cell\n\
aurae.runtime.v0.CellGraphNode.children\n\
aurae.runtime.v0.CellGraphNode.executables\n\
aurae.runtime.v0.CellGraphNode.freeing\n\
aurae.runtime.v0.CellGraphNode.frozen\n\
aurae.runtime.v0.CellGraphNode.usage\n\
aurae.runtime.v0.CellService\n\
aurae.runtime.v0.CellService.Allocate\n\
aurae.runtime.v0.CellService.Free\n\
aurae.runtime.v0.CellService.Freeze\n\
aurae.runtime.v0.CellService.Get\n\
aurae.runtime.v0.CellService.List\n\
aurae.runtime.v0.CellService.Signal\n\
aurae.runtime.v0.CellService.Start\n\
aurae.runtime.v0.CellService.Stop\n\
aurae.runtime.v0.CellService.Thaw\n\
aurae.runtime.v0.CellService.Update\n\
aurae.runtime.v0.CellService.Wait\n\
aurae.runtime.v0.CellServiceAllocateRequest.cell\n\
aurae.runtime.v0.CellServiceAllocateResponse.cell_name\n\
aurae.runtime.v0.CellServiceAllocateResponse.cgroup_v2\n\
aurae.runtime.v0.CellServiceFreeRequest._grace_period_ms\n\
aurae.runtime.v0.CellServiceFreeRequest.cell_name\n\
aurae.runtime.v0.CellServiceFreeRequest.force\n\
aurae.runtime.v0.CellServiceFreeRequest.grace_period_ms\n\
aurae.runtime.v0.CellServiceFreezeRequest.cell_name\n\
aurae.runtime.v0.CellServiceGetRequest.cell_name\n\
aurae.runtime.v0.CellServiceGetResponse.cell\n\
aurae.runtime.v0.CellServiceListResponse.cells\n\
aurae.runtime.v0.CellServiceSignalRequest.all_processes\n\
aurae.runtime.v0.CellServiceSignalRequest.cell_name\n\
aurae.runtime.v0.CellServiceSignalRequest.executable_name\n\
aurae.runtime.v0.CellServiceSignalRequest.signal\n\
aurae.runtime.v0.CellServiceStartRequest._gid\n\
aurae.runtime.v0.CellServiceStartRequest._uid\n\
aurae.runtime.v0.CellServiceStartRequest.cell_name\n\
aurae.runtime.v0.CellServiceStartRequest.executable\n\
aurae.runtime.v0.CellServiceStartRequest.gid\n\
aurae.runtime.v0.CellServiceStartRequest.uid\n\
aurae.runtime.v0.CellServiceStartResponse.gid\n\
aurae.runtime.v0.CellServiceStartResponse.pid\n\
aurae.runtime.v0.CellServiceStartResponse.uid\n\
aurae.runtime.v0.CellServiceStopRequest._grace_period_ms\n\
aurae.runtime.v0.CellServiceStopRequest.cell_name\n\
aurae.runtime.v0.CellServiceStopRequest.executable_name\n\
aurae.runtime.v0.CellServiceStopRequest.grace_period_ms\n\
aurae.runtime.v0.CellServiceThawRequest.cell_name\n\
aurae.runtime.v0.CellServiceUpdateRequest.cell\n\
aurae.runtime.v0.CellServiceUpdateRequest.clear\n\
aurae.runtime.v0.CellServiceUpdateResponse.cell\n\
aurae.runtime.v0.CellServiceWaitRequest.cell_name\n\
aurae.runtime.v0.CellServiceWaitRequest.executable_name\n\
aurae.runtime.v0.CellServiceWaitResponse._exit_code\n\
aurae.runtime.v0.CellServiceWaitResponse._exit_signal\n\
aurae.runtime.v0.CellServiceWaitResponse.exit_code\n\
aurae.runtime.v0.CellServiceWaitResponse.exit_signal\n\
aurae.runtime.v0.CellServiceWaitResponse.oom_cell_name\n\
aurae.runtime.v0.CellServiceWaitResponse.oom_killed\n\
aurae.runtime.v0.CellServiceWaitResponse.pid\n\
aurae.runtime.v0.CellServiceWaitResponse.restarts\n\
aurae.runtime.v0.CellUsage._cpu_us\n\
aurae.runtime.v0.CellUsage._io_read_bytes\n\
aurae.runtime.v0.CellUsage._io_written_bytes\n\
aurae.runtime.v0.CellUsage._memory_bytes\n\
aurae.runtime.v0.CellUsage._memory_peak_bytes\n\
aurae.runtime.v0.CellUsage._pids\n\
aurae.runtime.v0.CellUsage._swap_bytes\n\
aurae.runtime.v0.CellUsage.cpu_pressure\n\
aurae.runtime.v0.CellUsage.cpu_us\n\
aurae.runtime.v0.CellUsage.io_pressure\n\
aurae.runtime.v0.CellUsage.io_read_bytes\n\
aurae.runtime.v0.CellUsage.io_written_bytes\n\
aurae.runtime.v0.CellUsage.memory_bytes\n\
aurae.runtime.v0.CellUsage.memory_peak_bytes\n\
aurae.runtime.v0.CellUsage.memory_pressure\n\
aurae.runtime.v0.CellUsage.pids\n\
aurae.runtime.v0.CellUsage.swap_bytes\n\
aurae.runtime.v0.Container.image\n\
aurae.runtime.v0.Container.name\n\
aurae.runtime.v0.Container.registry\n\
aurae.runtime.v0.CpuController._max\n\
aurae.runtime.v0.CpuController._period\n\
aurae.runtime.v0.CpuController._weight\n\
aurae.runtime.v0.CpuController.max\n\
aurae.runtime.v0.CpuController.period\n\
aurae.runtime.v0.CpuController.weight\n\
aurae.runtime.v0.CpusetController._cpus\n\
aurae.runtime.v0.CpusetController._mems\n\
aurae.runtime.v0.CpusetController.cpus\n\
aurae.runtime.v0.CpusetController.mems\n\
aurae.runtime.v0.Executable.EnvEntry.key\n\
aurae.runtime.v0.Executable.EnvEntry.value\n\
aurae.runtime.v0.Executable._stdin\n\
aurae.runtime.v0.Executable.args\n\
aurae.runtime.v0.Executable.capabilities\n\
aurae.runtime.v0.Executable.command\n\
aurae.runtime.v0.Executable.description\n\
aurae.runtime.v0.Executable.env\n\
aurae.runtime.v0.Executable.log\n\
aurae.runtime.v0.Executable.name\n\
aurae.runtime.v0.Executable.no_new_privileges\n\
aurae.runtime.v0.Executable.restart\n\
aurae.runtime.v0.Executable.rlimits\n\
aurae.runtime.v0.Executable.stdin\n\
aurae.runtime.v0.Executable.working_directory\n\
aurae.runtime.v0.InstanceService\n\
aurae.runtime.v0.IoController._weight\n\
aurae.runtime.v0.IoController.max\n\
aurae.runtime.v0.IoController.weight\n\
aurae.runtime.v0.IoMax._read_bytes_per_second\n\
aurae.runtime.v0.IoMax._reads_per_second\n\
aurae.runtime.v0.IoMax._write_bytes_per_second\n\
aurae.runtime.v0.IoMax._writes_per_second\n\
aurae.runtime.v0.IoMax.device\n\
aurae.runtime.v0.IoMax.read_bytes_per_second\n\
aurae.runtime.v0.IoMax.reads_per_second\n\
aurae.runtime.v0.IoMax.write_bytes_per_second\n\
aurae.runtime.v0.IoMax.writes_per_second\n\
aurae.runtime.v0.LOG_MODE_BLOCK\n\
aurae.runtime.v0.LOG_MODE_FILE\n\
aurae.runtime.v0.LOG_MODE_RING\n\
aurae.runtime.v0.LOG_MODE_UNSPECIFIED\n\
aurae.runtime.v0.LogMode\n\
aurae.runtime.v0.LogPolicy._file_age_seconds_max\n\
aurae.runtime.v0.LogPolicy._file_bytes_max\n\
aurae.runtime.v0.LogPolicy._file_count_max\n\
aurae.runtime.v0.LogPolicy._ring_bytes\n\
aurae.runtime.v0.LogPolicy.file_age_seconds_max\n\
aurae.runtime.v0.LogPolicy.file_bytes_max\n\
aurae.runtime.v0.LogPolicy.file_count_max\n\
aurae.runtime.v0.LogPolicy.mode\n\
aurae.runtime.v0.LogPolicy.ring_bytes\n\
aurae.runtime.v0.MemoryController._high\n\
aurae.runtime.v0.MemoryController._low\n\
aurae.runtime.v0.MemoryController._max\n\
aurae.runtime.v0.MemoryController._min\n\
aurae.runtime.v0.MemoryController._swap_max\n\
aurae.runtime.v0.MemoryController.high\n\
aurae.runtime.v0.MemoryController.low\n\
aurae.runtime.v0.MemoryController.max\n\
aurae.runtime.v0.MemoryController.min\n\
aurae.runtime.v0.MemoryController.swap_max\n\
aurae.runtime.v0.PidsController._max\n\
aurae.runtime.v0.PidsController.max\n\
aurae.runtime.v0.Pod.name\n\
aurae.runtime.v0.PodService\n\
aurae.runtime.v0.PodService.Allocate\n\
aurae.runtime.v0.PodService.Free\n\
aurae.runtime.v0.PodService.Start\n\
aurae.runtime.v0.PodService.Stop\n\
aurae.runtime.v0.PodServiceAllocateRequest.pod\n\
aurae.runtime.v0.PodServiceStartRequest.name\n\
aurae.runtime.v0.PodServiceStopRequest.container_name\n\
aurae.runtime.v0.PodServiceStopRequest.pod_name\n\
aurae.runtime.v0.Pressure.full\n\
aurae.runtime.v0.Pressure.some\n\
aurae.runtime.v0.PressureShare.avg10\n\
aurae.runtime.v0.PressureShare.avg300\n\
aurae.runtime.v0.PressureShare.avg60\n\
aurae.runtime.v0.PressureShare.total_us\n\
aurae.runtime.v0.RESTART_CONDITION_ALWAYS\n\
aurae.runtime.v0.RESTART_CONDITION_NEVER\n\
aurae.runtime.v0.RESTART_CONDITION_ON_FAILURE\n\
aurae.runtime.v0.RESTART_CONDITION_UNSPECIFIED\n\
aurae.runtime.v0.RestartCondition\n\
aurae.runtime.v0.RestartPolicy._max_restarts\n\
aurae.runtime.v0.RestartPolicy.condition\n\
aurae.runtime.v0.RestartPolicy.max_restarts\n\
aurae.runtime.v0.Rlimit._hard\n\
aurae.runtime.v0.Rlimit._soft\n\
aurae.runtime.v0.Rlimit.hard\n\
aurae.runtime.v0.Rlimit.name\n\
aurae.runtime.v0.Rlimit.soft\n\
aurae.runtime.v0.SpawnService\n\
",
    },
    File {
        name: "google/rpc/error_details.proto",
        start: 11209,
        end: 11432,
        dependencies: &[],
        messages: "\
google.rpc.BadRequest\n\
google.rpc.BadRequest.FieldViolation\n\
",
        members: "\
google.rpc.BadRequest.FieldViolation.description\n\
google.rpc.BadRequest.FieldViolation.field\n\
google.rpc.BadRequest.field_violations\n\
",
    },
    File {
        name: "grpc/health/v1/health.proto",
        start: 11432,
        end: 12189,
        dependencies: &[],
        messages: "\
grpc.health.v1.HealthCheckRequest\n\
grpc.health.v1.HealthCheckResponse\n\
grpc.health.v1.HealthListRequest\n\
grpc.health.v1.HealthListResponse\n\
grpc.health.v1.HealthListResponse.StatusesEntry\n\
",
        members: "\
grpc.health.v1.Health\n\
grpc.health.v1.Health.Check\n\
grpc.health.v1.Health.List\n\
grpc.health.v1.Health.Watch\n\
grpc.health.v1.HealthCheckRequest.service\n\
grpc.health.v1.HealthCheckResponse.NOT_SERVING\n\
grpc.health.v1.HealthCheckResponse.SERVICE_UNKNOWN\n\
grpc.health.v1.HealthCheckResponse.SERVING\n\
grpc.health.v1.HealthCheckResponse.ServingStatus\n\
grpc.health.v1.HealthCheckResponse.UNKNOWN\n\
grpc.health.v1.HealthCheckResponse.status\n\
grpc.health.v1.HealthListResponse.StatusesEntry.key\n\
grpc.health.v1.HealthListResponse.StatusesEntry.value\n\
grpc.health.v1.HealthListResponse.statuses\n\
",
    },
    File {
        name: "grpc/reflection/v1/reflection.proto",
        start: 12189,
        end: 13829,
        dependencies: &[],
        messages: "\
grpc.reflection.v1.ErrorResponse\n\
grpc.reflection.v1.ExtensionNumberResponse\n\
grpc.reflection.v1.ExtensionRequest\n\
grpc.reflection.v1.FileDescriptorResponse\n\
grpc.reflection.v1.ListServiceResponse\n\
grpc.reflection.v1.ServerReflectionRequest\n\
grpc.reflection.v1.ServerReflectionResponse\n\
grpc.reflection.v1.ServiceResponse\n\
",
        members: "\
grpc.reflection.v1.ErrorResponse.error_code\n\
grpc.reflection.v1.ErrorResponse.error_message\n\
grpc.reflection.v1.ExtensionNumberResponse.base_type_name\n\
grpc.reflection.v1.ExtensionNumberResponse.extension_number\n\
grpc.reflection.v1.ExtensionRequest.containing_type\n\
grpc.reflection.v1.ExtensionRequest.extension_number\n\
grpc.reflection.v1.FileDescriptorResponse.file_descriptor_proto\n\
grpc.reflection.v1.ListServiceResponse.service\n\
grpc.reflection.v1.ServerReflection\n\
grpc.reflection.v1.ServerReflection.ServerReflectionInfo\n\
grpc.reflection.v1.ServerReflectionRequest.all_extension_numbers_of_type\n\
grpc.reflection.v1.ServerReflectionRequest.file_by_filename\n\
grpc.reflection.v1.ServerReflectionRequest.file_containing_extension\n\
grpc.reflection.v1.ServerReflectionRequest.file_containing_symbol\n\
grpc.reflection.v1.ServerReflectionRequest.host\n\
grpc.reflection.v1.ServerReflectionRequest.list_services\n\
grpc.reflection.v1.ServerReflectionRequest.message_request\n\
grpc.reflection.v1.ServerReflectionResponse.all_extension_numbers_response\n\
grpc.reflection.v1.ServerReflectionResponse.error_response\n\
grpc.reflection.v1.ServerReflectionResponse.file_descriptor_response\n\
grpc.reflection.v1.ServerReflectionResponse.list_services_response\n\
grpc.reflection.v1.ServerReflectionResponse.message_response\n\
grpc.reflection.v1.ServerReflectionResponse.original_request\n\
grpc.reflection.v1.ServerReflectionResponse.valid_host\n\
grpc.reflection.v1.ServiceResponse.name\n\
",
    },
    File {
        name: "grpc/reflection/v1alpha/reflection.proto",
        start: 13829,
        end: 15524,
        dependencies: &[],
        messages: "\
grpc.reflection.v1alpha.ErrorResponse\n\
grpc.reflection.v1alpha.ExtensionNumberResponse\n\
grpc.reflection.v1alpha.ExtensionRequest\n\
grpc.reflection.v1alpha.FileDescriptorResponse\n\
grpc.reflection.v1alpha.ListServiceResponse\n\
grpc.reflection.v1alpha.ServerReflectionRequest\n\
grpc.reflection.v1alpha.ServerReflectionResponse\n\
grpc.reflection.v1alpha.ServiceResponse\n\
",
        members: "\
grpc.reflection.v1alpha.ErrorResponse.error_code\n\
grpc.reflection.v1alpha.ErrorResponse.error_message\n\
grpc.reflection.v1alpha.ExtensionNumberResponse.base_type_name\n\
grpc.reflection.v1alpha.ExtensionNumberResponse.extension_number\n\
grpc.reflection.v1alpha.ExtensionRequest.containing_type\n\
grpc.reflection.v1alpha.ExtensionRequest.extension_number\n\
grpc.reflection.v1alpha.FileDescriptorResponse.file_descriptor_proto\n\
grpc.reflection.v1alpha.ListServiceResponse.service\n\
grpc.reflection.v1alpha.ServerReflection\n\
grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo\n\
grpc.reflection.v1alpha.ServerReflectionRequest.all_extension_numbers_of_type\n\
grpc.reflection.v1alpha.ServerReflectionRequest.file_by_filename\n\
grpc.reflection.v1alpha.ServerReflectionRequest.file_containing_extension\n\
grpc.reflection.v1alpha.ServerReflectionRequest.file_containing_symbol\n\
grpc.reflection.v1alpha.ServerReflectionRequest.host\n\
grpc.reflection.v1alpha.ServerReflectionRequest.list_services\n\
grpc.reflection.v1alpha.ServerReflectionRequest.message_request\n\
grpc.reflection.v1alpha.ServerReflectionResponse.all_extension_numbers_response\n\
grpc.reflection.v1alpha.ServerReflectionResponse.error_response\n\
grpc.reflection.v1alpha.ServerReflectionResponse.file_descriptor_response\n\
grpc.reflection.v1alpha.ServerReflectionResponse.list_services_response\n\
grpc.reflection.v1alpha.ServerReflectionResponse.message_response\n\
grpc.reflection.v1alpha.ServerReflectionResponse.original_request\n\
grpc.reflection.v1alpha.ServerReflectionResponse.valid_host\n\
grpc.reflection.v1alpha.ServiceResponse.name\n\
",
    },
];
/// The files' descriptors, each at its [`File`]'s place.
pub static DESCRIPTORS: &[u8] = include_bytes!("descriptor.bin");
pub mod aurae {
    pub mod discovery {
        pub mod v0 {
            /// Asks for nothing in particular: there is one daemon behind a socket.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct DiscoverRequest {}
            impl ::prost::Name for DiscoverRequest {
                const NAME: &'static str = "DiscoverRequest";
                const PACKAGE: &'static str = "aurae.discovery.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.discovery.v0.DiscoverRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.discovery.v0.DiscoverRequest".into()
                }
            }
            /// What the daemon says about itself.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct DiscoverResponse {
                /// True when the daemon can run cells now: its workers answer and the cgroup hierarchy can be used. Computed
                /// on request; an answer may be up to one second old.
                #[prost(bool, tag = "1")]
                pub healthy: bool,
                /// The daemon's version, in the form MAJOR.MINOR.PATCH.
                #[prost(string, tag = "2")]
                pub version: ::prost::alloc::string::String,
            }
            impl ::prost::Name for DiscoverResponse {
                const NAME: &'static str = "DiscoverResponse";
                const PACKAGE: &'static str = "aurae.discovery.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.discovery.v0.DiscoverResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.discovery.v0.DiscoverResponse".into()
                }
            }
        }
    }
    pub mod observe {
        pub mod v0 {
            /// Says which part of the daemon's log is wanted. With nothing set: all that is held, and then what follows.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct GetAuraeDaemonLogStreamRequest {
                /// Only items that are at least so severe. Not set: all that the daemon logs, which --log-level says.
                #[prost(enumeration = "LogLevel", tag = "100")]
                pub level: i32,
                /// Only so many of the items that are held already, the newest of that level. What follows is given in any case.
                #[prost(uint32, optional, tag = "102")]
                pub tail_lines: ::core::option::Option<u32>,
                /// Of the items that are held already, only those from then on: seconds since 1970-01-01 00:00 UTC. What follows is given
                /// in any case.
                #[prost(int64, optional, tag = "103")]
                pub since: ::core::option::Option<i64>,
                /// True: ends with OK after what is held already.
                #[prost(bool, tag = "104")]
                pub no_follow: bool,
                /// Begins with this sequence, as after a lost connection with the one behind the last that was received. Where that is
                /// not held any more, with the oldest that is, and dropped says what is missing. One that is larger than the next to be
                /// given is OUT_OF_RANGE.
                #[prost(uint64, optional, tag = "105")]
                pub from_sequence: ::core::option::Option<u64>,
            }
            impl ::prost::Name for GetAuraeDaemonLogStreamRequest {
                const NAME: &'static str = "GetAuraeDaemonLogStreamRequest";
                const PACKAGE: &'static str = "aurae.observe.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.observe.v0.GetAuraeDaemonLogStreamRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.observe.v0.GetAuraeDaemonLogStreamRequest".into()
                }
            }
            /// Says whose output is wanted, and which part of it. Either process_id is set, or cell_name and executable_name.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct GetSubProcessStreamRequest {
                /// Which output; LOG_CHANNEL_TYPE_UNSPECIFIED is both.
                #[prost(enumeration = "LogChannelType", tag = "1")]
                pub channel_type: i32,
                /// The process id that CellServiceStartResponse.pid gave, or that of the last restart.
                #[prost(int64, tag = "2")]
                pub process_id: i64,
                /// The cell that it was started in.
                #[prost(string, tag = "100")]
                pub cell_name: ::prost::alloc::string::String,
                /// The name that it was started under.
                #[prost(string, tag = "101")]
                pub executable_name: ::prost::alloc::string::String,
                /// Only so many of the items that are held already, the newest. What follows is given in any case.
                #[prost(uint32, optional, tag = "102")]
                pub tail_lines: ::core::option::Option<u32>,
                /// Of the items that are held already, only those from then on: seconds since 1970-01-01 00:00 UTC. What follows is given
                /// in any case.
                #[prost(int64, optional, tag = "103")]
                pub since: ::core::option::Option<i64>,
                /// True: ends with OK after what is held already.
                #[prost(bool, tag = "104")]
                pub no_follow: bool,
                /// Begins with this sequence, as after a lost connection with the one behind the last that was received. Where that is
                /// not held any more, with the oldest that is, and dropped says what is missing. One that is larger than the next to be
                /// given is OUT_OF_RANGE.
                #[prost(uint64, optional, tag = "105")]
                pub from_sequence: ::core::option::Option<u64>,
            }
            impl ::prost::Name for GetSubProcessStreamRequest {
                const NAME: &'static str = "GetSubProcessStreamRequest";
                const PACKAGE: &'static str = "aurae.observe.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.observe.v0.GetSubProcessStreamRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.observe.v0.GetSubProcessStreamRequest".into()
                }
            }
            /// One line of output.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct LogItem {
                /// Where the line comes from: "NAME::stdout" or "NAME::stderr" for the executable NAME, "auraed" for the daemon.
                #[prost(string, tag = "1")]
                pub channel: ::prost::alloc::string::String,
                /// The line without its newline. Bytes that are not UTF-8 are replaced by U+FFFD. A line longer than 8192 bytes arrives
                /// in several items, and what an output ends with is a line also without a newline. The daemon's own lines have control
                /// characters escaped; one that is longer is cut, and ends with "…".
                #[prost(string, tag = "2")]
                pub line: ::prost::alloc::string::String,
                /// When the daemon read the line: whole seconds since 1970-01-01 00:00 UTC.
                #[prost(int64, tag = "3")]
                pub timestamp: i64,
                /// The nanoseconds that follow the timestamp, 0 to 999999999.
                #[prost(int32, tag = "100")]
                pub nanos: i32,
                /// One more than that of the item before, over both outputs of an executable: a client of both sees a gap where items are
                /// missing. Those of an executable, or of a daemon, that came later are larger.
                #[prost(uint64, tag = "101")]
                pub sequence: u64,
                /// How many items of the outputs asked for are missing before this one, because they had to make way before this client
                /// took them. Where a stream was resumed with from_sequence for one output of two, and both have lost items since, those
                /// of the other are counted, too.
                #[prost(uint64, tag = "102")]
                pub dropped: u64,
                /// True: the line goes on in the next item of this channel. A line is also split where the daemon holds all that it may,
                /// and the part of a line that has not ended has to make way.
                #[prost(bool, tag = "103")]
                pub partial: bool,
                /// How severe: of the daemon's log alone.
                #[prost(enumeration = "LogLevel", tag = "104")]
                pub level: i32,
                /// The part of the daemon that logged it, as in "auraed::daemon".
                #[prost(string, tag = "105")]
                pub target: ::prost::alloc::string::String,
                /// What the daemon logged beside the line, by name.
                #[prost(btree_map = "string, string", tag = "106")]
                pub fields: ::prost::alloc::collections::BTreeMap<
                    ::prost::alloc::string::String,
                    ::prost::alloc::string::String,
                >,
            }
            impl ::prost::Name for LogItem {
                const NAME: &'static str = "LogItem";
                const PACKAGE: &'static str = "aurae.observe.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.observe.v0.LogItem".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.observe.v0.LogItem".into()
                }
            }
            /// Says which events are wanted. With nothing set: all that are held, and then those that follow.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ObserveServiceWatchEventsRequest {
                /// Of the events that are held already, only those from then on: seconds since 1970-01-01 00:00 UTC. What follows is given
                /// in any case.
                #[prost(int64, optional, tag = "1")]
                pub since: ::core::option::Option<i64>,
                /// True: ends with OK after what is held already.
                #[prost(bool, tag = "2")]
                pub no_follow: bool,
                /// Begins with this sequence, as after a lost connection with the one behind the last that was received. Where that is
                /// not held any more, with the oldest that is, and dropped says what is missing. One that is larger than the next to be
                /// given is OUT_OF_RANGE.
                #[prost(uint64, optional, tag = "3")]
                pub from_sequence: ::core::option::Option<u64>,
            }
            impl ::prost::Name for ObserveServiceWatchEventsRequest {
                const NAME: &'static str = "ObserveServiceWatchEventsRequest";
                const PACKAGE: &'static str = "aurae.observe.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.observe.v0.ObserveServiceWatchEventsRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.observe.v0.ObserveServiceWatchEventsRequest".into()
                }
            }
            /// Something that has happened. Events of one executable come in this order: started or restarted, out of memory, exited,
            /// removed; and the removal of a cell after those of its executables and of the cells inside it.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct Event {
                /// What has happened.
                #[prost(enumeration = "EventType", tag = "1")]
                pub r#type: i32,
                /// When: whole seconds since 1970-01-01 00:00 UTC.
                #[prost(int64, tag = "2")]
                pub timestamp: i64,
                /// The nanoseconds that follow the timestamp, 0 to 999999999.
                #[prost(int32, tag = "3")]
                pub nanos: i32,
                /// One more than that of the event before. Those of a daemon that was started later are larger.
                #[prost(uint64, tag = "4")]
                pub sequence: u64,
                /// How many events are missing before this one, because they had to make way before this client took them.
                #[prost(uint64, tag = "5")]
                pub dropped: u64,
                /// The cell; empty for the daemon's own events.
                #[prost(string, tag = "6")]
                pub cell_name: ::prost::alloc::string::String,
                /// The executable; empty for those of cells and of the daemon.
                #[prost(string, tag = "7")]
                pub executable_name: ::prost::alloc::string::String,
                /// The process that was started, or that has ended. Of the daemon's events: the daemon.
                #[prost(int32, tag = "8")]
                pub pid: i32,
                /// What it exited with, 0 to 255: of EVENT_TYPE_EXECUTABLE_EXITED, unless a signal ended it.
                #[prost(int32, optional, tag = "9")]
                pub exit_code: ::core::option::Option<i32>,
                /// The number of the signal that ended it: of EVENT_TYPE_EXECUTABLE_EXITED, if one did.
                #[prost(int32, optional, tag = "10")]
                pub exit_signal: ::core::option::Option<i32>,
                /// Of EVENT_TYPE_EXECUTABLE_OUT_OF_MEMORY: the cell whose memory limit was reached, as CellServiceWaitResponse has it.
                #[prost(string, tag = "11")]
                pub oom_cell_name: ::prost::alloc::string::String,
                /// How often the executable has been restarted.
                #[prost(uint32, tag = "12")]
                pub restarts: u32,
            }
            impl ::prost::Name for Event {
                const NAME: &'static str = "Event";
                const PACKAGE: &'static str = "aurae.observe.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.observe.v0.Event".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.observe.v0.Event".into()
                }
            }
            /// The outputs of a process.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum LogChannelType {
                /// No choice: both outputs.
                Unspecified = 0,
                /// Standard output only.
                Stdout = 1,
                /// Standard error only.
                Stderr = 2,
            }
            impl LogChannelType {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "LOG_CHANNEL_TYPE_UNSPECIFIED",
                        Self::Stdout => "LOG_CHANNEL_TYPE_STDOUT",
                        Self::Stderr => "LOG_CHANNEL_TYPE_STDERR",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "LOG_CHANNEL_TYPE_UNSPECIFIED" => Some(Self::Unspecified),
                        "LOG_CHANNEL_TYPE_STDOUT" => Some(Self::Stdout),
                        "LOG_CHANNEL_TYPE_STDERR" => Some(Self::Stderr),
                        _ => None,
                    }
                }
            }
            /// How severe an item of the daemon's log is; the most severe first.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum LogLevel {
                /// Not said.
                Unspecified = 0,
                /// Something was lost or not done.
                Error = 1,
                /// Something is not as it should be, and the daemon goes on.
                Warn = 2,
                /// A change of state.
                Info = 3,
                /// For those who look for a fault.
                Debug = 4,
                /// Everything.
                Trace = 5,
            }
            impl LogLevel {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "LOG_LEVEL_UNSPECIFIED",
                        Self::Error => "LOG_LEVEL_ERROR",
                        Self::Warn => "LOG_LEVEL_WARN",
                        Self::Info => "LOG_LEVEL_INFO",
                        Self::Debug => "LOG_LEVEL_DEBUG",
                        Self::Trace => "LOG_LEVEL_TRACE",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "LOG_LEVEL_UNSPECIFIED" => Some(Self::Unspecified),
                        "LOG_LEVEL_ERROR" => Some(Self::Error),
                        "LOG_LEVEL_WARN" => Some(Self::Warn),
                        "LOG_LEVEL_INFO" => Some(Self::Info),
                        "LOG_LEVEL_DEBUG" => Some(Self::Debug),
                        "LOG_LEVEL_TRACE" => Some(Self::Trace),
                        _ => None,
                    }
                }
            }
            /// What can happen.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum EventType {
                /// Not said.
                Unspecified = 0,
                /// The daemon takes calls.
                DaemonStarted = 1,
                /// The daemon is about to end. It is the last event: what then becomes of the cells is not told.
                DaemonStopping = 2,
                /// A cell has been made.
                CellAllocated = 3,
                /// Limits of a cell have changed.
                CellUpdated = 4,
                /// A cell is gone.
                CellFreed = 5,
                /// An executable runs.
                ExecutableStarted = 6,
                /// An executable runs again.
                ExecutableRestarted = 7,
                /// The kernel has ended the process of an executable because memory had run out. Its exit follows.
                ExecutableOutOfMemory = 8,
                /// The process of an executable has ended. Where it is to be restarted, that follows.
                ExecutableExited = 9,
                /// An executable that has exited is forgotten, and its output with it: it was stopped once more, its name was used again,
                /// its place was needed, or its cell was freed.
                ExecutableRemoved = 10,
            }
            impl EventType {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "EVENT_TYPE_UNSPECIFIED",
                        Self::DaemonStarted => "EVENT_TYPE_DAEMON_STARTED",
                        Self::DaemonStopping => "EVENT_TYPE_DAEMON_STOPPING",
                        Self::CellAllocated => "EVENT_TYPE_CELL_ALLOCATED",
                        Self::CellUpdated => "EVENT_TYPE_CELL_UPDATED",
                        Self::CellFreed => "EVENT_TYPE_CELL_FREED",
                        Self::ExecutableStarted => "EVENT_TYPE_EXECUTABLE_STARTED",
                        Self::ExecutableRestarted => "EVENT_TYPE_EXECUTABLE_RESTARTED",
                        Self::ExecutableOutOfMemory => {
                            "EVENT_TYPE_EXECUTABLE_OUT_OF_MEMORY"
                        }
                        Self::ExecutableExited => "EVENT_TYPE_EXECUTABLE_EXITED",
                        Self::ExecutableRemoved => "EVENT_TYPE_EXECUTABLE_REMOVED",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "EVENT_TYPE_UNSPECIFIED" => Some(Self::Unspecified),
                        "EVENT_TYPE_DAEMON_STARTED" => Some(Self::DaemonStarted),
                        "EVENT_TYPE_DAEMON_STOPPING" => Some(Self::DaemonStopping),
                        "EVENT_TYPE_CELL_ALLOCATED" => Some(Self::CellAllocated),
                        "EVENT_TYPE_CELL_UPDATED" => Some(Self::CellUpdated),
                        "EVENT_TYPE_CELL_FREED" => Some(Self::CellFreed),
                        "EVENT_TYPE_EXECUTABLE_STARTED" => Some(Self::ExecutableStarted),
                        "EVENT_TYPE_EXECUTABLE_RESTARTED" => {
                            Some(Self::ExecutableRestarted)
                        }
                        "EVENT_TYPE_EXECUTABLE_OUT_OF_MEMORY" => {
                            Some(Self::ExecutableOutOfMemory)
                        }
                        "EVENT_TYPE_EXECUTABLE_EXITED" => Some(Self::ExecutableExited),
                        "EVENT_TYPE_EXECUTABLE_REMOVED" => Some(Self::ExecutableRemoved),
                        _ => None,
                    }
                }
            }
        }
    }
    pub mod runtime {
        pub mod v0 {
            /// A share of the machine, and how far it is cut off from the rest.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct Cell {
                /// One or more labels joined by "/", at most 8: "a/b" is the cell "b" inside the cell "a", which must exist. A label
                /// is 1 to 63 of the characters A-Z, a-z, 0-9 and "-", and neither starts nor ends in "-".
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
                /// Processor time. Not set: no limit.
                #[prost(message, optional, tag = "2")]
                pub cpu: ::core::option::Option<CpuController>,
                /// Which processors and memory nodes may be used. Not set: those of the parent.
                #[prost(message, optional, tag = "3")]
                pub cpuset: ::core::option::Option<CpusetController>,
                /// Memory. Not set: no limit.
                #[prost(message, optional, tag = "4")]
                pub memory: ::core::option::Option<MemoryController>,
                /// True: what runs in the cell gets its own process ids, System V IPC, host name (the last label of the cell's name) and
                /// mounts, with a /proc and a read-only /sys/fs/cgroup that show the cell only. All that runs in the cell shares them, and
                /// they last as long as the cell. Its first process is one of the daemon's, which reaps orphans. Cannot be changed later.
                /// A cell inside this one is isolated as its own fields say.
                ///
                /// This keeps programs out of each other's way. It does not hold back a program that is root with all capabilities, which
                /// may mount and so reach the machine: start what is not trusted with uid, or with capabilities.
                #[prost(bool, tag = "10")]
                pub isolate_process: bool,
                /// True: what runs in the cell gets its own network, with the loopback interface up and nothing else. All that runs in
                /// the cell shares it, and it lasts as long as the cell. Cannot be changed later. A cell inside this one is isolated as
                /// its own fields say.
                #[prost(bool, tag = "11")]
                pub isolate_network: bool,
                /// How many processes there may be. Not set: no limit.
                #[prost(message, optional, tag = "100")]
                pub pids: ::core::option::Option<PidsController>,
                /// Reads and writes of block devices. Not set: no limit.
                #[prost(message, optional, tag = "101")]
                pub io: ::core::option::Option<IoController>,
            }
            impl ::prost::Name for Cell {
                const NAME: &'static str = "Cell";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Cell".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Cell".into()
                }
            }
            /// Limits on processor time.
            /// Kernel reference: <https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu>
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CpuController {
                /// The share of processor time among the cells of the same parent, when they compete. 1 to 10000; the kernel's own
                /// default is 100.
                #[prost(uint64, optional, tag = "1")]
                pub weight: ::core::option::Option<u64>,
                /// Processor time that the cell may use in each period, in microseconds, summed over all processors. At least 0;
                /// values below 1000, the kernel's smallest, count as 1000. Not set: no limit.
                #[prost(int64, optional, tag = "2")]
                pub max: ::core::option::Option<i64>,
                /// The length of the period that max speaks of, in microseconds. 1000 to 1000000; not set: 1000000. Without max it
                /// limits nothing, and is INVALID_ARGUMENT.
                #[prost(uint64, optional, tag = "3")]
                pub period: ::core::option::Option<u64>,
            }
            impl ::prost::Name for CpuController {
                const NAME: &'static str = "CpuController";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CpuController".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CpuController".into()
                }
            }
            /// Limits on where the processes of a cell run.
            /// Kernel reference: <https://docs.kernel.org/admin-guide/cgroup-v2.html#cpuset>
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CpusetController {
                /// Processors, as a list of numbers and ranges: "0-3,7". They must be among those of the parent. Not set: all of
                /// those.
                #[prost(string, optional, tag = "1")]
                pub cpus: ::core::option::Option<::prost::alloc::string::String>,
                /// Memory nodes, in the same form and by the same rule.
                #[prost(string, optional, tag = "2")]
                pub mems: ::core::option::Option<::prost::alloc::string::String>,
            }
            impl ::prost::Name for CpusetController {
                const NAME: &'static str = "CpusetController";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CpusetController".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CpusetController".into()
                }
            }
            /// Limits on memory, in bytes, each from 0 to 2^60. The kernel counts in pages (4096 bytes on most machines), and takes
            /// what is no whole number of them as the next lower one.
            ///
            /// On cgroup version 1 there are only max and swap_max; the others are FAILED_PRECONDITION.
            /// Kernel reference: <https://docs.kernel.org/admin-guide/cgroup-v2.html#memory>
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct MemoryController {
                /// Memory that the kernel never takes from the cell, as far as the cells around it have as much.
                #[prost(int64, optional, tag = "1")]
                pub min: ::core::option::Option<i64>,
                /// Memory that the kernel takes from the cell only when it finds none elsewhere.
                #[prost(int64, optional, tag = "2")]
                pub low: ::core::option::Option<i64>,
                /// Above this, the processes of the cell are slowed down and their memory is reclaimed.
                #[prost(int64, optional, tag = "3")]
                pub high: ::core::option::Option<i64>,
                /// The cell never has more than this: when it needs more and nothing can be reclaimed, the kernel kills a process of it.
                #[prost(int64, optional, tag = "4")]
                pub max: ::core::option::Option<i64>,
                /// Swap space that the cell may use beside its memory. On cgroup version 1, which limits the sum, it needs max, too.
                #[prost(int64, optional, tag = "100")]
                pub swap_max: ::core::option::Option<i64>,
            }
            impl ::prost::Name for MemoryController {
                const NAME: &'static str = "MemoryController";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.MemoryController".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.MemoryController".into()
                }
            }
            /// A limit on the number of processes and threads.
            /// Kernel reference: <https://docs.kernel.org/admin-guide/cgroup-v2.html#pid>
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PidsController {
                /// How many processes and threads there may be in the cell and in the cells inside it. 1 to 4194304. Above it fork(2)
                /// fails; on cgroup version 2 Start does, too, with RESOURCE_EXHAUSTED.
                #[prost(int64, optional, tag = "1")]
                pub max: ::core::option::Option<i64>,
            }
            impl ::prost::Name for PidsController {
                const NAME: &'static str = "PidsController";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PidsController".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PidsController".into()
                }
            }
            /// Limits on reads and writes of block devices.
            /// Kernel reference: <https://docs.kernel.org/admin-guide/cgroup-v2.html#io>
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct IoController {
                /// The share of a device's time among the cells of the same parent, when they compete. 1 to 10000; the kernel's own
                /// default is 100. Needs a kernel with io.weight, or the I/O scheduler bfq, which knows only 1 to 1000: values above 100
                /// are scaled for it.
                #[prost(uint64, optional, tag = "1")]
                pub weight: ::core::option::Option<u64>,
                /// Limits for single devices, at most one for each device, and at most 16.
                #[prost(message, repeated, tag = "2")]
                pub max: ::prost::alloc::vec::Vec<IoMax>,
            }
            impl ::prost::Name for IoController {
                const NAME: &'static str = "IoController";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.IoController".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.IoController".into()
                }
            }
            /// Limits for one block device. At least one of them is set.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct IoMax {
                /// The device: its numbers, as in "8:0", or the path of its node, as in "/dev/sda". A whole disk, not a partition. Shown
                /// by its numbers.
                #[prost(string, tag = "1")]
                pub device: ::prost::alloc::string::String,
                /// Bytes read in a second. 1 to 2^60.
                #[prost(uint64, optional, tag = "2")]
                pub read_bytes_per_second: ::core::option::Option<u64>,
                /// Bytes written in a second. 1 to 2^60.
                #[prost(uint64, optional, tag = "3")]
                pub write_bytes_per_second: ::core::option::Option<u64>,
                /// Reads in a second. 1 to 4294967294.
                #[prost(uint64, optional, tag = "4")]
                pub reads_per_second: ::core::option::Option<u64>,
                /// Writes in a second. 1 to 4294967294.
                #[prost(uint64, optional, tag = "5")]
                pub writes_per_second: ::core::option::Option<u64>,
            }
            impl ::prost::Name for IoMax {
                const NAME: &'static str = "IoMax";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.IoMax".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.IoMax".into()
                }
            }
            /// A program to run.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct Executable {
                /// 1 to 255 bytes of UTF-8 without NUL; unique in its cell while the executable is there.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
                /// A command line for /bin/sh -c, without NUL. Runs in a session of its own, with a small environment: PATH, HOME,
                /// AURAE_CELL and AURAE_EXECUTABLE. Either this or args is set, not both.
                #[prost(string, tag = "2")]
                pub command: ::prost::alloc::string::String,
                /// A text for people; kept and shown by List.
                #[prost(string, tag = "4")]
                pub description: ::prost::alloc::string::String,
                /// A program and its arguments, run without a shell: at most 4096, and 131072 bytes in all, with a NUL for each. The first
                /// is the program: a path, which has a "/", or a name that is looked for in the PATH of the executable's environment as
                /// execvp(3) does. Relative paths begin at the working directory. A script needs a first line with "#!".
                #[prost(string, repeated, tag = "100")]
                pub args: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
                /// Added to the environment, or in place of what it has: any name but AURAE_CELL and AURAE_EXECUTABLE. A name is not
                /// empty and has no "=". At most 1024, and 131072 bytes in all, with "=" and NUL; a PATH has at most 256 directories.
                #[prost(btree_map = "string, string", tag = "101")]
                pub env: ::prost::alloc::collections::BTreeMap<
                    ::prost::alloc::string::String,
                    ::prost::alloc::string::String,
                >,
                /// The directory to run in: an absolute path, as the executable's user sees it. One that the user cannot enter is
                /// FAILED_PRECONDITION. Not set: "/".
                #[prost(string, tag = "102")]
                pub working_directory: ::prost::alloc::string::String,
                /// Limits on what each process of the executable may use, at most one of each name. Those not named are those that the
                /// daemon was started with. A hard limit above the daemon's own is FAILED_PRECONDITION where the daemon lacks
                /// CAP_SYS_RESOURCE.
                #[prost(message, repeated, tag = "103")]
                pub rlimits: ::prost::alloc::vec::Vec<Rlimit>,
                /// True: nothing that it runs gains privileges by set-user-ID, set-group-ID or file capabilities (prctl(2),
                /// PR_SET_NO_NEW_PRIVS).
                #[prost(bool, tag = "104")]
                pub no_new_privileges: bool,
                /// The capabilities that the executable, and all that it runs, can have at most (capabilities(7), the bounding set). One
                /// that runs as root has all of them that the daemon has. One that runs as another user has none of them to begin with,
                /// and gets some only by programs with file capabilities or by set-user-ID programs. Not set: those of the daemon.
                #[prost(message, optional, tag = "105")]
                pub capabilities: ::core::option::Option<CapabilitySet>,
                /// What it reads from standard input, at most 65536 bytes, and then the end. Not set: standard input is /dev/null.
                #[prost(bytes = "vec", optional, tag = "106")]
                pub stdin: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
                /// What to do when it exits. Not set: nothing.
                #[prost(message, optional, tag = "107")]
                pub restart: ::core::option::Option<RestartPolicy>,
                /// What is kept of its standard output and standard error. Not set: the newest 64 KiB of each.
                #[prost(message, optional, tag = "108")]
                pub log: ::core::option::Option<LogPolicy>,
            }
            impl ::prost::Name for Executable {
                const NAME: &'static str = "Executable";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Executable".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Executable".into()
                }
            }
            /// What is kept of the output of an executable, for ObserveService.GetSubProcessStream to give.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct LogPolicy {
                /// Not set: LOG_MODE_RING.
                #[prost(enumeration = "LogMode", tag = "1")]
                pub mode: i32,
                /// How many bytes of each of the two outputs are held in memory, 4096 to 16777216, with some 20 that the daemon adds to each
                /// line. All that is held for all executables is bounded, too (--log-memory): where that is used up, the oldest
                /// output makes way. Not set: 65536.
                #[prost(uint32, optional, tag = "2")]
                pub ring_bytes: ::core::option::Option<u32>,
                /// Of LOG_MODE_FILE, and INVALID_ARGUMENT with any other: a file is put aside, and another one begun, before it has more
                /// bytes than this, 4096 and more. That happens between two lines: a line that has begun is finished in its file, unless
                /// it alone has so many bytes. Not set: 10485760.
                #[prost(uint64, optional, tag = "3")]
                pub file_bytes_max: ::core::option::Option<u64>,
                /// Of LOG_MODE_FILE, and INVALID_ARGUMENT with any other: how many files that were put aside are kept for each output, 0 to
                /// 100. Not set: 4.
                #[prost(uint32, optional, tag = "4")]
                pub file_count_max: ::core::option::Option<u32>,
                /// Of LOG_MODE_FILE, and INVALID_ARGUMENT with any other: a file whose first byte is so many seconds old is put aside, and
                /// one that was put aside is removed when its last byte is, both when there is more output; 1 and more. Not set: age does
                /// not count.
                #[prost(uint64, optional, tag = "5")]
                pub file_age_seconds_max: ::core::option::Option<u64>,
            }
            impl ::prost::Name for LogPolicy {
                const NAME: &'static str = "LogPolicy";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.LogPolicy".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.LogPolicy".into()
                }
            }
            /// A limit of setrlimit(2).
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct Rlimit {
                /// Which one: its name without "RLIMIT_", in lower case. as, core, cpu, data, fsize, locks, memlock, msgqueue, nice,
                /// nofile, nproc, rss, rtprio, rttime, sigpending, or stack.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
                /// The limit, in the unit that setrlimit(2) gives; at most hard. Not set: no limit.
                #[prost(uint64, optional, tag = "2")]
                pub soft: ::core::option::Option<u64>,
                /// What a process may raise the limit to. Not set: the same as soft.
                #[prost(uint64, optional, tag = "3")]
                pub hard: ::core::option::Option<u64>,
            }
            impl ::prost::Name for Rlimit {
                const NAME: &'static str = "Rlimit";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Rlimit".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Rlimit".into()
                }
            }
            /// A set of capabilities.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CapabilitySet {
                /// Their names, as in "CAP_NET_BIND_SERVICE", each once. One that this kernel does not know is INVALID_ARGUMENT. None: the
                /// set is empty.
                #[prost(string, repeated, tag = "1")]
                pub names: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
            }
            impl ::prost::Name for CapabilitySet {
                const NAME: &'static str = "CapabilitySet";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CapabilitySet".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CapabilitySet".into()
                }
            }
            /// When an executable is started again after it has exited: 100 milliseconds later, and twice as long after each further
            /// time, up to 30 seconds. What it left running is killed before. A run of 10 seconds begins the count and the delays anew.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct RestartPolicy {
                /// Not set: never.
                #[prost(enumeration = "RestartCondition", tag = "1")]
                pub condition: i32,
                /// How often it is started again, at most, without having run for 10 seconds in between; a try that fails counts. Not
                /// set: without end. INVALID_ARGUMENT without a condition. Where somebody has ended the first process of a cell that
                /// isolates its processes, nothing is started again.
                #[prost(uint32, optional, tag = "2")]
                pub max_restarts: ::core::option::Option<u32>,
            }
            impl ::prost::Name for RestartPolicy {
                const NAME: &'static str = "RestartPolicy";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.RestartPolicy".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.RestartPolicy".into()
                }
            }
            /// Asks for a new cell.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceAllocateRequest {
                /// The cell to make. Required.
                #[prost(message, optional, tag = "1")]
                pub cell: ::core::option::Option<Cell>,
            }
            impl ::prost::Name for CellServiceAllocateRequest {
                const NAME: &'static str = "CellServiceAllocateRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceAllocateRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceAllocateRequest".into()
                }
            }
            /// Says what was made.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceAllocateResponse {
                /// The name of the cell, as it was asked for.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// True on a machine with the unified cgroup hierarchy (version 2), false on one with version 1 or both.
                #[prost(bool, tag = "2")]
                pub cgroup_v2: bool,
            }
            impl ::prost::Name for CellServiceAllocateResponse {
                const NAME: &'static str = "CellServiceAllocateResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceAllocateResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceAllocateResponse".into()
                }
            }
            /// Asks for the end of a cell.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceFreeRequest {
                /// The name of the cell.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// How long the processes may take to end after SIGTERM, in milliseconds, before they are killed. 0 kills them at
                /// once. Not set: the daemon's own setting.
                #[prost(uint32, optional, tag = "100")]
                pub grace_period_ms: ::core::option::Option<u32>,
                /// True: the cells inside it are freed, too. All their processes get SIGTERM at once and share the grace period; the
                /// innermost cell is removed first.
                #[prost(bool, tag = "101")]
                pub force: bool,
            }
            impl ::prost::Name for CellServiceFreeRequest {
                const NAME: &'static str = "CellServiceFreeRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceFreeRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceFreeRequest".into()
                }
            }
            /// The cell is gone.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceFreeResponse {}
            impl ::prost::Name for CellServiceFreeResponse {
                const NAME: &'static str = "CellServiceFreeResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceFreeResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceFreeResponse".into()
                }
            }
            /// Asks for a program to be started.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceStartRequest {
                /// The cell to run in. Required.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// What to run. Required.
                #[prost(message, optional, tag = "2")]
                pub executable: ::core::option::Option<Executable>,
                /// The user id to run as, 0 to 4294967294. Not set: the daemon's. When it or gid is set, there are no supplementary
                /// groups.
                #[prost(uint32, optional, tag = "3")]
                pub uid: ::core::option::Option<u32>,
                /// The group id to run as, 0 to 4294967294. Not set: the daemon's, also when uid is set.
                #[prost(uint32, optional, tag = "4")]
                pub gid: ::core::option::Option<u32>,
            }
            impl ::prost::Name for CellServiceStartRequest {
                const NAME: &'static str = "CellServiceStartRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceStartRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceStartRequest".into()
                }
            }
            /// The program runs.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceStartResponse {
                /// Its process id, as the daemon sees it.
                #[prost(int32, tag = "1")]
                pub pid: i32,
                /// The user id that it was started with.
                #[prost(uint32, tag = "2")]
                pub uid: u32,
                /// The group id that it was started with.
                #[prost(uint32, tag = "3")]
                pub gid: u32,
            }
            impl ::prost::Name for CellServiceStartResponse {
                const NAME: &'static str = "CellServiceStartResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceStartResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceStartResponse".into()
                }
            }
            /// Asks for the end of an executable.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceStopRequest {
                /// The cell that it was started in.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// The name that it was started under.
                #[prost(string, tag = "2")]
                pub executable_name: ::prost::alloc::string::String,
                /// How long its processes may take to end after SIGTERM, in milliseconds, before they are killed. 0 kills them at
                /// once. Not set: the daemon's own setting.
                #[prost(uint32, optional, tag = "100")]
                pub grace_period_ms: ::core::option::Option<u32>,
            }
            impl ::prost::Name for CellServiceStopRequest {
                const NAME: &'static str = "CellServiceStopRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceStopRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceStopRequest".into()
                }
            }
            /// The executable and all that it started are gone.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceStopResponse {}
            impl ::prost::Name for CellServiceStopResponse {
                const NAME: &'static str = "CellServiceStopResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceStopResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceStopResponse".into()
                }
            }
            /// Asks for one cell.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceGetRequest {
                /// The name of the cell.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for CellServiceGetRequest {
                const NAME: &'static str = "CellServiceGetRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceGetRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceGetRequest".into()
                }
            }
            /// The cell.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceGetResponse {
                /// The cell, with all cells inside it.
                #[prost(message, optional, tag = "1")]
                pub cell: ::core::option::Option<CellGraphNode>,
            }
            impl ::prost::Name for CellServiceGetResponse {
                const NAME: &'static str = "CellServiceGetResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceGetResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceGetResponse".into()
                }
            }
            /// Asks for other limits.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceUpdateRequest {
                /// The name of a cell, and the limits to change. A limit that is not set stays as it is, and so does isolation, which
                /// cannot be changed: setting it is INVALID_ARGUMENT unless the cell has it. Of io.max, the devices that are named get
                /// just the rates that are named with them, and others stay. memory.max below what the cell has: the kernel reclaims
                /// memory, and kills a process where that is not enough; cgroup version 1 refuses it then. What a process had before the
                /// first limit on memory of its cell stays uncounted on version 1.
                #[prost(message, optional, tag = "1")]
                pub cell: ::core::option::Option<Cell>,
                /// The limits to take away, by their names in the cell: "cpu.weight", "cpu.max" (its period goes with it),
                /// "cpuset.cpus", "cpuset.mems", "memory.min", "memory.low", "memory.high", "memory.max", "memory.swap_max", "pids.max", "io.weight",
                /// "io.max" (of all devices). None may be set at the same time.
                #[prost(string, repeated, tag = "2")]
                pub clear: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
            }
            impl ::prost::Name for CellServiceUpdateRequest {
                const NAME: &'static str = "CellServiceUpdateRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceUpdateRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceUpdateRequest".into()
                }
            }
            /// The limits are changed.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceUpdateResponse {
                /// The cell with all limits that it has now.
                #[prost(message, optional, tag = "1")]
                pub cell: ::core::option::Option<Cell>,
            }
            impl ::prost::Name for CellServiceUpdateResponse {
                const NAME: &'static str = "CellServiceUpdateResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceUpdateResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceUpdateResponse".into()
                }
            }
            /// Asks for a cell to stand still.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceFreezeRequest {
                /// The name of the cell.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for CellServiceFreezeRequest {
                const NAME: &'static str = "CellServiceFreezeRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceFreezeRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceFreezeRequest".into()
                }
            }
            /// All of it stands still.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceFreezeResponse {}
            impl ::prost::Name for CellServiceFreezeResponse {
                const NAME: &'static str = "CellServiceFreezeResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceFreezeResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceFreezeResponse".into()
                }
            }
            /// Asks for a cell to go on.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceThawRequest {
                /// The name of the cell.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for CellServiceThawRequest {
                const NAME: &'static str = "CellServiceThawRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceThawRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceThawRequest".into()
                }
            }
            /// It goes on, unless a cell around it is frozen.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceThawResponse {}
            impl ::prost::Name for CellServiceThawResponse {
                const NAME: &'static str = "CellServiceThawResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceThawResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceThawResponse".into()
                }
            }
            /// Asks for the end of an executable to be told.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceWaitRequest {
                /// The cell that it was started in.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// The name that it was started under.
                #[prost(string, tag = "2")]
                pub executable_name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for CellServiceWaitRequest {
                const NAME: &'static str = "CellServiceWaitRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceWaitRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceWaitRequest".into()
                }
            }
            /// How an executable ended.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceWaitResponse {
                /// What it exited with, 0 to 255. Not set when a signal ended it, or how it ended is not known.
                #[prost(int32, optional, tag = "1")]
                pub exit_code: ::core::option::Option<i32>,
                /// The number of the signal that ended it. Set only when one did.
                #[prost(int32, optional, tag = "2")]
                pub exit_signal: ::core::option::Option<i32>,
                /// True when the kernel ended it because memory had run out: its first process, not one that this has started. On cgroup
                /// version 1, where all executables of a cell are counted together, another's end and a SIGKILL may be taken for that.
                #[prost(bool, tag = "3")]
                pub oom_killed: bool,
                /// With oom_killed: the cell whose memory limit was reached, which may be one around its own; where several were while
                /// it ran, the innermost. Empty when it was no cell's limit: the machine, or what is around the daemon, had no memory
                /// left, or the executable had put a limit on itself.
                #[prost(string, tag = "4")]
                pub oom_cell_name: ::prost::alloc::string::String,
                /// The process id that it had.
                #[prost(int32, tag = "5")]
                pub pid: i32,
                /// How often it was restarted.
                #[prost(uint32, tag = "6")]
                pub restarts: u32,
            }
            impl ::prost::Name for CellServiceWaitResponse {
                const NAME: &'static str = "CellServiceWaitResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceWaitResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceWaitResponse".into()
                }
            }
            /// Asks for a signal to be sent.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceSignalRequest {
                /// The cell that it was started in.
                #[prost(string, tag = "1")]
                pub cell_name: ::prost::alloc::string::String,
                /// The name that it was started under.
                #[prost(string, tag = "2")]
                pub executable_name: ::prost::alloc::string::String,
                /// The signal: a number from 1 to 64, or a name of signal(7), with "SIG" or without, in capitals or not: "SIGHUP", "HUP",
                /// "1", "SIGRTMIN+3", "RTMAX-1". SIGRTMIN is 34 here, as programs with the GNU C library have it.
                #[prost(string, tag = "3")]
                pub signal: ::prost::alloc::string::String,
                /// True: it is sent to all processes that the executable has started and that still run. Otherwise to its first process
                /// only: the program, or the shell that runs the command.
                #[prost(bool, tag = "4")]
                pub all_processes: bool,
            }
            impl ::prost::Name for CellServiceSignalRequest {
                const NAME: &'static str = "CellServiceSignalRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceSignalRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceSignalRequest".into()
                }
            }
            /// The signal has been sent.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceSignalResponse {}
            impl ::prost::Name for CellServiceSignalResponse {
                const NAME: &'static str = "CellServiceSignalResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceSignalResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceSignalResponse".into()
                }
            }
            /// Asks for all cells.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellServiceListRequest {}
            impl ::prost::Name for CellServiceListRequest {
                const NAME: &'static str = "CellServiceListRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceListRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceListRequest".into()
                }
            }
            /// All cells.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellServiceListResponse {
                /// The cells that are in no other cell, by name; the others are inside these.
                #[prost(message, repeated, tag = "1")]
                pub cells: ::prost::alloc::vec::Vec<CellGraphNode>,
            }
            impl ::prost::Name for CellServiceListResponse {
                const NAME: &'static str = "CellServiceListResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellServiceListResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellServiceListResponse".into()
                }
            }
            /// A cell, the cells inside it, and what runs in it.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct CellGraphNode {
                /// The cell with its full name and the limits that it has.
                #[prost(message, optional, tag = "1")]
                pub cell: ::core::option::Option<Cell>,
                /// The cells directly inside this one, by name.
                #[prost(message, repeated, tag = "2")]
                pub children: ::prost::alloc::vec::Vec<CellGraphNode>,
                /// The executables of this cell itself, by name.
                #[prost(message, repeated, tag = "100")]
                pub executables: ::prost::alloc::vec::Vec<CellExecutable>,
                /// What the cell and all cells inside it use. Not set when the cell was removed while it was being listed.
                #[prost(message, optional, tag = "101")]
                pub usage: ::core::option::Option<CellUsage>,
                /// Whether all of it stands still, frozen by itself or with a cell around it.
                #[prost(bool, tag = "102")]
                pub frozen: bool,
                /// Whether it is being freed: nothing can be started in it any more.
                #[prost(bool, tag = "103")]
                pub freeing: bool,
            }
            impl ::prost::Name for CellGraphNode {
                const NAME: &'static str = "CellGraphNode";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellGraphNode".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellGraphNode".into()
                }
            }
            /// What a cell and all cells inside it use, as the kernel counts it, what has ended in them included. A value is not set
            /// where the kernel doesn't count: without the controller, or on cgroup version 1 without a limit that the controller has to
            /// enforce.
            #[derive(Clone, Copy, PartialEq, ::prost::Message)]
            pub struct CellUsage {
                /// Processor time, in microseconds, since the cell was allocated. Where there is cgroup version 1 alone, only if it has the
                /// controllers cpu and cpuacct in one hierarchy.
                #[prost(uint64, optional, tag = "1")]
                pub cpu_us: ::core::option::Option<u64>,
                /// Memory now, in bytes: that of processes, cached files, and what the kernel holds for them.
                #[prost(uint64, optional, tag = "2")]
                pub memory_bytes: ::core::option::Option<u64>,
                /// The most memory that it had at any time, in bytes. On cgroup version 2 since Linux 5.19.
                #[prost(uint64, optional, tag = "3")]
                pub memory_peak_bytes: ::core::option::Option<u64>,
                /// Swap space now, in bytes.
                #[prost(uint64, optional, tag = "4")]
                pub swap_bytes: ::core::option::Option<u64>,
                /// Processes and threads now.
                #[prost(uint64, optional, tag = "5")]
                pub pids: ::core::option::Option<u64>,
                /// Bytes read from block devices, all of them together. What comes from the cache is not read again.
                #[prost(uint64, optional, tag = "6")]
                pub io_read_bytes: ::core::option::Option<u64>,
                /// Bytes written to block devices. What is written to a file reaches the device later.
                #[prost(uint64, optional, tag = "7")]
                pub io_written_bytes: ::core::option::Option<u64>,
                /// How much its processes wait for a processor. This and the next two are not set where the kernel was built or started
                /// without pressure stall information (psi=1), or has cgroup version 1 alone.
                #[prost(message, optional, tag = "8")]
                pub cpu_pressure: ::core::option::Option<Pressure>,
                /// How much they wait for memory.
                #[prost(message, optional, tag = "9")]
                pub memory_pressure: ::core::option::Option<Pressure>,
                /// How much they wait for block devices.
                #[prost(message, optional, tag = "10")]
                pub io_pressure: ::core::option::Option<Pressure>,
            }
            impl ::prost::Name for CellUsage {
                const NAME: &'static str = "CellUsage";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellUsage".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellUsage".into()
                }
            }
            /// How long processes wait for a resource, as pressure stall information tells it.
            /// Kernel reference: <https://docs.kernel.org/accounting/psi.html>
            #[derive(Clone, Copy, PartialEq, ::prost::Message)]
            pub struct Pressure {
                /// At least one process waited.
                #[prost(message, optional, tag = "1")]
                pub some: ::core::option::Option<PressureShare>,
                /// All processes that could have run waited at the same time. For processors since Linux 5.13.
                #[prost(message, optional, tag = "2")]
                pub full: ::core::option::Option<PressureShare>,
            }
            impl ::prost::Name for Pressure {
                const NAME: &'static str = "Pressure";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Pressure".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Pressure".into()
                }
            }
            /// The share of time for which processes waited, to the hundredth.
            #[derive(Clone, Copy, PartialEq, ::prost::Message)]
            pub struct PressureShare {
                /// In percent, over the last 10 seconds.
                #[prost(double, tag = "1")]
                pub avg10: f64,
                /// In percent, over the last 60 seconds.
                #[prost(double, tag = "2")]
                pub avg60: f64,
                /// In percent, over the last 300 seconds.
                #[prost(double, tag = "3")]
                pub avg300: f64,
                /// In all, in microseconds.
                #[prost(uint64, tag = "4")]
                pub total_us: u64,
            }
            impl ::prost::Name for PressureShare {
                const NAME: &'static str = "PressureShare";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PressureShare".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PressureShare".into()
                }
            }
            /// An executable that was started in a cell.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct CellExecutable {
                /// The name that it was started under.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
                /// The description that it was started with.
                #[prost(string, tag = "2")]
                pub description: ::prost::alloc::string::String,
                /// The process id that CellServiceStartResponse gave. Once the executable has exited, the kernel may have given the
                /// number to another process.
                #[prost(int32, tag = "3")]
                pub pid: i32,
                /// Whether it still runs.
                #[prost(enumeration = "CellExecutableState", tag = "4")]
                pub state: i32,
                /// What it exited with, 0 to 255. Set only when it has exited, and no signal ended it. With RESTARTING, this and the other
                /// fields about the exit tell of its last run.
                #[prost(int32, optional, tag = "5")]
                pub exit_code: ::core::option::Option<i32>,
                /// The number of the signal that ended it. Set only when one did.
                #[prost(int32, optional, tag = "6")]
                pub exit_signal: ::core::option::Option<i32>,
                /// When its process was started, last: Unix time in milliseconds.
                #[prost(int64, tag = "7")]
                pub started_ms: i64,
                /// When its process exited: Unix time in milliseconds. Set only when it has exited.
                #[prost(int64, optional, tag = "8")]
                pub exited_ms: ::core::option::Option<i64>,
                /// As in CellServiceWaitResponse. Set only when it has exited.
                #[prost(bool, tag = "9")]
                pub oom_killed: bool,
                /// As in CellServiceWaitResponse.
                #[prost(string, tag = "10")]
                pub oom_cell_name: ::prost::alloc::string::String,
                /// How often it was restarted.
                #[prost(uint32, tag = "11")]
                pub restarts: u32,
                /// The user id that it runs as.
                #[prost(uint32, tag = "12")]
                pub uid: u32,
                /// The group id that it runs as.
                #[prost(uint32, tag = "13")]
                pub gid: u32,
            }
            impl ::prost::Name for CellExecutable {
                const NAME: &'static str = "CellExecutable";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.CellExecutable".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.CellExecutable".into()
                }
            }
            /// A group of containers that share network and storage.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct Pod {
                /// The name of the pod.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for Pod {
                const NAME: &'static str = "Pod";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Pod".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Pod".into()
                }
            }
            /// One container of a pod.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct Container {
                /// The name of the container.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
                /// Where its image is, as a full address: no registry is implied by a short name.
                #[prost(string, tag = "2")]
                pub image: ::prost::alloc::string::String,
                /// The public part of the registry that the image is in, such as "ghcr.io". It is put before the image.
                #[prost(string, tag = "3")]
                pub registry: ::prost::alloc::string::String,
            }
            impl ::prost::Name for Container {
                const NAME: &'static str = "Container";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.Container".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.Container".into()
                }
            }
            /// Asks for a new pod.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceAllocateRequest {
                /// The pod to make. Required.
                #[prost(message, optional, tag = "1")]
                pub pod: ::core::option::Option<Pod>,
            }
            impl ::prost::Name for PodServiceAllocateRequest {
                const NAME: &'static str = "PodServiceAllocateRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceAllocateRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceAllocateRequest".into()
                }
            }
            /// The pod is there.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceAllocateResponse {}
            impl ::prost::Name for PodServiceAllocateResponse {
                const NAME: &'static str = "PodServiceAllocateResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceAllocateResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceAllocateResponse".into()
                }
            }
            /// Asks for a pod to be started.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceStartRequest {
                /// The name of the pod.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for PodServiceStartRequest {
                const NAME: &'static str = "PodServiceStartRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceStartRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceStartRequest".into()
                }
            }
            /// The pod runs.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceStartResponse {}
            impl ::prost::Name for PodServiceStartResponse {
                const NAME: &'static str = "PodServiceStartResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceStartResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceStartResponse".into()
                }
            }
            /// Asks for the end of one container.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceStopRequest {
                /// The name of the pod.
                #[prost(string, tag = "1")]
                pub pod_name: ::prost::alloc::string::String,
                /// The name of the container in it.
                #[prost(string, tag = "2")]
                pub container_name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for PodServiceStopRequest {
                const NAME: &'static str = "PodServiceStopRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceStopRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceStopRequest".into()
                }
            }
            /// The container is gone.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceStopResponse {}
            impl ::prost::Name for PodServiceStopResponse {
                const NAME: &'static str = "PodServiceStopResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceStopResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceStopResponse".into()
                }
            }
            /// Asks for the end of a pod.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceFreeRequest {}
            impl ::prost::Name for PodServiceFreeRequest {
                const NAME: &'static str = "PodServiceFreeRequest";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceFreeRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceFreeRequest".into()
                }
            }
            /// The pod is gone.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct PodServiceFreeResponse {}
            impl ::prost::Name for PodServiceFreeResponse {
                const NAME: &'static str = "PodServiceFreeResponse";
                const PACKAGE: &'static str = "aurae.runtime.v0";
                fn full_name() -> ::prost::alloc::string::String {
                    "aurae.runtime.v0.PodServiceFreeResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/aurae.runtime.v0.PodServiceFreeResponse".into()
                }
            }
            /// What happens to output that the daemon cannot hold.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum LogMode {
                /// As LOG_MODE_RING.
                Unspecified = 0,
                /// The oldest makes way, and clients that have not taken it yet lose it. The executable never waits.
                Ring = 1,
                /// While there are clients that follow, the executable waits for the slowest of them: each gets all that is written from
                /// when it came until it leaves. One that stops reading, and stays, stops the executable, too, once the ring and the pipe
                /// are full; a restart waits for it, too, until all that the last run has written is read. While there is none as
                /// LOG_MODE_RING: what is written before the first one comes, or while a connection is lost, may make way.
                Block = 2,
                /// As LOG_MODE_RING, and all of it is also appended, byte for byte, to the files
                /// LIBRARY_DIR/logs/CELL/EXECUTABLE.stdout.log and .stderr.log, of which only the daemon's user may read. They stay when the
                /// cell is freed, and whoever has the name next goes on with them. In the name of the executable, what is not one of
                /// A-Z a-z 0-9 - _ . stands as % and two digits, and so does a dot at its start; one that is too long for a file's name ends
                /// in ~ and a hash. Files that were put aside have ".1" behind their name, the newest, and so on.
                ///
                /// Start fails with FAILED_PRECONDITION where something else than such a file is in its place. A file that has another name,
                /// too (a hard link, as some backups make), is put aside when a run begins. A disk that is slower than the executable makes
                /// it wait, and its restarts. What cannot be written later, to a full disk for instance, is missing in the file in
                /// whole lines; the daemon's log says so, and how many bytes.
                File = 3,
            }
            impl LogMode {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "LOG_MODE_UNSPECIFIED",
                        Self::Ring => "LOG_MODE_RING",
                        Self::Block => "LOG_MODE_BLOCK",
                        Self::File => "LOG_MODE_FILE",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "LOG_MODE_UNSPECIFIED" => Some(Self::Unspecified),
                        "LOG_MODE_RING" => Some(Self::Ring),
                        "LOG_MODE_BLOCK" => Some(Self::Block),
                        "LOG_MODE_FILE" => Some(Self::File),
                        _ => None,
                    }
                }
            }
            /// The exits after which an executable is started again. One that was stopped is not.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum RestartCondition {
                /// Never.
                Unspecified = 0,
                /// Never.
                Never = 1,
                /// A signal ended it, or its exit code was not 0.
                OnFailure = 2,
                /// Any.
                Always = 3,
            }
            impl RestartCondition {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "RESTART_CONDITION_UNSPECIFIED",
                        Self::Never => "RESTART_CONDITION_NEVER",
                        Self::OnFailure => "RESTART_CONDITION_ON_FAILURE",
                        Self::Always => "RESTART_CONDITION_ALWAYS",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "RESTART_CONDITION_UNSPECIFIED" => Some(Self::Unspecified),
                        "RESTART_CONDITION_NEVER" => Some(Self::Never),
                        "RESTART_CONDITION_ON_FAILURE" => Some(Self::OnFailure),
                        "RESTART_CONDITION_ALWAYS" => Some(Self::Always),
                        _ => None,
                    }
                }
            }
            /// The life of an executable.
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                Hash,
                PartialOrd,
                Ord,
                ::prost::Enumeration
            )]
            #[repr(i32)]
            pub enum CellExecutableState {
                /// Not told.
                Unspecified = 0,
                /// The process that was started runs.
                Running = 1,
                /// The process that was started has ended, by itself or by a Stop. See Stop for how long it is listed.
                Exited = 2,
                /// The process has ended, and is to be started again in a moment.
                Restarting = 3,
            }
            impl CellExecutableState {
                /// String value of the enum field names used in the ProtoBuf definition.
                ///
                /// The values are not transformed in any way and thus are considered stable
                /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                pub fn as_str_name(&self) -> &'static str {
                    match self {
                        Self::Unspecified => "CELL_EXECUTABLE_STATE_UNSPECIFIED",
                        Self::Running => "CELL_EXECUTABLE_STATE_RUNNING",
                        Self::Exited => "CELL_EXECUTABLE_STATE_EXITED",
                        Self::Restarting => "CELL_EXECUTABLE_STATE_RESTARTING",
                    }
                }
                /// Creates an enum from field names used in the ProtoBuf definition.
                pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                    match value {
                        "CELL_EXECUTABLE_STATE_UNSPECIFIED" => Some(Self::Unspecified),
                        "CELL_EXECUTABLE_STATE_RUNNING" => Some(Self::Running),
                        "CELL_EXECUTABLE_STATE_EXITED" => Some(Self::Exited),
                        "CELL_EXECUTABLE_STATE_RESTARTING" => Some(Self::Restarting),
                        _ => None,
                    }
                }
            }
        }
    }
}
pub mod grpc {
    pub mod health {
        pub mod v1 {
            /// Says which service is meant.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct HealthCheckRequest {
                /// The full name of a service, such as "aurae.runtime.v0.CellService"; empty for the server as a whole.
                #[prost(string, tag = "1")]
                pub service: ::prost::alloc::string::String,
            }
            impl ::prost::Name for HealthCheckRequest {
                const NAME: &'static str = "HealthCheckRequest";
                const PACKAGE: &'static str = "grpc.health.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.health.v1.HealthCheckRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.health.v1.HealthCheckRequest".into()
                }
            }
            /// The state of a service.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct HealthCheckResponse {
                /// The state.
                #[prost(enumeration = "health_check_response::ServingStatus", tag = "1")]
                pub status: i32,
            }
            /// Nested message and enum types in `HealthCheckResponse`.
            pub mod health_check_response {
                /// The states that a service can be in.
                #[derive(
                    Clone,
                    Copy,
                    Debug,
                    PartialEq,
                    Eq,
                    Hash,
                    PartialOrd,
                    Ord,
                    ::prost::Enumeration
                )]
                #[repr(i32)]
                pub enum ServingStatus {
                    /// Not told.
                    Unknown = 0,
                    /// Calls are answered.
                    Serving = 1,
                    /// Calls are likely to fail.
                    NotServing = 2,
                    /// There is no such service. Only in answers of Watch.
                    ServiceUnknown = 3,
                }
                impl ServingStatus {
                    /// String value of the enum field names used in the ProtoBuf definition.
                    ///
                    /// The values are not transformed in any way and thus are considered stable
                    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
                    pub fn as_str_name(&self) -> &'static str {
                        match self {
                            Self::Unknown => "UNKNOWN",
                            Self::Serving => "SERVING",
                            Self::NotServing => "NOT_SERVING",
                            Self::ServiceUnknown => "SERVICE_UNKNOWN",
                        }
                    }
                    /// Creates an enum from field names used in the ProtoBuf definition.
                    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
                        match value {
                            "UNKNOWN" => Some(Self::Unknown),
                            "SERVING" => Some(Self::Serving),
                            "NOT_SERVING" => Some(Self::NotServing),
                            "SERVICE_UNKNOWN" => Some(Self::ServiceUnknown),
                            _ => None,
                        }
                    }
                }
            }
            impl ::prost::Name for HealthCheckResponse {
                const NAME: &'static str = "HealthCheckResponse";
                const PACKAGE: &'static str = "grpc.health.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.health.v1.HealthCheckResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.health.v1.HealthCheckResponse".into()
                }
            }
            /// Asks for all services.
            #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct HealthListRequest {}
            impl ::prost::Name for HealthListRequest {
                const NAME: &'static str = "HealthListRequest";
                const PACKAGE: &'static str = "grpc.health.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.health.v1.HealthListRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.health.v1.HealthListRequest".into()
                }
            }
            /// The states of all services.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct HealthListResponse {
                /// State by full name.
                #[prost(btree_map = "string, message", tag = "1")]
                pub statuses: ::prost::alloc::collections::BTreeMap<
                    ::prost::alloc::string::String,
                    HealthCheckResponse,
                >,
            }
            impl ::prost::Name for HealthListResponse {
                const NAME: &'static str = "HealthListResponse";
                const PACKAGE: &'static str = "grpc.health.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.health.v1.HealthListResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.health.v1.HealthListResponse".into()
                }
            }
        }
    }
    pub mod reflection {
        pub mod v1 {
            /// One question.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ServerReflectionRequest {
                /// The name that the client knows this server by; comes back in the answer.
                #[prost(string, tag = "1")]
                pub host: ::prost::alloc::string::String,
                /// The question itself.
                #[prost(
                    oneof = "server_reflection_request::MessageRequest",
                    tags = "3, 4, 5, 6, 7"
                )]
                pub message_request: ::core::option::Option<
                    server_reflection_request::MessageRequest,
                >,
            }
            /// Nested message and enum types in `ServerReflectionRequest`.
            pub mod server_reflection_request {
                /// The question itself.
                #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
                pub enum MessageRequest {
                    /// Which file has this name?
                    #[prost(string, tag = "3")]
                    FileByFilename(::prost::alloc::string::String),
                    /// Which file declares this symbol? A full name, such as "package.Service", "package.Service.Method" or
                    /// "package.Message".
                    #[prost(string, tag = "4")]
                    FileContainingSymbol(::prost::alloc::string::String),
                    /// Which file declares this extension?
                    #[prost(message, tag = "5")]
                    FileContainingExtension(super::ExtensionRequest),
                    /// Which extensions does the message of this full name have?
                    #[prost(string, tag = "6")]
                    AllExtensionNumbersOfType(::prost::alloc::string::String),
                    /// Which services are there? The text has no meaning.
                    #[prost(string, tag = "7")]
                    ListServices(::prost::alloc::string::String),
                }
            }
            impl ::prost::Name for ServerReflectionRequest {
                const NAME: &'static str = "ServerReflectionRequest";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ServerReflectionRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ServerReflectionRequest".into()
                }
            }
            /// Names an extension.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ExtensionRequest {
                /// The full name of the message that is extended.
                #[prost(string, tag = "1")]
                pub containing_type: ::prost::alloc::string::String,
                /// The field number of the extension.
                #[prost(int32, tag = "2")]
                pub extension_number: i32,
            }
            impl ::prost::Name for ExtensionRequest {
                const NAME: &'static str = "ExtensionRequest";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ExtensionRequest".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ExtensionRequest".into()
                }
            }
            /// The answer to one question.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct ServerReflectionResponse {
                /// The host of the question.
                #[prost(string, tag = "1")]
                pub valid_host: ::prost::alloc::string::String,
                /// The question.
                #[prost(message, optional, tag = "2")]
                pub original_request: ::core::option::Option<ServerReflectionRequest>,
                /// The answer itself.
                #[prost(
                    oneof = "server_reflection_response::MessageResponse",
                    tags = "4, 5, 6, 7"
                )]
                pub message_response: ::core::option::Option<
                    server_reflection_response::MessageResponse,
                >,
            }
            /// Nested message and enum types in `ServerReflectionResponse`.
            pub mod server_reflection_response {
                /// The answer itself.
                #[derive(Clone, PartialEq, ::prost::Oneof)]
                pub enum MessageResponse {
                    /// To the questions for a file.
                    #[prost(message, tag = "4")]
                    FileDescriptorResponse(super::FileDescriptorResponse),
                    /// To all_extension_numbers_of_type.
                    #[prost(message, tag = "5")]
                    AllExtensionNumbersResponse(super::ExtensionNumberResponse),
                    /// To list_services.
                    #[prost(message, tag = "6")]
                    ListServicesResponse(super::ListServiceResponse),
                    /// To a question that cannot be answered.
                    #[prost(message, tag = "7")]
                    ErrorResponse(super::ErrorResponse),
                }
            }
            impl ::prost::Name for ServerReflectionResponse {
                const NAME: &'static str = "ServerReflectionResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ServerReflectionResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ServerReflectionResponse".into()
                }
            }
            /// A file and what it imports.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct FileDescriptorResponse {
                /// Each an encoded google.protobuf.FileDescriptorProto: the file that was asked for, then those of its imports, direct
                /// or not, that this stream has not carried yet.
                #[prost(bytes = "bytes", repeated, tag = "1")]
                pub file_descriptor_proto: ::prost::alloc::vec::Vec<
                    ::prost::bytes::Bytes,
                >,
            }
            impl ::prost::Name for FileDescriptorResponse {
                const NAME: &'static str = "FileDescriptorResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.FileDescriptorResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.FileDescriptorResponse".into()
                }
            }
            /// The extensions of a message.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ExtensionNumberResponse {
                /// The full name of the message.
                #[prost(string, tag = "1")]
                pub base_type_name: ::prost::alloc::string::String,
                /// Their field numbers.
                #[prost(int32, repeated, tag = "2")]
                pub extension_number: ::prost::alloc::vec::Vec<i32>,
            }
            impl ::prost::Name for ExtensionNumberResponse {
                const NAME: &'static str = "ExtensionNumberResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ExtensionNumberResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ExtensionNumberResponse".into()
                }
            }
            /// All services.
            #[derive(Clone, PartialEq, ::prost::Message)]
            pub struct ListServiceResponse {
                /// One entry each.
                #[prost(message, repeated, tag = "1")]
                pub service: ::prost::alloc::vec::Vec<ServiceResponse>,
            }
            impl ::prost::Name for ListServiceResponse {
                const NAME: &'static str = "ListServiceResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ListServiceResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ListServiceResponse".into()
                }
            }
            /// One service.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ServiceResponse {
                /// Its full name.
                #[prost(string, tag = "1")]
                pub name: ::prost::alloc::string::String,
            }
            impl ::prost::Name for ServiceResponse {
                const NAME: &'static str = "ServiceResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ServiceResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ServiceResponse".into()
                }
            }
            /// Why there is no answer.
            #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
            pub struct ErrorResponse {
                /// The number of a gRPC status code.
                #[prost(int32, tag = "1")]
                pub error_code: i32,
                /// For people.
                #[prost(string, tag = "2")]
                pub error_message: ::prost::alloc::string::String,
            }
            impl ::prost::Name for ErrorResponse {
                const NAME: &'static str = "ErrorResponse";
                const PACKAGE: &'static str = "grpc.reflection.v1";
                fn full_name() -> ::prost::alloc::string::String {
                    "grpc.reflection.v1.ErrorResponse".into()
                }
                fn type_url() -> ::prost::alloc::string::String {
                    "/grpc.reflection.v1.ErrorResponse".into()
                }
            }
        }
    }
}
