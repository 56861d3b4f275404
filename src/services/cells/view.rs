//! What List and Get tell: the runtime's copies as messages.

use super::limits;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::{
    self, CellInfo, Ended, ExecutableInfo, ExecutableState, ExitReason, Oom, Outcome, Usage,
};

pub fn node(info: &CellInfo) -> CellGraphNode {
    CellGraphNode {
        cell: Some(limits::cell(&info.spec)),
        children: info.children.iter().map(node).collect(),
        executables: info.executables.iter().map(executable).collect(),
        usage: info.usage.as_ref().map(usage),
        frozen: info.frozen,
        freeing: info.freeing,
    }
}

fn usage(usage: &Usage) -> CellUsage {
    CellUsage {
        cpu_us: usage.cpu_us,
        memory_bytes: usage.memory_bytes,
        memory_peak_bytes: usage.memory_peak_bytes,
        swap_bytes: usage.swap_bytes,
        pids: usage.pids,
        io_read_bytes: usage.io_read_bytes,
        io_written_bytes: usage.io_written_bytes,
        cpu_pressure: usage.cpu_pressure.map(pressure),
        memory_pressure: usage.memory_pressure.map(pressure),
        io_pressure: usage.io_pressure.map(pressure),
    }
}

fn pressure(pressure: runtime::Pressure) -> Pressure {
    Pressure { some: pressure.some.map(share), full: pressure.full.map(share) }
}

fn share(share: runtime::PressureShare) -> PressureShare {
    let percent = |hundredths: u32| f64::from(hundredths) / 100.0;
    PressureShare {
        avg10: percent(share.avg10),
        avg60: percent(share.avg60),
        avg300: percent(share.avg300),
        total_us: share.total_us,
    }
}

fn executable(info: &ExecutableInfo) -> CellExecutable {
    let state = match info.state {
        ExecutableState::Starting => CellExecutableState::Unspecified,
        ExecutableState::Running => CellExecutableState::Running,
        ExecutableState::Restarting => CellExecutableState::Restarting,
        ExecutableState::Exited => CellExecutableState::Exited,
    };
    let exited_ms = info.outcome.as_ref().map(|outcome| outcome.exited_ms);
    let exit = info.outcome.as_ref().map(exit).unwrap_or_default();
    CellExecutable {
        name: info.name.as_str().to_owned(),
        description: info.description.as_str().to_owned(),
        pid: info.process.map_or(0, |process| process.pid),
        state: state.into(),
        exit_code: exit.code,
        exit_signal: exit.signal,
        started_ms: info.process.map_or(0, |process| process.started_ms),
        exited_ms,
        oom_killed: exit.oom_killed,
        oom_cell_name: exit.oom_cell_name,
        restarts: info.restarts,
        uid: info.identity.uid,
        gid: info.identity.gid,
    }
}

pub fn wait(ended: Ended) -> CellServiceWaitResponse {
    let exit = exit(&ended.outcome);
    CellServiceWaitResponse {
        exit_code: exit.code,
        exit_signal: exit.signal,
        oom_killed: exit.oom_killed,
        oom_cell_name: exit.oom_cell_name,
        pid: ended.pid,
        restarts: ended.restarts,
    }
}

/// How a process ended, in the fields that two messages have.
#[derive(Default)]
struct Exit {
    code: Option<i32>,
    signal: Option<i32>,
    oom_killed: bool,
    oom_cell_name: String,
}

fn exit(outcome: &Outcome) -> Exit {
    let (code, signal) = match outcome.reason {
        ExitReason::Code(code) => (Some(code), None),
        ExitReason::Signal(signal) => (None, Some(signal)),
        ExitReason::Unknown => (None, None),
    };
    let oom_cell_name = match &outcome.oom {
        Some(Oom::Cell(cell)) => cell.to_string(),
        Some(Oom::Elsewhere) | None => String::new(),
    };
    Exit { code, signal, oom_killed: outcome.oom.is_some(), oom_cell_name }
}
