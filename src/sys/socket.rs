//! Socket calls that the standard library has no safe form of.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use tokio::io::ReadBuf;

/// Receives into the unfilled part of `buffer` without zeroing it first (recv(2)). Returns how many bytes came;
/// 0 is the end of the stream, or a full buffer.
///
/// # Errors
/// Those of recv(2), `WouldBlock` among them.
pub fn receive(socket: &impl AsFd, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: the slice is only written to, by the kernel, and never de-initialised.
    let room = unsafe { buffer.unfilled_mut() };
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `room` is writable for its whole length, and `fd` is open while it is borrowed.
    let received = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), 0) };
    let Ok(received) = usize::try_from(received) else { return Err(io::Error::last_os_error()) };
    // SAFETY: the kernel has written that many bytes at the start of the unfilled part.
    unsafe { buffer.assume_init(received) };
    buffer.advance(received);
    Ok(received)
}
