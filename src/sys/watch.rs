//! Waiting for a kernel file to change, through a descriptor that any reactor can wait on.
//!
//! Files such as `cgroup.events` signal a change as POLLPRI and are always POLLIN, so that a reactor that asks for
//! readability would spin. An epoll descriptor that asks for EPOLLPRI alone is itself readable exactly when the file
//! has changed since it was last read (epoll(7), "nested"; kernel: `kernfs_generic_poll`).

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// A kernel file and a descriptor that is readable when the file has changed since the last [`ChangeWatch::read`], and
/// from when another descriptor is.
#[derive(Debug)]
pub struct ChangeWatch {
    file: File,
    epoll: Epoll,
}

impl ChangeWatch {
    /// Watches `file`, and `other` for being readable. Read the file before the first wait: a change counts from the
    /// last read. `other` must stay open as long as the watch.
    pub fn new(file: File, other: BorrowedFd<'_>) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&file, EpollEvent::new(EpollFlags::EPOLLPRI, 0))?;
        epoll.add(other, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        Ok(Self { file, epoll })
    }

    /// Reads the file from its start, as much as fits, and so acknowledges the change.
    ///
    /// ENODEV says that the file has been removed meanwhile.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, 0)
    }
}

impl AsFd for ChangeWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
