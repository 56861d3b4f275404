//! `aer logs`: what a program, or the daemon itself, has written and writes.

use std::io::{self, Write};
use std::time::Duration;

use argh::FromArgs;
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::aurae::observe::v0 as api;
use auraed::proto::{CellServiceClient, Method};
use prost::Message;

use crate::follow::{Daemon, Failure, Followed, follow};
use crate::output::{Form, complain, printable};
use crate::sink::{Sink, Target};
use crate::time::{self, Since};
use crate::{json, retry_for, wait};

/// print what a program has written, and with -f what it writes; or what the daemon logs
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "logs",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> [-f] [-n <n>] [--since <t>] [--stdout|--stderr] [--timestamps]\n           [--wait] [--retry-ms <n>]\n       aer logs --daemon [-f] [-n <n>] [--since <t>] [--level <l>] [--timestamps]\n           [--retry-ms <n>]",
    example = "What a program has written, and the last ten lines of it:\n  aer logs web server\n  aer logs web server -n 10",
    example = "Only what it writes from now on:\n  aer logs web server -f -n 0",
    example = "Errors of the last hour and a half, each with its time:\n  aer logs web server --stderr --since 1h30m --timestamps",
    example = "Run a program as if it were started here, and exit as it does:\n  aer cell start web job -- make && aer logs web job --wait",
    example = "The daemon's own log, without what is less than a warning:\n  aer logs --daemon -f --level warn",
    note = "What the program wrote to stdout goes to stdout, and what it wrote to stderr to\nstderr; on a terminal, that is red. NO_COLOR=1 turns colours off.",
    note = "The daemon holds the newest part of what a program writes (aer cell start\n--log-ring says how much), until the program's name is used again, or its cell is\nfreed. Where lines are missing, stderr says how many.",
    note = "A connection that breaks is made anew, behind the last line that was printed: no\nline is printed twice, and none is lost that the daemon still holds.",
    note = "--json prints each line as the daemon has it, one object a line, with its channel,\ntime and sequence; a line that goes on in the next object has partial, and dropped\nsays how many are missing before one."
)]
pub struct Logs {
    /// the cell that it was started in, and the name that it was started under
    #[argh(positional, arg_name = "cell name")]
    program: Vec<String>,

    /// the daemon's own log
    #[argh(switch)]
    daemon: bool,

    /// go on with what is written from now on, until the program has ended; with --daemon, until Ctrl-C
    #[argh(switch, short = 'f')]
    follow: bool,

    /// only so many of the lines that are there already, the newest
    #[argh(option, short = 'n')]
    tail: Option<u32>,

    /// only lines that are no older: 10m or 1h30m, seconds since 1970, or a time as 2026-01-01T00:00:00Z
    #[argh(option)]
    since: Option<Since>,

    /// only what was written to standard output
    #[argh(switch)]
    stdout: bool,

    /// only what was written to standard error
    #[argh(switch)]
    stderr: bool,

    /// put the time at which the daemon read it, in UTC, before each line
    #[argh(switch)]
    timestamps: bool,

    /// as -f, and then exit as the program did: with its exit code, or 128 and the number of a signal
    #[argh(switch)]
    wait: bool,

    /// of the daemon's log, only what is at least so severe: error, warn, info, debug or trace
    #[argh(option, from_str_fn(level))]
    level: Option<api::LogLevel>,

    /// for how many milliseconds to try again when the daemon has been lost. 0: not at all. Default: 30000 with -f or --wait, else 3000
    #[argh(option)]
    retry_ms: Option<u64>,
}

fn level(text: &str) -> Result<api::LogLevel, String> {
    let name = LEVELS.iter().position(|(name, _)| *name == text);
    let level = name.and_then(|number| api::LogLevel::try_from(i32::try_from(number).ok()? + 1).ok());
    level.ok_or_else(|| format!("{text:?} is not one of error, warn, info, debug and trace"))
}

/// The levels from LOG_LEVEL_ERROR on, and their colours: red, yellow, green, blue, grey.
const LEVELS: [(&str, &[u8]); 5] = [
    ("error", RED),
    ("warn", b"\x1b[33m"),
    ("info", b"\x1b[32m"),
    ("debug", b"\x1b[34m"),
    ("trace", b"\x1b[90m"),
];

const RED: &[u8] = b"\x1b[31m";
const PLAIN: &[u8] = b"\x1b[0m";

impl Logs {
    /// Refuses what argh cannot.
    pub fn checked(self) -> Result<Self, String> {
        let of_a_program = [("--stdout", self.stdout), ("--stderr", self.stderr), ("--wait", self.wait)];
        let stray = of_a_program.into_iter().find(|(_, is_given)| *is_given);
        match (self.daemon, &self.program[..], stray) {
            (true, [], None) => Ok(self),
            (true, [], Some((flag, _))) => {
                Err(format!("{flag} is about a program, not about the log of --daemon"))
            }
            (true, [..], _) => Err("--daemon has no <cell> and no <name>".to_owned()),
            (false, [], _) => Err("<cell> and <name>, or --daemon, are missing".to_owned()),
            (false, [_], _) => Err("<name> is missing behind <cell>".to_owned()),
            (false, [_, _], _) if self.level.is_some() => {
                Err("--level is about the log of --daemon; the lines of a program have none".to_owned())
            }
            (false, [_, _], _) => Ok(self),
            (false, [_, _, more, ..], _) => Err(format!("{more:?} is too much behind <cell> and <name>")),
        }
    }

    pub async fn run(self, daemon: &Daemon<'_>, form: Form) -> Result<u8, Failure> {
        let patience = self.retry_ms.map_or_else(|| retry_for(self.follows()), Duration::from_millis);
        follow(Lines::new(self, form), daemon, form, patience).await
    }

    fn follows(&self) -> bool {
        self.follow || self.wait
    }

    /// Cell and name.
    fn names(&self) -> [String; 2] {
        let mut names = self.program.iter().cloned();
        [(); 2].map(|()| names.next().unwrap_or_default())
    }
}

/// The lines that are asked for, and how they are shown.
struct Lines {
    asked: Logs,
    form: Form,
    /// Unix seconds.
    begun_at: i64,
    /// By target, as below.
    colours: [bool; 2],
    /// What was printed last, by target, is the beginning of a line.
    is_open: [bool; 2],
}

impl Lines {
    fn new(asked: Logs, form: Form) -> Self {
        let colours = [Target::Stdout, Target::Stderr].map(Target::has_colours);
        Self { asked, form, begun_at: time::now(), colours, is_open: [false; 2] }
    }

    fn channel(&self) -> api::LogChannelType {
        match (self.asked.stdout, self.asked.stderr) {
            (true, false) => api::LogChannelType::Stdout,
            (false, true) => api::LogChannelType::Stderr,
            _ => api::LogChannelType::Unspecified,
        }
    }

    fn print_daemon(&self, item: &api::LogItem, buffer: &mut Vec<u8>) {
        let level = usize::try_from(item.level).ok().and_then(|level| LEVELS.get(level.checked_sub(1)?));
        if let Some((name, colour)) = level {
            let is_coloured = self.colours[Target::Stdout as usize];
            let (colour, plain) = if is_coloured { (*colour, PLAIN) } else { (&b""[..], &b""[..]) };
            for part in [colour, name.to_ascii_uppercase().as_bytes(), plain, b" "] {
                buffer.extend_from_slice(part);
            }
        }
        let fields = item.fields.iter().map(|(name, value)| format!(" {name}={value:?}"));
        let line = format!("{}: {}{}", item.target, item.line, fields.collect::<String>());
        buffer.extend_from_slice(printable(&line).as_bytes());
    }

    fn print_output(&self, item: &api::LogItem, target: Target, buffer: &mut Vec<u8>) {
        let is_coloured = target == Target::Stderr && self.colours[target as usize];
        if is_coloured {
            buffer.extend_from_slice(RED);
        }
        // As the program wrote it: on a terminal, it may have colours and a progress bar.
        buffer.extend_from_slice(item.line.as_bytes());
        if is_coloured {
            buffer.extend_from_slice(PLAIN);
        }
    }
}

impl Followed for Lines {
    type Item = api::LogItem;

    const ITEMS: &'static str = "lines";

    fn method(&self) -> Method {
        match self.asked.daemon {
            true => Method::ObserveServiceGetAuraeDaemonLogStream,
            false => Method::ObserveServiceGetSubProcessStream,
        }
    }

    fn counted_in(&self) -> Option<&'static str> {
        let is_whole = self.asked.stdout == self.asked.stderr && self.asked.level.is_none();
        is_whole.then_some(if self.asked.daemon { "daemon" } else { "program of this name" })
    }

    fn request(&self, from_sequence: Option<u64>, again: bool) -> Vec<u8> {
        let asked = &self.asked;
        let (tail_lines, since) = match (from_sequence, asked.tail) {
            (Some(_), _) => (None, None),
            // Nothing has come since then, and what was written while the connection was lost is to come.
            (None, Some(0)) if again => (None, Some(self.begun_at)),
            (None, tail) => (tail, asked.since.map(|Since(seconds)| seconds)),
        };
        let no_follow = !asked.follows();
        if asked.daemon {
            let level = asked.level.unwrap_or_default().into();
            let request =
                api::GetAuraeDaemonLogStreamRequest { level, tail_lines, since, no_follow, from_sequence };
            return request.encode_to_vec();
        }
        let [cell_name, executable_name] = asked.names();
        let request = api::GetSubProcessStreamRequest {
            channel_type: self.channel().into(),
            cell_name,
            executable_name,
            tail_lines,
            since,
            no_follow,
            from_sequence,
            ..api::GetSubProcessStreamRequest::default()
        };
        request.encode_to_vec()
    }

    fn place(item: &api::LogItem) -> (u64, u64) {
        (item.sequence, item.dropped)
    }

    fn print(&mut self, item: &api::LogItem, sink: &mut Sink) -> io::Result<()> {
        if self.form == Form::Json {
            let buffer = sink.to(Target::Stdout)?;
            return writeln!(buffer, "{}", json::log_item(item));
        }
        let target = if item.channel.ends_with("::stderr") { Target::Stderr } else { Target::Stdout };
        let buffer = sink.to(target)?;
        let was_open = std::mem::replace(&mut self.is_open[target as usize], item.partial);
        if self.asked.timestamps && !was_open {
            time::write(buffer, item.timestamp, item.nanos);
            buffer.push(b' ');
        }
        match self.asked.daemon {
            true => self.print_daemon(item, buffer),
            false => self.print_output(item, target, buffer),
        }
        if !item.partial {
            buffer.push(b'\n');
        }
        Ok(())
    }

    fn interrupt(&mut self, sink: &mut Sink) -> io::Result<()> {
        for target in [Target::Stdout, Target::Stderr] {
            if std::mem::take(&mut self.is_open[target as usize]) {
                sink.to(target)?.push(b'\n');
            }
        }
        Ok(())
    }

    async fn exit_code(&self, channel: &Channel, form: Form) -> Result<u8, Status> {
        if !self.asked.wait {
            return Ok(0);
        }
        let [cell_name, executable_name] = self.asked.names();
        let request = wait::request(cell_name, executable_name);
        let response = CellServiceClient::new(channel).wait(&request).await?;
        if form == Form::Text {
            complain(&wait::remark(&response));
        }
        Ok(wait::exit_code(&response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Logs, String> {
        Logs::from_args(&["logs"], arguments).map_err(|exit| exit.output)?.checked()
    }

    fn lines(arguments: &[&str]) -> Lines {
        let asked = asked(arguments).unwrap_or_else(|why| panic!("{arguments:?}: {why}"));
        Lines { asked, form: Form::Text, begun_at: 77, colours: [false; 2], is_open: [false; 2] }
    }

    fn printed(lines: &mut Lines, items: &[api::LogItem]) -> String {
        // One target, so that nothing is flushed.
        let mut sink = Sink::new();
        items.iter().for_each(|item| lines.print(item, &mut sink).expect("memory takes all"));
        let text = sink.to(Target::Stdout).expect("the same target").clone();
        String::from_utf8(text).expect("the tests' items are UTF-8")
    }

    #[test]
    fn flags_become_fields() {
        let asked = ["web", "job", "-f", "-n", "7", "--since", "5", "--stderr"];
        let expected = api::GetSubProcessStreamRequest {
            channel_type: api::LogChannelType::Stderr.into(),
            cell_name: "web".to_owned(),
            executable_name: "job".to_owned(),
            tail_lines: Some(7),
            since: Some(5),
            ..api::GetSubProcessStreamRequest::default()
        };
        assert_eq!(lines(&asked).request(None, false), expected.encode_to_vec());
        let all = api::GetSubProcessStreamRequest {
            channel_type: 0,
            tail_lines: None,
            since: None,
            no_follow: true,
            ..expected
        };
        assert_eq!(lines(&["web", "job", "--stdout", "--stderr"]).request(None, false), all.encode_to_vec());
        let waits = api::GetSubProcessStreamRequest { no_follow: false, ..all };
        assert_eq!(lines(&["web", "job", "--wait"]).request(None, false), waits.encode_to_vec());

        let asked = ["--daemon", "--level", "warn", "-n", "7", "--since", "5"];
        let expected = api::GetAuraeDaemonLogStreamRequest {
            level: api::LogLevel::Warn.into(),
            tail_lines: Some(7),
            since: Some(5),
            no_follow: true,
            from_sequence: None,
        };
        assert_eq!(lines(&asked).request(None, false), expected.encode_to_vec());
    }

    /// What was asked for is not asked for twice.
    #[test]
    fn a_stream_that_goes_on_begins_behind_what_was_printed() {
        let cell_name = "web".to_owned();
        let executable_name = "job".to_owned();
        let whole = api::GetSubProcessStreamRequest { cell_name, executable_name, ..Default::default() };
        let from = api::GetSubProcessStreamRequest { from_sequence: Some(8), ..whole.clone() };
        let asked = ["web", "job", "-f", "-n", "7", "--since", "5"];
        assert_eq!(lines(&asked).request(Some(8), true), from.encode_to_vec());
        let tail = api::GetSubProcessStreamRequest { tail_lines: Some(7), since: Some(5), ..whole.clone() };
        assert_eq!(lines(&asked).request(None, true), tail.encode_to_vec());
        let since = api::GetSubProcessStreamRequest { since: Some(77), ..whole };
        assert_eq!(lines(&["web", "job", "-f", "-n", "0"]).request(None, true), since.encode_to_vec());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (arguments, why) in [
            (&[][..], "<cell> and <name>, or --daemon, are missing"),
            (&["web"], "<name> is missing"),
            (&["web", "job", "more"], "\"more\" is too much"),
            (&["--daemon", "web", "job"], "--daemon has no <cell>"),
            (&["--daemon", "web", "job", "--wait"], "--daemon has no <cell>"),
            (&["--daemon", "--wait"], "--wait is about a program"),
            (&["--daemon", "--stderr"], "--stderr is about a program"),
            (&["web", "job", "--level", "info"], "--level is about the log of --daemon"),
            (&["--daemon", "--level", "loud"], "\"loud\" is not one of error, warn, info, debug and trace"),
            (&["web", "job", "--since", "yesterday"], "accepted: a while ago"),
        ] {
            let refusal = asked(arguments).expect_err("it is wrong");
            assert!(refusal.contains(why), "{arguments:?}: {refusal}");
        }
        for (name, level) in [("error", api::LogLevel::Error), ("trace", api::LogLevel::Trace)] {
            assert_eq!(level_of(name), level);
        }
    }

    fn level_of(name: &str) -> api::LogLevel {
        level(name).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn pieces_of_a_line_are_joined() {
        let item = |line: &str, partial| api::LogItem {
            channel: "job::stdout".to_owned(),
            line: line.to_owned(),
            partial,
            ..api::LogItem::default()
        };
        let items = [item("a", true), item("b", true), item("c", false), item("d", false)];
        assert_eq!(printed(&mut lines(&["web", "job"]), &items), "abc\nd\n");
        let time = "1970-01-01T00:00:00.000000000Z";
        let stamped = printed(&mut lines(&["web", "job", "--timestamps"]), &items);
        assert_eq!(stamped, format!("{time} abc\n{time} d\n"));
        let mut lines = lines(&["web", "job"]);
        assert_eq!(printed(&mut lines, &items[..1]), "a");
        let mut sink = Sink::new();
        lines.interrupt(&mut sink).and_then(|()| lines.interrupt(&mut sink)).expect("memory takes all");
        assert_eq!(sink.to(Target::Stdout).expect("the same target"), b"\n");
    }

    #[test]
    fn the_daemons_log_has_levels_and_fields() {
        let item = api::LogItem {
            channel: "auraed".to_owned(),
            line: "a \x1b[2J".to_owned(),
            level: api::LogLevel::Warn.into(),
            target: "auraed::x".to_owned(),
            fields: [("key".to_owned(), "a value".to_owned())].into(),
            ..api::LogItem::default()
        };
        let expected = "WARN auraed::x: a \\u{1b}[2J key=\"a value\"\n";
        assert_eq!(printed(&mut lines(&["--daemon"]), std::slice::from_ref(&item)), expected);
        let coloured = Lines { colours: [true; 2], ..lines(&["--daemon"]) };
        let expected = "\x1b[33mWARN\x1b[0m auraed::x: a \\u{1b}[2J key=\"a value\"\n";
        assert_eq!(printed(&mut { coloured }, &[item]), expected);
    }
}
