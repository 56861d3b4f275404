//! The program `aer` against a daemon that answers as the tests need it: what it prints, where, and how it exits.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use auraed::grpc::call::{Answer, Input, Kind};
use auraed::grpc::status::{Code, Status, Violation};
use auraed::proto::aurae::discovery::v0::{DiscoverRequest, DiscoverResponse};
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::grpc::health::v1::health_check_response::ServingStatus;
use auraed::proto::grpc::health::v1::*;
use auraed::proto::grpc::reflection::v1::{ServerReflectionRequest, ServerReflectionResponse};
use auraed::proto::*;
use auraed::transport::listen::{Address, Listener};
use auraed::transport::{Server, Service, Stop, StopOrder, Timeouts};
use smol::stream::StreamExt;
use smol::{Executor, Timer};

#[test]
fn answers_are_text_for_people() {
    let daemon = Daemon::start();
    for (arguments, expected) in [
        ("discover", "version  1.2.3\nhealthy  yes\n"),
        ("health", "serving\n"),
        ("cell allocate web", "allocated web (cgroup v2)\n"),
        ("cell allocate old", "allocated old (cgroup v1)\n"),
        ("cell start web sleeper -- sleep 4000", "started sleeper in web, pid 4711\n"),
        ("cell signal web sleeper HUP", "sent HUP to sleeper in web\n"),
        ("cell stop web sleeper", "stopped sleeper in web\n"),
        ("cell free web", "freed web\n"),
        ("cell freeze web", "froze web\n"),
        ("cell thaw web", "thawed web\n"),
    ] {
        assert_eq!(daemon.answer(arguments), expected, "{arguments}");
    }
    let expected = "\
NAME        PID  STATE     CPU    MEM  PIDS  DETAILS
web              frozen   1.2s  12.3M     -  cpu-weight 200, cpus 0-1
  sleeper  4711  running                     naps
  web/api                    -      -     -
";
    assert_eq!(daemon.answer("cell list"), expected);
    assert_eq!(daemon.answer("cell get web"), expected);
}

#[test]
fn answers_are_protobuf_json_for_programs() {
    let daemon = Daemon::start();
    for (arguments, expected) in [
        ("discover --json", r#"{"healthy":true,"version":"1.2.3"}"#),
        ("--json health", r#"{"status":"SERVING"}"#),
        ("cell allocate --json web", r#"{"cellName":"web","cgroupV2":true}"#),
        ("cell allocate old --json", r#"{"cellName":"old"}"#),
        ("cell start web sleeper --json -- sleep 4000", r#"{"pid":4711,"uid":1000}"#),
        ("cell signal web sleeper HUP --json", "{}"),
        ("cell stop web sleeper --json", "{}"),
        ("cell --json free web", "{}"),
        ("cell --json freeze web", "{}"),
        ("cell thaw web --json", "{}"),
        (
            "cell list --json",
            r#"{"cells":[{"cell":{"name":"web","cpu":{"weight":"200"},"cpuset":{"cpus":"0-1"}},"children":[{"cell":{"name":"web/api"}}],"executables":[{"name":"sleeper","description":"naps","pid":4711,"state":"CELL_EXECUTABLE_STATE_RUNNING"}],"usage":{"cpuUs":"1234567","memoryBytes":"12900000"},"frozen":true}]}"#,
        ),
        ("cell get gone --json", r#"{"cell":{"cell":{"name":"gone"}}}"#),
    ] {
        let value: serde_json::Value = serde_json::from_str(expected).expect("the test holds JSON");
        assert_eq!(daemon.answer(arguments), format!("{value:#}\n"), "{arguments}");
    }
}

#[test]
fn the_daemon_gets_what_was_typed() {
    let daemon = Daemon::start();
    daemon.answer("cell allocate a/b --cpu-weight 7 --cpu-max -1 --cpu-period 9 --cpus 0-1 --mems 0");
    let cpu = CpuController { weight: Some(7), max: Some(-1), period: Some(9) };
    let cpuset = CpusetController { cpus: Some("0-1".to_owned()), mems: Some("0".to_owned()) };
    let cell = Cell { name: "a/b".to_owned(), cpu: Some(cpu), cpuset: Some(cpuset), ..Cell::default() };
    assert_eq!(daemon.last(), format!("{:?}", CellServiceAllocateRequest { cell: Some(cell) }));

    let updated = daemon.answer("cell update web --pids-max 7 --memory-max 64M --clear cpu.max");
    assert_eq!(updated, "updated web: memory-max 64M, pids-max 7\n");
    let memory = MemoryController { max: Some(64 << 20), ..MemoryController::default() };
    let cell = Cell {
        name: "web".to_owned(),
        memory: Some(memory),
        pids: Some(PidsController { max: Some(7) }),
        ..Cell::default()
    };
    let request = CellServiceUpdateRequest { cell: Some(cell), clear: vec!["cpu.max".to_owned()] };
    assert_eq!(daemon.last(), format!("{request:?}"));

    daemon.run([
        "cell",
        "start",
        "web",
        "a name",
        "--description",
        "for fun",
        "--",
        "sh",
        "-c",
        "a 'b'",
        "--json",
    ]);
    let executable = Executable {
        name: "a name".to_owned(),
        command: r"sh -c 'a '\''b'\''' --json".to_owned(),
        description: "for fun".to_owned(),
        ..Executable::default()
    };
    let start = CellServiceStartRequest {
        cell_name: "web".to_owned(),
        executable: Some(executable),
        ..CellServiceStartRequest::default()
    };
    assert_eq!(daemon.last(), format!("{start:?}"));

    let mut aer = daemon.aer();
    let command = aer.args(["cell", "start", "web", "cat", "--stdin", "--exec", "--", "cat", "-"]);
    let mut aer = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("aer runs");
    io::Write::write_all(&mut aer.stdin.take().expect("piped"), b"a\nb").expect("aer reads");
    assert!(aer.wait().expect("aer ends").success());
    let executable = Executable {
        name: "cat".to_owned(),
        args: vec!["cat".to_owned(), "-".to_owned()],
        stdin: Some(b"a\nb".to_vec()),
        ..Executable::default()
    };
    let start = CellServiceStartRequest {
        cell_name: "web".to_owned(),
        executable: Some(executable),
        ..CellServiceStartRequest::default()
    };
    assert_eq!(daemon.last(), format!("{start:?}"));

    daemon.answer("cell signal web server RTMIN+3 --all");
    let signal = CellServiceSignalRequest {
        cell_name: "web".to_owned(),
        executable_name: "server".to_owned(),
        signal: "RTMIN+3".to_owned(),
        all_processes: true,
    };
    assert_eq!(daemon.last(), format!("{signal:?}"));

    daemon.answer("cell free web --force");
    let free = CellServiceFreeRequest {
        cell_name: "web".to_owned(),
        force: true,
        ..CellServiceFreeRequest::default()
    };
    assert_eq!(daemon.last(), format!("{free:?}"));

    daemon.answer("cell freeze web/api");
    let freeze = CellServiceFreezeRequest { cell_name: "web/api".to_owned() };
    assert_eq!(daemon.last(), format!("{freeze:?}"));
    daemon.answer("cell thaw web/api");
    let thaw = CellServiceThawRequest { cell_name: "web/api".to_owned() };
    assert_eq!(daemon.last(), format!("{thaw:?}"));
}

#[test]
fn waiting_ends_as_the_program_did() {
    let daemon = Daemon::start();
    let crash = r#"{"exitSignal":11,"pid":4711,"restarts":2}"#;
    let crash: serde_json::Value = serde_json::from_str(crash).expect("the test holds JSON");
    let hog = r#"{"exitSignal":9,"oomKilled":true,"oomCellName":"web","pid":4711}"#;
    let hog: serde_json::Value = serde_json::from_str(hog).expect("the test holds JSON");
    for (arguments, code, stdout, stderr) in [
        ("cell wait web 0", 0, "0 in web exited with 0\n".to_owned(), ""),
        ("cell wait web 77", 77, "77 in web exited with 77\n".to_owned(), ""),
        ("cell wait web crasher", 139, "crasher in web killed by SIGSEGV\n".to_owned(), ""),
        ("cell wait web crasher --json", 139, format!("{crash:#}\n"), ""),
        (
            "cell wait web/api hog",
            137,
            "hog in web/api killed by SIGKILL\n".to_owned(),
            "killed: out of memory (limit of cell web)\n",
        ),
        ("cell wait web/api hog --json", 137, format!("{hog:#}\n"), ""),
    ] {
        let output = daemon.run(arguments.split(' '));
        let got = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(got, (Some(code), stdout.as_str(), stderr), "{arguments}");
    }
}

#[test]
fn a_refusal_is_told_on_stderr_with_its_code() {
    let daemon = Daemon::start();
    let text = "aer: NOT_FOUND: there is no cell \"gone\"\n";
    let json = "{\"code\":\"NOT_FOUND\",\"message\":\"there is no cell \\\"gone\\\"\",\"violations\":[]}\n";
    daemon.assert_fails("cell free gone", 1, text);
    daemon.assert_fails("cell free gone --json", 1, json);

    let text = "aer: INVALID_ARGUMENT: cell.name: \"bad\" is bad\n\
                aer: INVALID_ARGUMENT: cell.cpu.weight: 0 is too small\n";
    let json = "{\"code\":\"INVALID_ARGUMENT\",\
                \"message\":\"cell.name: \\\"bad\\\" is bad; cell.cpu.weight: 0 is too small\",\
                \"violations\":[{\"field\":\"cell.name\",\"description\":\"\\\"bad\\\" is bad\"},\
                {\"field\":\"cell.cpu.weight\",\"description\":\"0 is too small\"}]}\n";
    daemon.assert_fails("cell allocate bad", 1, text);
    daemon.assert_fails("--json cell allocate bad", 1, json);
}

#[test]
fn a_daemon_that_is_not_well_fails_its_check() {
    let daemon = Daemon::start();
    daemon.fake.note("unwell");
    let output = daemon.run(["health"]);
    assert_eq!((text(&output.stdout), output.status.code()), ("not serving\n", Some(1)));
    let output = daemon.run(["health", "--json"]);
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        ("{\n  \"status\": \"NOT_SERVING\"\n}\n", Some(1))
    );
}

#[test]
fn a_wrong_command_line_asks_nothing() {
    let daemon = Daemon::start();
    for arguments in [
        "",
        "frob",
        "cell",
        "cell free",
        "cell free a b",
        "cell start web sleep 4000",
        "cell allocate web --cpu-weight -1",
        "discover --timeout-ms soon",
        "discover --socket",
        "logs web",
        "logs --daemon web server",
        "logs web server --since yesterday",
        "events web",
    ] {
        let output = daemon.run(arguments.split_whitespace());
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments}");
        assert!(text(&output.stderr).starts_with("aer: "), "{arguments}: {}", text(&output.stderr));
    }
    assert_eq!(daemon.last(), "");
    for arguments in ["--help", "--version", "help cell start"] {
        assert!(!daemon.answer(arguments).is_empty(), "{arguments}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_unavailable() {
    let directory = Directory::new();
    let socket = directory.0.join("none.sock");
    let output = aer().args(["discover", "--socket"]).arg(&socket).output().expect("aer runs");
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    assert!(
        stderr.starts_with("aer: UNAVAILABLE: cannot connect to ") && stderr.contains("auraed"),
        "{stderr}"
    );

    // A socket that its daemon has left behind.
    drop(UnixListener::bind(&socket).expect("the path is free"));
    let output = aer().args(["discover", "--json", "--socket"]).arg(&socket).output().expect("aer runs");
    assert_eq!(output.status.code(), Some(1));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("the error is JSON");
    assert_eq!(error["code"], "UNAVAILABLE");
}

#[test]
fn a_daemon_that_says_nothing_is_given_up() {
    let directory = Directory::new();
    let socket = directory.0.join("mute.sock");
    let _mute = UnixListener::bind(&socket).expect("the path is free");
    let begin = Instant::now();
    let output =
        aer().args(["discover", "--timeout-ms", "100", "--socket"]).arg(&socket).output().expect("aer runs");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("aer: DEADLINE_EXCEEDED: ") && stderr.contains("--timeout-ms"), "{stderr}");
    // The default.
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[test]
fn the_timeout_starts_after_the_grace_period() {
    let daemon = Daemon::start();
    // The fake waits for as long as it may. The difference is what it takes beside, on a busy machine.
    assert_eq!(daemon.answer("cell stop web x --grace-ms 6500 --timeout-ms 6000"), "stopped x in web\n");
    let output = daemon.run(["cell", "start", "web", "slow", "--timeout-ms", "100", "--", "x"]);
    assert!(text(&output.stderr).starts_with("aer: DEADLINE_EXCEEDED: "), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn whoever_waits_at_a_terminal_is_told_for_what() {
    let daemon = Daemon::start();
    let at_terminal = |arguments: &str| {
        let aer = daemon.shell();
        // Gives it a terminal for stdin, stdout and stderr, all in one.
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &format!("{aer} {arguments}"), "/dev/null"]).stdin(Stdio::null());
        let output = script.output().expect("script of bsdutils runs");
        assert_eq!(output.status.code(), Some(0), "{arguments}");
        text(&output.stdout).replace("\r\n", "\n")
    };
    let told = "waiting for x in web to end; what is left after 1500 ms is killed\nstopped x in web\n";
    assert_eq!(at_terminal("cell stop web x --grace-ms 1500"), told);
    assert_eq!(at_terminal("cell stop web x --grace-ms 1500 --json"), "{}\n");
    assert_eq!(at_terminal("cell stop web x --grace-ms 0"), "stopped x in web\n");
    // In a pipe nothing is said: `answer` looks at all of stderr.
    assert_eq!(daemon.answer("cell stop web x --grace-ms 1500"), "stopped x in web\n");
}

#[test]
fn a_reader_that_leaves_is_no_failure_but_a_full_disk_is() {
    let daemon = Daemon::start();
    let (reader, writer) = io::pipe().expect("pipe");
    drop(reader);
    let output =
        daemon.aer().args(["cell", "list"]).stdout(writer).stderr(Stdio::piped()).output().expect("aer runs");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));

    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output =
        daemon.aer().args(["cell", "list"]).stdout(full).stderr(Stdio::piped()).output().expect("aer runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("aer: failed to write the answer"), "{}", text(&output.stderr));

    let script = format!("exec '{}' frob 2>&-", env!("CARGO_BIN_EXE_aer"));
    assert_eq!(Command::new("sh").args(["-c", &script]).status().expect("sh runs").code(), Some(2));
}

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

#[test]
fn the_environment_says_where_the_daemon_is() {
    let daemon = Daemon::start();
    let output =
        aer().arg("health").env("AURAE_RUNTIME_DIR", &daemon.directory.0).output().expect("aer runs");
    assert_eq!(text(&output.stdout), "serving\n");
    let sockets = format!("{},/elsewhere", daemon.directory.socket().display());
    let output = aer().arg("health").env("AURAE_SOCKET", sockets).output().expect("aer runs");
    assert_eq!(text(&output.stdout), "serving\n");
}

#[test]
fn a_daemon_is_reached_over_tcp() {
    // Somebody else may take the port between these two.
    let bound = (0..100).find_map(|_| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let free = free.expect("a port");
        Listener::bind(Address::Tcp(free)).ok().map(|listener| (free, listener))
    });
    let (free, listener) = bound.expect("one of a hundred");
    let daemon = Daemon::start_with(listener);
    let output = aer().args(["health", "--socket", &free.to_string()]).output().expect("aer runs");
    assert_eq!(text(&output.stdout), "serving\n", "{}", text(&output.stderr));
    drop(daemon);
}

/// Whoever follows waits for as long as it takes; that the daemon's machine is gone, only the kernel can tell.
#[test]
fn the_kernel_watches_over_a_daemon_that_is_followed_over_tcp() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound");
    let mut aer = aer()
        .args(["events", "--socket", &address.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("aer runs");
    let (_connection, peer) = silent.accept().expect("it connects");
    let port = format!(":{:04X}", peer.port());
    // proc_pid_net(5): the local address comes second, and the timer sixth: its kind, 2 for keepalive, and the ticks that
    // are left, 100 a second.
    let timer = || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut own = fields.filter(|fields| fields[1].ends_with(&port)).map(|fields| fields[5].to_owned());
        own.next().expect("the connection is there")
    };
    let start = Instant::now();
    // Until the kernel of the other side has acknowledged what it was sent.
    while !timer().starts_with("02:") {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody asks: {}", timer());
        std::thread::sleep(Duration::from_millis(1));
    }
    let left = u32::from_str_radix(&timer()[3..], 16).expect("ticks");
    assert!(left <= 3000, "within 30 s: {left}");
    aer.kill().and_then(|()| aer.wait()).expect("it is ours");
}

/// `aer` without the environment that the tests were started in.
fn aer() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aer"));
    command.env_remove("AURAE_SOCKET").env_remove("AURAE_RUNTIME_DIR");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("aer writes UTF-8")
}

/// What is said beside that it tries again, which it says where that takes more than a second, as on a busy machine.
fn beside_retries(stderr: &[u8]) -> String {
    let is_retry =
        |line: &&str| line.starts_with("aer: trying again for ") || *line == "aer: connected again\n";
    text(stderr).split_inclusive('\n').filter(|line| !is_retry(line)).collect()
}

/// A directory of one test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("aer-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("aurae.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A [`Fake`] behind a socket.
struct Daemon {
    directory: Directory,
    fake: Arc<Fake>,
    stop: Option<StopOrder>,
}

impl Daemon {
    fn start() -> Self {
        let directory = Directory::new();
        let listener = bind(directory.socket());
        Self::start_in(directory, listener)
    }

    fn start_with(listener: Listener) -> Self {
        Self::start_in(Directory::new(), listener)
    }

    fn start_in(directory: Directory, listener: Listener) -> Self {
        let fake = Arc::new(Fake::default());
        let stop = Some(serve(listener, &fake));
        Self { directory, fake, stop }
    }

    /// Ends all calls.
    fn stop(&mut self) {
        self.stop = None;
    }

    /// At the same place.
    fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.directory.socket());
        self.stop = Some(serve(bind(self.directory.socket()), &self.fake));
    }

    /// What starts `aer` in a shell.
    fn shell(&self) -> String {
        format!("{} --socket {}", env!("CARGO_BIN_EXE_aer"), self.directory.socket().display())
    }

    fn aer(&self) -> Command {
        let mut command = aer();
        command.arg("--socket").arg(self.directory.socket());
        command
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.aer().args(arguments).output().expect("aer runs")
    }

    /// What is printed by a call that succeeds.
    fn answer(&self, arguments: &str) -> String {
        let output = self.run(arguments.split(' '));
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments}");
        text(&output.stdout).to_owned()
    }

    fn assert_fails(&self, arguments: &str, code: i32, stderr: &str) {
        let output = self.run(arguments.split(' '));
        assert_eq!(text(&output.stderr), stderr, "{arguments}");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{arguments}");
    }

    /// The last request that changes something, as Rust prints it.
    fn last(&self) -> String {
        self.fake.noted()
    }
}

fn bind(socket: PathBuf) -> Listener {
    Listener::bind(Address::Unix(socket)).expect("the address is free")
}

fn serve(listener: Listener, fake: &Arc<Fake>) -> StopOrder {
    let executor: &'static Executor<'static> = Box::leak(Box::default());
    let (order, stop) = Stop::new();
    let server = Server::new(Api(fake.clone()), executor, stop, Timeouts::default());
    let serving = async move {
        listener.run(server).await;
        // Those that are connected are told that the daemon stops.
        Timer::never().await;
    };
    std::thread::spawn(move || smol::block_on(executor.run(serving)));
    order
}

/// Stands between `aer` and a daemon, and cuts connections.
struct Proxy {
    socket: PathBuf,
    connections: Arc<AtomicU32>,
}

impl Proxy {
    /// Each connection is cut after so many bytes of answers; those that come later are not.
    fn start(daemon: &Daemon, cuts: Vec<u64>) -> Self {
        let socket = daemon.directory.0.join("proxy.sock");
        let listener = UnixListener::bind(&socket).expect("the path is free");
        let connections = Arc::new(AtomicU32::new(0));
        let (upstream, counter) = (daemon.directory.socket(), connections.clone());
        std::thread::spawn(move || {
            let mut cuts = cuts.into_iter();
            for client in listener.incoming() {
                let client = client.expect("aer connects");
                let daemon = UnixStream::connect(&upstream).expect("the daemon listens");
                counter.fetch_add(1, Ordering::Relaxed);
                pass_on(client, daemon, cuts.next().unwrap_or(u64::MAX));
            }
        });
        Self { socket, connections }
    }
}

fn pass_on(client: UnixStream, daemon: UnixStream, answer_bytes: u64) {
    let both = |socket: &UnixStream| socket.try_clone().expect("a descriptor is free");
    let (requests, to_daemon) = (both(&client), both(&daemon));
    // Each direction ends the other; a cut is no error.
    let end = |a: &UnixStream, b: &UnixStream| {
        let _ = (a.shutdown(Shutdown::Both), b.shutdown(Shutdown::Both));
    };
    std::thread::spawn(move || {
        let _ = io::copy(&mut &requests, &mut &to_daemon);
        end(&requests, &to_daemon);
    });
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::Read::take(&daemon, answer_bytes), &mut &client);
        end(&daemon, &client);
    });
}

/// Answers by the names in the request.
#[derive(Default)]
struct Fake(Mutex<String>);

/// How many lines a program writes that is named by its exit code.
const LINES: u64 = 20_000;

impl Fake {
    fn note(&self, request: impl Into<String>) {
        *self.0.lock().expect("no test panics here") = request.into();
    }

    fn noted(&self) -> String {
        self.0.lock().expect("no test panics here").clone()
    }
}

impl DiscoveryService for Fake {
    async fn discover(&self, _: DiscoverRequest) -> Result<DiscoverResponse, Status> {
        Ok(DiscoverResponse { healthy: true, version: "1.2.3".to_owned() })
    }
}

/// A stream of these, and then of nothing more if it is followed.
fn items<T: prost::Message + Send + 'static>(items: Vec<T>, no_follow: bool) -> Result<Answers<T>, Status> {
    let items = smol::stream::iter(items.into_iter().map(Ok));
    let items: Items<T> =
        if no_follow { Box::pin(items) } else { Box::pin(items.chain(smol::stream::pending())) };
    Ok(Answers::new(items))
}

fn line(channel: &str, sequence: u64, line: &str) -> LogItem {
    let (channel, line) = (channel.to_owned(), line.to_owned());
    LogItem { channel, line, sequence, timestamp: 1_700_000_000, nanos: 5, ..LogItem::default() }
}

impl ObserveService for Fake {
    async fn get_aurae_daemon_log_stream(
        &self,
        request: GetAuraeDaemonLogStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.note(format!("{request:?}"));
        let item = LogItem {
            level: LogLevel::Warn.into(),
            target: "auraed::x".to_owned(),
            fields: [("cell".to_owned(), "web".to_owned())].into(),
            ..line("auraed", 1, "not well")
        };
        items(vec![item], request.no_follow)
    }

    async fn get_sub_process_stream(
        &self,
        request: GetSubProcessStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        self.note(format!("{request:?}"));
        let stopping = || Err(Status::new(Code::Unavailable, "the daemon is stopping"));
        let then_stopping = |items: Vec<LogItem>| {
            Ok(Answers::new(Box::pin(smol::stream::iter(items.into_iter().map(Ok).chain([stopping()])))))
        };
        match (request.executable_name.as_str(), request.from_sequence) {
            ("talker", None) => items(
                vec![
                    LogItem { dropped: 12, ..line("talker::stdout", 13, "one") },
                    line("talker::stderr", 14, "two"),
                    LogItem { partial: true, ..line("talker::stdout", 15, "thr") },
                    line("talker::stdout", 16, "ee"),
                    LogItem { partial: true, ..line("talker::stdout", 17, "fo") },
                    LogItem { dropped: 3, ..line("talker::stdout", 21, "five") },
                    LogItem { partial: true, ..line("talker::stdout", 22, "si") },
                ],
                true,
            ),
            ("quiet", None) => items(vec![line("quiet::stdout", 1, "one")], false),
            ("leaver", None) => then_stopping(vec![line("leaver::stdout", 1, "one")]),
            ("leaver", Some(2)) => Err(Status::new(Code::NotFound, "there is no \"leaver\"")),
            ("stopper", None | Some(2)) => then_stopping(vec![line("stopper::stdout", 1, "one")]),
            ("turner", None) => then_stopping(vec![line("turner::stdout", 99, "one")]),
            ("turner", Some(100)) => Err(Status::new(Code::OutOfRange, "there is no 100")),
            ("turner", Some(0)) => items(vec![line("turner::stdout", 7, "two")], true),
            // With an item too much, which a client must not show again.
            ("repeater", None) => then_stopping(vec![line("repeater::stdout", 1, "one")]),
            ("repeater", Some(2)) => {
                items(vec![line("repeater::stdout", 1, "one"), line("repeater::stdout", 2, "two")], true)
            }
            ("heir", None) => then_stopping(vec![
                line("heir::stdout", 1, "one"),
                LogItem { partial: true, ..line("heir::stdout", 2, "ha") },
            ]),
            ("heir", Some(3)) => items(vec![line("heir::stdout", 70, "whole")], true),
            ("loser", None) => then_stopping(vec![line("loser::stdout", 1, "one")]),
            ("loser", Some(2)) => {
                items(vec![LogItem { dropped: 2, ..line("loser::stdout", 4, "more") }], true)
            }
            ("9", _) => {
                let lost = Status::new(Code::DataLoss, "2 items are missing at the end");
                let lines = [Ok(line("9::stdout", 1, "one")), Err(lost)];
                Ok(Answers::new(Box::pin(smol::stream::iter(lines))))
            }
            (name, from) if name.parse::<u8>().is_ok() => {
                let lines = (from.unwrap_or(1)..=LINES).map(|n| line("x::stdout", n, &format!("line {n}")));
                items(lines.collect(), true)
            }
            (name, from) => Err(Status::new(Code::NotFound, format!("there is no {name:?} from {from:?}"))),
        }
    }

    async fn watch_events(
        &self,
        request: ObserveServiceWatchEventsRequest,
    ) -> Result<Answers<Event>, Status> {
        self.note(format!("{request:?}"));
        let event = Event {
            r#type: EventType::CellAllocated.into(),
            timestamp: 1_700_000_000,
            sequence: 4,
            dropped: 3,
            cell_name: "web".to_owned(),
            ..Event::default()
        };
        let exited = Event {
            r#type: EventType::ExecutableExited.into(),
            sequence: 5,
            dropped: 0,
            executable_name: "job".to_owned(),
            pid: 7,
            exit_code: Some(3),
            ..event.clone()
        };
        items(vec![event, exited], request.no_follow)
    }
}

impl Health for Fake {
    async fn check(&self, request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
        assert_eq!(request.service, "");
        let status =
            if self.noted() == "unwell" { ServingStatus::NotServing } else { ServingStatus::Serving };
        Ok(HealthCheckResponse { status: status.into() })
    }

    async fn list(&self, _: HealthListRequest) -> Result<HealthListResponse, Status> {
        Err(unused())
    }

    async fn watch(&self, _: HealthCheckRequest) -> Result<Answers<HealthCheckResponse>, Status> {
        Err(unused())
    }
}

impl ServerReflection for Fake {
    async fn server_reflection_info(
        &self,
        _: Items<ServerReflectionRequest>,
    ) -> Result<Answers<ServerReflectionResponse>, Status> {
        Err(unused())
    }
}

impl CellService for Fake {
    async fn allocate(
        &self,
        request: CellServiceAllocateRequest,
    ) -> Result<CellServiceAllocateResponse, Status> {
        self.note(format!("{request:?}"));
        let cell_name = request.cell.unwrap_or_default().name;
        let violation =
            |field: &str, why: &str| Violation { field: field.to_owned(), description: why.to_owned() };
        if cell_name == "bad" {
            return Err(Status::bad_request(&[
                violation("cell.name", "\"bad\" is bad"),
                violation("cell.cpu.weight", "0 is too small"),
            ]));
        }
        let cgroup_v2 = cell_name != "old";
        Ok(CellServiceAllocateResponse { cell_name, cgroup_v2 })
    }

    async fn update(&self, request: CellServiceUpdateRequest) -> Result<CellServiceUpdateResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceUpdateResponse { cell: request.cell })
    }

    async fn free(&self, request: CellServiceFreeRequest) -> Result<CellServiceFreeResponse, Status> {
        self.note(format!("{request:?}"));
        match request.cell_name.as_str() {
            "gone" => Err(Status::new(Code::NotFound, "there is no cell \"gone\"")),
            _ => Ok(CellServiceFreeResponse {}),
        }
    }

    async fn start(&self, request: CellServiceStartRequest) -> Result<CellServiceStartResponse, Status> {
        self.note(format!("{request:?}"));
        if request.executable.is_some_and(|executable| executable.name == "slow") {
            Timer::never().await;
        }
        Ok(CellServiceStartResponse { pid: 4711, uid: 1000, gid: 0 })
    }

    async fn stop(&self, request: CellServiceStopRequest) -> Result<CellServiceStopResponse, Status> {
        self.note(format!("{request:?}"));
        Timer::after(Duration::from_millis(request.grace_period_ms.unwrap_or(0).into())).await;
        Ok(CellServiceStopResponse {})
    }

    async fn signal(&self, request: CellServiceSignalRequest) -> Result<CellServiceSignalResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceSignalResponse {})
    }

    async fn get(&self, request: CellServiceGetRequest) -> Result<CellServiceGetResponse, Status> {
        let cell = match request.cell_name.as_str() {
            "web" => CellService::list(self, CellServiceListRequest {}).await?.cells.pop(),
            name => {
                let cell = Some(Cell { name: name.to_owned(), ..Cell::default() });
                Some(CellGraphNode { cell, ..CellGraphNode::default() })
            }
        };
        Ok(CellServiceGetResponse { cell })
    }

    async fn freeze(&self, request: CellServiceFreezeRequest) -> Result<CellServiceFreezeResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceFreezeResponse {})
    }

    async fn thaw(&self, request: CellServiceThawRequest) -> Result<CellServiceThawResponse, Status> {
        self.note(format!("{request:?}"));
        Ok(CellServiceThawResponse {})
    }

    async fn wait(&self, request: CellServiceWaitRequest) -> Result<CellServiceWaitResponse, Status> {
        let ended = CellServiceWaitResponse { pid: 4711, ..CellServiceWaitResponse::default() };
        Ok(match request.executable_name.as_str() {
            "hog" => CellServiceWaitResponse {
                exit_signal: Some(9),
                oom_killed: true,
                oom_cell_name: "web".to_owned(),
                ..ended
            },
            "crasher" => CellServiceWaitResponse { exit_signal: Some(11), restarts: 2, ..ended },
            code => CellServiceWaitResponse { exit_code: code.parse().ok(), ..ended },
        })
    }

    async fn list(&self, _: CellServiceListRequest) -> Result<CellServiceListResponse, Status> {
        let cell = |name: &str| Cell { name: name.to_owned(), ..Cell::default() };
        let usage =
            CellUsage { cpu_us: Some(1_234_567), memory_bytes: Some(12_900_000), ..CellUsage::default() };
        let cpu = CpuController { weight: Some(200), ..CpuController::default() };
        let cpuset = CpusetController { cpus: Some("0-1".to_owned()), mems: None };
        let sleeper = CellExecutable {
            name: "sleeper".to_owned(),
            description: "naps".to_owned(),
            pid: 4711,
            state: CellExecutableState::Running.into(),
            ..CellExecutable::default()
        };
        let web = CellGraphNode {
            cell: Some(Cell { cpu: Some(cpu), cpuset: Some(cpuset), ..cell("web") }),
            children: vec![CellGraphNode { cell: Some(cell("web/api")), ..CellGraphNode::default() }],
            executables: vec![sleeper],
            usage: Some(usage),
            frozen: true,
            ..CellGraphNode::default()
        };
        Ok(CellServiceListResponse { cells: vec![web] })
    }
}

fn unused() -> Status {
    Status::new(Code::Unimplemented, "aer does not call this")
}

struct Api(Arc<Fake>);

impl Service for Api {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        Method::from_path(path)
    }

    fn kind(&self, method: Method) -> Kind {
        method.kind()
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        call(&*self.0, method, input)
    }
}
