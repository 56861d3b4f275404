//! Mounts as objects (open_tree(2), move_mount(2), since Linux 5.2): one is taken before what it comes from goes.

use nix::errno::Errno;
use nix::libc;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A mount of this directory that is attached nowhere, and goes with its descriptor.
pub fn detached(directory: &CStr) -> Result<OwnedFd, Errno> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: reads a path that ends in NUL.
    let made = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, directory.as_ptr(), flags) };
    let made = RawFd::try_from(Errno::result(made)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Attaches a mount from [`detached`] to a directory.
pub fn attach(mount: BorrowedFd<'_>, directory: &CStr) -> Result<(), Errno> {
    let (from, to, none) = (mount.as_raw_fd(), directory.as_ptr(), c"".as_ptr());
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: reads two paths that end in NUL.
    let moved = unsafe { libc::syscall(libc::SYS_move_mount, from, none, libc::AT_FDCWD, to, flags) };
    Errno::result(moved).map(drop)
}

/// A path in the text of /proc/PID/mountinfo (proc_pid_mountinfo(5)), where space, tab, newline and backslash stand as
/// three octal digits.
pub fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}
