//! Making a child that shares our memory until it executes another program: what vfork(2) does, with a stack of its
//! own, a pidfd, and a cgroup to begin in.
//!
//! The cost does not depend on the size of the parent, as no page table is copied. Rules for the child: it runs on
//! [`Stack`] and in our memory, so that it must not allocate, lock, log, panic or return; the calling thread stands
//! still until the child executes or ends (CLONE_VFORK), so that what the thread lends to it stays valid.

use super::stack::Stack;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicI32;

/// What the child runs. It gets the pointer that [`clone`] was given, and must not return.
pub type ChildMain = extern "C" fn(*mut libc::c_void) -> libc::c_int;

/// A child and its pidfd.
#[derive(Debug)]
pub struct Cloned {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// Where and how a child begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Birth<'a> {
    /// The directory of the cgroup (v2) in which it begins: clone3(2), CLONE_INTO_CGROUP, since Linux 5.7. `None` is for
    /// our own cgroups, by clone(2), for kernels and seccomp filters that refuse the former.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// CLONE_NEW…, CLONE_PARENT and CLONE_FILES, beside the flags that the module always sets.
    pub flags: libc::c_int,
}

/// Makes a child.
///
/// # Safety
/// `main` must obey the module's rules for the child, and `argument` must be what it expects.
pub unsafe fn clone(
    birth: Birth<'_>,
    stack: &Stack,
    main: ChildMain,
    argument: *mut libc::c_void,
) -> Result<Cloned, Errno> {
    let pidfd = AtomicI32::new(-1);
    // SAFETY: our caller's promise.
    let pid = unsafe { clone_to(birth, stack, main, argument, &pidfd) }?;
    // SAFETY: the clone succeeded, so that the kernel has stored a descriptor made for us alone.
    Ok(Cloned { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd.into_inner()) } })
}

/// As [`clone`], for a child that makes a child itself: it owns nothing, so that the kernel stores the pidfd where the
/// process that shares the descriptors (CLONE_FILES) finds it, whatever becomes of the maker.
///
/// # Safety
/// As for [`clone`].
pub unsafe fn clone_to(
    birth: Birth<'_>,
    stack: &Stack,
    main: ChildMain,
    argument: *mut libc::c_void,
    pidfd: &AtomicI32,
) -> Result<i32, Errno> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | birth.flags;
    let pid = match birth.cgroup {
        Some(cgroup) => {
            let arguments = Clone3Arguments {
                flags: flags as u64 | CLONE_INTO_CGROUP,
                // Exposed: the kernel gets the address as an integer and writes through it.
                pidfd: pidfd.as_ptr().expose_provenance() as u64,
                // With CLONE_PARENT it is that of the process that calls, and must not be given (clone3(2)).
                exit_signal: if flags & libc::CLONE_PARENT == 0 { libc::SIGCHLD as u64 } else { 0 },
                stack: stack.base().addr() as u64,
                stack_size: stack.bytes() as u64,
                cgroup: cgroup.as_raw_fd() as u64,
                ..Clone3Arguments::default()
            };
            // SAFETY: the stack is used by this child alone, which leaves it before the call returns (CLONE_VFORK); the
            // rest is our caller's promise.
            unsafe { raw_clone3(&arguments, main, argument) }
        }
        None => {
            let flags = flags | libc::SIGCHLD;
            // SAFETY: the stack as above. With CLONE_PIDFD the fifth argument is where the pidfd goes (clone(2)).
            unsafe { libc::clone(main, stack.top(), flags, argument, pidfd.as_ptr()) }.into()
        }
    };
    i32::try_from(Errno::result(pid)?).map_err(|_| Errno::EOVERFLOW)
}

/// Whether [`Birth::cgroup`] works under this kernel and its filters. Makes no process: it asks for a "cgroup" that is
/// none. EBADF says that the request was understood; ENOSYS, EPERM, EINVAL and E2BIG that it was not.
pub fn clone_into_works(not_a_cgroup: BorrowedFd<'_>) -> bool {
    extern "C" fn leave(_: *mut libc::c_void) -> libc::c_int {
        // SAFETY: ends this process at once, running nothing of the parent's.
        unsafe { libc::_exit(0) }
    }
    let Ok(stack) = Stack::new() else { return false };
    let birth = Birth { cgroup: Some(not_a_cgroup), flags: libc::CLONE_NEWCGROUP };
    // SAFETY: `leave` ignores its argument and does nothing but end.
    let made = unsafe { clone(birth, &stack, leave, std::ptr::null_mut()) };
    made.err() == Some(Errno::EBADF)
}

/// Too wide for the `c_int` that libc gives it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` (linux/sched.h), version 2: up to `cgroup`.
#[repr(C)]
#[derive(Default)]
struct Clone3Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// clone3, whose child calls `main(argument)` on the new stack. Answers as a system call does, but through errno.
///
/// There is no wrapper in libc. The child cannot return through the caller's frames (it has another stack), hence the
/// call from within the assembly. All registers but the result's are kept by the kernel in both processes.
///
/// # Safety
/// As for [`clone`]; `arguments` must describe a stack of the child's own and contain CLONE_VFORK.
#[cfg(target_arch = "x86_64")]
unsafe fn raw_clone3(
    arguments: &Clone3Arguments,
    main: ChildMain,
    argument: *mut libc::c_void,
) -> libc::c_long {
    let answer: libc::c_long;
    // SAFETY: the parent's path is a plain system call (rcx and r11 lost). The child's path begins at the top of a
    // stack that is aligned to 16 bytes, as the ABI wants it before a call, and never leaves this block.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") &raw const *arguments,
            in("rsi") size_of::<Clone3Arguments>(),
            in("r8") main,
            in("r9") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    into_errno(answer)
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn raw_clone3(
    arguments: &Clone3Arguments,
    main: ChildMain,
    argument: *mut libc::c_void,
) -> libc::c_long {
    let answer: libc::c_long;
    // SAFETY: the parent's path is a plain system call. The child's path begins at the top of a stack that is aligned
    // to 16 bytes, as the ABI wants it at all times, and never leaves this block.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") &raw const *arguments => answer,
            in("x1") size_of::<Clone3Arguments>(),
            in("x9") main,
            in("x10") argument,
        );
    }
    into_errno(answer)
}

/// On other CPUs there is only clone(2).
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn raw_clone3(_: &Clone3Arguments, _: ChildMain, _: *mut libc::c_void) -> libc::c_long {
    into_errno(-libc::c_long::from(libc::ENOSYS))
}

/// The kernel's answer (-errno on failure) in the form of libc's wrappers: -1 and errno.
fn into_errno(answer: libc::c_long) -> libc::c_long {
    match i32::try_from(answer) {
        Ok(negative) if (-4095..0).contains(&negative) => {
            Errno::set_raw(-negative);
            -1
        }
        _ => answer,
    }
}
