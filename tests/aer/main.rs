//! The program `aer` against a daemon that answers as the tests need it: what it prints, where, and how it exits.

mod daemon;
mod fake;
mod streams;

use auraed::proto::aurae::runtime::v0::*;
use auraed::transport::listen::{Address, Listener};
use daemon::*;
use std::io;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
