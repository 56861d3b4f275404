//! Executables that wait for those who follow (LOG_MODE_BLOCK): nothing is lost to a reader, and nothing hangs.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use auraed::proto::aurae::observe::v0::LogItem;

use super::daemon::{
    Daemon, PATIENCE, Stream, blocking, eventually, executable, is_gone, lines, named, restarting,
};

/// What a pipe holds (pipe(7)).
const PIPE_BYTES: u64 = 64 << 10;

/// Bytes that a process has written; of one that has ended, none.
fn written(pid: i32) -> Option<u64> {
    let counts = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    counts.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

/// Waits until it has written more than its pipe holds, and sleeps because it can write no more.
fn stands_still(pid: i32) {
    let sleeps = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains("State:\tS"))
    };
    let mut last = None;
    eventually("it waits", || {
        let before = last;
        last = written(pid).filter(|_| sleeps());
        thread::sleep(Duration::from_millis(200));
        last.is_some_and(|bytes| bytes > PIPE_BYTES) && last == before && sleeps()
    });
}

/// Reads the numbers that follow `last`, up to `end`, and the end of the stream.
fn assert_complete(stream: Stream<'_>, last: u64, end: u64) {
    let (items, status) = stream.rest();
    assert_eq!(status, Ok(()));
    for (item, expected) in items.iter().zip(last + 1..) {
        assert_eq!((item.line.parse(), item.dropped), (Ok(expected), 0));
    }
    assert_eq!(last + items.len() as u64, end);
}

/// Ten million of them with `cargo test --release`; a build that checks itself takes too long for that.
#[test]
fn very_many_lines_arrive_complete_and_in_order() {
    const LINES: u64 = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };
    let Some(daemon) = Daemon::start("many") else { return };
    let client = daemon.client_with(10 * PATIENCE);
    let begin = Instant::now();
    client.start_it(blocking("job", &format!("{}; exec seq {LINES}", daemon.gate())));
    let mut stream = client.follow(named("job"));
    daemon.go();
    let first = stream.item();
    let mut next = first.sequence;
    for number in 2..=LINES {
        let item = stream.item();
        next += 1;
        assert_eq!((item.sequence, item.dropped), (next, 0));
        assert_eq!(item.line, number.to_string());
    }
    assert_eq!(stream.next(), None);
    eprintln!("{LINES} lines in {:?}", begin.elapsed());
}

#[test]
fn a_writer_waits_for_its_reader_and_goes_on_with_it() {
    const LINES: u64 = 50_000;
    let Some(daemon) = Daemon::start("waits") else { return };
    let (client, reader) = (daemon.client(), daemon.client());
    let pid = client.start_it(blocking("job", &format!("{}; exec seq {LINES}", daemon.gate())));
    let mut stream = reader.follow(named("job"));
    daemon.go();
    assert_eq!(stream.item().line, "1");
    stands_still(pid);
    let bytes = written(pid).expect("it runs");
    assert!(bytes < 250_000, "{bytes} bytes are far more than is held on the way");
    // Nobody else waits.
    client.start("other", "seq 100000");
    let other: u64 = client.read(named("other")).iter().map(|item| 1 + item.dropped).sum();
    assert_eq!(other, 100_000);
    assert_complete(stream, 1, LINES);
    assert!(is_gone(pid));
}

#[test]
fn a_writer_goes_on_when_its_reader_leaves() {
    const LINES: u64 = 50_000;
    let Some(daemon) = Daemon::start("leaves") else { return };
    let (client, fast) = (daemon.client(), daemon.client());
    let pid = client.start_it(blocking("job", &format!("{}; exec seq {LINES}", daemon.gate())));
    let follower = fast.follow(named("job"));
    thread::scope(|scope| {
        let stuck = daemon.client();
        let stalled = stuck.follow(named("job"));
        daemon.go();
        // The slowest counts …
        let complete = scope.spawn(|| assert_complete(follower, 0, LINES));
        stands_still(pid);
        assert!(!complete.is_finished());
        // … for as long as it is there.
        drop(stalled);
        drop(stuck);
        complete.join().expect("it is complete");
    });
    // And one that resets its stream, on a connection that stays.
    let pid = client.start_it(blocking("reset", &format!("{}; exec seq {LINES}", daemon.gate_at("-again"))));
    let stalled = fast.follow(named("reset"));
    daemon.go_on("-again");
    stands_still(pid);
    drop(stalled);
    let prompt = fast.follow(named("reset")).rest().0;
    let count: u64 = prompt.iter().map(|item| 1 + item.dropped).sum();
    assert_eq!(count, LINES);
}

/// One that waits is not forgotten because its other output goes on.
#[test]
fn both_outputs_wait_and_go_on() {
    const LINES: usize = 50_000;
    let Some(daemon) = Daemon::start("outputs") else { return };
    let (client, reader) = (daemon.client(), daemon.client());
    let errors = daemon.file("errors");
    let command = format!(
        "{}; seq {LINES} & for n in 1 2 3 4 5 6 7 8; do sleep 0.1; echo $n >&2; done; : >{}; wait",
        daemon.gate(),
        errors.display()
    );
    client.start_it(blocking("job", &command));
    let stream = reader.follow(named("job"));
    daemon.go();
    eventually("the errors are written", || errors.exists());
    let (items, end) = stream.rest();
    assert_eq!(end, Ok(()));
    assert!(items.iter().all(|item: &LogItem| item.dropped == 0));
    let (errors, numbers): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.channel.ends_with("stderr"));
    assert_eq!((errors.len(), numbers.len()), (8, LINES));
}

#[test]
fn without_a_reader_nobody_waits() {
    let Some(daemon) = Daemon::start("nobody") else { return };
    let client = daemon.client();
    client.start_it(blocking("job", "seq 100000"));
    assert_eq!(client.wait("job").exit_code, Some(0));
    let count: u64 = client.read(named("job")).iter().map(|item| 1 + item.dropped).sum();
    assert_eq!(count, 100_000);
}

#[test]
fn what_waits_for_its_reader_is_stopped_and_freed_all_the_same() {
    let Some(daemon) = Daemon::start("stopped") else { return };
    let client = daemon.client();
    // Of one connection, the one that is not read would keep the other from being.
    let stuck = [daemon.client(), daemon.client()];
    let command = format!("{}; exec seq 10000000", daemon.gate());
    let pids = ["a", "b"].map(|name| client.start_it(blocking(name, &command)));
    let streams = [stuck[0].follow(named("a")), stuck[1].follow(named("b"))];
    daemon.go();
    pids.into_iter().for_each(stands_still);
    client.stop("a").expect("stop");
    client.free().expect("free");
    assert!(pids.into_iter().all(is_gone));
    // What it had written is there for who waits for it.
    for stream in streams {
        let (items, end) = stream.rest();
        assert_eq!(end, Ok(()));
        let numbers: Vec<_> = lines(&items);
        assert!(numbers.len() > 1000 && items.iter().all(|item| item.dropped == 0));
        assert_eq!(numbers[999], "1000");
    }
}

/// A run that has ended has left as much in the pipe as that holds.
#[test]
fn a_restart_waits_until_the_last_run_is_read() {
    const RUNS: u32 = 3;
    // More than stream and ring hold, and less than they and the pipe.
    const LINES: u32 = 1800;
    let line = |run: u32, line: u32| format!("run {run} line {line} {}", "x".repeat(40));
    let Some(daemon) = Daemon::start("restarts") else { return };
    let (client, reader) = (daemon.client(), daemon.client());
    let command = format!(
        "{gate}; echo >>{count}; n=$(wc -l <{count}); seq -f \"run $n line %g {}\" {LINES}; printf \"end of $n\"",
        "x".repeat(40),
        gate = daemon.gate(),
        count = daemon.file("count").display(),
    );
    let pid = client.start_it(restarting(RUNS - 1, blocking("job", &command)));
    let mut stream = reader.follow(named("job"));
    daemon.go();
    assert_eq!(stream.item().line, line(1, 1));
    eventually("the first run has ended", || is_gone(pid));
    thread::sleep(Duration::from_millis(500));
    let runs = fs::read(daemon.file("count")).expect("it has run").len();
    assert_eq!(runs, 1, "the next one waits");
    let (items, end) = stream.rest();
    assert_eq!(end, Ok(()));
    let run = |n| (1..=LINES).map(move |number| line(n, number)).chain([format!("end of {n}")]);
    let expected: Vec<String> = (1..=RUNS).flat_map(run).skip(1).collect();
    let wrong = items.iter().zip(&expected).find(|(item, line)| item.line != **line);
    assert_eq!((wrong, items.len()), (None, expected.len()));
}

/// The daemon waits for nobody when it ends.
#[test]
fn a_daemon_stops_whoever_waits() {
    let Some(daemon) = Daemon::start("daemon") else { return };
    let (client, stuck) = (daemon.client(), daemon.client());
    let pid = client.start_it(blocking("job", &format!("{}; exec seq 10000000", daemon.gate())));
    client.start_it(executable("other", "exec sleep 1000"));
    let stream = stuck.follow(named("job"));
    daemon.go();
    stands_still(pid);
    daemon.terminate();
    eventually("all of it has ended", || is_gone(pid));
    drop(stream);
}
