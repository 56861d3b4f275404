//! The sending half of one stream: headers, DATA as the peer grants capacity, one status. And what cuts it short:
//! the peer's reset, and the deadline.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response as HttpResponse, StatusCode, header};
use smol::Timer;
use smol::future::FutureExt;

use super::Permit;
use super::monitor::Monitor;
use crate::grpc::encoding::{ACCEPTED, Encoding, GRPC_ACCEPT_ENCODING, GRPC_ENCODING, GZIP};
use crate::grpc::head::{CONTENT_TYPE_GRPC, Refusal};
use crate::grpc::status::{Code, Status};
use crate::limits::SEND_BUFFER_BYTES;

pub struct Response {
    half: Half,
    deadline: Option<Timer>,
    monitor: Arc<Monitor>,
    permit: Option<Arc<Permit>>,
}

/// Bytes on their way out, which keep the place of their stream and their own: h2 may hold them long after the call has
/// ended, for as long as the peer does not read, and a part of them keeps them all.
struct Outgoing {
    bytes: Bytes,
    #[expect(dead_code, reason = "held for its drop")]
    permit: Option<Arc<Permit>>,
    #[expect(dead_code, reason = "held for its drop")]
    held: Option<Permit>,
}

impl AsRef<[u8]> for Outgoing {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

enum Half {
    /// Nothing has been sent.
    Head(SendResponse<Bytes>),
    /// Headers have been sent.
    Body(SendStream<Bytes>),
}

/// Why an answer was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The peer has reset the stream or is gone: nobody is left to tell.
    Reset,
    /// The caller's deadline has passed.
    Deadline,
}

impl Response {
    /// `permit` is the stream's place among all that are served; it is given back when neither we nor h2 hold anything
    /// of the answer that could be large.
    pub(super) fn new(respond: SendResponse<Bytes>, monitor: Arc<Monitor>, permit: Option<Permit>) -> Self {
        Self { half: Half::Head(respond), deadline: None, monitor, permit: permit.map(Arc::new) }
    }

    /// Whether there is a place for the stream.
    pub fn has_permit(&self) -> bool {
        self.permit.is_some()
    }

    /// Counts the caller's time from now on.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.map(Timer::after);
    }

    pub fn has_started(&self) -> bool {
        matches!(self.half, Half::Body(_))
    }

    /// Drives `work` until it is done, or there is nobody to do it for.
    pub async fn until_cut<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Cut> {
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_cut(cx).map(Err),
        })
        .await
    }

    /// Sends the headers of an answer that has messages.
    pub fn start(&mut self, encoding: Encoding) -> Result<(), Cut> {
        let Half::Head(respond) = &mut self.half else { return Ok(()) };
        let mut headers = grpc_response();
        if encoding == Encoding::Gzip {
            headers.headers_mut().insert(GRPC_ENCODING, GZIP);
        }
        let stream = self.monitor.note_sent(respond.send_response(headers, false)).ok_or(Cut::Reset)?;
        self.half = Half::Body(stream);
        Ok(())
    }

    /// Sends bytes as the peer takes them: no more than the send buffer lies ready at any time. `held` is their place
    /// among all answers, given back when none of them is left.
    pub(super) async fn send(&mut self, bytes: Bytes, held: Option<Permit>) -> Result<(), Cut> {
        let mut bytes = Bytes::from_owner(Outgoing { bytes, permit: self.permit.clone(), held });
        poll_fn(|cx| self.poll_send(cx, &mut bytes)).await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<Result<(), Cut>> {
        while !bytes.is_empty() {
            let Half::Body(stream) = &mut self.half else { return Poll::Ready(Err(Cut::Reset)) };
            stream.reserve_capacity(bytes.len().min(SEND_BUFFER_BYTES));
            let granted = match stream.capacity() {
                0 => stream.poll_capacity(cx),
                ready => Poll::Ready(Some(Ok(ready))),
            };
            match granted {
                Poll::Ready(Some(Ok(capacity))) => {
                    let chunk = bytes.split_to(capacity.min(bytes.len()));
                    self.monitor.note_sent(stream.send_data(chunk, false)).ok_or(Cut::Reset)?;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Cut::Reset)),
                Poll::Pending => return self.poll_cut(cx).map(Err),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        let reset = match &mut self.half {
            Half::Head(respond) => respond.poll_reset(cx),
            Half::Body(stream) => stream.poll_reset(cx),
        };
        if reset.is_ready() {
            return Poll::Ready(Cut::Reset);
        }
        match &mut self.deadline {
            Some(deadline) => deadline.poll(cx).map(|_| Cut::Deadline),
            None => Poll::Pending,
        }
    }

    /// Ends the stream with its one status: in trailers, or in the headers when nothing has been sent
    /// ("Trailers-Only").
    pub fn end(self, status: &Status) {
        // An error below means that the peer has gone: there is nobody left to tell.
        match self.half {
            Half::Head(mut respond) => {
                let mut response = grpc_response();
                response.headers_mut().extend(status.to_trailers());
                if status.code == Code::Unimplemented {
                    response.headers_mut().insert(GRPC_ACCEPT_ENCODING, ACCEPTED);
                }
                self.monitor.note_sent(respond.send_response(response, true));
            }
            Half::Body(mut stream) => {
                stream.reserve_capacity(0);
                self.monitor.note_sent(stream.send_trailers(status.to_trailers()));
            }
        }
    }

    /// Answers a request that is no call of ours.
    pub fn refuse(self, refusal: &Refusal) {
        match refusal {
            Refusal::Grpc(status) => self.end(status),
            Refusal::Http(code, text) => self.end_http(*code, text),
        }
    }

    /// A plain HTTP answer. Strict clients take one without DATA for malformed, unless they asked with HEAD.
    fn end_http(self, code: StatusCode, text: &'static str) {
        let Half::Head(mut respond) = self.half else { return };
        let mut response = HttpResponse::new(());
        *response.status_mut() = code;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, text.len().into());
        if code == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        }
        let is_whole = text.is_empty();
        let Some(mut stream) = self.monitor.note_sent(respond.send_response(response, is_whole)) else {
            return;
        };
        if !is_whole {
            // Where the window is shut, h2 keeps no more than the text, which is static.
            self.monitor.note_sent(stream.send_data(Bytes::from_static(text.as_bytes()), true));
        }
    }
}

fn grpc_response() -> HttpResponse<()> {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE_GRPC);
    let mut response = HttpResponse::new(());
    *response.headers_mut() = headers;
    response
}
