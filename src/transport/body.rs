//! The messages that a peer sends in one stream: DATA frames in, whole messages out, the window opened as bytes are
//! taken, everything bounded: what is held, and how long the peer is waited for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use smol::Timer;
use smol::stream::Stream;

use super::{Counter, Permit, Timeouts};
use crate::grpc::encoding::{Encoding, Inflate};
use crate::grpc::frame::{Deframer, PREFIX_BYTES};
use crate::grpc::status::{Code, Status};
use crate::limits::{CONNECTION_REQUEST_BYTES_MAX, REQUEST_BYTES_HELD_MAX, REQUEST_BYTES_MAX};

/// A stream of messages; an error is its last item.
pub struct Body {
    stream: RecvStream,
    deframer: Deframer,
    /// A compressed message that is being inflated.
    inflate: Option<Inflate>,
    /// Bytes that this stream makes us hold.
    held: Held,
    /// Of these, what the message took that was given out last.
    given: usize,
    failed: bool,
    /// The peer is to come to its end, and not just to that of a message that it has begun.
    is_to_end: bool,
    patience: Patience,
    /// Only while the peer keeps us waiting: most bodies come with their head.
    wait: Option<Box<Wait>>,
}

impl Body {
    pub(super) fn new(stream: RecvStream, encoding: Encoding, held: Held, timeouts: &Timeouts) -> Self {
        Self {
            stream,
            deframer: Deframer::new(encoding, REQUEST_BYTES_MAX),
            inflate: None,
            held,
            given: 0,
            failed: false,
            is_to_end: false,
            patience: Patience { stall: timeouts.body_stall, whole: timeouts.body },
            wait: None,
        }
    }

    /// The one message of a unary or server-streaming call. It counts as held for as long as this body lives: many
    /// calls that do not end would otherwise keep a message of the largest size each.
    ///
    /// # Errors
    /// UNIMPLEMENTED for none or several: to the server that is another kind of method (gRPC spec, "Status codes
    /// and their use in gRPC").
    pub async fn only_message(&mut self) -> Result<Bytes, Status> {
        self.is_to_end = true;
        let wrong = |count| {
            Status::new(
                Code::Unimplemented,
                format!("call has {count} messages; this method takes exactly one"),
            )
        };
        let message = self.message().await?.ok_or_else(|| wrong("no"))?;
        match self.message().await? {
            None => Ok(message),
            Some(_) => Err(wrong("several")),
        }
    }

    async fn message(&mut self) -> Result<Option<Bytes>, Status> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(inflate) = &mut self.inflate {
                let before = inflate.message_bytes();
                let message = inflate.step()?;
                let after = message.as_ref().map_or(inflate.message_bytes(), Vec::len);
                self.held.grow(after - before)?;
                let Some(message) = message else {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                self.inflate = None;
                self.given += message.len();
                return Poll::Ready(Ok(Some(message.into())));
            }
            match self.deframer.next_frame()? {
                Some(frame) => {
                    self.wait = None;
                    self.given += PREFIX_BYTES + frame.payload.len();
                    if !frame.compressed {
                        return Poll::Ready(Ok(Some(frame.payload)));
                    }
                    self.inflate = Some(Inflate::new(frame.payload, REQUEST_BYTES_MAX));
                }
                None => match ready!(self.poll_chunk(cx))? {
                    Some(chunk) => self.deframer.push(chunk),
                    None => return Poll::Ready(self.deframer.finish().map(|()| None)),
                },
            }
        }
    }

    /// The bytes of the next DATA frame, taken from the window.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        let Poll::Ready(chunk) = self.stream.poll_data(cx) else { return self.poll_late(cx).map(Err) };
        let Some(chunk) = chunk else { return Poll::Ready(Ok(None)) };
        let chunk =
            chunk.map_err(|error| Status::new(Code::Cancelled, format!("request was cut: {error}")))?;
        self.held.grow(chunk.len())?;
        if let Some(wait) = self.wait.as_mut().filter(|_| !chunk.is_empty()) {
            wait.moved = Instant::now();
        }
        // Fails only when the stream is gone, and then there is no window to open.
        let _ = self.stream.flow_control().release_capacity(chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }

    /// Ready when the peer has kept us waiting for too long. Between two messages of several it may take its time.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if !self.is_to_end && self.deframer.is_between_messages() {
            return Poll::Pending;
        }
        let patience = self.patience;
        self.wait.get_or_insert_with(|| Box::new(patience.begin())).poll_over(cx, patience)
    }
}

/// How long a peer may keep us waiting.
#[derive(Clone, Copy)]
struct Patience {
    stall: Duration,
    whole: Duration,
}

/// The wait for the rest of a message, or of a request.
struct Wait {
    began: Instant,
    /// When the last byte came.
    moved: Instant,
    /// Set again only when it fires, and not with each byte that comes.
    timer: Timer,
}

impl Patience {
    fn begin(self) -> Wait {
        let now = Instant::now();
        Wait { began: now, moved: now, timer: Timer::at(now + self.stall.min(self.whole)) }
    }
}

impl Wait {
    fn poll_over(&mut self, cx: &mut Context<'_>, patience: Patience) -> Poll<Status> {
        loop {
            ready!(Pin::new(&mut self.timer).poll(cx));
            let due = (self.moved + patience.stall).min(self.began + patience.whole);
            if due <= Instant::now() {
                return Poll::Ready(self.status(patience));
            }
            self.timer.set_at(due);
        }
    }

    fn status(&self, patience: Patience) -> Status {
        let text = if self.began + patience.whole <= Instant::now() {
            format!("the request was not whole within {:?}, the limit", patience.whole)
        } else {
            format!("the request is not whole, and no more of it came for {:?}, the limit", patience.stall)
        };
        Status::new(Code::DeadlineExceeded, text)
    }
}

/// Bytes of a request, counted over all streams of its connection, and over those of all connections.
pub(super) struct Held {
    of_connection: Permit,
    of_all: Permit,
}

impl Held {
    /// None yet.
    pub fn new(connection: &Counter, all: &Counter) -> Self {
        Self { of_connection: connection.permit(), of_all: all.permit() }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        let exhausted = |text| Err(Status::new(Code::ResourceExhausted, text));
        if !self.of_connection.grow(bytes) {
            return exhausted(format!(
                "the calls of this connection hold {CONNECTION_REQUEST_BYTES_MAX} bytes of requests, the limit; wait for \
                 some to end"
            ));
        }
        if !self.of_all.grow(bytes) {
            self.of_connection.give_back(bytes);
            return exhausted(format!(
                "all calls together hold {REQUEST_BYTES_HELD_MAX} bytes of requests, the limit; try again later"
            ));
        }
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        self.of_connection.give_back(bytes);
        self.of_all.give_back(bytes);
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        // Whoever asks for the next message is done with the last.
        let given = std::mem::take(&mut self.given);
        self.held.give_back(given);
        let message = ready!(self.poll_message(cx)).transpose();
        self.failed = matches!(message, Some(Err(_)));
        Poll::Ready(message)
    }
}
