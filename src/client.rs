//! A gRPC client for one daemon: one connection, any number of calls. `aer` and the tests use it.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{self, ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use smol::future::FutureExt;
use smol::stream::{Stream, StreamExt};
use smol::{Executor, Task, Timer};

use crate::grpc::call::Messages;
use crate::grpc::encoding::Encoding;
use crate::grpc::frame::{self, Deframer};
use crate::grpc::head::{CONTENT_TYPE_GRPC, GRPC_TIMEOUT, format_timeout};
use crate::grpc::status::{Code, Status};
use crate::limits::{ANSWER_BYTES_MAX, SMALL_FRAME_CHARGE, WINDOW_BYTES};
use crate::proto;
use crate::transport::Socket;
use crate::transport::listen::Address;

/// A daemon that lets a call expire says so itself, and may know more; its answer gets so long to arrive before we
/// give up on a daemon that says nothing.
const ANSWER_DELAY: Duration = Duration::from_millis(250);

/// A connection to a daemon. Calls fail with UNAVAILABLE when it is lost.
pub struct Channel {
    requests: SendRequest<Bytes>,
    timeout: Option<Duration>,
    /// Moves the frames; ends with the channel.
    _driver: Task<()>,
}

impl Channel {
    /// Connects. `timeout` bounds the connecting and each unary call, and is told to the daemon.
    ///
    /// # Errors
    /// UNAVAILABLE, saying where it tried and why that failed.
    pub async fn connect(
        address: &Address,
        timeout: Option<Duration>,
        executor: &Executor<'static>,
    ) -> Result<Self, Status> {
        let failed = |error: std::io::Error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                    "; does auraed run there?"
                }
                std::io::ErrorKind::PermissionDenied => "; the socket belongs to the user that runs auraed",
                _ => "",
            };
            Status::new(Code::Unavailable, format!("cannot connect to {address}: {error}{hint}"))
        };
        let timed_out = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let connect = async {
            match address {
                Address::Unix(path) => Socket::new(Async::<UnixStream>::connect(path).await?.into_inner()?),
                Address::Tcp(address) => {
                    let stream = Async::<TcpStream>::connect(*address).await?;
                    let socket = Socket::tcp(stream.into_inner()?)?;
                    socket.keep_alive()?;
                    Ok(socket)
                }
            }
        };
        let socket = before(timeout, connect, timed_out).await.map_err(failed)?;
        let mut builder = client::Builder::new();
        // What waits for us is bounded by the window, however small its frames are: h2 would else give the connection up when
        // we take none for a while.
        builder.initial_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        builder.data_frame_budget(SMALL_FRAME_CHARGE * WINDOW_BYTES as usize);
        let (requests, connection) = builder.handshake(socket).await.map_err(lost)?;
        let driver = executor.spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("the connection ended: {error}");
            }
        });
        Ok(Self { requests, timeout, _driver: driver })
    }

    async fn only_answer(&self, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
        let mut answers = proto::Channel::server_streaming(self, path, message).await?;
        let none = || Status::new(Code::Internal, format!("{path} answered OK without a message"));
        let answer = answers.next().await.ok_or_else(none)??;
        match answers.next().await {
            None => Ok(answer),
            Some(Err(status)) => Err(status),
            Some(Ok(_)) => Err(Status::new(Code::Internal, format!("{path} answered with several messages"))),
        }
    }

    async fn send(&self, path: &'static str, message: &[u8]) -> Result<ResponseFuture, Status> {
        let mut requests = self.requests.clone().ready().await.map_err(lost)?;
        let (response, mut stream) = requests.send_request(self.request(path), false).map_err(lost)?;
        let mut framed = BytesMut::new();
        frame::append(message, Encoding::Identity, &mut framed);
        // One request message: what the peer's window does not take at once waits in h2.
        stream.send_data(framed.freeze(), true).map_err(lost)?;
        Ok(response)
    }

    fn request(&self, path: &'static str) -> Request<()> {
        let uri = http::uri::Builder::new().scheme("http").authority("localhost").path_and_query(path);
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.build().expect("generated paths are valid");
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE_GRPC);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(timeout) = self.timeout {
            let value = HeaderValue::try_from(format_timeout(timeout)).expect("digits and a letter");
            headers.insert(GRPC_TIMEOUT, value);
        }
        request
    }
}

impl proto::Channel for Channel {
    async fn unary(&self, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
        let patience = self.timeout.map(|timeout| timeout.saturating_add(ANSWER_DELAY));
        let silent = || Status::new(Code::DeadlineExceeded, format!("{path} was not answered in time"));
        before(patience, self.only_answer(path, message), silent).await
    }

    async fn server_streaming(&self, path: &'static str, message: Bytes) -> Result<Messages, Status> {
        let (head, body) = self.send(path, &message).await?.await.map_err(lost)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Status::new(Code::Unknown, format!("{path} was answered with HTTP {}", head.status)));
        }
        if let Some(status) = Status::from_trailers(&head.headers) {
            // Trailers-only: the status is all there is.
            return match status.code {
                Code::Ok => Ok(Box::pin(smol::stream::empty())),
                _ => Err(status),
            };
        }
        let deframer = Deframer::new(Encoding::Identity, ANSWER_BYTES_MAX);
        Ok(Box::pin(Answers { stream: body, deframer, ended: false }))
    }
}

/// The messages of an answer; the status, when it is not OK, is the last item.
struct Answers {
    stream: RecvStream,
    deframer: Deframer,
    ended: bool,
}

impl Answers {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(frame) = self.deframer.next_frame()? {
                return Poll::Ready(Ok(Some(frame.payload)));
            }
            let Some(chunk) = ready!(self.stream.poll_data(cx)).transpose().map_err(lost)? else {
                let trailers = ready!(self.stream.poll_trailers(cx)).map_err(lost)?;
                return Poll::Ready(
                    end_of(trailers.as_ref()).and_then(|()| self.deframer.finish()).map(|()| None),
                );
            };
            // Fails only when the stream is gone, and then there is no window to open.
            let _ = self.stream.flow_control().release_capacity(chunk.len());
            self.deframer.push(chunk);
        }
    }
}

impl Stream for Answers {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let message = ready!(self.poll_message(cx)).transpose();
        self.ended = !matches!(message, Some(Ok(_)));
        Poll::Ready(message)
    }
}

/// Waits for the work, at most so long.
async fn before<T, E>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, E>>,
    too_late: impl FnOnce() -> E,
) -> Result<T, E> {
    let Some(timeout) = timeout else { return work.await };
    let expiry = async {
        Timer::after(timeout).await;
        Err(too_late())
    };
    work.or(expiry).await
}

fn end_of(trailers: Option<&HeaderMap>) -> Result<(), Status> {
    let status = trailers.and_then(Status::from_trailers);
    match status.unwrap_or_else(|| Status::new(Code::Unknown, "the answer ended without a grpc-status")) {
        Status { code: Code::Ok, .. } => Ok(()),
        status => Err(status),
    }
}

fn lost(error: h2::Error) -> Status {
    Status::new(Code::Unavailable, format!("the connection to the daemon failed: {error}"))
}
