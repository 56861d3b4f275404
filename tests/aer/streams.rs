//! What is followed: output, the daemon's log, events, and what becomes of them when a connection breaks.

use crate::daemon::*;
use crate::fake::LINES;
use auraed::proto::aurae::observe::v0::*;
use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

#[test]
fn what_a_program_wrote_goes_where_it_wrote_it() {
    let daemon = Daemon::start();
    let output = daemon.run(["logs", "web", "talker"]);
    let stderr = "aer: 12 lines are missing here: the daemon holds only the newest\n\
                  two\n\
                  aer: 3 lines are missing here: the daemon holds only the newest\n";
    assert_eq!(text(&output.stdout), "one\nthree\nfo\nfive\nsi\n");
    assert_eq!((text(&output.stderr), output.status.code()), (stderr, Some(0)));

    // In one pipe they stand in the order of the daemon.
    let script = format!("exec {} logs web talker --timestamps 2>&1", daemon.shell());
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh runs");
    let stamp = "2023-11-14T22:13:20.000000005Z";
    let expected = format!(
        "aer: 12 lines are missing here: the daemon holds only the newest\n\
         {stamp} one\n{stamp} two\n{stamp} three\n{stamp} fo\n\
         aer: 3 lines are missing here: the daemon holds only the newest\n\
         {stamp} five\n{stamp} si\n"
    );
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn streams_are_a_line_of_json_for_each_item() {
    let daemon = Daemon::start();
    let printed = daemon.answer("logs web talker --json");
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    assert_eq!(lines.len(), 7);
    let first = r#"{"channel":"talker::stdout","line":"one","timestamp":"1700000000","nanos":5,"sequence":"13","dropped":"12"}"#;
    assert_eq!(printed.lines().next(), Some(first));
    assert_eq!((&lines[2]["partial"], &lines[2]["line"]), (&true.into(), &"thr".into()));

    let log = r#"{"channel":"auraed","line":"not well","timestamp":"1700000000","nanos":5,"sequence":"1","level":"LOG_LEVEL_WARN","target":"auraed::x","fields":{"cell":"web"}}"#;
    assert_eq!(daemon.answer("--json logs --daemon"), format!("{log}\n"));
    let events = r#"{"type":"EVENT_TYPE_CELL_ALLOCATED","timestamp":"1700000000","sequence":"4","dropped":"3","cellName":"web"}
{"type":"EVENT_TYPE_EXECUTABLE_EXITED","timestamp":"1700000000","sequence":"5","cellName":"web","executableName":"job","pid":7,"exitCode":3}
"#;
    assert_eq!(daemon.answer("events --no-follow --json"), events);
}

#[test]
fn the_daemons_log_and_events_are_lines_for_people() {
    let daemon = Daemon::start();
    assert_eq!(daemon.answer("logs --daemon"), "WARN auraed::x: not well cell=\"web\"\n");
    let output = daemon.run(["events", "--no-follow", "--since", "5"]);
    let time = "2023-11-14T22:13:20.000000000Z";
    let expected = format!("{time} allocated web\n{time} job in web exited with 3\n");
    let missing = "aer: 3 events are missing here: the daemon holds only the newest\n";
    assert_eq!((text(&output.stdout), text(&output.stderr)), (expected.as_str(), missing));
    let request = ObserveServiceWatchEventsRequest { since: Some(5), no_follow: true, from_sequence: None };
    assert_eq!(daemon.last(), format!("{request:?}"));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let daemon = Daemon::start();
    let at_terminal = |before: &str, arguments: &str| {
        let aer = format!("{before} TERM=xterm {}", daemon.shell());
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &format!("{aer} {arguments}"), "/dev/null"]).stdin(Stdio::null());
        let output = script.env_remove("NO_COLOR").output().expect("script of bsdutils runs");
        text(&output.stdout).replace("\r\n", "\n")
    };
    let plain = daemon.answer("logs --daemon");
    assert_eq!(at_terminal("", "logs --daemon"), plain.replace("WARN", "\x1b[33mWARN\x1b[0m"));
    assert_eq!(at_terminal("NO_COLOR=1", "logs --daemon"), plain);
    assert!(at_terminal("", "logs web talker").contains("one\n\x1b[31mtwo\x1b[0m\nthree\n"));
    assert!(at_terminal("NO_COLOR=1", "logs web talker").contains("one\ntwo\nthree\n"));
}

#[test]
fn waiting_for_the_last_line_ends_as_the_program_did() {
    let daemon = Daemon::start();
    let output = daemon.run(["logs", "web", "7", "--wait"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(7), ""));
    assert_eq!(text(&output.stdout).lines().count() as u64, LINES);
    let output = daemon.run(["logs", "web", "7"]);
    assert_eq!(output.status.code(), Some(0));
    daemon.assert_fails("logs web nobody --wait", 1, "aer: NOT_FOUND: there is no \"nobody\" from None\n");
}

/// The last ones have made way before they were read.
#[test]
fn lines_that_are_missing_at_the_end_are_told_and_no_failure() {
    let daemon = Daemon::start();
    for (flags, code) in [(&[][..], 0), (&["-f"], 0), (&["--wait"], 9)] {
        let output = daemon.run([&["logs", "web", "9"], flags].concat());
        let got = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(
            got,
            (Some(code), "one\n", "aer: DATA_LOSS: 2 items are missing at the end\n"),
            "{flags:?}"
        );
    }
}

#[test]
fn a_line_is_there_when_the_next_is_not() {
    let daemon = Daemon::start();
    let mut aer = daemon.aer();
    let aer = aer.args(["logs", "web", "quiet", "-f"]).stdout(Stdio::piped()).spawn();
    let mut aer = aer.expect("aer runs");
    let mut line = [0; 4];
    io::Read::read_exact(&mut aer.stdout.take().expect("piped"), &mut line).expect("aer writes");
    assert_eq!(&line, b"one\n");
    assert!(aer.try_wait().expect("it is ours").is_none(), "it follows");
    aer.kill().and_then(|()| aer.wait()).expect("it is ours");

    // As long as it takes to be given something, on a machine that does other things, too.
    let late = ["100", "3000", "30000"].into_iter().find_map(|timeout_ms| {
        let output = daemon.run(["logs", "web", "quiet", "-f", "--timeout-ms", timeout_ms]);
        Some(output).filter(|output| !output.stdout.is_empty())
    });
    let late = late.expect("it is given within half a minute");
    assert_eq!((text(&late.stdout), late.status.code()), ("one\n", Some(1)));
    assert!(text(&late.stderr).starts_with("aer: DEADLINE_EXCEEDED: "), "{}", text(&late.stderr));
}

#[test]
fn whoever_has_read_enough_ends_a_stream() {
    let daemon = Daemon::start();
    let script = format!("{} logs web 7 --wait | head -n 2", daemon.shell());
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh runs");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("line 1\nline 2\n", ""));

    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = daemon.aer().args(["logs", "web", "7"]).stdout(full).stderr(Stdio::piped()).output();
    let output = output.expect("aer runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("aer: failed to write the answer"), "{}", text(&output.stderr));
}

#[test]
fn a_connection_that_breaks_loses_and_doubles_no_line() {
    let daemon = Daemon::start();
    let expected: String = (1..=LINES).map(|n| format!("line {n}\n")).collect();
    // After the stream has begun: before, in and behind the head of an answer, and anywhere in its frames, of up to 16 KiB.
    let cuts = [700, 0, 60, 150].into_iter().chain((0..60).map(|number| 17_000 + 1231 * number));
    let proxy = Proxy::start(&daemon, cuts.collect());
    let output = aer().args(["logs", "web", "7", "--wait", "--socket"]).arg(&proxy.socket).output();
    let output = output.expect("aer runs");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(text(&output.stdout) == expected, "lines are lost, doubled or out of order");
    assert!(proxy.connections.load(Ordering::Relaxed) > 10, "hardly anything was cut");
    assert_eq!(beside_retries(&output.stderr), "");
}

#[test]
fn a_stream_goes_on_where_it_can() {
    let daemon = Daemon::start();
    for (name, code, stdout, stderr) in [
        (
            "leaver",
            1,
            "one\n",
            "aer: NOT_FOUND: there is no \"leaver\"; it was there before the connection was lost\n",
        ),
        (
            "turner",
            0,
            "one\ntwo\n",
            "aer: what was followed has been started anew, and the clock set back: all lines that the daemon holds \
             follow\n",
        ),
        ("repeater", 0, "one\ntwo\n", ""),
        (
            "heir",
            0,
            "one\nha\nwhole\n",
            "aer: what was followed has ended, and another program of this name goes on\n",
        ),
        ("loser", 0, "one\nmore\n", "aer: 2 lines are missing here: the daemon holds only the newest\n"),
    ] {
        let output = daemon.run(["logs", "web", name, "-f"]);
        let told = beside_retries(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout), &*told),
            (Some(code), stdout, stderr),
            "{name}"
        );
    }
}

#[test]
fn a_daemon_that_does_not_come_back_is_given_up() {
    let daemon = Daemon::start();
    let output = daemon.run(["logs", "web", "stopper", "-f", "--retry-ms", "5500"]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "one\n"));
    let lines: Vec<&str> = stderr.lines().collect();
    let last = lines.last().expect("an error");
    assert!(last.starts_with("aer: UNAVAILABLE: the daemon is stopping; given up after "), "{stderr}");
    assert_eq!(lines[0], "aer: trying again for 4 s: the daemon is stopping");

    let output = daemon.run(["logs", "web", "stopper", "-f", "--retry-ms", "0", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("the error is JSON");
    assert_eq!((output.status.code(), &error["code"]), (Some(1), &"UNAVAILABLE".into()));
    assert!(daemon.last().contains("from_sequence: None"), "it has asked again: {}", daemon.last());
}

#[test]
fn a_daemon_that_comes_back_is_followed_on() {
    let mut daemon = Daemon::start();
    let mut aer = daemon.aer();
    let aer =
        aer.args(["events", "--timeout-ms", "120000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut aer = aer.expect("aer runs");
    let mut stdout = io::BufReader::new(aer.stdout.take().expect("piped"));
    let mut read = || {
        let mut line = String::new();
        io::BufRead::read_line(&mut stdout, &mut line).expect("aer writes");
        line
    };
    assert!(read().ends_with(" allocated web\n"));
    assert!(read().ends_with(" exited with 3\n"));
    daemon.stop();
    let mut stderr = io::BufReader::new(aer.stderr.take().expect("piped"));
    let mut told = || {
        let mut line = String::new();
        io::BufRead::read_line(&mut stderr, &mut line).expect("aer writes");
        line
    };
    assert_eq!(told(), "aer: 3 events are missing here: the daemon holds only the newest\n");
    assert!(told().starts_with("aer: trying again for "));
    daemon.start_again();
    assert_eq!(told(), "aer: connected again\n");
    let request = ObserveServiceWatchEventsRequest { since: None, no_follow: false, from_sequence: Some(6) };
    assert_eq!(daemon.last(), format!("{request:?}"));
    aer.kill().and_then(|()| aer.wait()).expect("it is ours");
}
