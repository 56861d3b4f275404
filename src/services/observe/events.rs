//! What has become of cells and executables.

use std::sync::Arc;

use prost::Message;

use super::items::items;
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Items;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Range, Want};

pub fn stream(feed: &Arc<Feed>, request: ObserveServiceWatchEventsRequest) -> Result<Items<Event>, Status> {
    let range = Range {
        tail: None,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    let follower = follow(feed, Want::Only(Channel::Stdout), range)?;
    Ok(items(follower, |item| {
        let mut event = Event::decode(item.bytes).ok()?;
        (event.timestamp, event.nanos) = timestamp(item.time);
        (event.sequence, event.dropped) = (item.sequence, item.dropped);
        Some(event)
    }))
}
