//! What List and Get tell: the runtime's copies as messages.

use super::limits;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::{self, CellInfo, ExecutableInfo, ExitReason, ProcessState, Usage};

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
    let (pid, state, exit) = match info.process {
        ProcessState::Starting => (0, CellExecutableState::Unspecified, None),
        ProcessState::Running { pid } => (pid, CellExecutableState::Running, None),
        ProcessState::Exited { pid, reason } => (pid, CellExecutableState::Exited, Some(reason)),
    };
    let (exit_code, exit_signal) = match exit {
        Some(ExitReason::Code(code)) => (Some(code), None),
        Some(ExitReason::Signal(signal)) => (None, Some(signal)),
        Some(ExitReason::Unknown) | None => (None, None),
    };
    CellExecutable {
        name: info.name.as_str().to_owned(),
        description: info.description.as_str().to_owned(),
        pid,
        state: state.into(),
        exit_code,
        exit_signal,
        uid: info.identity.uid,
        gid: info.identity.gid,
        ..CellExecutable::default()
    }
}
