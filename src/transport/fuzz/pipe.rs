//! A connection in memory: the daemon's end is what h2 reads and writes, the peer's end is the fuzz body's.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a peer leaves unread before our writes wait, as a socket's buffer would.
pub const UNREAD_BYTES_MAX: usize = 4 << 10;

/// Both ends of the pipe; clones are the same pipe.
#[derive(Clone, Default)]
pub struct Pipe(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inbound: VecDeque<u8>,
    /// The peer sends no more.
    ended: bool,
    /// The peer has gone: nothing can be written to it.
    cut: bool,
    /// All that was ever written, of which the peer has read the first `read` bytes.
    outbound: Vec<u8>,
    read: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// The peer sends.
    pub fn feed(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.inbound.extend(bytes);
        wake(&mut state.reader);
    }

    /// The peer reads up to `limit` bytes. Says whether there were any.
    pub fn drain(&self, limit: usize) -> bool {
        let mut state = self.state();
        let amount = limit.min(state.outbound.len() - state.read);
        state.read += amount;
        wake(&mut state.writer);
        amount > 0
    }

    /// Whether the daemon has yet to read some of what the peer has sent.
    pub fn has_unread(&self) -> bool {
        !self.state().inbound.is_empty()
    }

    /// The peer closes its sending half, and with `cut` the other one too.
    pub fn end(&self, cut: bool) {
        let mut state = self.state();
        state.ended = true;
        state.cut = cut;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// All that the daemon has written.
    pub fn written(&self) -> Vec<u8> {
        self.state().outbound.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.inbound.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (first, _) = state.inbound.as_slices();
        let amount = first.len().min(buffer.remaining());
        buffer.put_slice(&first[..amount]);
        state.inbound.drain(..amount);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.cut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let amount = bytes.len().min(UNREAD_BYTES_MAX - (state.outbound.len() - state.read));
        if amount == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.outbound.extend_from_slice(&bytes[..amount]);
        Poll::Ready(Ok(amount))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
