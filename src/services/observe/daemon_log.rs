//! The daemon's own log.

use std::sync::Arc;

use prost::Message;

use super::items::items;
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Items;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Range, Want};
use crate::services::refusal::Violations;

pub fn stream(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Result<Items<LogItem>, Status> {
    let mut bad = Violations::default();
    let level = LogLevel::try_from(request.level)
        .map_err(|_| format!("{} is unknown; accepted: 0 to 5, error to trace", request.level));
    let Some(level) = bad.check("level", level) else { return Err(bad.into_status()) };
    let range = Range {
        tail: request.tail_lines,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    let follower = follow(feed, Want::Only(Channel::Stdout), range)?;
    Ok(items(follower, move |item| {
        let mut message = LogItem::decode(item.bytes).ok()?;
        let (seconds, nanos) = timestamp(item.time);
        (message.timestamp, message.nanos) = (seconds, nanos);
        (message.sequence, message.dropped) = (item.sequence, item.dropped);
        let is_wanted = level == LogLevel::Unspecified || message.level <= level as i32;
        is_wanted.then_some(message)
    }))
}
