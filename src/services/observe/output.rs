//! What one executable writes.

use super::items::items;
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::proto::Items;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Item, Range, Want};
use crate::runtime::{CellName, ExecutableName, Output, Whose};
use crate::services::cells::Runtime;
use crate::services::refusal::Violations;

pub fn stream(runtime: &impl Runtime, request: GetSubProcessStreamRequest) -> Result<Items<LogItem>, Status> {
    let range = Range {
        tail: request.tail_lines,
        since: since(request.since),
        from: request.from_sequence,
        no_follow: request.no_follow,
    };
    let (want, whose) = parse(request)?;
    let Output { executable, feed } = runtime.output(&whose)?;
    let follower = follow(&feed, want, range)?;
    let channels = Channel::BOTH.map(|channel| format!("{}::{}", executable.as_str(), channel.name()));
    Ok(items(follower, move |item| Some(message(&channels, item))))
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

fn message(channels: &[String; 2], item: Item<'_>) -> LogItem {
    let (timestamp, nanos) = timestamp(item.time);
    LogItem {
        channel: channels[item.channel as usize].clone(),
        line: String::from_utf8_lossy(item.bytes).into_owned(),
        timestamp,
        nanos,
        sequence: item.sequence,
        dropped: item.dropped,
        partial: item.partial,
        ..LogItem::default()
    }
}
