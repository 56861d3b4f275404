//! What cells cost: the time of Start, Allocate, Free and List as a client sees it, and the memory of cells and of what
//! runs in them. Beside it, in the same run: a bare clone and exec, and `crun run` where there is one.
//!
//! Run by `make bench`, as root. Prints tables and writes nothing. Starts are timed back to back and 100 ms apart, since
//! the kernel makes a process that changes its cgroup wait longer when nothing has happened for a while.

mod crun;
mod daemon;
mod logs;
mod memory;
mod peer;
mod samples;
mod writer;

use auraed::proto::aurae::runtime::v0::{Cell, Executable};
use daemon::Daemon;
use memory::Memory;
use samples::Samples;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What every start runs: it ends at once, by itself.
const PROGRAM: &str = "/bin/true";

/// Between two starts that are spaced.
const SPACE: Duration = Duration::from_millis(100);

const CELLS: [usize; 3] = [1, 100, 1000];
const EXECUTABLES: [usize; 3] = [1, 100, 1000];
/// Each costs a process, and on a small machine a network namespace costs half a megabyte.
const ISOLATED: [usize; 2] = [1, 50];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = arguments.get(1).map_or("", String::as_str);
    match argument {
        // The executable whose output is measured.
        "write" => return writer::write(arguments[2].parse().expect("a number of lines")),
        // What `cargo test --benches` runs is not meant.
        "--test" => return,
        _ => {}
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: cells are control groups, which only root may make");
    }
    let parts: [(&str, fn()); 5] = [
        ("starts", starts),
        ("cells", cells),
        ("executables", executables),
        ("isolated", isolated),
        ("logs", logs::measure),
    ];
    // `cargo bench --bench cells -- logs` is one part of it.
    let named = parts.iter().any(|(name, _)| *name == argument);
    parts.iter().filter(|(name, _)| !named || *name == argument).for_each(|(_, measure)| measure());
}

fn starts() {
    println!("\n## Start, from the call to the answer; the program is {PROGRAM}\n");
    println!("{}", Samples::heading("µs"));
    let spaces = [("back to back", Duration::ZERO, 200), ("100 ms apart", SPACE, 40)];
    for (how, space, count) in spaces {
        let mut peer = peer::Bare::new(PROGRAM);
        let bare = Samples::timed(count, space, |_| peer.start());
        println!("{}", bare.row(&format!("bare clone and exec, {how}"), None));
        let kinds = [("plain", false, false), ("isolated", true, false), ("with network", true, true)];
        for (kind, isolate_process, isolate_network) in kinds {
            let daemon = Daemon::start();
            daemon.allocate(Cell { isolate_process, isolate_network, ..cell("a") });
            daemon.begin("a", program("warm-up", &[PROGRAM]));
            let starts = Samples::timed(count, space, |number| {
                daemon.begin("a", program(&format!("job {number}"), &[PROGRAM]));
            });
            println!("{}", starts.row(&format!("{kind}, {how}"), Some(&bare)));
        }
        if let Some(runs) = crun::runs(PROGRAM, count.min(40), space) {
            println!("{}", runs.row(&format!("crun run, {how}"), Some(&bare)));
        }
    }
}

fn cells() {
    println!("\n## Allocate, List and Free of empty cells\n");
    for count in CELLS {
        let daemon = Daemon::start();
        daemon.allocate(cell("warm-up"));
        let before = daemon.memory();
        let began = Instant::now();
        let allocates = Samples::timed(count, Duration::ZERO, |number| daemon.allocate(named(number)));
        let seconds = began.elapsed().as_secs_f64();
        let memory = settled(&daemon, &before);
        let lists = Samples::timed(20, Duration::ZERO, |_| assert_eq!(daemon.list().len(), count + 1));
        let frees = Samples::timed(count, Duration::ZERO, |number| daemon.free(&named(number).name));
        println!("{count} cells, allocated in {seconds:.2} s; each: {}", memory.each(count));
        println!("{}", Samples::heading("µs"));
        println!("{}", allocates.row("allocate", None));
        println!("{}", lists.row("list of all", None));
        println!("{}", frees.row("free", None));
        println!();
    }
}

fn executables() {
    println!("\n## Running executables in one cell\n");
    for count in EXECUTABLES {
        let daemon = Daemon::start();
        daemon.allocate(cell("a"));
        daemon.begin("a", program("warm-up", &["sleep", "1000"]));
        let before = daemon.memory();
        for number in 0..count {
            daemon.begin("a", program(&format!("job {number}"), &["sleep", "1000"]));
        }
        println!(
            "{count} running; each: {} (the kernel's with the program's own)",
            settled(&daemon, &before).each(count)
        );
    }
}

fn isolated() {
    println!("\n## Isolated cells, nothing running in them\n");
    for isolate_network in [false, true] {
        for count in ISOLATED {
            let daemon = Daemon::start();
            let isolated =
                |name: String| Cell { name, isolate_process: true, isolate_network, ..Cell::default() };
            daemon.allocate(isolated("warm-up".to_owned()));
            let before = daemon.memory();
            let allocates =
                Samples::timed(count, Duration::ZERO, |number| daemon.allocate(isolated(named(number).name)));
            let memory = settled(&daemon, &before);
            let frees = Samples::timed(count, Duration::ZERO, |number| daemon.free(&named(number).name));
            let network = if isolate_network { " with network" } else { "" };
            println!("{count} isolated cells{network}; each: {}", memory.each(count));
            println!("{}", Samples::heading("µs"));
            println!("{}", allocates.row("allocate", None));
            println!("{}", frees.row("free", None));
            println!();
        }
    }
}

/// What there is more than before, once the kernel has put its per-cpu work away.
fn settled(daemon: &Daemon, before: &Memory) -> Memory {
    sleep(Duration::from_millis(500));
    daemon.memory().since(before)
}

fn cell(name: &str) -> Cell {
    Cell { name: name.to_owned(), ..Cell::default() }
}

fn named(number: usize) -> Cell {
    cell(&format!("cell-{number}"))
}

fn program(name: &str, args: &[&str]) -> Executable {
    let args = args.iter().map(|argument| (*argument).to_owned()).collect();
    Executable { name: name.to_owned(), args, ..Executable::default() }
}
