//! A stream socket on smol's reactor, in the shape that h2 asks for (tokio's I/O traits). One read per wake-up where one
//! is enough. Unix or TCP does not matter: one type, so that all that is generic over it is compiled once.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use nix::errno::Errno;
use nix::sys::socket::{self, Shutdown, setsockopt, sockopt};
use nix::sys::uio;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES};
use crate::sys;

pub struct Socket {
    fd: Async<OwnedFd>,
    /// The last read left the kernel's buffer empty, so the next one would only say `WouldBlock`.
    drained: bool,
}

impl Socket {
    /// Takes a connected `UnixStream` or `TcpStream`, or any other stream socket.
    ///
    /// # Errors
    /// Those of fcntl(2) and epoll_ctl(2).
    pub fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        Ok(Self { fd: Async::new(socket.into())?, drained: false })
    }

    /// The same for TCP, where messages are small and complete: waiting to join them only adds delay.
    ///
    /// # Errors
    /// Those of [`Socket::new`] and of setsockopt(2).
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Self::new(stream)
    }

    /// Has the kernel find out when the peer of this TCP connection is there no more, whether we wait for it or have sent
    /// what it does not acknowledge. For a client: the daemon asks by itself, by PING, and knows of its peer's process, too.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn keep_alive(&self) -> io::Result<()> {
        let fd = self.fd.get_ref();
        setsockopt(fd, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_SECONDS)?;
        setsockopt(fd, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL_SECONDS)?;
        setsockopt(fd, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)?;
        let lost = KEEPALIVE_IDLE_SECONDS + KEEPALIVE_INTERVAL_SECONDS * KEEPALIVE_PROBES;
        setsockopt(fd, sockopt::TcpUserTimeout, &(lost * 1000))?;
        Ok(setsockopt(fd, sockopt::KeepAlive, &true)?)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.drained {
                ready!(self.fd.poll_readable(cx))?;
                self.drained = false;
            }
            let room = buffer.remaining();
            match sys::socket::receive(self.fd.get_ref(), buffer) {
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

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match uio::writev(self.fd.get_ref(), slices) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(Errno::EAGAIN) => ready!(self.fd.poll_writable(cx))?,
                Err(Errno::EINTR) => {}
                // A peer that has gone is EPIPE: SIGPIPE is ignored since the start of every Rust program.
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        use std::os::fd::AsRawFd;
        Poll::Ready(socket::shutdown(self.fd.get_ref().as_raw_fd(), Shutdown::Write).map_err(io::Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use std::net::TcpListener;

    #[test]
    fn the_kernel_asks_for_a_client_whether_its_daemon_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let socket = Socket::tcp(stream).expect("connected");
        let fd = socket.fd.get_ref();
        assert!(getsockopt(fd, sockopt::TcpNoDelay).expect("an option"));
        assert!(!getsockopt(fd, sockopt::KeepAlive).expect("an option"));
        socket.keep_alive().expect("options");
        assert!(getsockopt(fd, sockopt::KeepAlive).expect("an option"));
        assert_eq!(getsockopt(fd, sockopt::TcpKeepIdle), Ok(30));
        assert_eq!(getsockopt(fd, sockopt::TcpKeepInterval), Ok(10));
        assert_eq!(getsockopt(fd, sockopt::TcpKeepCount), Ok(3));
        assert_eq!(getsockopt(fd, sockopt::TcpUserTimeout), Ok(60_000));
    }
}
