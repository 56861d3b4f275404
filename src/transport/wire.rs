//! What lies between the socket and h2: every byte that a peer sends passes the scanner, floods end the connection,
//! and a peer that sends without pause lets others have their turn.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::monitor::Monitor;
use super::scanner::Scanner;

pub struct Wire<T> {
    io: T,
    scanner: Scanner,
    /// A byte that may still be rewritten when the next one is known.
    held: Option<u8>,
    /// A byte for which the caller's last buffer had no room.
    ready: Option<u8>,
    monitor: Arc<Monitor>,
}

impl<T> Wire<T> {
    pub fn new(io: T, monitor: Arc<Monitor>) -> Self {
        Self { io, scanner: Scanner::new(), held: None, ready: None, monitor }
    }

    /// Scans `bytes[from..]`, which has just arrived, and notes what it tells of the peer.
    fn inspect(&mut self, bytes: &mut [u8], from: usize) -> io::Result<bool> {
        let seen = self.scanner.scan(bytes, from);
        let now = Instant::now();
        let mut facts = self.monitor.facts();
        facts.turn.reads += 1;
        facts.turn.frames += seen.frames;
        facts.last_byte = now;
        facts.settings_seen |= seen.settings;
        facts.settings_acked |= seen.settings_ack;
        facts.frame_began = match self.scanner.is_between_frames() {
            true => None,
            false if seen.frames > 0 => Some(now),
            false => facts.frame_began.or(Some(now)),
        };
        if seen.control_frames > 0 && !facts.charge(seen.control_frames, now) {
            return Err(io::Error::other("the peer floods control frames"));
        }
        Ok(seen.hold_last)
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads behind the held byte, if there is one, and keeps back what the scanner wants to see more of.
    fn poll_scanned(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        buffer.put_slice(self.held.as_slice());
        let behind = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() == behind {
            // Nothing, an error or the end. A held byte stays held; at the end its frame is cut short anyway.
            buffer.set_filled(start);
            return read;
        }
        self.held = None;
        if self.inspect(&mut buffer.filled_mut()[start..], behind - start)? {
            let last = buffer.filled().len() - 1;
            self.held = Some(buffer.filled()[last]);
            buffer.set_filled(last);
            if last == start {
                // An empty read would mean the end of the stream.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The same for a caller that has room for one byte beside a held one.
    fn poll_scanned_narrow(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut two = [0; 2];
        let mut wide = ReadBuf::new(&mut two);
        ready!(self.poll_scanned(cx, &mut wide))?;
        let (first, second) = wide.filled().split_at(wide.filled().len().min(1));
        buffer.put_slice(first);
        self.ready = second.first().copied();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.ready.take() {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        if self.monitor.facts().turn.is_over() {
            // The connection's task has its next turn behind the others, with the streams that it has woken among them.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if buffer.remaining() < 2 {
            return self.poll_scanned_narrow(cx, buffer);
        }
        self.poll_scanned(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
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
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
