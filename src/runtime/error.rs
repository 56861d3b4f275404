//! Why an operation on cells failed: one variant per situation, each message with the object, what was given, what is
//! accepted, and what to do. Knows no status codes; [`Error::kind`] is what a caller maps to its own.

use super::names::{CellName, ExecutableName};
use crate::limits::{
    CELLS_MAX, EXECUTABLES_MAX, EXECUTABLES_PER_CELL_MAX, FREEZE_TIMEOUT, RESTART_BYTES_HELD_MAX,
    START_TIMEOUT,
};
use crate::sys::lock::Holder;
use crate::sys::spawn::{SpawnError, Step};
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
    #[error("cell \"{0}\" is being freed; nothing else can be done with it")]
    CellFreeing(CellName),
    #[error("{field}: cell \"{cell}\" does not have it, and it cannot be changed; leave it unset")]
    IsolationFixed { field: &'static str, cell: CellName },
    #[error("cell \"{0}\" is being updated; try again when that has been answered")]
    CellUpdating(CellName),
    #[error("cell \"{0}\" is frozen, by itself or with a cell around it; thaw it first")]
    CellFrozen(CellName),
    #[error("cell \"{0}\" was thawed while it was being frozen; freeze it again if it is to stand still")]
    CellThawed(CellName),
    #[error(
        "cell \"{cell}\" did not come to rest within {} ms, because of the processes {pids}; it goes on as before, try again when they are done with what cannot be interrupted",
        FREEZE_TIMEOUT.as_millis()
    )]
    NotFrozen { cell: CellName, pids: String },
    #[error("cannot free cell \"{cell}\": it has the cells {children}; free these first, or all with force")]
    CellHasChildren { cell: CellName, children: String },
    #[error("there are {CELLS_MAX} cells, which is the limit; free one first")]
    TooManyCells,

    #[error("executable {executable} is {state} in cell \"{cell}\"; choose another name, or stop it first")]
    ExecutableExists { cell: CellName, executable: ExecutableName, state: &'static str },
    #[error(
        "executable {executable} of cell \"{cell}\" has exited, but processes that it started still run; stop it first"
    )]
    ProcessesLeft { cell: CellName, executable: ExecutableName },
    #[error(
        "there is no process {0} of an executable; accepted: the pid that Start gave, until the executable's name is used \
         again or its cell is freed"
    )]
    NoSuchProcess(i64),
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
    /// `object` is what the failed step was about, or empty.
    #[error("cannot start executable {executable} in cell \"{cell}\": {}", spawn_story(.failure, .object))]
    Spawn { cell: CellName, executable: ExecutableName, object: String, failure: SpawnError },
    #[error(
        "executable {executable} of cell \"{cell}\" did not come to run its program within {} ms, and was killed: a process stops it (SIGSTOP), the cell has no cpu time left for it, or a file system does not answer; start it again when that is over",
        START_TIMEOUT.as_millis()
    )]
    StartOverdue { cell: CellName, executable: ExecutableName },
    #[error(
        "executable {executable} of cell \"{cell}\" was not started: a panic inside the daemon, whose standard error says where"
    )]
    LaunchPanicked { cell: CellName, executable: ExecutableName },
    #[error("executable.capabilities: this kernel does not know {0}; leave it out")]
    CapabilityMissing(&'static str),
    #[error("executable {executable} of cell \"{cell}\" has exited; there is no process to be signalled")]
    NothingToSignal { cell: CellName, executable: ExecutableName },
    #[error("cannot send signal {signal} to executable {executable} of cell \"{cell}\": {errno}")]
    SignalRefused { cell: CellName, executable: ExecutableName, signal: i32, errno: Errno },
    #[error(
        "{RESTART_BYTES_HELD_MAX} bytes of executables are kept in order to start them again, the limit; stop one that is restarted, or start this one without restart"
    )]
    TooManyRestartBytes,
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
    ControllerMissing { limit: String, reason: String },
    #[error("{field}: {given} is not within {allowed}, which is all that the parent allows")]
    BeyondParent { field: &'static str, given: String, allowed: String },
    #[error("{field}: {reason}")]
    LimitUnavailable { field: &'static str, reason: String },
    #[error(
        "{field}: {given} takes away what cells inside have by limits of their own: {cells}; change these first"
    )]
    NeededByChildren { field: &'static str, given: String, cells: String },
    #[error(
        "cell.io.max: {device} cannot be limited: {why}; accepted: a whole disk, by its numbers as in 8:0, or by the path of its node as in /dev/sda"
    )]
    NoBlockDevice { device: String, why: &'static str },
    #[error(
        "the processes of cell \"{cell}\" cannot be brought under its limits: new ones appear faster than they can be moved; limit its pids when it is allocated, or stop what forks"
    )]
    NotSettled { cell: CellName },
    #[error("{field}: the kernel refused to write {value} to {file}: {errno}; {advice}")]
    LimitRefused { field: &'static str, value: String, file: PathBuf, errno: Errno, advice: &'static str },
    #[error("{field}: {asked} was written to {file}, but it reads {got}; the limit would not hold")]
    LimitNotTaken { field: &'static str, asked: String, file: PathBuf, got: String },

    #[error(
        "{path} exists, but was not made by this daemon (\"tasks\" is the kernel's own on cgroup v1); remove it or choose another cell name"
    )]
    PathTaken { path: PathBuf },
    #[error(
        "executable.log: {path} {why}, and no output is written to it; remove it, or choose another name"
    )]
    NoLogFile { path: PathBuf, why: &'static str },
    /// A file of output, or a directory for it, that a start needs.
    #[error("executable.log: cannot {verb} {path}: {errno}{}", log_file_advice(*.errno))]
    LogFileRefused { verb: &'static str, path: PathBuf, errno: Errno },
    #[error("cannot {verb} {path}: {errno}")]
    File { verb: &'static str, path: PathBuf, errno: Errno },
    #[error(
        "no cgroup hierarchy to track processes with: mount cgroup2, or the v1 freezer, where this daemon is a member"
    )]
    NoTracking,
    #[error("no process can enter the cgroups below {path}: {why}; start this daemon in a cgroup of its own")]
    NoDomain { path: PathBuf, why: &'static str },
    #[error(
        "{path} belongs to another auraed that runs, {holder}, whose runtime directory somebody has removed; stop it, or give this one another --runtime-dir"
    )]
    SliceInUse { path: PathBuf, holder: Holder },
    #[error("{path} still has processes of an earlier run after SIGKILL; end them, then start again")]
    SweepFailed { path: PathBuf },
    #[error("cannot make {0} ready: {1}")]
    Setup(&'static str, Errno),
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        use ErrorKind as Kind;
        match self {
            Self::NoSuchCell(_) | Self::NoSuchProcess(_) | Self::NoSuchExecutable { .. } => Kind::NotFound,
            Self::CellExists(_) | Self::ExecutableExists { .. } | Self::ProcessesLeft { .. } => {
                Kind::AlreadyExists
            }
            Self::CellAllocating(_)
            | Self::CellFreeing(_)
            | Self::CellFrozen(_)
            | Self::CellThawed(_)
            | Self::CellUpdating(_)
            | Self::InitEnded(_)
            | Self::CellHasChildren { .. } => Kind::FailedPrecondition,
            Self::ExecutableStarting { .. }
            | Self::StartOverdue { .. }
            | Self::NothingToSignal { .. }
            | Self::ControllerMissing { .. }
            | Self::NoLogFile { .. }
            | Self::PathTaken { .. } => Kind::FailedPrecondition,
            Self::CapabilityMissing(_) => Kind::Invalid("executable.capabilities"),
            Self::LimitUnavailable { .. } | Self::NeededByChildren { .. } | Self::NotSettled { .. } => {
                Kind::FailedPrecondition
            }
            Self::TooManyCells
            | Self::TooManyExecutablesInCell(_)
            | Self::TooManyExecutables
            | Self::TooManyRestartBytes => Kind::ResourceExhausted,
            Self::BeyondParent { field, .. } | Self::IsolationFixed { field, .. } => Kind::Invalid(field),
            Self::NoBlockDevice { .. } => Kind::Invalid("cell.io.max"),
            Self::LimitRefused { field, errno: Errno::EINVAL | Errno::ERANGE, .. } => Kind::Invalid(field),
            // More is in use than the limit would leave.
            Self::LimitRefused { errno: Errno::EBUSY, .. } => Kind::FailedPrecondition,
            Self::LimitRefused { .. } | Self::LimitNotTaken { .. } => Kind::Internal,
            Self::Spawn { failure, .. } => spawn_kind(failure),
            Self::Isolation { errno, .. } => isolation_kind(*errno),
            Self::StillAlive { .. } | Self::SignalRefused { .. } | Self::LaunchPanicked { .. } => {
                Kind::Internal
            }
            Self::LogFileRefused { errno, .. } => log_file_kind(*errno),
            // Cgroups count against the memory of the one that they are in, and against limits on their number; a disk is full.
            Self::File { errno: Errno::ENOMEM | Errno::EAGAIN | Errno::ENOSPC | Errno::EDQUOT, .. } => {
                Kind::ResourceExhausted
            }
            Self::NotFrozen { .. } | Self::File { .. } | Self::NoTracking => Kind::Internal,
            Self::NoDomain { .. } | Self::SliceInUse { .. } => Kind::Internal,
            Self::SweepFailed { .. } | Self::Setup(..) => Kind::Internal,
        }
    }

    /// The same of a file of output that a start needs: most of it the caller can do something about.
    pub(super) fn at_start(self) -> Self {
        match self {
            Self::File { verb, path, errno } => Self::LogFileRefused { verb, path, errno },
            other => other,
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

fn spawn_story(failure: &SpawnError, object: &str) -> String {
    let SpawnError { step, errno, .. } = failure;
    let space = if object.is_empty() { "" } else { " " };
    match errno {
        Some(errno) => format!("{step}{space}{object}: {errno}{}", spawn_advice(*step, *errno)),
        None => format!("{step}{space}{object}: a signal ended it"),
    }
}

/// What the errno does not say.
fn spawn_advice(step: Step, errno: Errno) -> &'static str {
    match (step, errno) {
        (Step::ResourceLimits, Errno::EPERM) => {
            "; a hard limit above the daemon's own takes CAP_SYS_RESOURCE, and nofile is at most fs.nr_open"
        }
        (Step::BoundingSet, Errno::EPERM) => "; the daemon lacks CAP_SETPCAP",
        (Step::BecomeUser, Errno::EPERM) => "; the daemon lacks CAP_SETUID or CAP_SETGID",
        (Step::BecomeUser, Errno::EINVAL) => "; the daemon's user namespace has no such id",
        (_, Errno::ENOMEM) => "; memory.max of the cell, or of one around it, may be too low",
        (Step::Execute, Errno::ENOEXEC) => "; a script needs a first line with \"#!\"",
        _ => "",
    }
}

/// Which failures the caller can do something about; execve(2), clone(2), cgroups(7).
fn spawn_kind(failure: &SpawnError) -> ErrorKind {
    match (failure.step, failure.errno) {
        // A cgroup removed meanwhile, and the signal that goes with it.
        (_, Some(Errno::ENODEV) | None) => ErrorKind::FailedPrecondition,
        // The limit on processes, of a user or of a cgroup; and that on memory, which holds what the kernel needs, too.
        (_, Some(Errno::EAGAIN | Errno::ENOMEM)) => ErrorKind::ResourceExhausted,
        // What was asked for is not there, or not to be had.
        (Step::ResourceLimits | Step::BoundingSet | Step::BecomeUser | Step::ChangeDirectory, Some(_)) => {
            ErrorKind::FailedPrecondition
        }
        (Step::Execute, Some(Errno::EMFILE | Errno::ENFILE | Errno::EIO)) => ErrorKind::Internal,
        (Step::Execute, Some(_)) => ErrorKind::FailedPrecondition,
        (_, Some(Errno::ENOENT | Errno::EACCES)) => ErrorKind::FailedPrecondition,
        (_, Some(_)) => ErrorKind::Internal,
    }
}

/// What the errno of a file of output does not say.
fn log_file_advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC => "; make room on that file system, in bytes or in files",
        Errno::EDQUOT => "; make room there for the user that runs the daemon, or raise its quota",
        Errno::EROFS => "; mount that file system writable, or start the daemon with another --library-dir",
        Errno::EPERM => "; it, or its directory, may be immutable or append-only: see lsattr(1), chattr(1)",
        Errno::EACCES => "; let the user that runs the daemon write there",
        Errno::ENAMETOOLONG => "; that file system takes shorter names only, so choose one",
        _ => "",
    }
}

/// open(2), mkdir(2), rename(2): a disk that is full, or one that does not take it as it is. A disk that is broken is nobody's
/// input.
fn log_file_kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT | Errno::EMLINK => ErrorKind::ResourceExhausted,
        Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE => ErrorKind::ResourceExhausted,
        Errno::EROFS | Errno::EPERM | Errno::EACCES | Errno::ENAMETOOLONG => ErrorKind::FailedPrecondition,
        // Somebody removes it again and again, mounts over it, or runs it as a program.
        Errno::ENOENT | Errno::EBUSY | Errno::ETXTBSY => ErrorKind::FailedPrecondition,
        _ => ErrorKind::Internal,
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

    #[test]
    fn a_failed_start_names_step_and_errno() {
        let error = |step, object: &str, errno| Error::Spawn {
            cell: CellName::parse("a").expect("valid"),
            executable: ExecutableName::parse("job").expect("valid"),
            object: object.to_owned(),
            failure: SpawnError { step, item: None, errno },
        };
        assert_eq!(
            error(Step::Execute, "/bin/sh", Some(Errno::ENOENT)).to_string(),
            "cannot start executable \"job\" in cell \"a\": exec /bin/sh: ENOENT: No such file or directory"
        );
        let killed = error(Step::JoinCgroups, "", None);
        assert!(killed.to_string().ends_with("join the cgroups: a signal ended it"), "{killed}");
        assert_eq!(killed.kind(), ErrorKind::FailedPrecondition);
        let full = error(Step::NewCgroupNamespace, "", Some(Errno::ENOMEM));
        assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
    }

    #[test]
    fn a_file_of_output_that_a_start_cannot_have_is_the_callers_affair() {
        let file = |errno| Error::File { verb: "open", path: "/lib/job.log".into(), errno };
        for (errno, kind, text) in [
            (Errno::EDQUOT, ErrorKind::ResourceExhausted, "quota"),
            (Errno::EACCES, ErrorKind::FailedPrecondition, "let the user"),
            (Errno::EIO, ErrorKind::Internal, "executable.log: cannot open /lib/job.log: EIO"),
        ] {
            let refused = file(errno).at_start();
            assert_eq!(refused.kind(), kind, "{errno}");
            assert!(refused.to_string().contains(text), "{refused}");
        }
        assert_eq!(file(Errno::EACCES).kind(), ErrorKind::Internal, "while it runs it is the daemon's");
    }
}
