//! `aurae.runtime.v0.CellService`: messages to parsed types and back. What the calls do is the [`Runtime`]'s affair.

mod executable;
mod limits;
mod view;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::grpc::status::Status;
use crate::limits::STOP_GRACE_MAX;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::{
    self, CellInfo, CellName, CellSpec, Ended, ExecutableName, ExecutableSpec, LimitsChange, Output,
    SignalNumber, Whose,
};

use super::refusal::Violations;

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
    /// To its first process, or to `all` that it has started.
    fn signal(
        &self,
        cell: CellName,
        executable: ExecutableName,
        signal: SignalNumber,
        all: bool,
    ) -> impl Future<Output = Result<(), Status>> + Send;
    fn list(&self) -> impl Future<Output = Result<Arc<Vec<CellInfo>>, Status>> + Send;
    fn get(&self, cell: CellName) -> impl Future<Output = Result<CellInfo, Status>> + Send;
    /// Answers when all of the cell stands still, or goes on as before.
    fn freeze(&self, cell: CellName) -> impl Future<Output = Result<(), Status>> + Send;
    fn thaw(&self, cell: CellName) -> impl Future<Output = Result<(), Status>> + Send;
    /// Gives how it ended, when it has.
    fn wait(
        &self,
        cell: CellName,
        executable: ExecutableName,
    ) -> impl Future<Output = Result<Ended, Status>> + Send;
    /// What an executable writes. Waits for nothing.
    fn output(&self, whose: &Whose) -> Result<Output, Status>;
    /// Gives the cell as it is then.
    fn update(
        &self,
        cell: CellName,
        change: LimitsChange,
    ) -> impl Future<Output = Result<CellSpec, Status>> + Send;
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
        let (cell, spec) = executable::parse_start(request)?;
        let runtime::Identity { uid, gid } = spec.identity();
        let pid = self.runtime.start(cell, spec).await?;
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

    pub async fn signal(
        &self,
        request: CellServiceSignalRequest,
    ) -> Result<CellServiceSignalResponse, Status> {
        let mut bad = Violations::default();
        let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
        let executable = bad.check("executable_name", ExecutableName::parse(&request.executable_name));
        let signal = bad.check("signal", SignalNumber::parse(&request.signal));
        let (Some(cell), Some(executable), Some(signal)) = (cell, executable, signal) else {
            return Err(bad.into_status());
        };
        self.runtime.signal(cell, executable, signal, request.all_processes).await?;
        Ok(CellServiceSignalResponse {})
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
        Ok(CellServiceListResponse { cells: self.runtime.list().await?.iter().map(view::node).collect() })
    }

    pub async fn get(&self, request: CellServiceGetRequest) -> Result<CellServiceGetResponse, Status> {
        let cell = self.runtime.get(parse_name(&request.cell_name)?).await?;
        Ok(CellServiceGetResponse { cell: Some(view::node(&cell)) })
    }

    pub async fn freeze(
        &self,
        request: CellServiceFreezeRequest,
    ) -> Result<CellServiceFreezeResponse, Status> {
        self.runtime.freeze(parse_name(&request.cell_name)?).await?;
        Ok(CellServiceFreezeResponse {})
    }

    pub async fn thaw(&self, request: CellServiceThawRequest) -> Result<CellServiceThawResponse, Status> {
        self.runtime.thaw(parse_name(&request.cell_name)?).await?;
        Ok(CellServiceThawResponse {})
    }
}

/// For requests that hold nothing else.
fn parse_name(cell_name: &str) -> Result<CellName, Status> {
    let mut bad = Violations::default();
    bad.check("cell_name", CellName::parse(cell_name)).ok_or_else(|| bad.into_status())
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
