//! The daemon's own log.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use prost::Message;

use super::items::items;
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Items;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Item, Range, Want};
use crate::services::refusal::Violations;

const WANT: Want = Want::Only(Channel::Stdout);

pub fn stream(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Result<Items<LogItem>, Status> {
    let mut bad = Violations::default();
    let level = LogLevel::try_from(request.level)
        .map_err(|_| format!("{} is unknown; accepted: 0 to 5, error to trace", request.level));
    let Some(level) = bad.check("level", level) else { return Err(bad.into_status()) };
    let mut range = Range {
        tail: request.tail_lines,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    if level != LogLevel::Unspecified {
        range = tail_of(feed, level, range)?;
    }
    let follower = follow(feed, WANT, range)?;
    // What is missing before an item that is not wanted, is missing before the next that is.
    let dropped = Cell::new(0);
    Ok(items(follower, move |item| {
        dropped.set(dropped.get() + item.dropped);
        let mut message = wanted(level, item)?;
        (message.timestamp, message.nanos) = timestamp(item.time);
        (message.sequence, message.dropped) = (item.sequence, dropped.take());
        Some(message)
    }))
}

fn wanted(level: LogLevel, item: Item<'_>) -> Option<LogItem> {
    let message = LogItem::decode(item.bytes).ok()?;
    (level == LogLevel::Unspecified || message.level <= level as i32).then_some(message)
}

/// The same range, its tail counted in items of this level alone.
fn tail_of(feed: &Arc<Feed>, level: LogLevel, range: Range) -> Result<Range, Status> {
    let Some(tail @ 1..) = range.tail else { return Ok(range) };
    let mut held = follow(feed, WANT, Range { tail: None, no_follow: true, ..range })?;
    let mut newest = VecDeque::new();
    held.read(|item| {
        newest.extend(wanted(level, item).map(|_| item.sequence));
        if newest.len() > tail as usize {
            newest.pop_front();
        }
        ControlFlow::Continue(())
    });
    let is_cut = newest.len() == tail as usize;
    let from = newest.front().copied().filter(|_| is_cut).max(range.from);
    Ok(Range { tail: None, from, ..range })
}
