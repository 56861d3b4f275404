//! The daemon's own log.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::items::{answers, put_number};
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Item, Range, Want};
use crate::services::refusal::Violations;

pub fn stream(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Result<Answers<LogItem>, Status> {
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
    let encode = move |item: Item<'_>, message: &mut BytesMut| {
        let Some((severity, fields)) = item.bytes.split_first() else { return false };
        let (timestamp, nanos) = timestamp(item.time);
        message.put_slice(fields);
        put_number(3, timestamp.cast_unsigned(), message);
        put_number(100, nanos.into(), message);
        put_number(101, item.sequence, message);
        put_number(102, item.dropped, message);
        put_number(104, (*severity).into(), message);
        level == LogLevel::Unspecified || i32::from(*severity) <= level as i32
    };
    Ok(answers(follower, Box::new(encode)))
}
