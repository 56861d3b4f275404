//! What has become of cells and executables.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::items::{answers, put_number};
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Item, Range, Want};

pub fn stream(feed: &Arc<Feed>, request: ObserveServiceWatchEventsRequest) -> Result<Answers<Event>, Status> {
    let range = Range {
        tail: None,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    let follower = follow(feed, Want::Only(Channel::Stdout), range)?;
    let encode = |item: Item<'_>, message: &mut BytesMut| {
        let (timestamp, nanos) = timestamp(item.time);
        message.put_slice(item.bytes);
        put_number(2, timestamp.cast_unsigned(), message);
        put_number(3, nanos.into(), message);
        put_number(4, item.sequence, message);
        put_number(5, item.dropped, message);
        true
    };
    Ok(answers(follower, Box::new(encode)))
}
