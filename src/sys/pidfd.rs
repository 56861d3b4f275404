//! Processes by descriptor: a pidfd names the same process for ever, a pid is reused.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// How a process ended (waitid(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It called `_exit` with this code, 0..=255.
    Code(i32),
    /// This signal ended it. A number, since real-time signals have no name.
    Signal(i32),
    /// It has ended, but somebody else reaped it, and how is not known.
    Unknown,
}

/// A pidfd for the process that has the pid `pid` now (pidfd_open(2)). ESRCH when there is none.
pub fn open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open reads two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends the signal of this number to the process (pidfd_send_signal(2)). ESRCH when it has been reaped.
pub fn send_signal(pidfd: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is what the call documents as "as kill(2) would"; it touches no memory of ours.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, no_info, 0) };
    Errno::result(sent).map(drop)
}

/// Reaps the child if it has ended, without waiting (waitid(2), P_PIDFD). `None` when it still runs.
///
/// ECHILD when it is no child of ours or has been reaped before.
pub fn reap(pidfd: BorrowedFd<'_>) -> Result<Option<ExitReason>, Errno> {
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: siginfo_t is plain data for which all zeroes is a value (si_pid 0: nothing to report).
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // __WALL: also a child that was cloned with another exit signal.
    let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` is valid for writes of a siginfo_t for the whole call.
    let waited = unsafe { libc::waitid(libc::P_PIDFD, id, &mut info, options) };
    match Errno::result(waited) {
        // A pidfd with O_NONBLOCK (a reactor sets it) answers so where another answers si_pid 0.
        Err(Errno::EAGAIN) => Ok(None),
        Err(errno) => Err(errno),
        // SAFETY: waitid filled in the SIGCHLD members of the union, or left all of it zero.
        Ok(_) => Ok(unsafe { (info.si_pid() != 0).then(|| exit_reason(info.si_code, info.si_status())) }),
    }
}

/// Reaps a child that has ended, or is about to: waits for it. `None` when somebody else has reaped it.
pub(super) fn reap_ended(pidfd: BorrowedFd<'_>) -> Option<ExitReason> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut ready = [PollFd::new(pidfd, PollFlags::POLLIN)];
    while poll(&mut ready, PollTimeout::NONE) == Err(Errno::EINTR) {}
    // ECHILD, the one error, says that somebody else has reaped it; then there is nothing to do.
    reap(pidfd).ok().flatten()
}

/// What `si_code` and `si_status` of a SIGCHLD say.
fn exit_reason(code: libc::c_int, status: libc::c_int) -> ExitReason {
    match code {
        libc::CLD_EXITED => ExitReason::Code(status),
        _ => ExitReason::Signal(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn kernel_codes_are_decoded() {
        for (code, status, expected) in [
            (libc::CLD_EXITED, 0, ExitReason::Code(0)),
            (libc::CLD_EXITED, 255, ExitReason::Code(255)),
            (libc::CLD_KILLED, libc::SIGKILL, ExitReason::Signal(9)),
            (libc::CLD_DUMPED, libc::SIGSEGV, ExitReason::Signal(11)),
            (libc::CLD_KILLED, 64, ExitReason::Signal(64)),
        ] {
            assert_eq!(exit_reason(code, status), expected);
        }
    }

    #[test]
    fn a_process_that_is_not_our_child_is_not_reaped() {
        let this_process = open(std::process::id() as i32).expect("pidfd of this process");
        assert_eq!(reap(this_process.as_fd()), Err(Errno::ECHILD));
    }

    #[test]
    fn there_is_no_pidfd_without_a_process() {
        // Above PID_MAX_LIMIT (2^22): never given to a process.
        assert_eq!(open(1 << 23).err(), Some(Errno::ESRCH));
    }
}
