//! A process that we started, from its birth to its reaping.
//!
//! [`Child::reap`] is the one place that waits for a process that has become a program (one that has not is reaped in
//! `sys::spawn`, before anybody hears of it). It never blocks, may be called by anybody and any number of times, and
//! the outcome is kept with the child.

use super::cgroup::MemoryCounts;
use super::clock::unix_ms;
use super::logs::Capture;
use super::names::{CellName, ExecutableName};
use super::signal::SignalNumber;
use crate::sys::pidfd::{self, ExitReason};
use event_listener::Event;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A process that we started.
#[derive(Debug)]
pub(super) struct Child {
    pub pid: i32,
    /// Held over the waitid, which doesn't block, so that ECHILD never means that another thread is about to store.
    state: Mutex<State>,
    /// We ordered SIGKILL for it when it still ran.
    condemned: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// The descriptor is shared with the [`Exit`], and closed when both are done with it.
    Running(Arc<OwnedFd>),
    Ended(ExitReason),
}

impl Child {
    /// The child, and its exit to come.
    pub fn new(pid: i32, pidfd: OwnedFd) -> (Self, Arc<OwnedFd>) {
        let pidfd = Arc::new(pidfd);
        let state = Mutex::new(State::Running(Arc::clone(&pidfd)));
        (Self { pid, state, condemned: AtomicBool::new(false) }, pidfd)
    }

    /// One that has ended, for tests that look at no process.
    #[cfg(test)]
    pub fn ended(pid: i32) -> Self {
        Self { pid, condemned: false.into(), state: Mutex::new(State::Ended(ExitReason::Unknown)) }
    }

    /// How it ended; `None` while it has not, or nobody has reaped it yet.
    pub fn reason(&self) -> Option<ExitReason> {
        match *self.state() {
            State::Running(_) => None,
            State::Ended(reason) => Some(reason),
        }
    }

    /// To be called before SIGKILL is ordered for it, so that this is not taken for the kernel's doing.
    pub fn condemn(&self) {
        if self.reap().is_none() {
            self.condemned.store(true, Ordering::Release);
        }
    }

    /// Whether SIGKILL is ours.
    pub fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// Reaps it if it has ended. `None` when it still runs.
    pub fn reap(&self) -> Option<ExitReason> {
        let mut state = self.state();
        if let State::Running(pidfd) = &*state {
            // The one error, ECHILD, says that somebody else has reaped it: the kernel does when SIGCHLD is ignored.
            let reason = pidfd::reap(pidfd.as_fd()).unwrap_or(Some(ExitReason::Unknown))?;
            *state = State::Ended(reason);
        }
        match *state {
            State::Running(_) => None,
            State::Ended(reason) => Some(reason),
        }
    }

    /// Its descriptor, if it has not ended yet; one that has is reaped.
    pub fn running(&self) -> Option<Arc<OwnedFd>> {
        self.reap();
        match &*self.state() {
            State::Running(pidfd) => Some(Arc::clone(pidfd)),
            State::Ended(_) => None,
        }
    }

    /// Sends a signal. A process that has ended needs none, so that ESRCH is no error.
    pub fn signal(&self, signal: impl Into<SignalNumber>) -> Result<(), Errno> {
        let pidfd = match &*self.state() {
            State::Running(pidfd) => Arc::clone(pidfd),
            State::Ended(_) => return Ok(()),
        };
        match pidfd::send_signal(pidfd.as_fd(), signal.into().value()) {
            Err(Errno::ESRCH) => Ok(()),
            other => other,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run of an executable: a process in a leaf of its own, and what it takes to say how it ended.
#[derive(Debug)]
pub(super) struct Run {
    pub leaf: u64,
    pub child: Arc<Child>,
    /// What the memory limits around it had counted before.
    pub memory: MemoryCounts,
    /// For people.
    pub started_ms: i64,
    /// For measuring how long it lasted.
    pub started: Instant,
    /// Its leaf is gone, and nothing that it has started is left.
    pub removed: Arc<Event>,
}

impl Run {
    /// A run that begins now.
    pub fn new(leaf: u64, child: Child, memory: MemoryCounts) -> Self {
        let (started_ms, started) = (unix_ms(), Instant::now());
        Self { leaf, child: Arc::new(child), memory, started_ms, started, removed: Arc::default() }
    }
}

/// A process that runs.
#[derive(Debug)]
pub struct Started {
    /// Its pid as this daemon sees it.
    pub pid: i32,
    pub exit: Exit,
    pub capture: Capture,
}

/// The exit to come of one process. Its descriptor becomes readable when the process has ended; then hand it to
/// [`super::Cells::exited`].
#[derive(Debug)]
pub struct Exit {
    pub(super) cell: CellName,
    pub(super) executable: ExecutableName,
    pub(super) run: Arc<Run>,
    pub(super) pidfd: Arc<OwnedFd>,
}

/// The leaf of one run.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub(super) cell: CellName,
    pub(super) number: u64,
}

impl Exit {
    pub fn leaf(&self) -> Leaf {
        Leaf { cell: self.cell.clone(), number: self.run.leaf }
    }

    /// News that its leaf is gone. To miss none, listen first and ask [`super::Cells::is_gone`] second.
    pub fn removed(&self) -> Arc<Event> {
        Arc::clone(&self.run.removed)
    }

    /// How it ended, once it has been reaped.
    pub fn reason(&self) -> Option<ExitReason> {
        self.run.child.reason()
    }
}

impl AsFd for Exit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
