//! Whatever bytes an executable writes, and however it ends: they become lines, and none is lost.

use std::thread;
use std::time::SystemTime;

use auraed::limits::LINE_BYTES_MAX;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::daemon::{Daemon, PATIENCE, blocking, lines, named, of};

#[test]
fn any_bytes_become_lines() {
    let Some(daemon) = Daemon::start("bytes") else { return };
    let client = daemon.client();
    for (command, expected) in [
        (r"printf 'a\nb\n'", &["a", "b"][..]),
        (r"printf 'a\nb'", &["a", "b"]),
        (r"printf '\n\nx\n\n'", &["", "", "x", ""]),
        (r"printf 'dos\r\n'", &["dos\r"]),
        (r"printf 'nul\0nul\n\0\n'", &["nul\0nul", "\0"]),
        (r"printf 'bad \377\300 bytes\n'", &["bad \u{fffd}\u{fffd} bytes"]),
        (r"printf '\303'; sleep 0.1; printf '\266\n'", &["\u{f6}"]),
        (r"printf 'half '; sleep 0.1; printf 'and half\n'", &["half and half"]),
        (r"printf '\033[31mred\033[0m\n'", &["\u{1b}[31mred\u{1b}[0m"]),
        ("true", &[]),
        ("echo out >&2", &["out"]),
    ] {
        let items = client.read(of(client.start("job", command)));
        assert_eq!(lines(&items), expected, "{command}");
        assert!(items.iter().all(|item| !item.partial && item.dropped == 0), "{items:?}");
    }
}

#[test]
fn an_item_says_where_it_comes_from_and_when() {
    let Some(daemon) = Daemon::start("items") else { return };
    let client = daemon.client();
    let before = unix_seconds();
    // One after the other: what is there at once is read one output after the other.
    let gates = ["o", "e"].map(|output| daemon.gate_at(&format!("-$n.{output}")));
    let command = format!("for n in 1 2 3; do echo $n; {}; echo $n >&2; {}; done", gates[0], gates[1]);
    client.start("a job, of mine", &command);
    let mut stream = client.follow(named("a job, of mine"));
    let items: Vec<_> = ["-1.o", "-1.e", "-2.o", "-2.e", "-3.o", "-3.e"]
        .into_iter()
        .map(|step| {
            let item = stream.item();
            daemon.go_on(step);
            item
        })
        .collect();
    assert_eq!(stream.next(), None);
    assert_eq!(lines(&items), ["1", "1", "2", "2", "3", "3"]);
    for (number, item) in items.iter().enumerate() {
        let channel = ["a job, of mine::stdout", "a job, of mine::stderr"][number % 2];
        assert_eq!(item.channel, channel);
        assert_eq!(item.sequence, items[0].sequence + number as u64, "both outputs are counted together");
    }
    let times: Vec<_> = items.iter().map(|item| (item.timestamp, item.nanos)).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[0].0 >= before && times[5].0 <= unix_seconds(), "{times:?}");
}

/// Longer than anything that is held: it arrives in pieces, and no piece is lost to who takes them.
#[test]
fn a_line_of_a_hundred_megabytes_arrives_in_pieces() {
    const BYTES: usize = 100 << 20;
    let Some(daemon) = Daemon::start("long") else { return };
    let client = daemon.client_with(10 * PATIENCE);
    let command = format!("{}; head -c {BYTES} /dev/zero | tr '\\0' x; echo end", daemon.gate());
    let mut stream = client.follow(of(client.start_it(blocking("job", &command))));
    daemon.forget_peak();
    let before = daemon.memory("VmRSS");
    daemon.go();
    let mut bytes = 0;
    let last = loop {
        let item = stream.item();
        assert!(item.dropped == 0 && item.line.len() <= LINE_BYTES_MAX);
        if !item.partial {
            break item.line;
        }
        bytes += item.line.len();
    };
    assert_eq!(bytes + last.len() - "end".len(), BYTES);
    assert!(last.ends_with("end") && stream.next().is_none(), "it was one line");
    let grown = daemon.memory("VmHWM").saturating_sub(before);
    eprintln!("100 MB in one line: {} KiB more in memory at most", grown >> 10);
    assert!(grown < 4 << 20, "{grown} bytes more");
}

/// Without anyone who reads, the newest pieces are held.
#[test]
fn a_long_line_that_nobody_reads_takes_no_memory() {
    let Some(daemon) = Daemon::start("unread") else { return };
    let client = daemon.client();
    daemon.forget_peak();
    let before = daemon.memory("VmRSS");
    client.start("job", "head -c 20000000 /dev/zero; printf '\\nend\\n'");
    client.wait("job");
    let items = client.read(named("job"));
    let pieces = items[0].dropped + items.len() as u64 - 1;
    assert_eq!(pieces, 20_000_000u64.div_ceil(LINE_BYTES_MAX as u64), "each is held, or counted");
    assert_eq!(items.last().map(|item| item.line.as_str()), Some("end"));
    let grown = daemon.memory("VmHWM").saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more");
}

#[test]
fn the_last_words_are_never_lost() {
    let Some(daemon) = Daemon::start("words") else { return };
    let client = daemon.client();
    for round in 0..20 {
        let pid = client.start("job", "printf 'last words'; kill -9 $$");
        assert_eq!(lines(&client.read(of(pid))), ["last words"], "round {round}");
    }
    // Killed from outside.
    for round in 0..5 {
        let command = "trap '' TERM; printf 'begun\\nlast words'; while :; do sleep 0.05; done";
        let pid = client.start("job", command);
        let mut stream = client.follow(of(pid));
        stream.item();
        if round == 0 {
            client.stop_within("job", Some(500)).expect("stop");
        } else {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        }
        assert_eq!(lines(&stream.rest().0), ["last words"], "round {round}");
        // With the sleeper that it may have left.
        client.stop("job").expect("it has ended");
    }
}

#[test]
fn a_thousand_short_lives_leave_a_line_each() {
    let Some(daemon) = Daemon::start("short") else { return };
    thread::scope(|scope| {
        for thread in 0..4 {
            let daemon = &daemon;
            scope.spawn(move || {
                let client = daemon.client();
                for number in 0..250 {
                    let text = format!("{thread}-{number}");
                    let pid = client.start(&text, &format!("echo {text}"));
                    assert_eq!(lines(&client.read(of(pid))), [text.as_str()]);
                }
            });
        }
    });
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right");
    since.as_secs().try_into().expect("a time")
}
