//! Ten thousand starts leave the daemon as it was.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, PATIENCE, cell, eventually, pause};

/// Each is one start and one exit. Fewer on an emulated machine, which takes ten times as long.
const CYCLES: usize = 10_000;
const CYCLES_EMULATED: usize = 1_000;
const CLIENTS: usize = 4;
const ROUNDS_MAX: usize = 3;
/// With what malloc notes of it.
const MALLOC_BYTES_MIN: usize = 32;
const HEAP_GRAIN_KIB: usize = 220;

#[test]
fn ten_thousand_starts_leave_the_daemon_as_it_was() {
    let Some(daemon) = Daemon::start("churn") else { return };
    let cycles = if std::env::var_os("AURAE_IN_GUEST").is_some() { CYCLES_EMULATED } else { CYCLES };
    // No connection stays: with the last one the daemon gives back what it has of its heap.
    daemon.client().allocate(cell("a")).expect("allocate");
    // What the first starts set up stays: buffers, the heap's odd ends, pages of code. After some ten thousand it goes up and
    // down by a hundred KB, and no further, however many follow.
    churn(&daemon, cycles);
    let mut looks = vec![Footprint::settled(&daemon)];
    // What is lost with each start is lost in each round; a heap that has been cut up a little more is not.
    let is_as_it_was = (0..ROUNDS_MAX).any(|_| {
        let before = looks[looks.len() - 1];
        churn(&daemon, cycles);
        let after = Footprint::after(before, &daemon, cycles);
        looks.push(after);
        assert!(!after.has_more_else_than(before), "{looks:?}");
        !after.has_more_heap_than(before, cycles)
    });
    println!("{cycles} cycles each: {looks:?}");
    assert!(is_as_it_was, "{looks:?}");
    daemon.client().free("a").expect("free");
    daemon.assert_empty();
}

fn churn(daemon: &Daemon, cycles: usize) {
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            scope.spawn(move || {
                let client = daemon.client();
                for number in 0..cycles / CLIENTS {
                    let name = format!("job {worker} {}", number % 8);
                    client.start("a", &name, "exec true").expect("start");
                    // Ends what is left, and lets go of the name, whether or not it has exited by now.
                    client.stop("a", &name).expect("stop");
                }
            });
        }
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Footprint {
    /// And stacks. Not the pages of files, of which the kernel maps and takes back as many as it likes.
    heap_kib: u64,
    descriptors: usize,
    threads: usize,
    children: usize,
    cgroups: usize,
    dying: usize,
}

impl Footprint {
    /// A heap is never quite as it was: some hundred KB come and go, and not even the smallest block that malloc gives may be
    /// lost with each start.
    fn has_more_heap_than(self, before: Self, cycles: usize) -> bool {
        let grain = (cycles * MALLOC_BYTES_MIN / 1024).max(HEAP_GRAIN_KIB);
        self.heap_kib > before.heap_kib + grain as u64
    }

    fn has_more_else_than(self, before: Self) -> bool {
        let rest = |footprint: Self| {
            let Self { descriptors, threads, children, cgroups, dying, .. } = footprint;
            [descriptors, threads, children, cgroups, dying]
        };
        rest(before).into_iter().zip(rest(self)).any(|(before, after)| after > before)
    }

    /// What is ending may take its time; what is lost never comes back.
    fn after(before: Self, daemon: &Daemon, cycles: usize) -> Self {
        let (begin, mut after) = (Instant::now(), Self::now(daemon));
        let has_grown =
            |after: Self| after.has_more_heap_than(before, cycles) || after.has_more_else_than(before);
        while has_grown(after) && begin.elapsed() < PATIENCE {
            pause();
            after = Self::now(daemon);
        }
        after
    }

    /// Once what is ending has ended.
    fn settled(daemon: &Daemon) -> Self {
        let mut last = Self::now(daemon);
        eventually("the daemon settles", || {
            thread::sleep(Duration::from_millis(300));
            let now = Self::now(daemon);
            std::mem::replace(&mut last, now) == now
        });
        last
    }

    fn now(daemon: &Daemon) -> Self {
        let process = format!("/proc/{}", daemon.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            value.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
        };
        let count = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
        let cells = daemon.directories("a");
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let inside = |cell: &std::path::PathBuf| {
            fs::read_dir(cell).into_iter().flatten().flatten().filter(is_directory).count()
        };
        let dying = |cell: &std::path::PathBuf| {
            let stat = fs::read_to_string(cell.join("cgroup.stat")).unwrap_or_default();
            let line = stat.lines().find_map(|line| line.strip_prefix("nr_dying_descendants "));
            line.and_then(|number| number.parse::<usize>().ok()).unwrap_or_default()
        };
        let tasks = fs::read_dir(format!("{process}/task")).expect("tasks").flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        Self {
            heap_kib: field("RssAnon:"),
            descriptors: count(Path::new(&format!("{process}/fd"))),
            threads: count(Path::new(&format!("{process}/task"))),
            children: children.map(|list| list.split_whitespace().count()).sum(),
            cgroups: cells.iter().map(inside).sum(),
            dying: cells.iter().map(dying).sum(),
        }
    }
}
