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

#[cfg(test)]
mod tests {
    use smol::future::block_on;
    use smol::stream::StreamExt;

    use super::*;
    use crate::runtime::logs::Logs;

    /// Many items of little weight, and among them some errors, the last of which is the last of all.
    fn fill(feed: &Feed, count: i32) {
        for number in (0..count).rev() {
            let level = if number % 7 == 0 { LogLevel::Error } else { LogLevel::Debug };
            let item = LogItem { line: number.to_string(), level: level.into(), ..LogItem::default() };
            feed.put(&item.encode_to_vec());
        }
    }

    fn read(items: Items<LogItem>) -> Vec<LogItem> {
        block_on(items.map(|item| item.expect("an item")).collect())
    }

    fn of_errors() -> GetAuraeDaemonLogStreamRequest {
        let level = LogLevel::Error.into();
        GetAuraeDaemonLogStreamRequest { level, no_follow: true, ..Default::default() }
    }

    #[test]
    fn what_is_missing_before_an_item_that_is_not_wanted_is_told_with_the_next() {
        let feed = Feed::new(&Logs::new(4096), 4096, false);
        let whole = GetAuraeDaemonLogStreamRequest { no_follow: true, ..Default::default() };
        fill(&feed, 1000);
        let held = read(stream(&feed, whole).expect("a stream"));
        assert_eq!(held[0].dropped + held.len() as u64, 1000);
        let errors = read(stream(&feed, of_errors()).expect("a stream"));
        assert_eq!(errors.iter().map(|item| item.dropped).collect::<Vec<_>>()[..2], [held[0].dropped, 0]);
        assert_ne!(errors[0].sequence, held[0].sequence, "it is not the one that knew");
        assert_eq!(errors.len(), held.iter().filter(|item| item.level() == LogLevel::Error).count());
    }

    #[test]
    fn a_tail_is_counted_in_what_is_wanted() {
        let feed = Feed::new(&Logs::new(4096), 4096, false);
        fill(&feed, 30);
        for (tail, lines) in
            [(0, vec![]), (1, vec!["0"]), (2, vec!["7", "0"]), (9, vec!["28", "21", "14", "7", "0"])]
        {
            let request = GetAuraeDaemonLogStreamRequest { tail_lines: Some(tail), ..of_errors() };
            let items = read(stream(&feed, request).expect("a stream"));
            assert_eq!(items.iter().map(|item| &*item.line).collect::<Vec<_>>(), lines, "{tail}");
        }
    }
}
