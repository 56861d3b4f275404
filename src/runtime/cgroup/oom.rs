//! Whether the kernel ended a process because memory had run out, and which cell's limit was the cause: from counters
//! that are read when a run begins and after it has ended.
//!
//! v2 (cgroup-v2.rst, "memory.events"): `oom_kill` counts the victims in a cgroup and below, so that in a leaf it tells
//! of one executable alone. `oom` in `memory.events.local` counts how often that very cgroup's limit was what stood in
//! the way.
//!
//! - Exact: whether a process of the executable was a victim; and the cell, as long as one limit around the executable
//!   was reached during its run.
//! - Not exact: where several limits were reached during the run, the innermost of them is named. And where a child was
//!   the victim and somebody else, not we, sent SIGKILL to the main process later, the main process counts as a victim.
//!
//! v1 (memory.rst) has one group for all executables of a cell, and counts no reached limits, only charges that failed at
//! first (`failcnt`), which happens without a victim, too: there both answers are guesses where more than one executable
//! or limit is involved.

use super::super::names::CellName;
use super::super::outcome::Oom;
use super::controllers::{Controller, ControllerSet};
use super::tree::Tree;
use super::{Group, Version, file};
use std::path::Path;

/// What the memory limits of a cell and of those around it had counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounts {
    /// v1: victims in the cell so far. v2 counts in the leaf, which starts at 0.
    victims: u64,
    /// How often the limit of each was reached, 0 without a counter; the innermost first. Without their names, as each record
    /// of an executable keeps this.
    reached: Box<[u64]>,
}

/// The hierarchy in which memory is counted, below our own directory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlace<'a> {
    pub version: Version,
    pub base: &'a Path,
}

impl Tree {
    /// To be read before a run begins. `ever_limited` are the controllers that limit the cell or one around it, or ever
    /// did: where memory is not among them, nothing has been counted.
    pub fn memory_counts(&self, cell: &CellName, ever_limited: ControllerSet) -> MemoryCounts {
        let place = self.memory_place().filter(|_| ever_limited.contains(Controller::Memory));
        place.map_or_else(MemoryCounts::default, |place| place.counts(cell))
    }

    /// Whether a process of this leaf was a victim since then, and of which limit. To be read while the leaf is there.
    pub fn oom_since(&self, before: &MemoryCounts, cell: &CellName, leaf: &Group) -> Option<Oom> {
        self.memory_place()?.oom_since(before, cell, leaf)
    }
}

impl MemoryPlace<'_> {
    fn counts(self, cell: &CellName) -> MemoryCounts {
        let reached = cells_outwards(cell).map(|cell| self.reached(&cell).unwrap_or(0));
        MemoryCounts { victims: self.victims_in_cell(cell), reached: reached.collect() }
    }

    fn oom_since(self, before: &MemoryCounts, cell: &CellName, leaf: &Group) -> Option<Oom> {
        let events = leaf.path().join("memory.events");
        let (was_victim, own_limit) = match self.version {
            Version::V2 => (count(&events, "oom_kill") > Some(0), count(&events, "oom") > Some(0)),
            Version::V1 => (self.victims_in_cell(cell) > before.victims, false),
        };
        if !was_victim {
            return None;
        }
        // A limit that the executable put on a cgroup that it made, inside all of ours.
        let reached = (!own_limit).then(|| self.innermost_reached(before, cell)).flatten();
        Some(reached.map_or(Oom::Elsewhere, Oom::Cell))
    }

    fn innermost_reached(self, before: &MemoryCounts, cell: &CellName) -> Option<CellName> {
        let earlier = before.reached.iter().copied().chain(std::iter::repeat(0));
        let mut cells = cells_outwards(cell).zip(earlier);
        cells.find_map(|(cell, earlier)| (self.reached(&cell)? > earlier).then_some(cell))
    }

    /// How often the limit of this very cell was reached.
    fn reached(self, cell: &CellName) -> Option<u64> {
        let directory = self.base.join(cell.as_str());
        match self.version {
            Version::V2 => count(&directory.join("memory.events.local"), "oom"),
            Version::V1 => {
                let failed =
                    ["memory.failcnt", "memory.memsw.failcnt"].map(|name| number(&directory.join(name)));
                failed[0].map(|memory| memory + failed[1].unwrap_or(0))
            }
        }
    }

    fn victims_in_cell(self, cell: &CellName) -> u64 {
        let control = self.base.join(cell.as_str()).join("memory.oom_control");
        let victims = (self.version == Version::V1).then(|| count(&control, "oom_kill")).flatten();
        victims.unwrap_or(0)
    }
}

/// The cell, the one around it, and so on.
fn cells_outwards(cell: &CellName) -> impl Iterator<Item = CellName> + use<> {
    std::iter::successors(Some(cell.clone()), CellName::parent)
}

/// The number behind `name` in a file of lines `name number`. A file that cannot be read tells nothing.
fn count(path: &Path, name: &str) -> Option<u64> {
    let text = file::read(path).ok()?;
    let numbers = text.lines().filter_map(|line| line.split_once(' ')).find(|(key, _)| *key == name);
    numbers?.1.parse().ok()
}

fn number(path: &Path) -> Option<u64> {
    file::read(path).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Directories as of a cell a/b and its leaf, with the counters of one version.
    struct Counters {
        base: PathBuf,
        version: Version,
    }

    impl Counters {
        fn new(test: &str, version: Version) -> Self {
            let base = std::env::temp_dir().join(format!("auraed-oom-{}-{test}", std::process::id()));
            let counters = Self { base, version };
            fs::create_dir_all(counters.leaf().path()).expect("the name is new");
            for cell in ["a", "a/b"] {
                counters.reach(cell, 1);
            }
            counters.victims(0, 0);
            counters
        }

        fn cell(&self) -> CellName {
            CellName::parse("a/b").expect("valid")
        }

        fn leaf(&self) -> Group {
            Group::new(self.version, self.base.join("a/b")).leaf(1)
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.base.join(path), text).expect("the directory is ours");
        }

        fn reach(&self, cell: &str, times: u64) {
            match self.version {
                Version::V2 => {
                    self.write(
                        &format!("{cell}/memory.events.local"),
                        &format!("max 9\noom {times}\noom_kill 0\n"),
                    );
                }
                Version::V1 => self.write(&format!("{cell}/memory.failcnt"), &format!("{times}\n")),
            }
        }

        fn victims(&self, killed: u64, own: u64) {
            match self.version {
                Version::V2 => {
                    self.write("a/b/exec_1/memory.events", &format!("oom {own}\noom_kill {killed}\n"));
                }
                Version::V1 => self.write(
                    "a/b/memory.oom_control",
                    &format!("oom_kill_disable 0\nunder_oom 0\noom_kill {killed}\n"),
                ),
            }
        }

        fn place(&self) -> MemoryPlace<'_> {
            MemoryPlace { version: self.version, base: &self.base }
        }

        fn oom_since(&self, before: &MemoryCounts) -> Option<Oom> {
            self.place().oom_since(before, &self.cell(), &self.leaf())
        }
    }

    impl Drop for Counters {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.base);
        }
    }

    fn cell(name: &str) -> Option<Oom> {
        Some(Oom::Cell(CellName::parse(name).expect("valid")))
    }

    #[test]
    fn the_innermost_limit_that_was_reached_is_named() {
        for version in [Version::V1, Version::V2] {
            let counters = Counters::new("innermost", version);
            let before = counters.place().counts(&counters.cell());
            assert_eq!(counters.oom_since(&before), None, "{version:?}");
            counters.reach("a", 2);
            assert_eq!(counters.oom_since(&before), None, "a limit was reached, but nobody here is a victim");
            counters.victims(1, 0);
            assert_eq!(counters.oom_since(&before), cell("a"));
            counters.reach("a/b", 3);
            assert_eq!(counters.oom_since(&before), cell("a/b"));
        }
    }

    #[test]
    fn a_victim_of_no_cells_limit_is_one_all_the_same() {
        for version in [Version::V1, Version::V2] {
            let counters = Counters::new("elsewhere", version);
            let before = counters.place().counts(&counters.cell());
            counters.victims(1, 0);
            assert_eq!(counters.oom_since(&before), Some(Oom::Elsewhere), "{version:?}");
        }
        let counters = Counters::new("own", Version::V2);
        let before = counters.place().counts(&counters.cell());
        counters.reach("a", 2);
        counters.victims(1, 1);
        assert_eq!(counters.oom_since(&before), Some(Oom::Elsewhere), "its own limit was inside");
    }

    #[test]
    fn a_limit_that_was_set_later_counts() {
        let counters = Counters::new("later", Version::V2);
        counters.victims(1, 0);
        assert_eq!(counters.oom_since(&MemoryCounts::default()), cell("a/b"));
    }

    #[test]
    fn without_counters_nothing_is_claimed() {
        let counters = Counters::new("without", Version::V2);
        fs::remove_file(counters.leaf().path().join("memory.events")).expect("it is there");
        assert_eq!(counters.oom_since(&MemoryCounts::default()), None);
    }
}
