//! Becoming another user, in a child that still shares our memory.
//!
//! By the raw system calls: the wrappers of the C library change every thread of the process that they believe they are
//! in, which is ours.

use nix::errno::Errno;
use nix::libc;

/// Whom a process runs as. An id that is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

// The calls by these names take 16 bits on the 32-bit machines that had Linux first.
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

impl User {
    pub fn is_set(&self) -> bool {
        self.uid.is_some() || self.gid.is_some()
    }

    /// Makes this process that user's, without supplementary groups. For the child between clone and exec: only system
    /// calls.
    ///
    /// When the user changes, the kernel makes the memory undumpable, which here is the daemon's as well. That is needed:
    /// it keeps other processes of the user from tracing the child while it is in our memory. The daemon stays so from
    /// then on, and leaves no core dump.
    pub(super) fn assume(&self) -> Result<(), Errno> {
        if !self.is_set() {
            return Ok(());
        }
        // The groups first: it takes privileges that the new user has not.
        // SAFETY: no list of groups is read when there are none.
        Errno::result(unsafe { libc::syscall(SETGROUPS, 0, std::ptr::null::<u32>()) })?;
        if let Some(gid) = self.gid {
            // SAFETY: three integers, which change this process alone.
            Errno::result(unsafe { libc::syscall(SETRESGID, gid, gid, gid) })?;
        }
        if let Some(uid) = self.uid {
            // SAFETY: as above.
            Errno::result(unsafe { libc::syscall(SETRESUID, uid, uid, uid) })?;
        }
        Ok(())
    }
}
