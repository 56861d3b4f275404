//! One stream from its head to its status. Each runs as a task of its own; nothing outside waits for it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::uri::PathAndQuery;
use smol::future::{self, FutureExt, poll_once};
use smol::stream::StreamExt;

use super::body::{Body, Held};
use super::monitor::Monitor;
use super::response::{Cut, Response};
use super::{Counter, Permit, Server, Service};
use crate::grpc::call::{Input, Kind, Messages, Reply};
use crate::grpc::encoding::Encoding;
use crate::grpc::frame;
use crate::grpc::head::Head;
use crate::grpc::status::{Code, Status};
use crate::limits::{ANSWER_BYTES_HELD_MAX, BATCH_BYTES, STREAM_ANSWER_BYTES, STREAMS_MAX};
use crate::work::panic_text;

/// Reads a request's head. A bad one is answered here and now; for any other a task starts that waits for the body and
/// the answer. `permit` is `None` when there are too many streams.
pub fn serve<S: Service>(
    server: &Arc<Server<S>>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    permit: Option<Permit>,
    monitor: Arc<Monitor>,
) {
    let (parts, body) = request.into_parts();
    let held = Held::new(&monitor.request_bytes, &server.request_bytes);
    let mut response = Response::new(respond, monitor, permit);
    if !response.has_permit() {
        let text = format!("the daemon serves {STREAMS_MAX} streams, the limit; try again later");
        return response.end(&Status::new(Code::ResourceExhausted, text));
    }
    let head = match Head::parse(&parts) {
        Ok(head) => head,
        Err(refusal) => return response.refuse(&refusal),
    };
    let path = parts.uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let Some(method) = server.service.method(path.as_str()) else {
        let text = format!("there is no method {:?}; reflection lists those there are", path.as_str());
        return response.end(&Status::new(Code::Unimplemented, text));
    };
    response.set_timeout(head.timeout);
    let body = Box::new(Body::new(body, head.encoding, held, &server.timeouts));
    let call = Call { server: server.clone(), method, path, head, body, response };
    server.tasks.spawn("a stream", call.run());
}

/// A request whose head is good. Kept small, since each open stream holds one: of the headers only the path is left.
struct Call<S: Service> {
    server: Arc<Server<S>>,
    method: S::Method,
    path: PathAndQuery,
    head: Head,
    body: Box<Body>,
    response: Response,
}

impl<S: Service> Call<S> {
    /// To the one status. A panic drops the response, which resets the stream.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its argument twice")]
    fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let answered = AssertUnwindSafe(answer(&self.server, self.method, self.body));
            let answered = pin!(answered.catch_unwind());
            let response = &mut self.response;
            let outcome = match response.until_cut(answered).await {
                Ok(Ok(Ok(Reply::One(message)))) => {
                    send_one(&self.server, response, message, self.head.answer_encoding).await
                }
                Ok(Ok(Ok(Reply::Many(items)))) => {
                    pump(&self.server, response, items, self.head.answer_encoding).await
                }
                Ok(Ok(Err(status))) => Ok(status),
                Ok(Err(panic)) => Ok(panicked(self.path.as_str(), &*panic)),
                Err(cut) => Err(cut),
            };
            match outcome {
                Ok(status) => self.response.end(&status),
                Err(Cut::Deadline) => self.response.end(&Status::new(
                    Code::DeadlineExceeded,
                    format!(
                        "{} did not end within the caller's {:?}",
                        self.path,
                        self.head.timeout.unwrap_or_default()
                    ),
                )),
                // Dropping the response tells h2 that we are done with the stream.
                Err(Cut::Reset) => log::debug!("{}: the caller has gone", self.path),
            }
        }
    }
}

async fn answer<S: Service>(
    server: &Server<S>,
    method: S::Method,
    mut body: Box<Body>,
) -> Result<Reply, Status> {
    let input = match server.service.kind(method) {
        Kind::Unary | Kind::ServerStreaming => Input::One(body.only_message().await?),
        Kind::Bidirectional => return server.service.call(method, Input::Many(Box::into_pin(body))).await,
    };
    server.service.call(method, input).await
}

fn panicked(path: &str, panic: &(dyn Any + Send)) -> Status {
    log::error!("{path} panicked: {}", panic_text(panic));
    Status::new(Code::Internal, format!("{path} failed inside the daemon; its log says more"))
}

async fn send_one<S: Service>(
    server: &Server<S>,
    response: &mut Response,
    message: Bytes,
    accepted: Encoding,
) -> Result<Status, Cut> {
    let mut held = match hold(&server.answer_bytes, frame::PREFIX_BYTES + message.len()) {
        Ok(held) => held,
        Err(status) => return Ok(status),
    };
    let bytes = framed(message, accepted);
    if let Some(held) = &mut held {
        held.shrink_to(bytes.len());
    }
    // The flag of the only message says whether the header is needed.
    let compressed = bytes.first().is_some_and(|flag| *flag == 1);
    response.start(if compressed { Encoding::Gzip } else { Encoding::Identity })?;
    response.send(bytes, held).await?;
    Ok(Status::ok())
}

/// Takes the message, so that only one copy of it waits for the peer.
fn framed(message: Bytes, accepted: Encoding) -> Bytes {
    let mut buffer = BytesMut::new();
    frame::append(&message, accepted, &mut buffer);
    buffer.freeze()
}

/// A place for so many bytes of an answer; few have theirs with their stream.
fn hold(answers: &Counter, bytes: usize) -> Result<Option<Permit>, Status> {
    if bytes <= STREAM_ANSWER_BYTES {
        return Ok(None);
    }
    let mut held = answers.permit();
    if held.grow(bytes) {
        return Ok(Some(held));
    }
    let text = format!(
        "the answer has {bytes} bytes, and all answers that wait to be read may have {ANSWER_BYTES_HELD_MAX}, the limit"
    );
    Err(Status::new(Code::ResourceExhausted, text))
}

/// Sends items until the publisher ends, the peer goes, the deadline passes or the daemon stops, also while the peer
/// does not take what is sent.
async fn pump<S: Service>(
    server: &Server<S>,
    response: &mut Response,
    items: Messages,
    encoding: Encoding,
) -> Result<Status, Cut> {
    let stopped = async {
        server.stop.ordered().await;
        Ok(Status::new(Code::Unavailable, "the daemon is stopping"))
    };
    future::or(send_all(&server.answer_bytes, response, items, encoding), stopped).await
}

/// Items that are ready together travel together.
async fn send_all(
    answers: &Counter,
    response: &mut Response,
    items: Messages,
    encoding: Encoding,
) -> Result<Status, Cut> {
    let mut batches = Batches { items, encoding, ended: None };
    let mut batch = poll_once(batches.next()).await;
    loop {
        // A stream that ends at once is answered by its status alone; any other shows that it has begun.
        if !matches!(&batch, Some(None)) || response.has_started() {
            response.start(encoding)?;
        }
        match batch {
            Some(Some(bytes)) => match hold(answers, bytes.len()) {
                Ok(held) => response.send(bytes.freeze(), held).await?,
                Err(status) => return Ok(status),
            },
            Some(None) => return Ok(batches.ended.unwrap_or_else(Status::ok)),
            None => {}
        }
        let next = pin!(batches.next());
        batch = Some(response.until_cut(next).await?);
    }
}

/// Joins the items that are ready into one buffer.
struct Batches {
    items: Messages,
    encoding: Encoding,
    ended: Option<Status>,
}

impl Batches {
    /// The next bytes to send; `None` when the stream has ended (`ended` says how).
    fn next(&mut self) -> impl Future<Output = Option<BytesMut>> + '_ {
        let mut batch = BytesMut::new();
        std::future::poll_fn(move |cx| self.poll_next(cx, &mut batch))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, batch: &mut BytesMut) -> Poll<Option<BytesMut>> {
        while self.ended.is_none() && batch.len() < BATCH_BYTES {
            match self.poll_item(cx) {
                Poll::Ready(Some(Ok(message))) => frame::append(&message, self.encoding, batch),
                Poll::Ready(Some(Err(status))) => self.ended = Some(status),
                Poll::Ready(None) => self.ended = Some(Status::ok()),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let bytes = std::mem::take(batch);
        Poll::Ready(if bytes.is_empty() { None } else { Some(bytes) })
    }

    /// A publisher that panics ends its stream with INTERNAL.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let items: &mut Pin<Box<_>> = &mut self.items;
        std::panic::catch_unwind(AssertUnwindSafe(|| items.poll_next(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Some(Err(panicked("a stream", &*panic)))))
    }
}
