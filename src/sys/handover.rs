//! What a program that was started by [`super::spawn`] has from it.

use super::signals::Disposed;
use super::spawn::THIRD;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Descriptor 3, as [`super::spawn::Plan::third`] left it: open, and not closed on exec, as none is that this process
/// opens itself. `None` when it is not there, or has been taken.
pub fn take_third() -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: only asked for its flags, which any number may be.
    let flags = fcntl(unsafe { BorrowedFd::borrow_raw(THIRD) }, FcntlArg::F_GETFD);
    let inherited = flags.is_ok_and(|flags| !FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
    if !inherited || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: it is open, was made before this process began (see above), and nobody has taken it before.
    Some(unsafe { OwnedFd::from_raw_fd(THIRD) })
}

/// Gives every signal its default action, which for the first process of a pid namespace is none (pid_namespaces(7));
/// Rust's runtime handles two of them. And has the kernel reap the children of this process, those that it inherits
/// included, as they end: with SIGCHLD ignored none becomes a zombie, and nobody is woken (wait(2), notes).
pub fn rely_on_the_kernel() -> Result<(), Errno> {
    Disposed::now().reset();
    // SAFETY: SIG_IGN runs no code.
    let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(Errno::last()) } else { Ok(()) }
}

/// The name of this process in `/proc/PID/comm`, at most 15 bytes.
pub fn set_name(name: &std::ffi::CStr) -> Result<(), Errno> {
    // SAFETY: reads a string that ends in NUL.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}
