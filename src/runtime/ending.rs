//! The end of an executable or a cell, which takes as long as its processes do. Nothing here waits; this is what a
//! caller needs in order to wait elsewhere.
//!
//! 1. `stop` or `free` sends SIGTERM and answers an [`Ending`].
//! 2. [`Ending::watch`] answers an [`Emptied`]; ask it, and wait on its descriptor, for the grace period.
//! 3. Still not empty: `kill`, and wait again.
//! 4. Empty: `finish`, until it answers [`Finish::Done`]. Or, after a bounded wait, `give_up`.

use super::cgroup::{Changes, Group};
use super::child::Child;
use super::error::Error;
use super::names::{CellName, ExecutableName};
use crate::sys::failpoint::check;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// What is ending.
#[derive(Debug)]
pub struct Ending {
    pub(super) target: Target,
    /// Its cgroup in the hierarchy that tracks; those of cells inside a cell are below.
    pub(super) group: Group,
    /// The processes that we started for it.
    pub(super) children: Vec<Arc<Child>>,
    /// Shared with all that end the same thing.
    pub(super) removal: Arc<RemovalNotice>,
    /// It stood still when it was sent SIGTERM.
    pub(super) frozen: bool,
}

#[derive(Debug)]
pub(super) enum Target {
    Executable {
        cell: CellName,
        executable: ExecutableName,
        leaf: u64,
    },
    /// With all cells inside it.
    Cell {
        cell: CellName,
        number: u64,
    },
}

/// What became of an attempt to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Nothing of it is left.
    Done,
    /// Some of the cells inside it are gone, and nothing hinders the next ones: try again at once.
    Partly,
    /// Something still runs, or the kernel is not done with what ran: try again in some milliseconds.
    Busy,
}

impl Ending {
    /// Whether its processes stood still when they were sent SIGTERM: they cannot handle it, and a grace period is of no use.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// A way to learn when nothing of it runs any more.
    pub fn watch(&self) -> Result<Emptied, Error> {
        let changes = self.group.changes(self.removal.0.as_fd())?;
        Ok(Emptied { changes, group: self.group.clone(), _removal: Arc::clone(&self.removal) })
    }
}

/// Tells all that wait for a cgroup to be empty that one of them has removed it.
///
/// The kernel announces that a cgroup has become empty at most every 10 ms, and forgets an announcement that is due when
/// the cgroup is removed (`cgroup_file_notify`, `cgroup_rm_file`): who asks at the right moment and removes it leaves the
/// others waiting.
#[derive(Debug)]
pub(super) struct RemovalNotice(EventFd);

impl RemovalNotice {
    pub fn new() -> Result<Arc<Self>, Error> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let made = check("make an eventfd").and_then(|()| EventFd::from_flags(flags));
        made.map(|fd| Arc::new(Self(fd))).map_err(|errno| Error::Setup("an eventfd", errno))
    }

    /// To be called when the cgroup is gone: whoever is woken must find it so.
    pub fn give(&self) {
        // The one error, EAGAIN, is of a counter that is full, and so of a notice given before.
        let _ = self.0.write(1);
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executable { cell, executable, .. } => {
                write!(f, "executable {executable} of cell \"{cell}\"")
            }
            Self::Cell { cell, .. } => write!(f, "cell \"{cell}\""),
        }
    }
}

/// Whether a cgroup has become empty.
///
/// First ask [`Emptied::is_empty`], then wait for [`Emptied::readiness`] and ask again. On v1 there is nothing to wait
/// for: ask on a timer.
#[derive(Debug)]
pub struct Emptied {
    changes: Option<Changes>,
    group: Group,
    /// Open as long as `changes` watches it.
    _removal: Arc<RemovalNotice>,
}

impl Emptied {
    /// Whether nothing runs in it. A cgroup that is gone is empty.
    pub fn is_empty(&self) -> Result<bool, Error> {
        match &self.changes {
            Some(changes) => changes.is_empty(),
            None => self.group.is_empty(),
        }
    }

    /// A descriptor that is readable when it is worth asking again, until asked. `None` on cgroup v1: ask on a timer.
    pub fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.changes.as_ref().map(AsFd::as_fd)
    }
}
