//! What one executable writes.

use bytes::{BufMut, BytesMut};

use super::items::{answers, put_bytes, put_number};
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Item, Range, Want};
use crate::runtime::{CellName, ExecutableName, Output, Whose};
use crate::services::cells::Runtime;
use crate::services::refusal::Violations;

pub fn stream(
    runtime: &impl Runtime,
    request: GetSubProcessStreamRequest,
) -> Result<Answers<LogItem>, Status> {
    let range = Range {
        tail: request.tail_lines,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    let (want, whose) = parse(request)?;
    let Output { executable, feed } = runtime.output(&whose)?;
    let follower = follow(&feed, want, range)?;
    let heads = Channel::BOTH.map(|channel| Head::new(&executable, channel));
    let encode = move |item: Item<'_>, message: &mut BytesMut| {
        heads[item.channel as usize].encode(item, message);
        true
    };
    Ok(answers(follower, Box::new(encode)))
}

fn parse(request: GetSubProcessStreamRequest) -> Result<(Want, Whose), Status> {
    let mut bad = Violations::default();
    let want = match LogChannelType::try_from(request.channel_type) {
        Ok(LogChannelType::Unspecified) => Some(Want::Both),
        Ok(LogChannelType::Stdout) => Some(Want::Only(Channel::Stdout)),
        Ok(LogChannelType::Stderr) => Some(Want::Only(Channel::Stderr)),
        Err(_) => {
            let why =
                format!("{} is unknown; accepted: 0 for both, 1 stdout, 2 stderr", request.channel_type);
            bad.add("channel_type", &why);
            None
        }
    };
    let whose = parse_whose(&request, &mut bad);
    want.zip(whose).filter(|_| bad.0.is_empty()).ok_or_else(|| bad.into_status())
}

fn parse_whose(request: &GetSubProcessStreamRequest, bad: &mut Violations) -> Option<Whose> {
    let is_named = !request.cell_name.is_empty() || !request.executable_name.is_empty();
    match (request.process_id, is_named) {
        (0, false) => {
            bad.add("process_id", &"is missing; set it, or cell_name and executable_name");
            None
        }
        (_, false) => Some(Whose::Process(request.process_id)),
        (0, true) => {
            let cell = bad.check("cell_name", CellName::parse(&request.cell_name));
            let executable = bad.check("executable_name", ExecutableName::parse(&request.executable_name));
            cell.zip(executable).map(|(cell, executable)| Whose::Executable(cell, executable))
        }
        (_, true) => {
            bad.add("process_id", &"is set beside cell_name or executable_name; accepted: one or the other");
            None
        }
    }
}

/// The fields that are the same for all items of an output, encoded.
struct Head(Vec<u8>);

impl Head {
    fn new(executable: &ExecutableName, channel: Channel) -> Self {
        let mut head = Vec::new();
        put_bytes(1, format!("{}::{}", executable.as_str(), channel.name()).as_bytes(), &mut head);
        Self(head)
    }

    /// A [`LogItem`] as prost would encode it.
    fn encode(&self, item: Item<'_>, message: &mut BytesMut) {
        let (timestamp, nanos) = timestamp(item.time);
        message.put_slice(&self.0);
        put_bytes(2, String::from_utf8_lossy(item.bytes).as_bytes(), message);
        put_number(3, timestamp.cast_unsigned(), message);
        put_number(100, nanos.into(), message);
        put_number(101, item.sequence, message);
        put_number(102, item.dropped, message);
        put_number(103, item.partial.into(), message);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn an_item_has_the_bytes_of_its_message() {
        let executable = ExecutableName::parse("a b").expect("valid");
        for (bytes, line, time, dropped, partial) in [
            (&b"hello"[..], "hello", 1_234_567_890_123, 0, false),
            (b"", "", 0, 7, true),
            (b"a\xffb", "a\u{fffd}b", -1, u64::MAX, false),
        ] {
            let item = Item { channel: Channel::Stderr, bytes, partial, sequence: 300, time, dropped };
            let mut encoded = BytesMut::new();
            Head::new(&executable, Channel::Stderr).encode(item, &mut encoded);
            let (timestamp, nanos) = timestamp(time);
            let message = LogItem {
                channel: "a b::stderr".to_owned(),
                line: line.to_owned(),
                timestamp,
                nanos: nanos as i32,
                sequence: 300,
                dropped,
                partial,
                ..LogItem::default()
            };
            assert_eq!(encoded, message.encode_to_vec());
        }
    }
}
