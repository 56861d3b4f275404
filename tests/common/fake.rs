//! A service for tests: its methods do one thing each, and it remembers what was asked of it.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use auraed::grpc::call::{Answer, Input, Kind, Messages, Reply};
use auraed::grpc::status::{Code, Status, Violation};
use auraed::transport::Service;
use bytes::Bytes;
use smol::stream::{self, Stream, StreamExt};

use super::{Count, noise};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One message back.
    Echo,
    /// Never answers.
    Never,
    /// `[code, text…]` comes back as a status.
    Fail,
    /// Two violations.
    BadRequest,
    Panic,
    /// As many zeros as the decimal number in the message says.
    Zeros,
    /// So many bytes that do not compress.
    Noise,
    /// `COUNT SIZE`: so many items of so many bytes, ready at once.
    Flood,
    /// The message, and then nothing for ever.
    OneThenNothing,
    /// Nothing for ever.
    Quiet,
    /// Ends without an item.
    Nothing,
    /// An item, then `[code, text…]`.
    FailLater,
    /// An item, then a panic.
    PanicLater,
    /// Each message comes back.
    Chat,
    /// Answers once, whatever the peer goes on to say.
    HearsOneWord,
}

const METHODS: [(&str, Method, Kind); 15] = [
    ("/test.Fake/Echo", Method::Echo, Kind::Unary),
    ("/test.Fake/Never", Method::Never, Kind::Unary),
    ("/test.Fake/Fail", Method::Fail, Kind::Unary),
    ("/test.Fake/BadRequest", Method::BadRequest, Kind::Unary),
    ("/test.Fake/Panic", Method::Panic, Kind::Unary),
    ("/test.Fake/Zeros", Method::Zeros, Kind::Unary),
    ("/test.Fake/Noise", Method::Noise, Kind::Unary),
    ("/test.Fake/Flood", Method::Flood, Kind::ServerStreaming),
    ("/test.Fake/OneThenNothing", Method::OneThenNothing, Kind::ServerStreaming),
    ("/test.Fake/Quiet", Method::Quiet, Kind::ServerStreaming),
    ("/test.Fake/Nothing", Method::Nothing, Kind::ServerStreaming),
    ("/test.Fake/FailLater", Method::FailLater, Kind::ServerStreaming),
    ("/test.Fake/PanicLater", Method::PanicLater, Kind::ServerStreaming),
    ("/test.Fake/Chat", Method::Chat, Kind::Bidirectional),
    ("/test.Fake/HearsOneWord", Method::HearsOneWord, Kind::Bidirectional),
];

pub const ECHO: &str = "/test.Fake/Echo";
pub const NEVER: &str = "/test.Fake/Never";
pub const FLOOD: &str = "/test.Fake/Flood";
pub const CHAT: &str = "/test.Fake/Chat";

/// What the service has met.
#[derive(Default)]
pub struct Seen {
    /// Calls that reached the service.
    pub calls: Count,
    /// Calls that have ended or were dropped.
    pub over: Count,
    /// Items that were asked of a stream.
    pub asked: Count,
    /// The most calls at one time.
    pub peak: AtomicUsize,
}

pub struct Fake(pub Arc<Seen>);

/// Notes the end of a call when it is dropped.
struct Guard(Arc<Seen>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.over.add();
    }
}

/// A stream that keeps its guard, and counts what is asked of it.
struct Guarded {
    items: Messages,
    guard: Guard,
}

impl Stream for Guarded {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = self.items.poll_next(cx);
        if matches!(item, Poll::Ready(Some(_))) {
            self.guard.0.asked.add();
        }
        item
    }
}

impl Service for Fake {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        METHODS.iter().find(|(known, ..)| *known == path).map(|(_, method, _)| *method)
    }

    fn kind(&self, method: Method) -> Kind {
        METHODS.iter().find(|(_, known, _)| *known == method).expect("all are listed").2
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        let calls = self.0.calls.add();
        self.0.peak.fetch_max(calls - self.0.over.now(), Ordering::SeqCst);
        let guard = Guard(self.0.clone());
        match input {
            Input::One(message) if self.kind(method) == Kind::Unary => Box::pin(async move {
                let _guard = guard;
                one(method, message).await.map(Reply::One)
            }),
            input => {
                let items = many(method, input);
                Box::pin(ready(Ok(Reply::Many(Box::pin(Guarded { items, guard })))))
            }
        }
    }
}

async fn one(method: Method, message: Bytes) -> Result<Bytes, Status> {
    match method {
        Method::Echo => Ok(message),
        Method::Zeros => Ok(vec![0; number(&message)].into()),
        Method::Noise => Ok(noise(number(&message)).into()),
        Method::Fail => Err(failure(&message)),
        Method::BadRequest => Err(Status::bad_request(&[
            Violation { field: "cell.name".into(), description: "\"\" is empty".into() },
            Violation { field: "cell.cpu.weight".into(), description: "0 is not in 1..=10000".into() },
        ])),
        Method::Panic => on_purpose(),
        _ => pending().await,
    }
}

fn many(method: Method, input: Input) -> Messages {
    let (message, words) = match input {
        Input::One(message) => (message, None),
        Input::Many(words) => (Bytes::new(), Some(words)),
    };
    let words = words.unwrap_or_else(|| Box::pin(stream::empty()));
    match method {
        Method::Flood => {
            let text = String::from_utf8(message.to_vec()).unwrap();
            let (count, size) = text.split_once(' ').unwrap();
            let item = Bytes::from(vec![b'x'; size.parse().unwrap()]);
            Box::pin(stream::repeat(Ok(item)).take(count.parse().unwrap()))
        }
        Method::OneThenNothing => Box::pin(stream::once(Ok(message)).chain(stream::pending())),
        Method::Quiet => Box::pin(stream::pending()),
        Method::FailLater => {
            let status = failure(&message);
            Box::pin(stream::iter([Ok(message), Err(status)]))
        }
        Method::PanicLater => Box::pin(stream::once(Ok(message)).chain(stream::poll_fn(|_| on_purpose()))),
        Method::Chat => words,
        Method::HearsOneWord => Box::pin(words.take(1)),
        _ => Box::pin(stream::empty()),
    }
}

fn number(message: &[u8]) -> usize {
    std::str::from_utf8(message).unwrap().parse().unwrap()
}

fn failure(message: &[u8]) -> Status {
    Status::new(Code::ALL[usize::from(message[0])], String::from_utf8_lossy(&message[1..]))
}

/// Panics without a word on the terminal.
fn on_purpose() -> ! {
    std::panic::resume_unwind(Box::new("on purpose"))
}
