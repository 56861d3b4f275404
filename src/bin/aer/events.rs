//! `aer events`: what becomes of cells and programs.

use std::io::{self, Write};
use std::time::Duration;

use argh::FromArgs;
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::Method;
use auraed::proto::aurae::observe::v0 as api;
use prost::Message;

use crate::cell::shown;
use crate::follow::{Daemon, Failure, Followed, follow};
use crate::listing::{exit, oom};
use crate::output::Form;
use crate::sink::{Sink, Target};
use crate::time::{self, Since};
use crate::{json, retry_for};

/// print what has become of cells and programs, and what becomes of them from now on
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "events",
    help_triggers("-h", "--help"),
    usage = "[--since <t>] [--no-follow] [--retry-ms <n>]",
    example = "Look on, from the oldest event that the daemon still holds:\n  aer events",
    example = "What has happened in the last ten minutes:\n  aer events --since 10m --no-follow",
    example = "For a program, which sees each event at once, one object a line:\n  aer events --json | jq --unbuffered -c '[.type, .cellName, .executableName]'",
    note = "Events are: the daemon started and stopping; cells allocated, updated and freed;\nprograms started, restarted, out of memory, exited, and removed, which is when\ntheir name is free and their output gone.",
    note = "Times are UTC. A connection that breaks is made anew, behind the last event that\nwas printed: none is printed twice, and none is lost that the daemon still holds.\nWhere events are missing, stderr says how many; --json has this in dropped."
)]
pub struct Events {
    /// only events that are no older: 10m or 1h30m, seconds since 1970, or a time as 2026-01-01T00:00:00Z
    #[argh(option)]
    since: Option<Since>,

    /// only events that are there already
    #[argh(switch)]
    no_follow: bool,

    /// for how many milliseconds to try again when the daemon has been lost. 0: not at all. Default: 30000, with --no-follow 3000
    #[argh(option)]
    retry_ms: Option<u64>,
}

impl Events {
    pub async fn run(self, daemon: &Daemon<'_>, form: Form) -> Result<u8, Failure> {
        let patience = self.retry_ms.map_or_else(|| retry_for(!self.no_follow), Duration::from_millis);
        follow(Watched { asked: self, form }, daemon, form, patience).await
    }
}

struct Watched {
    asked: Events,
    form: Form,
}

impl Followed for Watched {
    type Item = api::Event;

    const ITEMS: &'static str = "events";

    fn method(&self) -> Method {
        Method::ObserveServiceWatchEvents
    }

    fn counted_in(&self) -> Option<&'static str> {
        Some("daemon")
    }

    fn request(&self, from_sequence: Option<u64>, _: bool) -> Vec<u8> {
        let since = self.asked.since.map(|Since(seconds)| seconds).filter(|_| from_sequence.is_none());
        let no_follow = self.asked.no_follow;
        api::ObserveServiceWatchEventsRequest { since, no_follow, from_sequence }.encode_to_vec()
    }

    fn place(event: &api::Event) -> (u64, u64) {
        (event.sequence, event.dropped)
    }

    fn print(&mut self, event: &api::Event, sink: &mut Sink) -> io::Result<()> {
        let buffer = sink.to(Target::Stdout)?;
        if self.form == Form::Json {
            return writeln!(buffer, "{}", json::event(event));
        }
        time::write(buffer, event.timestamp, event.nanos);
        writeln!(buffer, " {}", text(event))
    }

    fn interrupt(&mut self, _: &mut Sink) -> io::Result<()> {
        Ok(())
    }

    async fn exit_code(&self, _: &Channel, _: Form) -> Result<u8, Status> {
        Ok(0)
    }
}

/// In the words in which the other commands say it.
fn text(event: &api::Event) -> String {
    use api::EventType as Type;
    let (cell, pid) = (shown(&event.cell_name), event.pid);
    let program = format!("{} in {cell}", shown(&event.executable_name));
    match api::EventType::try_from(event.r#type) {
        Ok(Type::DaemonStarted) => format!("daemon started, pid {pid}"),
        Ok(Type::DaemonStopping) => format!("daemon stopping, pid {pid}"),
        Ok(Type::CellAllocated) => format!("allocated {cell}"),
        Ok(Type::CellUpdated) => format!("updated {cell}"),
        Ok(Type::CellFreed) => format!("freed {cell}"),
        Ok(Type::ExecutableStarted) => format!("started {program}, pid {pid}"),
        Ok(Type::ExecutableRestarted) => {
            format!("restarted {program}, pid {pid}, restarts {}", event.restarts)
        }
        Ok(Type::ExecutableOutOfMemory) => format!("{program} {}", oom(&event.oom_cell_name)),
        Ok(Type::ExecutableExited) => format!("{program} {}", exit(event.exit_code, event.exit_signal)),
        Ok(Type::ExecutableRemoved) => format!("removed {program}"),
        // Of a newer daemon.
        Ok(Type::Unspecified) | Err(_) => format!("event {} of {program}; --json shows it", event.r#type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_in_a_line() {
        use api::EventType as Type;
        let of_all = api::Event {
            cell_name: "web/api".to_owned(),
            executable_name: "a job".to_owned(),
            pid: 7,
            exit_signal: Some(9),
            oom_cell_name: "web".to_owned(),
            restarts: 3,
            ..api::Event::default()
        };
        for (kind, expected) in [
            (Type::DaemonStarted, "daemon started, pid 7"),
            (Type::DaemonStopping, "daemon stopping, pid 7"),
            (Type::CellAllocated, "allocated web/api"),
            (Type::CellUpdated, "updated web/api"),
            (Type::CellFreed, "freed web/api"),
            (Type::ExecutableStarted, "started \"a job\" in web/api, pid 7"),
            (Type::ExecutableRestarted, "restarted \"a job\" in web/api, pid 7, restarts 3"),
            (Type::ExecutableOutOfMemory, "\"a job\" in web/api out of memory (limit of cell web)"),
            (Type::ExecutableExited, "\"a job\" in web/api killed by SIGKILL"),
            (Type::ExecutableRemoved, "removed \"a job\" in web/api"),
        ] {
            assert_eq!(text(&api::Event { r#type: kind.into(), ..of_all.clone() }), expected);
        }
        let new = api::Event { r#type: 77, ..of_all };
        assert_eq!(text(&new), "event 77 of \"a job\" in web/api; --json shows it");
    }

    #[test]
    fn a_stream_that_goes_on_begins_behind_what_was_printed() {
        let asked = || Events { since: Some(Since(5)), no_follow: true, retry_ms: None };
        let watched = Watched { asked: asked(), form: Form::Text };
        let request = |since, from_sequence| {
            let no_follow = true;
            api::ObserveServiceWatchEventsRequest { since, no_follow, from_sequence }.encode_to_vec()
        };
        assert_eq!(watched.request(None, false), request(Some(5), None));
        assert_eq!(watched.request(Some(8), true), request(None, Some(8)));
    }
}
