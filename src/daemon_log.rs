//! The daemon's own log: what goes through [`log`] goes to standard error, and into the feed that
//! `GetAuraeDaemonLogStream` reads.
//!
//! 1. A record is made one line. What a client chose the name of may be part of it: nothing in it ends the line, or speaks to
//!    a terminal.
//! 2. The feed gets it first. It wakes those who follow, and to deliver an item logs nothing: a stream never feeds itself.
//! 3. Standard error gets it without waiting: a reader that has stopped loses lines, and never stops the daemon.
//!
//! Takes no lock but the feed's and its own, and makes no call that waits, so that any thread may log at any time.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use log::kv::{self, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::fcntl::OFlag;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use crate::limits::{DAEMON_LOG_BYTES, LINE_BYTES_MAX};
use crate::runtime::logs::{Feed, Logs};
use crate::services::observe::daemon_log;

/// From now on, all that is logged up to `level` goes to standard error and into the feed, as [`daemon_log::encode`] has it.
pub fn start(level: LevelFilter) -> Arc<Feed> {
    let feed = Feed::new(&Logs::new(DAEMON_LOG_BYTES), DAEMON_LOG_BYTES, false);
    let log = DaemonLog { feed: Arc::clone(&feed), stderr: stderr_logger(level, is_under_systemd()) };
    // Fails only where there is a logger already, which then stays: this is called once, first of all.
    if log::set_boxed_logger(Box::new(log)).is_ok() {
        log::set_max_level(level);
    }
    feed
}

struct DaemonLog {
    feed: Arc<Feed>,
    stderr: env_logger::Logger,
}

impl Log for DaemonLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = one_line(*record.args());
        let mut pairs = Pairs::default();
        // Fails only where we do, which we don't.
        let _ = record.key_values().visit(&mut pairs);
        let fields = pairs.0.iter().map(|(name, value)| (&**name, &**value));
        self.feed.put(&daemon_log::encode(record.level(), record.target(), &line, fields));
        self.feed.tell();
        self.stderr.log(&record.to_builder().args(format_args!("{line}{pairs}")).build());
    }

    fn flush(&self) {}
}

/// What is longer than a line may be is cut, and shows it: in pieces, those of several threads would mix.
fn one_line(text: fmt::Arguments<'_>) -> String {
    let mut line = OneLine(String::new());
    if line.write_fmt(text).is_err() {
        line.0.push('…');
    }
    line.0
}

struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() >= LINE_BYTES_MAX {
                return Err(fmt::Error);
            }
            match character {
                '\n' => self.0.push_str("\\n"),
                _ if character.is_control() => write!(self.0, "\\u{{{:x}}}", u32::from(character))?,
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// What is logged beside the line, and how standard error shows it. Each value is a text: to show all that
/// [`kv::Value`] can be would take 20 KB of code, most of it for floats.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let text = value.to_borrowed_str();
        debug_assert!(text.is_some(), "{key} is no text");
        self.0.push((key.as_str().to_owned(), one_line(format_args!("{}", text.unwrap_or("?")))));
        Ok(())
    }
}

impl fmt::Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| write!(f, " {key}={value:?}"))
    }
}

/// One line per record. Under systemd each starts with its priority (sd-daemon(3)), and systemd adds the time.
fn stderr_logger(level: LevelFilter, under_systemd: bool) -> env_logger::Logger {
    let stderr = Stderr { own: open_anew(), under_systemd, lost: 0, is_torn: false };
    env_logger::Builder::new()
        .filter_level(level)
        .format(move |out, record| {
            write!(out, "{}", Head(record.level(), record.target(), under_systemd))?;
            writeln!(out, "{}", record.args())
        })
        .target(env_logger::Target::Pipe(Box::new(stderr)))
        .build()
}

/// What a line starts with: how severe, which part of the daemon, and whether it is for systemd.
struct Head<'a>(Level, &'a str, bool);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(level, target, under_systemd) = *self;
        let priority = match level {
            Level::Error => "<3>",
            Level::Warn => "<4>",
            Level::Info => "<6>",
            Level::Debug | Level::Trace => "<7>",
        };
        f.write_str(if under_systemd { priority } else { "" })?;
        write!(f, "{level:5} {target}: ")
    }
}

/// Whether standard error is what systemd said it connected with the journal (systemd.exec(5)). That the variable is there
/// is not enough: it is inherited by those whose standard error is another.
fn is_under_systemd() -> bool {
    let Ok(stderr) = fstat(io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_file(&stream, stderr.st_dev, stderr.st_ino))
}

/// `stream` is "DEVICE:INODE", both decimal.
fn is_file(stream: &str, device: u64, inode: u64) -> bool {
    let is = |text: &str, number: u64| text.parse() == Ok(number);
    stream.split_once(':').is_some_and(|(first, second)| is(first, device) && is(second, inode))
}

/// Standard error, each `write` of which is a record: written if that can be done at once, or else counted and left out. The
/// next one that can be written says how many there were.
///
/// A terminal or a pipe is written to without waiting. Where that cannot be had, and in a socket, whatever poll(2) says may
/// be written takes `PIPE_BUF` bytes without waiting (pipe(7); in a socket more is free by then), unless another process
/// that writes to it comes between. A file is as fast as its disk: one that doesn't answer is waited for.
struct Stderr {
    /// What standard error is, if it has been opened anew.
    own: Option<File>,
    under_systemd: bool,
    lost: u64,
    /// A record ends in the middle.
    is_torn: bool,
}

impl Write for Stderr {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if !self.tell_lost() || !self.send(record) {
            self.lost += 1;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stderr {
    /// Whether there is nothing left to tell.
    fn tell_lost(&mut self) -> bool {
        if self.lost > 0 {
            let end = if self.is_torn { "\n" } else { "" };
            let head = Head(Level::Warn, module_path!(), self.under_systemd);
            let lost = self.lost;
            let text = format!("{end}{head}{lost} lines are missing here: nobody read what was written\n");
            if self.send(text.as_bytes()) {
                self.lost = 0;
            }
        }
        self.lost == 0
    }

    /// Whether all of it could be written.
    fn send(&mut self, text: &[u8]) -> bool {
        let mut rest = text;
        while !rest.is_empty() {
            match self.write_at_once(&rest[..rest.len().min(PIPE_BUF)]) {
                Some(written) => rest = &rest[written..],
                None => {
                    self.is_torn |= rest.len() < text.len();
                    return false;
                }
            }
        }
        self.is_torn = false;
        true
    }

    /// How many bytes were written: `None` where that would take time, or fails.
    fn write_at_once(&self, bytes: &[u8]) -> Option<usize> {
        let written = match &self.own {
            Some(own) => (&*own).write(bytes),
            None if may_be_written(io::stderr().as_fd()) => io::stderr().lock().write(bytes),
            None => return None,
        };
        written.ok().filter(|written| *written > 0)
    }
}

/// Opens a terminal or a pipe that is standard error once more, so that writing to it never waits: a terminal that poll(2)
/// calls writable may have no room for a record. Not by a flag of the one that there is: all have it who have inherited
/// it, as the shell has.
fn open_anew() -> Option<File> {
    let mode = SFlag::from_bits_truncate(fstat(io::stderr()).ok()?.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = || File::options().write(true).custom_flags(flags.bits()).open("/proc/self/fd/2").ok();
    (mode == SFlag::S_IFCHR || mode == SFlag::S_IFIFO).then(opened).flatten()
}

fn may_be_written(file: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(file, PollFlags::POLLOUT)];
    poll(&mut asked, PollTimeout::ZERO).is_ok()
        && asked[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_does_not_speak_to_a_terminal() {
        let hostile = "a\nERROR forged\r\u{1b}[2J\u{9b}é\t";
        assert_eq!(one_line(format_args!("{hostile}")), "a\\nERROR forged\\u{d}\\u{1b}[2J\\u{9b}é\\u{9}");
        let full = "é".repeat(LINE_BYTES_MAX / 2);
        assert_eq!(one_line(format_args!("{full}")), full);
        assert_eq!(one_line(format_args!("{full}{full}")), full + "…");
    }

    #[test]
    fn fields_are_shown_quoted_and_kept_as_they_are() {
        let mut pairs = Pairs::default();
        let source = [("b", "x\" y=\"z"), ("a", "1")];
        kv::Source::visit(&source, &mut pairs).expect("we do not fail");
        assert_eq!(pairs.to_string(), r#" b="x\" y=\"z" a="1""#);
        assert_eq!(pairs.0, source.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_journal_is_the_file_that_is_named() {
        assert!(is_file("8:123", 8, 123));
        for other in ["", "8", "8:", ":123", "8:124", "9:123", "8:123:", "8: 123", "0x8:123", "123:8"] {
            assert!(!is_file(other, 8, 123), "{other}");
        }
    }
}
