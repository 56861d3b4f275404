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
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// What is ending.
#[derive(Debug)]
pub struct Ending {
    pub(super) target: Target,
    /// Its cgroup in the hierarchy that tracks.
    pub(super) group: Group,
    /// The processes that we started for it.
    pub(super) children: Vec<Arc<Child>>,
}

#[derive(Debug)]
pub(super) enum Target {
    Executable { cell: CellName, executable: ExecutableName, leaf: u64 },
    Cell { cell: CellName, number: u64 },
}

/// What became of an attempt to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Nothing of it is left.
    Done,
    /// Something still runs, or the kernel is not done with what ran: try again in some milliseconds.
    Busy,
}

impl Ending {
    /// A way to learn when nothing of it runs any more.
    pub fn watch(&self) -> Result<Emptied, Error> {
        Ok(Emptied { changes: self.group.changes()?, group: self.group.clone() })
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
/// First ask [`Emptied::is_empty`], then wait for [`Emptied::readiness`] and ask again. Ask on a timer as well: a cgroup
/// that another caller removes says nothing, and on v1 there is nothing to wait for.
#[derive(Debug)]
pub struct Emptied {
    changes: Option<Changes>,
    group: Group,
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
