//! A stack for a child that shares our memory until it executes another program.

use super::failpoint::check;
use nix::errno::Errno;
use nix::libc;
use std::cell::Cell;
use std::ptr::NonNull;

/// Bytes of stack. The child calls a handful of system-call wrappers, whose frames are far below a page each.
const STACK_BYTES: usize = 32 * 1024;

/// Bytes below the stack that fault. 64 KiB is the largest page that Linux uses on the CPUs that we run on.
const GUARD_BYTES: usize = 64 * 1024;

/// Mapped memory with an inaccessible part below it, unmapped when dropped.
#[derive(Debug)]
pub struct Stack {
    lowest: NonNull<libc::c_void>,
}

thread_local! {
    /// To map and unmap one takes longer than most of a start: others that run in this memory have to be told.
    static KEPT: Cell<Option<Stack>> = const { Cell::new(None) };
}

impl Stack {
    /// The one that this thread has kept, or a new one.
    pub fn kept_or_new() -> Result<Self, Errno> {
        KEPT.take().map_or_else(Self::new, Ok)
    }

    /// Keeps it for the next child of this thread.
    pub fn keep(self) {
        KEPT.set(Some(self));
    }

    pub fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        let bytes = GUARD_BYTES + STACK_BYTES;
        check("map a stack")?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice replaces no other.
        let lowest = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self { lowest: NonNull::new(lowest).ok_or(Errno::ENOMEM)? };
        let usable = stack.base();
        // SAFETY: the range is the upper part of the mapping made above, which nobody uses yet.
        let opened = unsafe { libc::mprotect(usable, STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE) };
        Errno::result(opened)?;
        Ok(stack)
    }

    /// The lowest address that may be used, as clone3(2) wants it.
    pub fn base(&self) -> *mut libc::c_void {
        // SAFETY: the mapping is GUARD_BYTES + STACK_BYTES long, so that this stays inside it.
        unsafe { self.lowest.as_ptr().byte_add(GUARD_BYTES) }
    }

    /// Bytes that may be used from [`Stack::base`] up.
    pub fn bytes(&self) -> usize {
        STACK_BYTES
    }

    /// One past the highest address, as clone(2) wants it. Aligned to a page, hence to 16 bytes.
    pub fn top(&self) -> *mut libc::c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.base().byte_add(STACK_BYTES) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and its user (a vfork child) has left it: see `clone`.
        unsafe { libc::munmap(self.lowest.as_ptr(), GUARD_BYTES + STACK_BYTES) };
    }
}
