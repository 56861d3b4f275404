//! The C library's heap.

/// Gives free heap pages back to the kernel (malloc_trim(3)). glibc keeps what a burst needed until asked; other C
/// libraries give it back by themselves.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions and takes the allocator's own locks.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
