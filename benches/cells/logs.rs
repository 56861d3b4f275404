//! What logs cost: how fast one executable can write when its output goes to the rings, to a reader or to a file; what that
//! costs the daemon; and the same for a hundred executables at once. Beside it, in the same run, what the pipe and the disk
//! can do without us.

use crate::daemon::Daemon;
use crate::writer::LINE_BYTES;
use auraed::proto::aurae::observe::v0::GetSubProcessStreamRequest;
use auraed::proto::aurae::runtime::v0::{Executable, LogMode, LogPolicy};
use std::time::{Duration, Instant};

/// Of one writer.
const LINES: usize = 10_000_000;

pub fn measure() {
    println!("\n## Output of one executable, {LINES} lines of {LINE_BYTES} bytes\n");
    println!("{}", Row::heading());
    for (what, redirect) in [
        ("/dev/null", ">/dev/null"),
        ("cat >/dev/null", "| cat >/dev/null"),
        ("cat >file", "| cat >/tmp/aurae-bench-file"),
    ] {
        let daemon = Daemon::start();
        daemon.allocate(crate::cell("a"));
        println!("{}", run(&daemon, &[job("job", redirect, LINES, LogMode::Ring)], LINES, false).shown(what));
        let _ = std::fs::remove_file("/tmp/aurae-bench-file");
    }
    for (what, mode, followed) in [
        ("the ring", LogMode::Ring, false),
        ("the ring, with a reader", LogMode::Ring, true),
        ("a reader, lossless", LogMode::Block, true),
    ] {
        let daemon = Daemon::start();
        daemon.allocate(crate::cell("a"));
        println!("{}", run(&daemon, &[job("job", "", LINES, mode)], LINES, followed).shown(what));
    }
    println!("\n## 100 executables at once, {} lines each\n", LINES / 100);
    println!("{}", Row::heading());
    for (what, redirect, followed) in [
        ("/dev/null", ">/dev/null", false),
        ("their rings", "", false),
        ("a reader each, lossless", "", true),
    ] {
        let daemon = Daemon::start();
        daemon.allocate(crate::cell("a"));
        let mode = if followed { LogMode::Block } else { LogMode::Ring };
        let jobs: Vec<_> = (0..100).map(|n| job(&format!("job {n}"), redirect, LINES / 100, mode)).collect();
        println!("{}", run(&daemon, &jobs, LINES, followed).shown(what));
    }
}

/// From the first start to the last end.
fn run(daemon: &Daemon, jobs: &[Executable], lines: usize, followed: bool) -> Row {
    let before = daemon.cpu();
    let began = Instant::now();
    jobs.iter().for_each(|job| daemon.begin("a", job.clone()));
    let mut row = Row { lines, read: 0, dropped: 0, took: Duration::ZERO, cpu: Duration::ZERO };
    if followed {
        let request = |job: &Executable| GetSubProcessStreamRequest {
            cell_name: "a".to_owned(),
            executable_name: job.name.clone(),
            ..GetSubProcessStreamRequest::default()
        };
        (row.read, row.dropped) = daemon.read_all(jobs.iter().map(request));
    }
    jobs.iter().for_each(|job| daemon.wait("a", &job.name));
    row.took = began.elapsed();
    row.cpu = daemon.cpu() - before;
    row
}

fn job(name: &str, redirect: &str, lines: usize, mode: LogMode) -> Executable {
    let program = std::env::current_exe().expect("this program");
    let command = format!("{} write {lines} {redirect}", program.display());
    let log = Some(LogPolicy { mode: mode.into(), ..LogPolicy::default() });
    Executable { name: name.to_owned(), command, log, ..Executable::default() }
}

struct Row {
    lines: usize,
    read: u64,
    dropped: u64,
    took: Duration,
    cpu: Duration,
}

impl Row {
    fn heading() -> String {
        format!(
            "{:28} {:>9} {:>12} {:>10} {:>12} {:>12}",
            "to", "MB/s", "lines/s", "CPU ms/MB", "read", "dropped"
        )
    }

    fn shown(&self, what: &str) -> String {
        let (lines, seconds) = (self.lines as f64, self.took.as_secs_f64());
        let megabytes = lines * LINE_BYTES as f64 / 1e6;
        format!(
            "{what:28} {:9.0} {:12.0} {:10.2} {:12} {:12}",
            megabytes / seconds,
            lines / seconds,
            self.cpu.as_secs_f64() * 1e3 / megabytes,
            self.read,
            self.dropped
        )
    }
}
