//! Which part of the output is given: the newest, since when, from which sequence, without what follows.

use std::time::Duration;

use auraed::grpc::status::Code;
use auraed::proto::aurae::observe::v0::*;

use super::daemon::{Daemon, eventually, lines, named, pause};

fn request(change: impl FnOnce(&mut GetSubProcessStreamRequest)) -> GetSubProcessStreamRequest {
    let mut request = named("job");
    change(&mut request);
    request
}

#[test]
fn the_newest_are_so_many_as_asked_for_and_what_follows() {
    let Some(daemon) = Daemon::start("tail") else { return };
    let client = daemon.client();
    // One after the other: what is there at once is read one output after the other.
    let gate = |step| daemon.gate_at(step);
    let command = format!(
        "echo 1; {}; echo 2 >&2; {}; echo 3; {}; echo 4 >&2; {}; echo 5",
        gate("-1"),
        gate("-2"),
        gate("-3"),
        gate("-4")
    );
    client.start("job", &command);
    for number in 1..=4 {
        eventually("another line is there", || {
            client.read(request(|request| request.no_follow = true)).len() == number
        });
        if number < 4 {
            daemon.go_on(&format!("-{number}"));
        }
    }
    let tail = |lines| request(|request| (request.tail_lines, request.no_follow) = (Some(lines), true));
    assert_eq!(client.read(tail(0)), []);
    assert_eq!(lines(&client.read(tail(1))), ["4"]);
    assert_eq!(lines(&client.read(tail(3))), ["2", "3", "4"]);
    assert_eq!(lines(&client.read(tail(100))), ["1", "2", "3", "4"]);
    let stdout = request(|request| {
        (request.tail_lines, request.no_follow) = (Some(1), true);
        request.channel_type = LogChannelType::Stdout.into();
    });
    assert_eq!(lines(&client.read(stdout)), ["3"]);
    let following = [0, 1].map(|lines| client.follow(request(|request| request.tail_lines = Some(lines))));
    daemon.go_on("-4");
    let [none, one] = following.map(|stream| stream.rest().0);
    assert_eq!((lines(&none), lines(&one)), (vec!["5"], vec!["4", "5"]));
}

#[test]
fn items_since_a_second_are_those_that_are_not_older() {
    let Some(daemon) = Daemon::start("since") else { return };
    let client = daemon.client();
    client.start("job", &format!("seq 3; {}; seq 4 6", daemon.gate()));
    let mut stream = client.follow(named("job"));
    let _ = [stream.item(), stream.item(), stream.item()];
    // Into another second.
    std::thread::sleep(Duration::from_millis(1100));
    daemon.go();
    assert_eq!(stream.rest().1, Ok(()));
    let all = client.read(named("job"));
    assert_eq!(all.len(), 6);
    let last = all[5].timestamp;
    assert!(all[2].timestamp < last, "more than a second has passed");
    for since in [i64::MIN, 0, all[0].timestamp, last, last + 1, i64::MAX] {
        let expected: Vec<_> = all.iter().filter(|item| item.timestamp >= since).cloned().collect();
        assert_eq!(client.read(request(|request| request.since = Some(since))), expected, "{since}");
    }
}

/// Connections that are cut in the middle of it, again and again.
#[test]
fn who_resumes_gets_each_item_once() {
    const LINES: usize = 20_000;
    let Some(daemon) = Daemon::start("resume") else { return };
    let command = format!("seq {} | while read n; do echo $n; echo $n >&2; done", LINES / 2);
    daemon.client().start("job", &command);
    let mut taken: Vec<LogItem> = Vec::new();
    for round in 1.. {
        assert!(round < 1000, "it never ends");
        let client = daemon.client();
        let next = taken.last().map(|item| item.sequence + 1);
        let mut stream = client.follow(request(|request| request.from_sequence = next));
        let mut ended = false;
        for _ in 0..1500 {
            let Some(item) = stream.next() else {
                ended = true;
                break;
            };
            taken.push(item.expect("it goes on"));
        }
        if ended {
            break;
        }
    }
    let dropped: u64 = taken.iter().map(|item| item.dropped).sum();
    assert_eq!(taken.len() as u64 + dropped, LINES as u64);
    let first = taken[0].sequence - taken[0].dropped;
    let mut next = first;
    for item in &taken {
        assert_eq!(item.sequence, next + item.dropped, "a gap is what was dropped");
        next = item.sequence + 1;
    }
}

#[test]
fn a_sequence_that_is_gone_or_yet_to_come_is_told() {
    let Some(daemon) = Daemon::start("sequence") else { return };
    let client = daemon.client();
    client.start("job", "seq 100000");
    client.wait("job");
    let held = client.read(named("job"));
    let first = held[0].sequence - held[0].dropped;
    let last = held.last().expect("there is one").sequence;
    assert_eq!(last - first + 1, 100_000, "received and dropped are what was written");
    assert_eq!(held.last().map(|item| item.line.as_str()), Some("100000"));
    let from = |sequence| request(|request| request.from_sequence = Some(sequence));
    assert_eq!(client.read(from(0)), held, "older than all");
    assert_eq!(client.read(from(first + 7))[0].dropped, held[0].dropped - 7);
    assert_eq!(client.read(from(held[1].sequence)), held[1..]);
    assert_eq!(client.read(from(last + 1)), []);
    for ahead in [last + 2, u64::MAX] {
        let refused = client.refused(from(ahead));
        assert_eq!(refused.code, Code::OutOfRange, "{refused}");
        assert!(refused.message.contains(&(last + 1).to_string()), "{refused}");
    }
}

#[test]
fn what_is_held_already_can_be_had_alone() {
    let Some(daemon) = Daemon::start("held") else { return };
    let client = daemon.client();
    client.start("job", "while :; do echo line; sleep 0.001; done");
    let mut lines = Vec::new();
    while lines.len() < 10 {
        lines = client.read(request(|request| request.no_follow = true));
        pause();
    }
    client.start("silent", "exec sleep 1000");
    let silent = GetSubProcessStreamRequest { no_follow: true, ..named("silent") };
    assert_eq!(client.read(silent), []);
}
