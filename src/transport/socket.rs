//! A smol socket in the shape that h2 asks for (tokio's I/O traits). One read per wake-up where one is enough.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use smol::io::AsyncWrite as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sys;

/// Any stream socket: `Async<UnixStream>`, `Async<TcpStream>`.
pub struct Socket<T> {
    io: Async<T>,
    /// The last read left the kernel's buffer empty, so the next one would only say `WouldBlock`.
    drained: bool,
}

impl<T> Socket<T> {
    pub fn new(io: Async<T>) -> Self {
        Self { io, drained: false }
    }
}

impl<T: AsFd + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.drained {
                ready!(self.io.poll_readable(cx))?;
                self.drained = false;
            }
            let room = buffer.remaining();
            match sys::socket::receive(self.io.get_ref(), buffer) {
                // A short read has emptied the kernel's buffer. At the end of the stream nothing more will come.
                Ok(read) => {
                    self.drained = read > 0 && read < room;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<T> AsyncWrite for Socket<T>
where
    T: Unpin,
    Async<T>: smol::io::AsyncWrite,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
