//! The daemon's own log.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use log::Level;

use super::items::{answers, put_bytes, put_number};
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Follower, Item, Range, Want};
use crate::services::refusal::Violations;

/// What is logged, as it lies in the feed: how severe it is in one byte, then the fields of a [`LogItem`] that the feed does
/// not know.
pub fn encode<'a>(
    level: Level,
    target: &str,
    line: &str,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<u8> {
    let mut item = vec![level as u8];
    put_bytes(1, b"auraed", &mut item);
    put_bytes(2, line.as_bytes(), &mut item);
    put_bytes(105, target.as_bytes(), &mut item);
    for (name, value) in fields {
        let mut field = Vec::new();
        put_bytes(1, name.as_bytes(), &mut field);
        put_bytes(2, value.as_bytes(), &mut field);
        put_bytes(106, &field, &mut item);
    }
    item
}

pub fn stream(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Result<Answers<LogItem>, Status> {
    let (follower, level) = begin(feed, request)?;
    Ok(answers(follower, Box::new(move |item, message| encode_wanted(level, item, message))))
}

fn begin(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Result<(Follower, LogLevel), Status> {
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
    Ok((follow(feed, WANT, range)?, level))
}

const WANT: Want = Want::Only(Channel::Stdout);

/// The same range, its tail counted in items of this level alone.
fn tail_of(feed: &Arc<Feed>, level: LogLevel, range: Range) -> Result<Range, Status> {
    let Some(tail @ 1..) = range.tail else { return Ok(range) };
    let mut held = follow(feed, WANT, Range { tail: None, no_follow: true, ..range })?;
    let mut newest = VecDeque::new();
    held.read(|item| {
        if is_wanted(level, item) {
            newest.push_back(item.sequence);
        }
        if newest.len() > tail as usize {
            newest.pop_front();
        }
        ControlFlow::Continue(())
    });
    // Where there are fewer, all are given.
    let from = newest.front().copied().filter(|_| newest.len() == tail as usize).max(range.from);
    Ok(Range { tail: None, from, ..range })
}

fn is_wanted(level: LogLevel, item: Item<'_>) -> bool {
    level == LogLevel::Unspecified
        || item.bytes.first().is_some_and(|severity| i32::from(*severity) <= level as i32)
}

fn encode_wanted(level: LogLevel, item: Item<'_>, message: &mut BytesMut) -> bool {
    let Some((severity, fields)) = item.bytes.split_first() else { return false };
    let (timestamp, nanos) = timestamp(item.time);
    message.put_slice(fields);
    put_number(3, timestamp.cast_unsigned(), message);
    put_number(100, nanos.into(), message);
    put_number(101, item.sequence, message);
    put_number(102, item.dropped, message);
    put_number(104, (*severity).into(), message);
    is_wanted(level, item)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::runtime::logs::Logs;

    fn read(feed: &Arc<Feed>, request: GetAuraeDaemonLogStreamRequest) -> Vec<LogItem> {
        let (mut follower, level) = begin(feed, request).expect("a stream");
        let mut items = Vec::new();
        follower.read(|item| {
            let mut message = BytesMut::new();
            if encode_wanted(level, item, &mut message) {
                items.push(LogItem::decode(message).expect("a message"));
            }
            ControlFlow::Continue(())
        });
        items
    }

    #[test]
    fn an_item_is_what_was_logged() {
        let feed = Feed::new(&Logs::new(4096), 4096, false);
        let fields = [("b", "x\ny"), ("a", "")];
        feed.put(&encode(Level::Warn, "auraed::x", "hello", fields.into_iter()));
        let [item] = &read(&feed, Default::default())[..] else { panic!("one item") };
        assert_eq!((item.channel.as_str(), item.line.as_str()), ("auraed", "hello"));
        assert_eq!((item.level(), item.target.as_str()), (LogLevel::Warn, "auraed::x"));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(item.fields, fields.into());
        assert!(item.timestamp > 1_700_000_000 && item.sequence > 0 && !item.partial && item.dropped == 0);
    }

    #[test]
    fn a_tail_is_counted_in_what_is_wanted() {
        let feed = Feed::new(&Logs::new(4096), 4096, false);
        // Every seventh is an error, and so is the last.
        for number in (0..30).rev() {
            let level = if number % 7 == 0 { Level::Error } else { Level::Debug };
            feed.put(&encode(level, "", &number.to_string(), [].into_iter()));
        }
        for (tail, lines) in
            [(0, vec![]), (1, vec!["0"]), (2, vec!["7", "0"]), (9, vec!["28", "21", "14", "7", "0"])]
        {
            let level = LogLevel::Error.into();
            let request =
                GetAuraeDaemonLogStreamRequest { level, tail_lines: Some(tail), ..Default::default() };
            let items = read(&feed, request);
            assert_eq!(items.iter().map(|item| &*item.line).collect::<Vec<_>>(), lines, "{tail}");
        }
    }
}
