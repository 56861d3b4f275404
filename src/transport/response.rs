//! The sending half of one stream: headers, DATA as the peer grants capacity, one status. And what cuts it short:
//! the peer's reset, the deadline, the daemon's stop.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response as HttpResponse, StatusCode, header};
use smol::Timer;
use smol::future::FutureExt;

use super::Stop;
use super::monitor::Monitor;
use crate::grpc::encoding::{ACCEPTED, Encoding, GRPC_ACCEPT_ENCODING, GRPC_ENCODING, GZIP};
use crate::grpc::head::{CONTENT_TYPE_GRPC, Refusal};
use crate::grpc::status::{Code, Status};
use crate::limits::SEND_BUFFER_BYTES;

pub struct Response {
    half: Half,
    deadline: Option<Timer>,
    /// Set for a stream of messages: it ends when the daemon stops, where a single message is still sent.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    monitor: Arc<Monitor>,
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
    /// The daemon is stopping, and this is a stream.
    Stopping,
}

impl Response {
    pub fn new(respond: SendResponse<Bytes>, monitor: Arc<Monitor>) -> Self {
        Self { half: Half::Head(respond), deadline: None, stop: None, monitor }
    }

    /// Counts the caller's time from now on.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.map(Timer::after);
    }

    /// From now on the stop of the daemon cuts the answer short.
    pub fn end_on(&mut self, stop: Stop) {
        self.stop = Some(Box::pin(async move { stop.ordered().await }));
    }

    pub fn has_started(&self) -> bool {
        matches!(self.half, Half::Body(_))
    }

    /// Drives `work` until it is done, or there is nobody to do it for.
    pub async fn until_cut<F: Future>(&mut self, work: F) -> Result<F::Output, Cut> {
        let mut work = pin!(work);
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
        let stream = respond.send_response(headers, false).map_err(|_| Cut::Reset)?;
        self.monitor.frame_sent();
        self.half = Half::Body(stream);
        Ok(())
    }

    /// Sends bytes as the peer takes them: no more than the send buffer lies ready at any time.
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<(), Cut> {
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
                    stream.send_data(chunk, false).map_err(|_| Cut::Reset)?;
                    self.monitor.frame_sent();
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
        if self.deadline.as_mut().is_some_and(|deadline| deadline.poll(cx).is_ready()) {
            return Poll::Ready(Cut::Deadline);
        }
        match &mut self.stop {
            Some(stop) => stop.as_mut().poll(cx).map(|()| Cut::Stopping),
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
                let _ = respond.send_response(response, true);
            }
            Half::Body(mut stream) => {
                stream.reserve_capacity(0);
                let _ = stream.send_trailers(status.to_trailers());
            }
        }
        self.monitor.frame_sent();
    }

    /// Answers a request that is no call of ours.
    pub fn refuse(self, refusal: &Refusal) {
        match refusal {
            Refusal::Grpc(status) => self.end(status),
            Refusal::Http(code, text) => self.end_http(*code, text),
        }
    }

    /// A plain HTTP answer. Strict clients take one without DATA for malformed.
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
        if let Ok(mut stream) = respond.send_response(response, false) {
            // The texts are shorter than any window, so h2 has no more to keep than they are long.
            let _ = stream.send_data(Bytes::from_static(text.as_bytes()), true);
        }
        self.monitor.frame_sent();
    }
}

fn grpc_response() -> HttpResponse<()> {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE_GRPC);
    let mut response = HttpResponse::new(());
    *response.headers_mut() = headers;
    response
}
