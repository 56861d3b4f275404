//! Signal masks and dispositions by the raw system calls.
//!
//! glibc's wrappers hide the two signals that it keeps for itself (32 and 33). Around a clone that shares memory these
//! must be blocked and reset like all others, hence no wrapper here.

use nix::errno::Errno;
use nix::libc;

/// A signal set as the kernel has it: bit n-1 is signal n.
type KernelSet = u64;

/// `sizeof(sigset_t)` of the kernel (not of libc).
const KERNEL_SET_BYTES: usize = size_of::<KernelSet>();

/// The highest signal number of the kernel (`_NSIG`).
const SIGNAL_MAX: libc::c_int = 64;

/// The kernel's `struct sigaction`, zeroed: SIG_DFL, no flags, no restorer, empty mask. Long enough for every CPU.
const DEFAULT_ACTION: [u64; 4] = [0; 4];

/// All signals blocked in this thread, until dropped.
#[derive(Debug)]
pub struct AllBlocked {
    before: KernelSet,
}

impl AllBlocked {
    pub fn new() -> Result<Self, Errno> {
        let mut before = 0;
        set_mask(KernelSet::MAX, &mut before)?;
        Ok(Self { before })
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // It can only fail for a bad pointer or size; both are right here.
        let _ = set_mask(self.before, &mut 0);
    }
}

/// Unblocks all signals in this thread. For the child between clone and exec: allocates and locks nothing.
pub fn unblock_all() -> Result<(), Errno> {
    set_mask(0, &mut 0)
}

/// Signals that do something else than they do by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disposed(KernelSet);

impl Disposed {
    /// Those of this process: what is ignored, such as the SIGPIPE that Rust's runtime ignores, and what is handled.
    pub fn now() -> Self {
        let is_disposed = |signal: &libc::c_int| action_of(*signal) != DEFAULT_ACTION;
        Self((1..=SIGNAL_MAX).filter(is_disposed).fold(0, |set, signal| set | bit(signal)))
    }

    /// Gives them their default action. For the child between clone and exec: allocates and locks nothing.
    ///
    /// The child has dispositions of its own (no CLONE_SIGHAND). execve(2) would reset handlers, but late, and keeps what
    /// is ignored.
    pub fn reset(self) {
        for signal in (1..=SIGNAL_MAX).filter(|signal| self.0 & bit(*signal) != 0) {
            let no_old = std::ptr::null_mut::<u64>();
            // SAFETY: `DEFAULT_ACTION` is at least as long as the kernel's struct sigaction, and SIG_DFL runs no code.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    DEFAULT_ACTION.as_ptr(),
                    no_old,
                    KERNEL_SET_BYTES,
                )
            };
        }
    }
}

fn bit(signal: libc::c_int) -> KernelSet {
    1 << (signal - 1)
}

fn action_of(signal: libc::c_int) -> [u64; 4] {
    let mut action = DEFAULT_ACTION;
    // SAFETY: the array is at least as long as the kernel's struct sigaction, and nothing is changed.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            std::ptr::null::<u64>(),
            action.as_mut_ptr(),
            KERNEL_SET_BYTES,
        )
    };
    action
}

fn set_mask(mask: KernelSet, before: &mut KernelSet) -> Result<(), Errno> {
    let (mask, before) = (&raw const mask, &raw mut *before);
    // SAFETY: both point to a kernel signal set of the size passed, valid for the whole call.
    let set =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, mask, before, KERNEL_SET_BYTES) };
    Errno::result(set).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_disposed_is_what_the_kernel_says() {
        let status = std::fs::read_to_string("/proc/self/status").expect("own status");
        let set = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a set of signals");
            KernelSet::from_str_radix(line.trim(), 16).expect("hexadecimal")
        };
        let (ignored, handled) = (set("SigIgn:"), set("SigCgt:"));
        assert_ne!(ignored & bit(libc::SIGPIPE), 0, "Rust's runtime ignores it");
        assert_eq!(Disposed::now(), Disposed(ignored | handled));
    }

    #[test]
    fn everything_is_blocked_and_then_as_before() {
        let mask = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").expect("own status");
            status.lines().find_map(|l| l.strip_prefix("SigBlk:\t").map(str::to_owned)).expect("SigBlk")
        };
        let before = mask();
        let blocked = AllBlocked::new().expect("block");
        // All but SIGKILL (9) and SIGSTOP (19), which cannot be.
        assert_eq!(mask(), "fffffffffffbfeff");
        drop(blocked);
        assert_eq!(mask(), before);
    }
}
