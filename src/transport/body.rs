//! The messages that a peer sends in one stream: DATA frames in, whole messages out, the window opened as bytes are
//! taken, everything bounded.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use smol::stream::{Stream, StreamExt};

use super::{Counter, Permit};
use crate::grpc::encoding::{Encoding, Inflate};
use crate::grpc::frame::Deframer;
use crate::grpc::status::{Code, Status};
use crate::limits::{REQUEST_BYTES_HELD_MAX, REQUEST_BYTES_MAX};

/// A stream of messages; an error is its last item.
pub struct Body {
    stream: RecvStream,
    deframer: Deframer,
    /// A compressed message that is being inflated.
    inflate: Option<Inflate>,
    /// Bytes of the message that is not whole yet, counted over all streams.
    held: Permit,
    failed: bool,
}

impl Body {
    pub(super) fn new(stream: RecvStream, encoding: Encoding, held: &Counter) -> Self {
        let deframer = Deframer::new(encoding, REQUEST_BYTES_MAX);
        Self { stream, deframer, inflate: None, held: held.permit(), failed: false }
    }

    /// The one message of a unary or server-streaming call.
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
        let message = self.next().await.ok_or_else(|| wrong("no"))??;
        match self.next().await {
            None => Ok(message),
            Some(Ok(_)) => Err(wrong("several")),
            Some(Err(status)) => Err(status),
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(inflate) = &mut self.inflate {
                let Some(message) = inflate.step()? else {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                };
                self.inflate = None;
                return Poll::Ready(Ok(Some(message.into())));
            }
            match self.deframer.next_frame()? {
                Some(frame) => {
                    self.held.give_back();
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
        if !self.held.grow(chunk.len()) {
            return Poll::Ready(Err(Status::new(
                Code::ResourceExhausted,
                format!(
                    "all calls together hold {REQUEST_BYTES_HELD_MAX} bytes of unfinished requests, the limit"
                ),
            )));
        }
        // Fails only when the stream is gone, and then there is no window to open.
        let _ = self.stream.flow_control().release_capacity(chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let message = ready!(self.poll_message(cx)).transpose();
        self.failed = matches!(message, Some(Err(_)));
        Poll::Ready(message)
    }
}
