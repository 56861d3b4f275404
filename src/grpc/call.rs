//! The shape of a call: what a method takes and gives, as bytes. Knows no message type and no transport.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use smol::stream::Stream;

use super::status::Status;

/// How many messages travel each way. The API has no client-streaming method; one would be refused by the
/// code generator until this enum has a variant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message in, one out.
    Unary,
    /// One message in, any number out.
    ServerStreaming,
    /// Any number both ways, interleaved as the two sides please.
    Bidirectional,
}

/// Messages without their gRPC prefix, in order. An error is the last item.
pub type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What the peer sent: exactly one message, or (bidirectional) a stream of them.
pub enum Input {
    One(Bytes),
    Many(Messages),
}

/// What goes back to the peer when the call succeeds.
pub enum Reply {
    One(Bytes),
    Many(Messages),
}

/// A call under way. Dropping it drops the work that only served this caller.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send + 'a>>;
