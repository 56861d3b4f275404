//! Why an operation on cells failed: one variant per situation, each message with the object, what was given, what is
//! accepted, and what to do. Knows no status codes; [`Error::kind`] is what a caller maps to its own.

use super::names::{CellName, ExecutableName};
use crate::limits::{CELLS_MAX, EXECUTABLES_MAX, EXECUTABLES_PER_CELL_MAX};
use crate::sys::spawn::SpawnError;
use nix::errno::Errno;
use std::io;
use std::path::PathBuf;

/// What kind of failure it is; see [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request's field of this path can never be taken as it is, on this machine.
    Invalid(&'static str),
    NotFound,
    AlreadyExists,
    /// The request is right, but not in the present state.
    FailedPrecondition,
    /// A bound of ours has been reached.
    ResourceExhausted,
    /// A system call failed that is nobody's input.
    Internal,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cell \"{0}\" exists; choose another name, or free it first")]
    CellExists(CellName),
    #[error("there is no cell \"{0}\"; allocate it first")]
    NoSuchCell(CellName),
    #[error("cell \"{0}\" is still being allocated; try again when that has been answered")]
    CellAllocating(CellName),
    #[error("cell \"{0}\" is being freed; nothing can be put into it")]
    CellFreeing(CellName),
    #[error("cell \"{0}\" is frozen; thaw its cgroup first")]
    CellFrozen(CellName),
    #[error("cannot free cell \"{cell}\": it has the cells {children}; free these first")]
    CellHasChildren { cell: CellName, children: String },
    #[error("there are {CELLS_MAX} cells, which is the limit; free one first")]
    TooManyCells,

    #[error("executable {executable} is {state} in cell \"{cell}\"; choose another name, or stop it first")]
    ExecutableExists { cell: CellName, executable: ExecutableName, state: &'static str },
    #[error(
        "executable {executable} of cell \"{cell}\" has exited, but processes that it started still run; stop it first"
    )]
    ProcessesLeft { cell: CellName, executable: ExecutableName },
    #[error("there is no executable {executable} in cell \"{cell}\"; start it first")]
    NoSuchExecutable { cell: CellName, executable: ExecutableName },
    #[error(
        "executable {executable} of cell \"{cell}\" is still being started; try again when that has been answered"
    )]
    ExecutableStarting { cell: CellName, executable: ExecutableName },
    #[error(
        "cell \"{0}\" has {EXECUTABLES_PER_CELL_MAX} executables, which is the limit for one cell; stop one first (one that has exited, too)"
    )]
    TooManyExecutablesInCell(CellName),
    #[error(
        "there are {EXECUTABLES_MAX} executables, which is the limit; stop one first (one that has exited, too)"
    )]
    TooManyExecutables,
    #[error("cannot start executable {executable} in cell \"{cell}\": {}", spawn_story(.failure, .program))]
    Spawn { cell: CellName, executable: ExecutableName, program: String, failure: SpawnError },
    #[error(
        "cannot isolate cell \"{cell}\": {step}: {}; it takes CAP_SYS_ADMIN, and Linux 5.8 with pid, ipc, uts, mount and network namespaces",
        errno.map_or_else(|| "it ended".to_owned(), |errno| errno.to_string())
    )]
    Isolation { cell: CellName, step: String, errno: Option<Errno> },
    #[error(
        "somebody has ended the init of cell \"{0}\", and its namespaces with it; free the cell and allocate it again"
    )]
    InitEnded(CellName),
    #[error("{object} still has processes after SIGKILL: {pids}; try again when they have ended")]
    StillAlive { object: String, pids: String },

    #[error("cannot limit {limit}: {reason}")]
    ControllerMissing { limit: &'static str, reason: String },
    #[error("{field}: {given} is not within {allowed}, which is all that the parent allows")]
    BeyondParent { field: &'static str, given: String, allowed: String },
    #[error("{field}: the kernel refused to write {value} to {file}: {errno}; {advice}")]
    LimitRefused { field: &'static str, value: String, file: PathBuf, errno: Errno, advice: &'static str },
    #[error("{field}: {asked} was written to {file}, but it reads {got}; the limit would not hold")]
    LimitNotTaken { field: &'static str, asked: String, file: PathBuf, got: String },

    #[error(
        "{path} exists, but was not made by this daemon (\"tasks\" is the kernel's own on cgroup v1); remove it or choose another cell name"
    )]
    PathTaken { path: PathBuf },
    #[error("cannot {verb} {path}: {errno}")]
    File { verb: &'static str, path: PathBuf, errno: Errno },
    #[error(
        "no cgroup hierarchy to track processes with: mount cgroup2, or the v1 freezer, where this daemon is a member"
    )]
    NoTracking,
    #[error("no process can enter the cgroups below {path}: {why}; start this daemon in a cgroup of its own")]
    NoDomain { path: PathBuf, why: &'static str },
    #[error("{path} still has processes of an earlier run after SIGKILL; end them, then start again")]
    SweepFailed { path: PathBuf },
    #[error("cannot make {0} ready: {1}")]
    Setup(&'static str, Errno),
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        use ErrorKind as Kind;
        match self {
            Self::NoSuchCell(_) | Self::NoSuchExecutable { .. } => Kind::NotFound,
            Self::CellExists(_) | Self::ExecutableExists { .. } | Self::ProcessesLeft { .. } => {
                Kind::AlreadyExists
            }
            Self::CellAllocating(_)
            | Self::CellFreeing(_)
            | Self::CellFrozen(_)
            | Self::InitEnded(_)
            | Self::CellHasChildren { .. } => Kind::FailedPrecondition,
            Self::ExecutableStarting { .. } | Self::ControllerMissing { .. } | Self::PathTaken { .. } => {
                Kind::FailedPrecondition
            }
            Self::TooManyCells | Self::TooManyExecutablesInCell(_) | Self::TooManyExecutables => {
                Kind::ResourceExhausted
            }
            Self::BeyondParent { field, .. } => Kind::Invalid(field),
            Self::LimitRefused { field, errno: Errno::EINVAL | Errno::ERANGE, .. } => Kind::Invalid(field),
            Self::LimitRefused { .. } | Self::LimitNotTaken { .. } => Kind::Internal,
            Self::Spawn { failure, .. } => spawn_kind(failure),
            Self::Isolation { errno, .. } => isolation_kind(*errno),
            Self::StillAlive { .. } | Self::File { .. } | Self::NoTracking => Kind::Internal,
            Self::NoDomain { .. } | Self::SweepFailed { .. } | Self::Setup(..) => Kind::Internal,
        }
    }

    pub(super) fn file(verb: &'static str, path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::File { verb, path: path.into(), errno: errno_of(error) }
    }
}

/// The errno in an I/O error; EIO for one that has none.
pub(super) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn spawn_story(failure: &SpawnError, program: &str) -> String {
    let SpawnError { step, errno } = failure;
    let object = if *step == crate::sys::spawn::Step::Execute { program } else { "" };
    let space = if object.is_empty() { "" } else { " " };
    match errno {
        Some(errno) => format!("{step}{space}{object}: {errno}"),
        None => format!("{step}{space}{object}: a signal ended it"),
    }
}

/// Which exec and clone failures the caller can do something about; execve(2), clone(2), cgroups(7).
fn spawn_kind(failure: &SpawnError) -> ErrorKind {
    match failure.errno {
        // No program, not executable, too many arguments; a cgroup removed meanwhile, and the signal that goes with it.
        Some(Errno::ENOENT | Errno::EACCES | Errno::ENOEXEC | Errno::E2BIG | Errno::ENODEV) | None => {
            ErrorKind::FailedPrecondition
        }
        // The limit on processes, of a user or of a cgroup.
        Some(Errno::EAGAIN) => ErrorKind::ResourceExhausted,
        Some(_) => ErrorKind::Internal,
    }
}

/// clone(2): no such namespaces in this kernel, or not for us; a limit on them, on processes or on descriptors.
fn isolation_kind(errno: Option<Errno>) -> ErrorKind {
    match errno {
        Some(Errno::EINVAL | Errno::EPERM | Errno::ENOSYS) => ErrorKind::FailedPrecondition,
        Some(Errno::ENOSPC | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE) => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::spawn::Step;

    #[test]
    fn a_failed_start_names_step_and_errno() {
        let error = |step, errno| Error::Spawn {
            cell: CellName::parse("a").expect("valid"),
            executable: ExecutableName::parse("job").expect("valid"),
            program: "/bin/sh".to_owned(),
            failure: SpawnError { step, errno },
        };
        assert_eq!(
            error(Step::Execute, Some(Errno::ENOENT)).to_string(),
            "cannot start executable \"job\" in cell \"a\": exec /bin/sh: ENOENT: No such file or directory"
        );
        let killed = error(Step::JoinCgroups, None);
        assert!(killed.to_string().ends_with("join the cgroups: a signal ended it"), "{killed}");
        assert_eq!(killed.kind(), ErrorKind::FailedPrecondition);
    }
}
