//! Limits on what a process may use (getrlimit(2)), for a child that is about to execute a program.

use nix::errno::Errno;
use nix::libc;

/// A limit, in the unit of its resource; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// One of the kernel's `RLIMIT_` numbers.
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

impl ResourceLimit {
    /// Sets it for this process. For the child between clone and exec: one system call.
    pub(super) fn set(&self) -> Result<(), Errno> {
        let limit = libc::rlimit64 { rlim_cur: self.soft, rlim_max: self.hard };
        // SAFETY: reads one rlimit64 that is valid for the call, and writes nowhere: the old limit is not asked for.
        let set = unsafe { libc::prlimit64(0, self.resource as _, &limit, std::ptr::null_mut()) };
        Errno::result(set).map(drop)
    }
}
