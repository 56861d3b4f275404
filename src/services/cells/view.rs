//! What List and Get tell: the runtime's copies as messages.

use super::limits;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::{CellInfo, ExecutableInfo, ExitReason, ProcessState};

pub fn node(info: CellInfo) -> CellGraphNode {
    CellGraphNode {
        cell: Some(limits::cell(&info.spec)),
        children: info.children.into_iter().map(node).collect(),
        executables: info.executables.into_iter().map(executable).collect(),
        freeing: info.freeing,
        ..CellGraphNode::default()
    }
}

fn executable(info: ExecutableInfo) -> CellExecutable {
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
