//! A cell's life by `aer` alone, against the real daemon: discover, allocate, start, list, freeze, thaw, stop, free. The kernel's own
//! view is asked after each step. Needs root.

#[path = "common/under_test.rs"]
mod under_test;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use under_test::{Auraed, PATIENCE};

#[test]
fn a_cell_lives_and_dies() {
    let Some(daemon) = Daemon::start("life") else { return };

    let well = json!({ "healthy": true, "version": env!("CARGO_PKG_VERSION") });
    // It calls itself unwell while the machine is too busy for it.
    within_patience(|| (daemon.ask(&["discover"]) == well).then_some(()));
    within_patience(|| daemon.aer(&["health"]).status.success().then_some(()));
    assert_eq!(daemon.ask(&["cell", "allocate", "web", "--cpu-weight", "200"])["cellName"], "web");
    daemon.ask(&["cell", "allocate", "web/api"]);

    let started = daemon.ask(&["cell", "start", "web", "a sleeper", "--", "sh", "-c", "exec sleep '4000'"]);
    let pid = started["pid"].as_i64().expect("start gives a pid");
    let process = PathBuf::from(format!("/proc/{pid}"));
    let cgroups = std::fs::read_to_string(process.join("cgroup")).expect("the process runs");
    assert!(cgroups.lines().any(|line| line.contains("/web/")), "{cgroups}");

    let web = &daemon.ask(&["cell", "list"])["cells"][0];
    let started_ms = &web["executables"][0]["startedMs"];
    let executable = json!({
        "name": "a sleeper", "pid": pid, "state": "CELL_EXECUTABLE_STATE_RUNNING", "startedMs": started_ms
    });
    assert_eq!(web["executables"], json!([executable]));
    assert!(started_ms.as_str().is_some_and(|ms| ms.len() == 13), "{started_ms} is no time in milliseconds");
    assert_eq!(web["cell"], json!({ "name": "web", "cpu": { "weight": "200" } }));
    assert_eq!(web["children"].as_array().map(Vec::len), Some(1));
    assert_eq!(web["children"][0]["cell"], json!({ "name": "web/api" }));
    assert!(web["usage"].is_object() && web["children"][0]["usage"].is_object(), "{web}");

    assert_eq!(daemon.ask(&["cell", "freeze", "web"]), json!({}));
    let frozen = &daemon.ask(&["cell", "get", "web"])["cell"];
    assert_eq!((&frozen["frozen"], &frozen["children"][0]["frozen"]), (&json!(true), &json!(true)));
    assert_eq!(daemon.refusal(&["cell", "start", "web/api", "x", "--", "true"]), "FAILED_PRECONDITION");
    assert_eq!(daemon.ask(&["cell", "thaw", "web"]), json!({}));
    assert_eq!(daemon.ask(&["cell", "get", "web/api"])["cell"]["frozen"], json!(null));
    assert_eq!(daemon.refusal(&["cell", "get", "web/gone"]), "NOT_FOUND");

    assert_eq!(daemon.refusal(&["cell", "free", "web"]), "FAILED_PRECONDITION");
    assert_eq!(daemon.refusal(&["cell", "allocate", "web"]), "ALREADY_EXISTS");
    assert_eq!(daemon.refusal(&["cell", "allocate", "web_"]), "INVALID_ARGUMENT");

    assert_eq!(daemon.ask(&["cell", "stop", "web", "a sleeper"]), json!({}));
    assert!(!process.exists(), "{} is left", process.display());
    assert_eq!(daemon.ask(&["cell", "list"])["cells"][0]["executables"][0]["exitSignal"], 15);
    assert_eq!(daemon.ask(&["cell", "stop", "web", "a sleeper"]), json!({}), "and is listed no longer");
    assert_eq!(daemon.refusal(&["cell", "stop", "web", "a sleeper"]), "NOT_FOUND");

    daemon.ask(&["cell", "free", "web/api"]);
    assert_eq!(daemon.ask(&["cell", "free", "web"]), json!({}));
    assert_eq!(daemon.ask(&["cell", "list"]), json!({}));
}

#[test]
fn several_words_arrive_as_they_were_typed() {
    let Some(daemon) = Daemon::start("words") else { return };
    daemon.ask(&["cell", "allocate", "words"]);
    let file = daemon.auraed.file("words");
    let script = "printf '[%s]' \"$@\" >\"$0\".new; mv \"$0\".new \"$0\"";
    let file_text = file.to_str().expect("the directory is UTF-8");
    let words = ["", "it's", "a  b", "$HOME", "*", "--json"];
    let start = ["cell", "start", "words", "printer", "--", "sh", "-c", script, file_text];
    daemon.ask(&[&start, &words[..]].concat());
    let printed = within_patience(|| std::fs::read_to_string(&file).ok());
    assert_eq!(printed, "[][it's][a  b][$HOME][*][--json]");
    daemon.ask(&["cell", "free", "words", "--grace-ms", "0"]);
}

#[test]
fn what_a_program_writes_is_printed() {
    let Some(daemon) = Daemon::start("logs") else { return };
    daemon.ask(&["cell", "allocate", "talk"]);
    let go = daemon.auraed.file("go");
    let script = format!(
        "seq 1000; until [ -e {} ]; do sleep 0.02; done; echo bad >&2; echo end; exit 7",
        go.display()
    );
    daemon.ask(&["cell", "start", "talk", "job", "--log-ring", "1M", "--", &script]);
    let logs = |arguments: &[&str]| {
        let output = daemon.aer_text(&[&["logs", "talk", "job"], arguments].concat());
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("it is UTF-8"));
        (output.status.code(), stdout, stderr)
    };
    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    // What is there at once is read one output after the other.
    within_patience(|| (logs(&[]).1 == numbers).then_some(()));
    std::fs::write(&go, "").expect("a file");
    let all = format!("{numbers}end\n");
    assert_eq!(logs(&["--wait"]), (Some(7), all.clone(), "bad\n".to_owned()));
    // It is still there.
    assert_eq!(logs(&[]), (Some(0), all, "bad\n".to_owned()));
    assert_eq!(logs(&["-n", "3"]), (Some(0), "1000\nend\n".to_owned(), "bad\n".to_owned()));
    assert_eq!(logs(&["--stderr", "-f"]), (Some(0), String::new(), "bad\n".to_owned()));
    assert_eq!(logs(&["--stdout", "-n", "1"]), (Some(0), "end\n".to_owned(), String::new()));
    let item: Value = serde_json::from_slice(&daemon.aer(&["logs", "talk", "job", "--stderr"]).stdout)
        .expect("a line of JSON");
    assert_eq!((&item["channel"], &item["line"]), (&json!("job::stderr"), &json!("bad")));

    daemon.ask(&["cell", "start", "talk", "sleeper", "--", "echo up; exec sleep 4000"]);
    let since = logs(&["--since", "1h"]);
    assert_eq!(since.0, Some(0));
    assert!(since.1.starts_with("1\n2\n"), "{since:?}");
    assert_eq!(daemon.refusal(&["logs", "talk", "nobody"]), "NOT_FOUND");
    let late = daemon.aer(&["logs", "talk", "sleeper", "-f", "--timeout-ms", "300"]);
    assert!(String::from_utf8_lossy(&late.stderr).contains("DEADLINE_EXCEEDED"), "{late:?}");
    daemon.ask(&["cell", "free", "talk", "--grace-ms", "0"]);
}

#[test]
fn what_has_exited_holds_no_descriptor() {
    let Some(daemon) = Daemon::start("descriptors") else { return };
    daemon.ask(&["cell", "allocate", "short"]);
    let descriptors = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.auraed.pid())).expect("the daemon runs");
        open.count()
    };
    let before = descriptors();
    for number in 0..20 {
        daemon.ask(&["cell", "start", "short", &format!("job {number}"), "--", "true"]);
    }
    within_patience(|| (descriptors() <= before).then_some(()));
    daemon.ask(&["cell", "free", "short"]);
}

#[test]
fn isolated_cells_leave_nothing() {
    let Some(daemon) = Daemon::start("isolated") else { return };
    let pid = daemon.auraed.pid();
    let entries = |folder: &str| std::fs::read_dir(folder).expect("the daemon runs").flatten();
    let descriptors = || entries(&format!("/proc/{pid}/fd")).count();
    let mounts = || {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("the daemon runs");
        // Other tests mount something of their own there.
        let elsewhere = format!(" {}/", std::env::temp_dir().display());
        mounts.lines().filter(|mount| !mount.contains(&elsewhere)).map(str::to_owned).collect::<Vec<_>>()
    };
    let children = || {
        let statuses =
            entries("/proc").flat_map(|process| std::fs::read_to_string(process.path().join("status")));
        statuses.filter(|status| status.contains(&format!("PPid:\t{pid}\n"))).count()
    };
    let before = (descriptors(), mounts());
    let names: Vec<String> = (0..20).map(|number| format!("isolated-{number}")).collect();
    for name in &names {
        daemon.ask(&["cell", "allocate", name, "--isolate-process", "--isolate-network"]);
        daemon.ask(&["cell", "start", name, "sleeper", "--", "setsid sleep 4000 & exec sleep 4000"]);
    }
    assert_eq!(children(), 40);
    let first = &daemon.ask(&["cell", "list"])["cells"][0]["executables"][0]["pid"];
    let groups = std::fs::read_to_string(format!("/proc/{first}/cgroup")).expect("the process runs");
    let slice = slice_of("isolated-0", &groups);
    assert!(groups_below(&slice).len() >= 40, "cells and inits");
    let cell = json!({ "name": "isolated-0", "isolateProcess": true, "isolateNetwork": true });
    assert_eq!(daemon.ask(&["cell", "list"])["cells"][0]["cell"], cell);
    for name in &names {
        daemon.ask(&["cell", "free", name]);
    }
    within_patience(|| (children() == 0).then_some(()));
    within_patience(|| (descriptors() <= before.0).then_some(()));
    assert_eq!(mounts(), before.1);
    assert_eq!(groups_below(&slice), Vec::<PathBuf>::new());
}

/// An update replaces the file of a daemon that runs.
#[test]
fn an_init_is_of_the_daemon_that_runs() {
    let copy = std::env::temp_dir().join(format!("auraed-copy-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_auraed"), &copy).expect("a copy");
    let auraed = Auraed::start_program(&copy, "copy", |_| ());
    std::fs::remove_file(&copy).expect("it is there");
    let Some(auraed) = auraed else { return };
    let daemon = Daemon { auraed };
    daemon.ask(&["cell", "allocate", "web", "--isolate-process"]);
    daemon.ask(&["cell", "free", "web"]);
}

/// The daemon's own cgroup, out of those of a process in a cell.
fn slice_of(cell: &str, groups: &str) -> String {
    let leaf = format!("/{cell}/exec_");
    let slice = groups.lines().find_map(|line| Some(line.split_once(&leaf)?.0.rsplit_once(":/")?.1));
    slice.expect("it is in its cell").to_owned()
}

/// The cgroups directly below this one, in all hierarchies.
fn groups_below(group: &str) -> Vec<PathBuf> {
    let directories = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let root = PathBuf::from("/sys/fs/cgroup");
    let mut hierarchies = directories(root.clone());
    hierarchies.push(root);
    hierarchies.into_iter().flat_map(|hierarchy| directories(hierarchy.join(group))).collect()
}

#[test]
fn a_daemon_that_is_stopped_frees_more_cells_than_its_queue_holds() {
    let Some(daemon) = Daemon::start("many") else { return };
    let names: Vec<String> = (0..300).map(|number| format!("cell-{number}")).collect();
    for name in &names {
        daemon.ask(&["cell", "allocate", name]);
    }
    let started = daemon.ask(&["cell", "start", "cell-299", "sleeper", "--", "sleep 4000"]);
    let process = PathBuf::from(format!("/proc/{}", started["pid"]));
    let groups = std::fs::read_to_string(process.join("cgroup")).expect("the process runs");
    let slice = slice_of("cell-299", &groups);
    assert!(groups_below(&slice).len() >= 300, "the cells");
    kill(Pid::from_raw(daemon.auraed.pid()), Signal::SIGHUP).expect("it runs");
    let ended = within_patience(|| daemon.auraed.has_ended());
    assert!(ended.success(), "{ended}");
    assert!(!process.exists(), "{} is left", process.display());
    assert_eq!(groups_below(&slice), Vec::<PathBuf>::new());
}

/// The real `auraed`, and `aer` to talk to it.
struct Daemon {
    auraed: Auraed,
}

impl Daemon {
    fn start(test: &str) -> Option<Self> {
        Auraed::start(test, |_| ()).map(|auraed| Self { auraed })
    }

    fn aer(&self, arguments: &[&str]) -> std::process::Output {
        self.aer_text(&[&["--json"], arguments].concat())
    }

    fn aer_text(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_aer"))
            .args(arguments)
            .env("AURAE_RUNTIME_DIR", &self.auraed.directory)
            .env_remove("AURAE_SOCKET")
            .output()
            .expect("aer runs")
    }

    /// The answer of a call that succeeds.
    fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.aer(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).expect("the answer is JSON")
    }

    /// The code of a call that is refused.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.aer(arguments);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{arguments:?}");
        let error: Value = serde_json::from_slice(&output.stderr).expect("the error is JSON");
        error["code"].as_str().expect("a code").to_owned()
    }
}

fn within_patience<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(outcome) = attempt() {
            return outcome;
        }
        assert!(begin.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
