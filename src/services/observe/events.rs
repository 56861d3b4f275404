//! What has become of cells and executables.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use prost::Message;

use super::items::{answers, put_number};
use super::{follow, since, timestamp};
use crate::grpc::status::Status;
use crate::limits::EVENTS_BYTES;
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Channel, Feed, Item, Logs, Range, Want};
use crate::runtime::{self, EventSink, ExecutableChange, ExecutableEvent, ExitReason, Oom};

/// The events of a daemon, the newest of them.
#[derive(Debug)]
pub struct EventLog {
    feed: Arc<Feed>,
}

impl EventLog {
    pub fn new() -> Arc<Self> {
        // On a shelf of its own: what executables write does not drive it out.
        Arc::new(Self { feed: Feed::new(&Logs::new(EVENTS_BYTES), EVENTS_BYTES, false) })
    }

    /// Of encoded [`Event`]s, without what the feed knows of them.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The daemon takes calls.
    pub fn daemon_started(&self) {
        self.put_daemon(EventType::DaemonStarted);
    }

    /// The daemon is about to end.
    pub fn daemon_stopping(&self) {
        self.put_daemon(EventType::DaemonStopping);
    }

    fn put_daemon(&self, kind: EventType) {
        let pid = std::process::id().cast_signed();
        self.feed.put(&Event { pid, ..event(kind) }.encode_to_vec());
        self.feed.tell();
    }
}

impl EventSink for EventLog {
    fn put(&self, event: runtime::Event<'_>) {
        self.feed.put(&message(event).encode_to_vec());
    }

    fn tell(&self) {
        self.feed.tell();
    }
}

fn message(what: runtime::Event<'_>) -> Event {
    let (kind, cell) = match what {
        runtime::Event::CellAllocated(cell) => (EventType::CellAllocated, cell),
        runtime::Event::CellUpdated(cell) => (EventType::CellUpdated, cell),
        runtime::Event::CellFreed(cell) => (EventType::CellFreed, cell),
        runtime::Event::Executable(event) => return of_executable(event),
    };
    Event { cell_name: cell.as_str().to_owned(), ..event(kind) }
}

fn of_executable(what: ExecutableEvent<'_>) -> Event {
    let ExecutableEvent { change, cell, executable, pid, restarts } = what;
    let of = |kind| Event {
        cell_name: cell.as_str().to_owned(),
        executable_name: executable.as_str().to_owned(),
        pid,
        restarts,
        ..event(kind)
    };
    match change {
        ExecutableChange::Started => of(EventType::ExecutableStarted),
        ExecutableChange::Restarted => of(EventType::ExecutableRestarted),
        ExecutableChange::OutOfMemory(Oom::Elsewhere) => of(EventType::ExecutableOutOfMemory),
        ExecutableChange::OutOfMemory(Oom::Cell(limited)) => {
            let oom_cell_name = limited.as_str().to_owned();
            Event { oom_cell_name, ..of(EventType::ExecutableOutOfMemory) }
        }
        ExecutableChange::Exited(reason) => {
            let (exit_code, exit_signal) = match reason {
                ExitReason::Code(code) => (Some(code), None),
                ExitReason::Signal(signal) => (None, Some(signal)),
                ExitReason::Unknown => (None, None),
            };
            Event { exit_code, exit_signal, ..of(EventType::ExecutableExited) }
        }
        ExecutableChange::Removed => of(EventType::ExecutableRemoved),
    }
}

fn event(kind: EventType) -> Event {
    Event { r#type: kind.into(), ..Event::default() }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{CellName, ExecutableName};

    #[test]
    fn what_is_not_known_is_not_set() {
        let cell = CellName::parse("a/b").expect("valid");
        let executable = ExecutableName::parse("job").expect("valid");
        let told = |change| {
            let (cell, executable) = (&cell, &executable);
            message(runtime::Event::Executable(ExecutableEvent {
                change,
                cell,
                executable,
                pid: 7,
                restarts: 2,
            }))
        };
        let of = |kind: EventType| Event {
            r#type: kind.into(),
            cell_name: "a/b".into(),
            executable_name: "job".into(),
            pid: 7,
            restarts: 2,
            ..Event::default()
        };
        let oom = told(ExecutableChange::OutOfMemory(&Oom::Elsewhere));
        assert_eq!(oom, of(EventType::ExecutableOutOfMemory));
        assert_eq!(told(ExecutableChange::Exited(ExitReason::Unknown)), of(EventType::ExecutableExited));
        let clean = Event { exit_code: Some(0), ..of(EventType::ExecutableExited) };
        assert_eq!(told(ExecutableChange::Exited(ExitReason::Code(0))), clean, "0 is told");
    }
}
