//! The daemon's own log: as a stream of its API, and on standard error. Needs root, but for the last part; says so and does
//! nothing without.

#[path = "common/under_test.rs"]
mod under_test;

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::proto::ObserveServiceClient;
use auraed::proto::aurae::observe::v0::*;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, openpty};
use smol::future::{FutureExt, block_on};
use smol::stream::{Stream, StreamExt};
use smol::{Executor, Timer};
use under_test::{Auraed, PATIENCE};

/// What comes within this time after all else has come would be an echo.
const SILENCE: Duration = Duration::from_millis(500);

/// What the daemon logs, at the level debug, when a client has left, however it did.
const LEFT: &str = "a connection ";

#[test]
fn a_line_is_streamed_at_once_and_has_no_echo() {
    let Some(daemon) = start("echo", "trace", |_| ()) else { return };
    run(async |executor| {
        let (one, other) = (daemon.connect(executor, None).await, daemon.connect(executor, None).await);
        let mut followers =
            [follow(&one, all()).await.expect("it begins"), follow(&other, all()).await.expect("it begins")];
        for follower in &mut followers {
            let listening = next_with(follower, "listening").await;
            assert_eq!(listening.fields["address"], daemon.file("aurae.sock").display().to_string());
            assert_eq!((listening.channel.as_str(), listening.target.as_str()), ("auraed", "auraed::daemon"));
            assert_eq!((listening.level(), listening.partial, listening.dropped), (LogLevel::Info, false, 0));
            next_with(follower, LEFT).await;
        }
        for _ in 0..20 {
            drop(UnixStream::connect(daemon.file("aurae.sock")).expect("it listens"));
            let [one, other] = &mut followers;
            let item = next(one).await.expect("an item");
            // And nothing else happens that would bring it along.
            let delay = SystemTime::now().duration_since(time(&item)).expect("no item comes from the future");
            println!("streamed {delay:?} after it was logged");
            assert!(delay < PATIENCE, "{delay:?}");
            assert!(item.line.starts_with(LEFT) && item.level() == LogLevel::Debug, "{item:?}");
            assert_eq!(next(other).await, Ok(item), "all see the same");
        }
        let [mut one, other] = followers;
        assert_eq!(silence(&mut one).await, None);
        // It is said once that a client has left, and not again for each who is told of it.
        drop(other);
        assert!(next_with(&mut one, "the caller has gone").await.line.contains("GetAuraeDaemonLogStream"));
        assert_eq!(silence(&mut one).await, None);
    });
}

#[test]
fn a_part_of_the_log_can_be_asked_for() {
    let Some(daemon) = start("parts", "debug", |_| ()) else { return };
    run(async |executor| {
        let channel = daemon.connect(executor, None).await;
        for _ in 0..3 {
            drop(UnixStream::connect(daemon.file("aurae.sock")).expect("it listens"));
        }
        let mut live = follow(&channel, all()).await.expect("it begins");
        // And the one that found it listening.
        for _ in 0..4 {
            next_with(&mut live, LEFT).await;
        }
        let items = held(&channel, all()).await.expect("what is held");
        let sequences: Vec<_> = items.iter().map(|item| item.sequence).collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");

        let is_info = |item: &&LogItem| item.level <= LogLevel::Info as i32;
        let info: Vec<_> = items.iter().filter(is_info).cloned().collect();
        assert!(!info.is_empty() && info.len() <= items.len() - 3, "{items:?}");
        let of_info = Request { level: LogLevel::Info.into(), ..all() };
        assert_eq!(held(&channel, of_info).await, Ok(info.clone()));
        // The last of that level, though others came later.
        let last = Request { tail_lines: Some(1), ..of_info };
        assert_eq!(held(&channel, last).await.expect("one"), info[info.len() - 1..]);
        let none = Request { tail_lines: Some(0), ..of_info };
        assert_eq!(held(&channel, none).await, Ok(vec![]));

        for tail in [0, 1, 2, items.len(), items.len() + 1] {
            let request = Request { tail_lines: Some(tail as u32), ..all() };
            let expected = &items[items.len().saturating_sub(tail)..];
            assert_eq!(held(&channel, request).await.expect("the tail"), expected, "{tail}");
        }
        let from = |sequence| Request { from_sequence: Some(sequence), ..all() };
        assert_eq!(held(&channel, from(sequences[1])).await.expect("the rest"), items[1..]);
        let next = sequences[sequences.len() - 1] + 1;
        assert_eq!(held(&channel, from(next)).await, Ok(vec![]));
        assert_eq!(held(&channel, from(next + 1)).await.expect_err("too far").code, Code::OutOfRange);
        let since = |seconds| Request { since: Some(seconds), ..all() };
        assert_eq!(held(&channel, since(items[0].timestamp)).await, Ok(items.clone()));
        assert_eq!(held(&channel, since(i64::MAX)).await, Ok(vec![]));
        let unknown = Request { level: 6, ..all() };
        let refused = held(&channel, unknown).await.expect_err("no such level");
        assert_eq!(refused.code, Code::InvalidArgument);
        assert!(refused.message.contains("level"), "{}", refused.message);
    });
}

#[test]
fn a_stream_ends_with_its_deadline_and_with_the_daemon() {
    let Some(daemon) = start("ends", "info", |_| ()) else { return };
    run(async |executor| {
        // As long as it takes to be given something, on a machine that does other things, too.
        let mut deadlines = [300, 3_000, 30_000].map(Duration::from_millis).into_iter();
        loop {
            let hasty = daemon.connect(executor, deadlines.next()).await;
            let (last, status) = match follow(&hasty, all()).await {
                Ok(mut late) => end_of(&mut late).await,
                Err(status) => (None, status),
            };
            assert_eq!(status.code, Code::DeadlineExceeded);
            if last.is_some() {
                break;
            }
        }

        let channel = daemon.connect(executor, None).await;
        let mut follower = follow(&channel, all()).await.expect("it begins");
        next_with(&mut follower, "listening").await;
        daemon.terminate();
        let (last, status) = end_of(&mut follower).await;
        assert_eq!(status.code, Code::Unavailable);
        assert!(last.expect("one more").line.contains("SIGTERM: stopping"));
    });
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    let (mut unread, stderr) = full_pipe();
    let Some(daemon) = start("full", "debug", |command| _ = command.stderr(stderr)) else { return };
    run(async |executor| {
        let channel = daemon.connect(executor, None).await;
        let mut follower = follow(&channel, all()).await.expect("it answers");
        next_with(&mut follower, "listening").await;
        // Of the one that found it listening. Nothing more happens.
        next_with(&mut follower, LEFT).await;
        let lost = held(&channel, all()).await.expect("what is held").len();

        let mut filling = vec![0; PIPE_BYTES];
        unread.read_exact(&mut filling).expect("what was written before it began");
        drop(UnixStream::connect(daemon.file("aurae.sock")).expect("it listens"));
        next_with(&mut follower, LEFT).await;
        let mut told = Vec::new();
        while told.iter().filter(|byte| **byte == b'\n').count() < 2 {
            let mut some = [0; 4096];
            let read = unread.read(&mut some).expect("the daemon writes");
            told.extend(&some[..read]);
        }
        let told = String::from_utf8(told).expect("text");
        let (first, second) = told.split_once('\n').expect("two lines");
        assert!(
            first.starts_with(&format!("WARN  auraed::daemon_log: {lost} lines are missing here")),
            "{told}"
        );
        assert!(second.starts_with(&format!("DEBUG auraed::transport::listen: {LEFT}")), "{told}");
    });
}

/// As that of a terminal whose window hangs, or where somebody has pressed Ctrl-S.
#[test]
fn a_terminal_that_nobody_reads_stops_nothing() {
    const CALLS: usize = 1000;
    let OpenptyResult { master, slave } = openpty(None, None).expect("a terminal");
    let mut unread = File::from(master);
    let Some(daemon) = start("terminal", "debug", |command| _ = command.stderr(slave)) else { return };
    run(async |executor| {
        let channel = daemon.connect(executor, None).await;
        let mut follower = follow(&channel, all()).await.expect("it answers");
        // Far more than a terminal holds.
        for _ in 0..CALLS {
            drop(UnixStream::connect(daemon.file("aurae.sock")).expect("it listens"));
            next_with(&mut follower, LEFT).await;
        }
        fcntl(&unread, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
        let mut told = String::new();
        let begin = Instant::now();
        while !told.contains("lines are missing here") {
            assert!(begin.elapsed() < PATIENCE, "{told}");
            let mut some = [0; 4096];
            match unread.read(&mut some) {
                Ok(read) => told.push_str(&String::from_utf8_lossy(&some[..read])),
                Err(_) => {
                    drop(UnixStream::connect(daemon.file("aurae.sock")).expect("it listens"));
                    next_with(&mut follower, LEFT).await;
                }
            }
        }
        let place = told.lines().position(|line| line.contains("lines are missing here"));
        let place = place.expect("it has been found");
        let missing = told.lines().nth(place).expect("a line");
        assert!(missing.starts_with("WARN  auraed::daemon_log: "), "{missing}");
        assert!(place > 10 && place < CALLS / 2, "{place} lines before it");
    });
}

#[test]
fn lines_start_with_their_priority_where_the_journal_reads_them() {
    let log = std::env::temp_dir().join(format!("auraed-log-{}-journal", std::process::id()));
    let file = File::create(&log).expect("a new file");
    let it = file.metadata().expect("it is there");
    let logged = |journal_stream: &str| {
        file.set_len(0).expect("it is ours");
        // It fails at once, and says so.
        let status = Command::new(env!("CARGO_BIN_EXE_auraed"))
            .env_clear()
            .env("JOURNAL_STREAM", journal_stream)
            .args(["-r", "/dev/null/nowhere"])
            .stderr(File::options().append(true).open(&log).expect("it is ours"))
            .status();
        assert_eq!(status.expect("auraed runs").code(), Some(1));
        fs::read_to_string(&log).expect("the log")
    };
    let (ours, other) =
        (logged(&format!("{}:{}", it.dev(), it.ino())), logged(&format!("{}:{}", it.dev(), it.ino() + 1)));
    let _ = fs::remove_file(&log);
    assert!(ours.starts_with("<3>ERROR auraed: cannot use the runtime directory"), "{ours}");
    assert_eq!(ours.strip_prefix("<3>"), Some(&*other));
}

type Request = GetAuraeDaemonLogStreamRequest;
type Items = std::pin::Pin<Box<dyn Stream<Item = Result<LogItem, Status>>>>;

fn all() -> Request {
    Request::default()
}

async fn follow(channel: &Channel, request: Request) -> Result<Items, Status> {
    let items = within(ObserveServiceClient::new(channel).get_aurae_daemon_log_stream(&request)).await?;
    Ok(Box::pin(items))
}

/// What the daemon holds of it.
async fn held(channel: &Channel, request: Request) -> Result<Vec<LogItem>, Status> {
    let mut items = follow(channel, Request { no_follow: true, ..request }).await?;
    let mut all = Vec::new();
    while let Some(item) = within(items.next()).await {
        all.push(item?);
    }
    Ok(all)
}

async fn next(items: &mut Items) -> Result<LogItem, Status> {
    within(items.next()).await.expect("it goes on")
}

/// The next item whose line contains this.
async fn next_with(items: &mut Items, text: &str) -> LogItem {
    loop {
        let item = next(items).await.expect("an item");
        if item.line.contains(text) {
            return item;
        }
    }
}

/// The last item, and the status.
async fn end_of(items: &mut Items) -> (Option<LogItem>, Status) {
    let mut last = None;
    loop {
        match next(items).await {
            Ok(item) => last = Some(item),
            Err(status) => return (last, status),
        }
    }
}

/// `None`, or what comes meanwhile.
async fn silence(items: &mut Items) -> Option<Result<LogItem, Status>> {
    let over = async {
        Timer::after(SILENCE).await;
        None
    };
    items.next().or(over).await
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    let expiry = async {
        Timer::after(PATIENCE).await;
        panic!("not within {PATIENCE:?}")
    };
    work.or(expiry).await
}

fn time(item: &LogItem) -> SystemTime {
    let since = Duration::new(item.timestamp.try_into().expect("now"), item.nanos.try_into().expect("nanos"));
    SystemTime::UNIX_EPOCH + since
}

fn start(test: &str, level: &str, change: impl FnOnce(&mut Command)) -> Option<Auraed> {
    Auraed::start(test, |command| change(command.args(["--log-level", level])))
}

fn run(test: impl AsyncFnOnce(&Executor<'static>)) {
    let executor = Executor::new();
    block_on(executor.run(test(&executor)));
}

/// What a pipe holds (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

fn full_pipe() -> (PipeReader, PipeWriter) {
    let (read, mut write) = std::io::pipe().expect("a pipe");
    write.write_all(&[b'.'; PIPE_BYTES]).expect("it fits");
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
    assert!(write.write(b".").is_err(), "it is full");
    fcntl(&write, FcntlArg::F_SETFL(OFlag::empty())).expect("a flag");
    (read, write)
}
