//! One stream from its head to its status. Each runs as a task of its own; nothing outside waits for it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use h2::RecvStream;
use h2::server::SendResponse;
use smol::future::{self, FutureExt, poll_once};
use smol::stream::StreamExt;

use super::body::Body;
use super::monitor::Monitor;
use super::response::{Cut, Response};
use super::{Permit, Server, Service};
use crate::grpc::call::{Input, Kind, Messages, Reply};
use crate::grpc::encoding::Encoding;
use crate::grpc::frame;
use crate::grpc::head::{Head, Refusal};
use crate::grpc::status::{Code, Status};
use crate::limits::{BATCH_BYTES, STREAMS_MAX};
use crate::work::panic_text;

/// Serves one stream. `permit` is `None` when there are too many of them.
pub async fn serve<S: Service>(
    server: Arc<Server<S>>,
    request: http::Request<RecvStream>,
    respond: SendResponse<bytes::Bytes>,
    permit: Option<Permit>,
    monitor: Arc<Monitor>,
) {
    let response = Response::new(respond, monitor, permit);
    let answered = AssertUnwindSafe(answer(&server, request, response)).catch_unwind().await;
    if let Err(panic) = answered {
        // The response has been dropped with the panic, which resets the stream.
        log::error!("serving a stream panicked: {}", panic_text(&*panic));
    }
}

async fn answer<S: Service>(server: &Server<S>, request: http::Request<RecvStream>, mut response: Response) {
    let (parts, body) = request.into_parts();
    if !response.has_permit() {
        let text = format!("the daemon serves {STREAMS_MAX} streams, the limit; try again later");
        return response.end(&Status::new(Code::ResourceExhausted, text));
    }
    let head = match Head::parse(&parts) {
        Ok(head) => head,
        Err(refusal) => return response.refuse(&refusal),
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let Some(method) = server.service.method(path) else {
        let text = format!("there is no method {path:?}; reflection lists those there are");
        return response.refuse(&Refusal::Grpc(Status::new(Code::Unimplemented, text)));
    };
    response.set_timeout(head.timeout);
    let body = Body::new(body, head.encoding, &server.request_bytes);
    let call = call(server, method, body);
    let outcome = match response.until_cut(AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(Ok(Reply::One(message)))) => send_one(&mut response, &message, head.answer_encoding).await,
        Ok(Ok(Ok(Reply::Many(items)))) => pump(server, &mut response, items, head.answer_encoding).await,
        Ok(Ok(Err(status))) => Ok(status),
        Ok(Err(panic)) => Ok(panicked(path, &*panic)),
        Err(cut) => Err(cut),
    };
    match outcome {
        Ok(status) => response.end(&status),
        Err(Cut::Deadline) => response.end(&Status::new(
            Code::DeadlineExceeded,
            format!("{path} did not end within the caller's {:?}", head.timeout.unwrap_or_default()),
        )),
        // Dropping the response tells h2 that we are done with the stream.
        Err(Cut::Reset) => log::debug!("{path}: the caller has gone"),
    }
}

async fn call<S: Service>(server: &Server<S>, method: S::Method, mut body: Body) -> Result<Reply, Status> {
    let input = match server.service.kind(method) {
        Kind::Unary | Kind::ServerStreaming => Input::One(body.only_message().await?),
        Kind::Bidirectional => Input::Many(Box::pin(body)),
    };
    server.service.call(method, input).await
}

fn panicked(path: &str, panic: &(dyn Any + Send)) -> Status {
    log::error!("{path} panicked: {}", panic_text(panic));
    Status::new(Code::Internal, format!("{path} failed inside the daemon; its log says more"))
}

async fn send_one(response: &mut Response, message: &[u8], accepted: Encoding) -> Result<Status, Cut> {
    let mut buffer = BytesMut::new();
    frame::append(message, accepted, &mut buffer);
    // The flag of the only message says whether the header is needed.
    let compressed = buffer.first().is_some_and(|flag| *flag == 1);
    response.start(if compressed { Encoding::Gzip } else { Encoding::Identity })?;
    response.send(buffer.freeze()).await?;
    Ok(Status::ok())
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
    future::or(send_all(response, items, encoding), stopped).await
}

/// Items that are ready together travel together.
async fn send_all(response: &mut Response, items: Messages, encoding: Encoding) -> Result<Status, Cut> {
    let mut batches = Batches { items, encoding, ended: None };
    let mut batch = poll_once(batches.next()).await;
    loop {
        // A stream that ends at once is answered by its status alone; any other shows that it has begun.
        if !matches!(&batch, Some(None)) || response.has_started() {
            response.start(encoding)?;
        }
        match batch {
            Some(Some(bytes)) => response.send(bytes.freeze()).await?,
            Some(None) => return Ok(batches.ended.unwrap_or_else(Status::ok)),
            None => {}
        }
        batch = Some(response.until_cut(batches.next()).await?);
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
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<bytes::Bytes, Status>>> {
        let items: &mut Pin<Box<_>> = &mut self.items;
        std::panic::catch_unwind(AssertUnwindSafe(|| items.poll_next(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Some(Err(panicked("a stream", &*panic)))))
    }
}
