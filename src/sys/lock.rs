//! A lock on a file that this process has, and nobody with it (fcntl(2), "Advisory record locking").
//!
//! Not that of flock(2): a child would have it, too, from its birth until it executes a program. One that never gets so far,
//! since it is frozen or stopped, would keep it when we are long dead. In return no file may be locked that this process
//! opens once more: to close that one gives the lock up.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fmt;
use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Held for as long as there is this, and no longer than this process lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its drop")] File);

/// Why there is no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockError {
    Held(Holder),
    Failed(Errno),
}

/// The process that has a lock, by its pid; 0 for one that our pid namespace does not show, or that has just let go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(i32);

impl Holder {
    pub const UNKNOWN: Self = Self(0);
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("a process that cannot be seen from here"),
            pid => write!(f, "process {pid}"),
        }
    }
}

impl Lock {
    /// Locks a file that is open for writing. Tries again, with `pause` in between, until `timeout` has passed: for a start,
    /// when there is nobody else to be served.
    #[expect(clippy::disallowed_methods, reason = "at the start, before there is an executor or a pool")]
    pub fn take(file: File, timeout: Duration, pause: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + timeout;
        loop {
            match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
                Ok(_) => return Ok(Self(file)),
                // Both say the same: fcntl(2).
                Err(Errno::EAGAIN | Errno::EACCES) if Instant::now() < deadline => sleep(pause),
                Err(Errno::EAGAIN | Errno::EACCES) => return Err(LockError::Held(holder(&file))),
                Err(errno) => return Err(LockError::Failed(errno)),
            }
        }
    }
}

fn holder(file: &File) -> Holder {
    let mut lock = whole_file();
    match fcntl(file, FcntlArg::F_GETLK(&mut lock)) {
        Ok(_) if i32::from(lock.l_type) != libc::F_UNLCK => Holder(lock.l_pid),
        _ => Holder::UNKNOWN,
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
