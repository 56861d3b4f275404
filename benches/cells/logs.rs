//! What logs cost: how fast one executable can write when its output goes to the rings, to a reader or to a file; what that
//! costs the daemon; and the same for a hundred executables at once. Beside it, in the same run, what the pipe and the disk
//! can do without us.

use crate::daemon::Daemon;
use crate::writer::LINE_BYTES;
use auraed::proto::aurae::runtime::v0::{Executable, LogMode, LogPolicy};
use std::time::{Duration, Instant};

/// Of one writer, or of a hundred together.
const LINES: usize = 10_000_000;

pub fn measure() {
    println!("\n## Output of one executable, {LINES} lines of {LINE_BYTES} bytes\n");
    println!("{}", Row::heading());
    let file = std::env::temp_dir().join(format!("aurae-bench-{}.out", std::process::id()));
    let to_file = format!("| cat >{}", file.display());
    for (what, redirect, mode, reader) in [
        ("/dev/null", ">/dev/null", LogMode::Ring, Reader::None),
        ("cat >/dev/null", "| cat >/dev/null", LogMode::Ring, Reader::None),
        ("cat >file", to_file.as_str(), LogMode::Ring, Reader::None),
        ("its ring", "", LogMode::Ring, Reader::None),
        ("its ring, and one who stalls", "", LogMode::Ring, Reader::Stalled),
        ("its ring and its file", "", LogMode::File, Reader::None),
        ("its ring, with a reader", "", LogMode::Ring, Reader::Reads),
        ("a reader, lossless", "", LogMode::Block, Reader::Reads),
    ] {
        println!("{}", run(&[job("job", redirect, LINES, mode)], reader).shown(what));
    }
    let _ = std::fs::remove_file(file);
    println!("\n## 100 executables at once, {} lines each\n", LINES / 100);
    println!("{}", Row::heading());
    for (what, redirect, mode, reader) in [
        ("/dev/null", ">/dev/null", LogMode::Ring, Reader::None),
        ("their rings", "", LogMode::Ring, Reader::None),
        ("a reader each, lossless", "", LogMode::Block, Reader::Reads),
    ] {
        let jobs: Vec<_> = (0..100).map(|n| job(&format!("job {n}"), redirect, LINES / 100, mode)).collect();
        println!("{}", run(&jobs, reader).shown(what));
    }
}

/// From the moment that all may write to the last end. Who is to read does so from the first line on.
fn run(jobs: &[Executable], reader: Reader) -> Row {
    let daemon = Daemon::start();
    let gate = daemon.file("gate");
    daemon.allocate(crate::cell("a"));
    for job in jobs {
        let command = format!("while [ ! -e {} ]; do sleep 0.01; done; {}", gate.display(), job.command);
        daemon.begin("a", Executable { command, ..job.clone() });
    }
    let (before, began) = (daemon.cpu(), Instant::now());
    let open = || std::fs::write(&gate, "").expect("a gate");
    let mut row = Row::default();
    let names = jobs.iter().map(|job| job.name.clone());
    let _stalled = match reader {
        Reader::None => {
            open();
            Vec::new()
        }
        Reader::Stalled => {
            let stalled = names.map(|name| daemon.stall("a", &name)).collect();
            open();
            stalled
        }
        Reader::Reads => {
            (row.read, row.dropped) = daemon.read_all(daemon.follow("a", names), open);
            Vec::new()
        }
    };
    jobs.iter().for_each(|job| daemon.wait("a", &job.name));
    (row.took, row.cpu) = (began.elapsed(), daemon.cpu() - before);
    row
}

fn job(name: &str, redirect: &str, lines: usize, mode: LogMode) -> Executable {
    let program = std::env::current_exe().expect("this program");
    let command = format!("{} write {lines} {redirect}", program.display());
    let log = Some(LogPolicy { mode: mode.into(), ..LogPolicy::default() });
    Executable { name: name.to_owned(), command, log, ..Executable::default() }
}

/// Who follows each executable.
#[derive(Clone, Copy)]
enum Reader {
    None,
    /// Takes nothing.
    Stalled,
    Reads,
}

/// Of [`LINES`].
#[derive(Default)]
struct Row {
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
        let (lines, seconds) = (LINES as f64, self.took.as_secs_f64());
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
