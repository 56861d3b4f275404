//! A service with a method of each shape. It watches from inside what the transport promises: work is dropped with
//! its stream, and nothing is made for a peer that does not take it.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use smol::stream;

use super::pipe::UNREAD_BYTES_MAX;
use crate::grpc::call::{Answer, Input, Kind, Messages, Reply};
use crate::grpc::frame::PREFIX_BYTES;
use crate::grpc::status::{Code, Status};
use crate::limits::{BATCH_BYTES, SEND_BUFFER_BYTES, STREAMS_PER_CONNECTION_MAX};
use crate::transport::Service;

const ITEM_BYTES: usize = 1 << 10;
/// More than what may be made ahead, so that making ahead shows.
const ITEMS: usize = 48;
/// A full send buffer, a batch behind it, and what lies in the pipe.
const AHEAD_BYTES_MAX: usize = SEND_BUFFER_BYTES + BATCH_BYTES + ITEM_BYTES + PREFIX_BYTES + UNREAD_BYTES_MAX;

const _: () = assert!(ITEMS * ITEM_BYTES > AHEAD_BYTES_MAX);

pub struct Shapes {
    /// Whether the peer reads; when it does not, no stream may be made further ahead than the limits say.
    pub peer_reads: bool,
    pub live: Live,
}

#[derive(Clone, Copy)]
pub enum Method {
    /// Unary: gives the message back; an empty one is an error.
    Echo,
    /// Unary: never answers.
    Wait,
    /// One message in, [`ITEMS`] out.
    Count,
    /// Gives each message back.
    Chat,
}

/// Calls under way.
#[derive(Clone, Default)]
pub struct Live(Arc<AtomicUsize>);

struct Call(Live);

impl Live {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Call {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(before < STREAMS_PER_CONNECTION_MAX as usize, "more calls are live than streams may be");
        Call(self.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service for Shapes {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        match path {
            "/echo" => Some(Method::Echo),
            "/wait" => Some(Method::Wait),
            "/count" => Some(Method::Count),
            "/chat" => Some(Method::Chat),
            _ => None,
        }
    }

    fn kind(&self, method: Method) -> Kind {
        match method {
            Method::Echo | Method::Wait => Kind::Unary,
            Method::Count => Kind::ServerStreaming,
            Method::Chat => Kind::Bidirectional,
        }
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        let call = self.live.begin();
        match (method, input) {
            (Method::Echo, Input::One(message)) if message.is_empty() => {
                Box::pin(ready(Err(Status::new(Code::NotFound, "nothing to echo: ä%\n"))))
            }
            (Method::Echo, Input::One(message)) => Box::pin(ready(Ok(Reply::One(message)))),
            (Method::Wait, Input::One(_)) => Box::pin(async move {
                let _call = call;
                pending().await
            }),
            (Method::Count, Input::One(_)) => {
                let items = self.count(call);
                Box::pin(ready(Ok(Reply::Many(items))))
            }
            (Method::Chat, Input::Many(messages)) => Box::pin(ready(Ok(Reply::Many(messages)))),
            (Method::Chat, Input::One(_)) | (_, Input::Many(_)) => panic!("input of the wrong kind"),
        }
    }
}

impl Shapes {
    fn count(&self, call: Call) -> Messages {
        let peer_reads = self.peer_reads;
        Box::pin(stream::unfold((0, call), move |(made, call)| async move {
            if made == ITEMS {
                return None;
            }
            assert!(peer_reads || made * ITEM_BYTES <= AHEAD_BYTES_MAX, "items are made that nobody takes");
            Some((Ok(Bytes::from_static(&[b'i'; ITEM_BYTES])), (made + 1, call)))
        }))
    }
}
