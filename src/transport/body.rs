//! The messages that a peer sends in one stream: DATA frames in, whole messages out, the window opened as bytes are
//! taken, everything bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use smol::stream::Stream;

use super::{Counter, Permit};
use crate::grpc::encoding::{Encoding, Inflate};
use crate::grpc::frame::{Deframer, PREFIX_BYTES};
use crate::grpc::status::{Code, Status};
use crate::limits::{REQUEST_BYTES_HELD_MAX, REQUEST_BYTES_MAX};

/// A stream of messages; an error is its last item.
pub struct Body {
    stream: RecvStream,
    deframer: Deframer,
    /// A compressed message that is being inflated.
    inflate: Option<Inflate>,
    /// Bytes that this stream makes us hold, counted over all streams.
    held: Permit,
    /// Of these, what the message took that was given out last.
    given: usize,
    failed: bool,
}

impl Body {
    pub(super) fn new(stream: RecvStream, encoding: Encoding, held: &Counter) -> Self {
        let deframer = Deframer::new(encoding, REQUEST_BYTES_MAX);
        Self { stream, deframer, inflate: None, held: held.permit(), given: 0, failed: false }
    }

    /// The one message of a unary or server-streaming call. It counts as held for as long as this body lives: many
    /// calls that do not end would otherwise keep a message of the largest size each.
    ///
    /// # Errors
    /// UNIMPLEMENTED for none or several: to the server that is another kind of method (gRPC spec, "Status codes
    /// and their use in gRPC").
    pub async fn only_message(&mut self) -> Result<Bytes, Status> {
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
                self.hold(after - before)?;
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
        let Some(chunk) = ready!(self.stream.poll_data(cx)) else { return Poll::Ready(Ok(None)) };
        let chunk =
            chunk.map_err(|error| Status::new(Code::Cancelled, format!("request was cut: {error}")))?;
        self.hold(chunk.len())?;
        // Fails only when the stream is gone, and then there is no window to open.
        let _ = self.stream.flow_control().release_capacity(chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        if self.held.grow(bytes) {
            return Ok(());
        }
        Err(Status::new(
            Code::ResourceExhausted,
            format!("all calls together hold {REQUEST_BYTES_HELD_MAX} bytes of requests, the limit"),
        ))
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
