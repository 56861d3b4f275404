//! Readers that are slow, stuck, or very many: at nobody's expense but their own.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use auraed::grpc::status::Code;
use auraed::limits::{HEADER_LIST_SOFT_BYTES_MAX, STREAM_ANSWER_BYTES};
use auraed::proto::aurae::observe::v0::{GetSubProcessStreamRequest, LogItem};
use auraed::proto::aurae::runtime::v0::{Executable, LogPolicy};

use super::daemon::{Daemon, PATIENCE, eventually, executable, named};

/// Writes numbered lines, and how many nanoseconds that took to a file.
fn timed(daemon: &Daemon, count: u32, output: &str, file: &str) -> String {
    let file = daemon.file(file);
    let (part, file) = (format!("{}.part", file.display()), file.display());
    format!(
        "begin=$(date +%s%N); seq {count} {output}; end=$(date +%s%N); echo $((end - begin)) >{part}; mv {part} {file}"
    )
}

fn nanoseconds(daemon: &Daemon, file: &str) -> f64 {
    let mut text = String::new();
    eventually("it is written", || {
        fs::read_to_string(daemon.file(file)).is_ok_and(|read| {
            text = read;
            true
        })
    });
    text.trim().parse().expect("a number")
}

fn count(items: &[LogItem]) -> u64 {
    items.iter().map(|item| 1 + item.dropped).sum()
}

#[test]
fn a_reader_that_stalls_slows_nobody_and_is_told_what_it_lost() {
    const LINES: u32 = 300_000;
    let Some(daemon) = Daemon::start("stalled") else { return };
    let client = daemon.client();
    client.start("null", &timed(&daemon, LINES, ">/dev/null", "null"));
    client.wait("null");
    let clients = [daemon.client(), daemon.client()];
    // Whoever else runs on the machine takes time from both, but not each time from the same one.
    let (mut alone, mut watched, mut round) = (f64::INFINITY, f64::INFINITY, 0);
    let (first, late, never) = loop {
        round += 1;
        let file = |what: &str| format!("{what}-{round}");
        client.start("alone", &timed(&daemon, LINES, "", &file("alone")));
        client.wait("alone");
        let job = timed(&daemon, LINES, "", &file("watched"));
        client.start("job", &format!("{}; {job}", daemon.gate_at(&file(""))));
        let [mut late, never] = clients.each_ref().map(|client| client.follow(named("job")));
        daemon.go_on(&file(""));
        let first = late.item();
        client.wait("job");
        alone = alone.min(nanoseconds(&daemon, &file("alone")));
        watched = watched.min(nanoseconds(&daemon, &file("watched")));
        if watched < 3.0 * alone || round == 5 {
            break (first, late, never);
        }
    };
    let null = nanoseconds(&daemon, "null");
    eprintln!(
        "{LINES} lines beside /dev/null: {:.2} times as long without a reader, {:.2} with two that stall; {round} rounds",
        alone / null,
        watched / null
    );
    assert!(watched < 3.0 * alone, "readers that stall slow the writer");

    for (mut items, stream) in [(vec![first], late), (vec![], never)] {
        let (rest, end) = stream.rest();
        assert_eq!(end, Ok(()));
        items.extend(rest);
        assert!(items.len() < LINES as usize, "something was lost");
        assert_eq!(count(&items), LINES.into(), "received and dropped are what was written");
        assert_eq!(items.last().map(|item| item.line.as_str()), Some("300000"));
        let first = items[0].sequence - items[0].dropped;
        for item in &items {
            assert_eq!(item.sequence - first + 1, item.line.parse().expect("a number"), "each in its place");
        }
    }
}

#[test]
fn a_fast_reader_is_not_held_up_by_one_that_stalls() {
    const LINES: u32 = 200_000;
    let Some(daemon) = Daemon::start("beside") else { return };
    let (client, stuck) = (daemon.client(), daemon.client());
    let command = format!("{}; seq {LINES}", daemon.gate());
    client.start("job", &command);
    let stalled = stuck.follow(named("job"));
    let fast = client.follow(named("job"));
    daemon.go();
    let (items, end) = fast.rest();
    assert_eq!((count(&items), end), (LINES.into(), Ok(())));
    let (items, end) = stalled.rest();
    assert_eq!((count(&items), end), (LINES.into(), Ok(())));
}

/// Many lines in many frames, which a client's HTTP/2 may take for an attack when nobody takes them.
#[test]
fn a_client_that_pauses_keeps_its_connection() {
    let Some(daemon) = Daemon::start("pauses") else { return };
    let client = daemon.client();
    let command = format!("{}; for n in $(seq 600); do echo $n; sleep 0.002; done", daemon.gate());
    client.start("job", &command);
    let stream = client.follow(named("job"));
    daemon.go();
    stream.leave_unread(Duration::from_secs(3));
    let (items, end) = stream.rest();
    assert_eq!((count(&items), end), (600, Ok(())));
}

/// Each costs what `limits` says of a stream, and no more; and what it took comes back.
#[test]
fn a_thousand_followers_that_stall_take_what_the_limits_say() {
    const PER_CLIENT: usize = 125;
    const CLIENTS: usize = 8;
    let Some(daemon) = Daemon::start("thousand") else { return };
    daemon.client().start("job", "while :; do seq 2000; sleep 0.2; done");
    let begun = daemon.memory("VmRSS");
    // More, over all rounds, than there may be at a time.
    for round in 0..3 {
        let (stalled, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let grown = thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let client = daemon.client_with(10 * PATIENCE);
                    let streams: Vec<_> = (0..PER_CLIENT).map(|_| client.follow(named("job"))).collect();
                    stalled.fetch_add(1, Ordering::Relaxed);
                    let begin = Instant::now();
                    while !is_over.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
                        streams[0].leave_unread(Duration::from_millis(20));
                    }
                });
            }
            eventually("all follow", || stalled.load(Ordering::Relaxed) == CLIENTS);
            // Long enough for each to be given all that is held for one who does not read.
            thread::sleep(Duration::from_millis(500));
            let grown = daemon.memory("VmRSS").saturating_sub(begun);
            is_over.store(true, Ordering::Relaxed);
            grown
        });
        let followers = CLIENTS * PER_CLIENT;
        let bound = followers * (STREAM_ANSWER_BYTES + HEADER_LIST_SOFT_BYTES_MAX + 2048);
        eprintln!(
            "round {round}: {followers} followers that stall: {} KiB, {} at most",
            grown >> 10,
            bound >> 10
        );
        assert!(grown <= bound, "{grown} bytes more");
        eventually("memory is given back", || daemon.memory("VmRSS") < begun + (4 << 20));
    }
    daemon.client().stop("job").expect("stop");
}

/// Resets of single streams, on a connection that stays.
#[test]
fn a_stream_that_is_reset_gives_its_place_back() {
    let Some(daemon) = Daemon::start("reset") else { return };
    let client = daemon.client();
    client.start("job", "echo line; exec sleep 1000");
    // A connection may have 128, and all together 2048.
    for _ in 0..30 {
        let mut streams: Vec<_> = (0..100).map(|_| client.follow(named("job"))).collect();
        assert_eq!(streams[99].item().line, "line");
    }
    assert_eq!(client.follow(named("job")).item().line, "line");
}

/// Whose output takes more than all may have together: the oldest makes way first, and that is told.
#[test]
fn all_that_is_held_is_bounded() {
    const EXECUTABLES: usize = 30;
    const LINES: u64 = 50_000;
    let Some(daemon) = Daemon::start("bounded") else { return };
    let client = daemon.client();
    let before = daemon.memory("VmRSS");
    let large = LogPolicy { ring_bytes: Some(1 << 20), ..LogPolicy::default() };
    let names: Vec<String> = (0..EXECUTABLES).map(|number| format!("job {number}")).collect();
    for name in &names {
        client.start_it(Executable { log: Some(large), ..executable(name, &format!("seq {LINES}")) });
        client.wait(name);
        client.read(GetSubProcessStreamRequest { tail_lines: Some(0), ..named(name) });
    }
    let grown = daemon.memory("VmRSS").saturating_sub(before);
    eprintln!("{EXECUTABLES} rings of 1 MiB: {} KiB more", grown >> 10);
    assert!(grown < auraed::limits::LOG_MEMORY_BYTES + (6 << 20), "{grown} bytes more");
    // Nothing is left of the oldest.
    let lost = client.refused(named(&names[0]));
    assert_eq!(lost.code, Code::DataLoss, "{lost}");
    assert!(lost.message.contains(&LINES.to_string()), "{lost}");
    let newest = client.read(named(&names[EXECUTABLES - 1]));
    assert_eq!(count(&newest), LINES);
    assert!(newest.len() > 10_000, "a whole ring of the newest");
}
