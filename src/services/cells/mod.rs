//! `aurae.runtime.v0.CellService`: messages to parsed types and back. What the calls do is the [`Runtime`]'s affair.

mod executable;
mod limits;
mod view;

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use crate::grpc::status::{Code, Status, Violation};
use crate::limits::STOP_GRACE_MAX;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::{
    self, CellInfo, CellName, CellSpec, Ended, ExecutableName, ExecutableSpec, LimitsChange,
};

/// What the service asks of the machine, in parsed types only.
pub trait Runtime: Send + Sync + 'static {
    /// Whether cells live on cgroup v2 alone.
    fn cgroup_v2(&self) -> bool;
    fn allocate(&self, spec: CellSpec) -> impl Future<Output = Result<(), Status>> + Send;
    /// Gives the pid.
    fn start(&self, cell: CellName, spec: ExecutableSpec)
    -> impl Future<Output = Result<i32, Status>> + Send;
    /// `grace` is between SIGTERM and SIGKILL; `None` is what the daemon was told at its start.
    fn stop(
        &self,
        cell: CellName,
        executable: ExecutableName,
        grace: Option<Duration>,
    ) -> impl Future<Output = Result<(), Status>> + Send;
    /// `force` frees what is inside it, too.
    fn free(
        &self,
        cell: CellName,
        force: bool,
        grace: Option<Duration>,
    ) -> impl Future<Output = Result<(), Status>> + Send;
    /// Gives how it ended, when it has.
    fn wait(
        &self,
        cell: CellName,
        executable: ExecutableName,
    ) -> impl Future<Output = Result<Ended, Status>> + Send;
    /// Gives the cell as it is then.
    fn update(
        &self,
        cell: CellName,
        change: LimitsChange,
    ) -> impl Future<Output = Result<CellSpec, Status>> + Send;
    fn list(&self) -> Vec<CellInfo>;
}

pub struct Cells<R> {
    pub runtime: R,
}

impl<R: Runtime> Cells<R> {
    pub async fn allocate(
        &self,
        request: CellServiceAllocateRequest,
    ) -> Result<CellServiceAllocateResponse, Status> {
        let spec = limits::parse_cell(request.cell)?;
        let cell_name = spec.name.to_string();
        self.runtime.allocate(spec).await?;
        Ok(CellServiceAllocateResponse { cell_name, cgroup_v2: self.runtime.cgroup_v2() })
    }

    pub async fn free(&self, request: CellServiceFreeRequest) -> Result<CellServiceFreeResponse, Status> {
        let mut bad = Violations::default();
        let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
        let grace = bad.check("grace_period_ms", parse_grace(request.grace_period_ms));
        let (Some(cell), Some(grace)) = (cell, grace) else { return Err(bad.into_status()) };
        self.runtime.free(cell, request.force, grace).await?;
        Ok(CellServiceFreeResponse {})
    }

    pub async fn start(&self, request: CellServiceStartRequest) -> Result<CellServiceStartResponse, Status> {
        refuse_unbuilt(&[("uid", request.uid.is_some()), ("gid", request.gid.is_some())])?;
        let (cell, spec) = executable::parse_start(&request.cell_name, request.executable)?;
        let pid = self.runtime.start(cell, spec).await?;
        // The executable runs as the daemon does: nothing has changed its user or group.
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        Ok(CellServiceStartResponse { pid, uid, gid })
    }

    pub async fn stop(&self, request: CellServiceStopRequest) -> Result<CellServiceStopResponse, Status> {
        let mut bad = Violations::default();
        let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
        let executable = bad.check("executable_name", ExecutableName::parse(&request.executable_name));
        let grace = bad.check("grace_period_ms", parse_grace(request.grace_period_ms));
        let (Some(cell), Some(executable), Some(grace)) = (cell, executable, grace) else {
            return Err(bad.into_status());
        };
        self.runtime.stop(cell, executable, grace).await?;
        Ok(CellServiceStopResponse {})
    }

    pub async fn wait(&self, request: CellServiceWaitRequest) -> Result<CellServiceWaitResponse, Status> {
        let mut bad = Violations::default();
        let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
        let executable = bad.check("executable_name", ExecutableName::parse(&request.executable_name));
        let (Some(cell), Some(executable)) = (cell, executable) else { return Err(bad.into_status()) };
        Ok(view::wait(self.runtime.wait(cell, executable).await?))
    }

    pub async fn update(
        &self,
        request: CellServiceUpdateRequest,
    ) -> Result<CellServiceUpdateResponse, Status> {
        let (cell, change) = limits::parse_update(request)?;
        let updated = self.runtime.update(cell, change).await?;
        Ok(CellServiceUpdateResponse { cell: Some(limits::cell(&updated)) })
    }

    pub async fn list(&self, _: CellServiceListRequest) -> Result<CellServiceListResponse, Status> {
        Ok(CellServiceListResponse { cells: self.runtime.list().into_iter().map(view::node).collect() })
    }
}

/// What a failure of the runtime is called on the wire.
pub(super) fn status(error: &runtime::Error) -> Status {
    use crate::runtime::ErrorKind;
    let code = match error.kind() {
        ErrorKind::Invalid(field) => {
            let text = error.to_string();
            let description =
                text.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
            let violation = Violation { field: field.to_owned(), description: description.to_owned() };
            return Status::bad_request(&[violation]);
        }
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Internal => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The bad fields of one request, all of them.
#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn check<T>(&mut self, field: &str, parsed: Result<T, impl Display>) -> Option<T> {
        parsed.map_err(|why| self.add(field, &why)).ok()
    }

    /// The same for a field that may be absent.
    fn check_optional<T, E: Display>(&mut self, field: &str, parsed: Option<Result<T, E>>) -> Option<T> {
        self.check(field, parsed?)
    }

    fn add(&mut self, field: &str, why: &dyn Display) {
        self.0.push(Violation { field: field.to_owned(), description: why.to_string() });
    }

    fn into_status(self) -> Status {
        Status::bad_request(&self.0)
    }
}

fn parse_grace(milliseconds: Option<u32>) -> Result<Option<Duration>, String> {
    let grace = milliseconds.map(|ms| Duration::from_millis(ms.into()));
    match grace {
        Some(grace) if grace > STOP_GRACE_MAX => Err(format!(
            "{} ms is too long; accepted: 0 to {} ms, or unset for the daemon's own",
            grace.as_millis(),
            STOP_GRACE_MAX.as_millis()
        )),
        grace => Ok(grace),
    }
}

/// Fields that the API declares and this version cannot honour yet. To ignore them would be to lie.
fn refuse_unbuilt(fields: &[(&str, bool)]) -> Result<(), Status> {
    let set: Vec<&str> = fields.iter().filter(|(_, is_set)| *is_set).map(|(field, _)| *field).collect();
    if set.is_empty() {
        return Ok(());
    }
    let message = format!("{}: planned, not built yet; leave it unset", set.join(", "));
    Err(Status::new(Code::Unimplemented, message))
}
