//! What something costs: the daemon's and its helpers' private memory, and the kernel's.

use std::fs;

/// In bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    daemon: u64,
    /// The processes that the daemon needs to keep cells isolated.
    helpers: u64,
    /// Slab, per-cpu memory, stacks and page tables of the whole machine: nothing else runs beside a benchmark.
    kernel: u64,
}

impl Memory {
    pub fn of(daemon: u32) -> Self {
        let helpers = children(daemon).into_iter().filter(|pid| is_helper(*pid));
        Self { daemon: private(daemon), helpers: helpers.map(private).sum(), kernel: kernel() }
    }

    pub fn since(self, before: &Self) -> Self {
        Self {
            daemon: self.daemon.saturating_sub(before.daemon),
            helpers: self.helpers.saturating_sub(before.helpers),
            kernel: self.kernel.saturating_sub(before.kernel),
        }
    }

    pub fn each(self, count: usize) -> String {
        let kib = |bytes: u64| bytes as f64 / count as f64 / 1024.0;
        let (daemon, helpers, kernel) = (kib(self.daemon), kib(self.helpers), kib(self.kernel));
        format!("daemon {daemon:.1} KiB, helper {helpers:.1} KiB, kernel {kernel:.1} KiB")
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The init of an isolated cell is the daemon's own program.
fn is_helper(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.starts_with(b"auraed-init")
}

fn private(pid: u32) -> u64 {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    kilobytes(&smaps, &["Private_Clean", "Private_Dirty"])
}

fn kernel() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&meminfo, &["Slab", "Percpu", "KernelStack", "PageTables"])
}

/// The sum of these lines, in bytes.
fn kilobytes(text: &str, names: &[&str]) -> u64 {
    let value = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        names.contains(&name).then(|| rest.split_whitespace().next()?.parse::<u64>().ok()).flatten()
    };
    text.lines().filter_map(value).sum::<u64>() * 1024
}
