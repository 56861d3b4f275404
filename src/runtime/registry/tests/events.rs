//! What the registry tells, and in which order.

use super::super::super::events::{Event, EventSink};
use super::super::super::outcome::Oom;
use super::*;
use std::sync::{Mutex, OnceLock};

/// Writes down what it is told, a line for each event.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<String>>);

impl EventSink for Witness {
    fn put(&self, event: Event<'_>) {
        let line = match event {
            Event::CellAllocated(cell) => format!("{cell} allocated"),
            Event::CellUpdated(cell) => format!("{cell} updated"),
            Event::CellFreed(cell) => format!("{cell} freed"),
            Event::Executable(it) => {
                let change = match it.change {
                    ExecutableChange::Started => "started".to_owned(),
                    ExecutableChange::Restarted => "restarted".to_owned(),
                    ExecutableChange::OutOfMemory(Oom::Cell(cell)) => format!("oom of {cell}"),
                    ExecutableChange::OutOfMemory(Oom::Elsewhere) => "oom".to_owned(),
                    ExecutableChange::Exited(reason) => format!("exited {reason:?}"),
                    ExecutableChange::Removed => "removed".to_owned(),
                };
                assert_eq!(it.pid, PID);
                format!("{}/{} {change} {}", it.cell, it.executable.as_str(), it.restarts)
            }
        };
        self.0.lock().expect("no panic").push(line);
    }

    fn tell(&self) {}
}

impl Witness {
    /// What it has been told since it was asked last.
    fn news(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

fn watched(cells: &[&str]) -> (Registry, Arc<Witness>) {
    let (mut registry, witness) = (Registry::default(), Arc::new(Witness::default()));
    registry.send_events_to(witness.clone());
    add(&mut registry, cells);
    let expected: Vec<String> = cells.iter().map(|cell| format!("{cell} allocated")).collect();
    assert_eq!(witness.news(), expected);
    (registry, witness)
}

impl Running {
    fn watched(condition: RestartCondition) -> (Self, Arc<Witness>) {
        let (mut job, witness) = (Self::new(condition), Arc::new(Witness::default()));
        job.registry.send_events_to(witness.clone());
        (job, witness)
    }
}

fn stop(registry: &mut Registry, cell: &str, spec: &ExecutableSpec, leaf: u64) {
    let cell = self::spec(cell).name;
    let stopping = registry.stop_executable(&cell, &spec.name, notice()).expect("there");
    registry.record_exit(&cell, &spec.name, leaf, outcome(0));
    registry.finish_stop(&cell, &spec.name, leaf, &stopping.removal);
}

fn free(registry: &mut Registry, cell: &str) {
    let cell = spec(cell).name;
    let number = registry.free_cell(&cell, true, notice()).expect("allocated").number;
    for (inner, number) in registry.innermost(&cell, number, usize::MAX).expect("there") {
        registry.remove_cell(&inner, number);
    }
}

/// As many records as there may be in cell "a", of which the first was stopped. Its name is "0000".
fn fill(registry: &mut Registry) {
    for number in 0..EXECUTABLES_PER_CELL_MAX {
        let spec = numbered(number);
        let leaf = start(registry, "a", &spec).expect("below the limit");
        match number {
            0 => stop(registry, "a", &spec, leaf),
            _ => _ = registry.record_exit(&self::spec("a").name, &spec.name, leaf, outcome(0)),
        }
    }
}

fn numbered(number: usize) -> Arc<ExecutableSpec> {
    executable(&format!("{number:04}"), RestartCondition::Never)
}

#[test]
fn each_step_of_a_life_is_told_once() {
    let (mut registry, witness) = watched(&["a"]);
    let (cell, spec) = (spec("a").name, executable("job", RestartCondition::Never));
    let leaf = start(&mut registry, "a", &spec).expect("free");
    let oom = Some(Oom::Cell(cell.clone()));
    let killed = Outcome { reason: ExitReason::Signal(9), oom, exited_ms: 1 };
    registry.record_exit(&cell, &spec.name, leaf, killed);
    registry.record_exit(&cell, &spec.name, leaf, outcome(0));
    assert_eq!(witness.news(), ["a/job started 0", "a/job oom of a 0", "a/job exited Signal(9) 0"]);

    // The name is used again; then it is stopped, and the second Stop takes the record away.
    let leaf = start(&mut registry, "a", &spec).expect("it has exited");
    assert_eq!(witness.news(), ["a/job removed 0", "a/job started 0"]);
    stop(&mut registry, "a", &spec, leaf);
    assert_eq!(witness.news(), ["a/job exited Code(0) 0"]);
    stop(&mut registry, "a", &spec, leaf);
    assert_eq!(witness.news(), ["a/job removed 0"]);
    free(&mut registry, "a");
    assert_eq!(witness.news(), ["a freed"]);
}

#[test]
fn what_fails_is_not_told() {
    let (mut registry, witness) = watched(&["a"]);
    let number = registry.reserve_cell(&spec("b")).expect("free");
    registry.cancel_cell(&spec("b").name, number);
    let (cell, spec) = (spec("a").name, executable("job", RestartCondition::Never));
    let leaf = registry.reserve_executable(&cell, &spec).expect("free").place.leaf;
    registry.cancel_executable(&cell, &spec.name, leaf);

    let change = LimitsChange::default();
    let (number, _) = registry.begin_update(&cell, &change).expect("nobody is at it");
    registry.cancel_update(&cell, number);
    let (number, updating) = registry.begin_update(&cell, &change).expect("nobody is at it");
    registry.commit_update(updating, number);
    assert_eq!(witness.news(), [""; 0], "nor is a change to what there is");
    let mut change = LimitsChange::default();
    change.set.pids.max = PidsMax::new(5).ok();
    let (number, updating) = registry.begin_update(&cell, &change).expect("nobody is at it");
    registry.commit_update(updating, number);
    assert_eq!(witness.news(), ["a updated"]);

    // Whose name it would have taken is as it was.
    let leaf = start(&mut registry, "a", &spec).expect("free");
    registry.record_exit(&cell, &spec.name, leaf, outcome(0));
    witness.news();
    let again = registry.reserve_executable(&cell, &spec).expect("it has exited").place.leaf;
    registry.cancel_executable(&cell, &spec.name, again);
    assert_eq!(witness.news(), [""; 0]);
    assert!(registry.completion(&cell, &spec.name).is_ok(), "it is still there");
    free(&mut registry, "a");
    assert_eq!(witness.news(), ["a/job removed 0", "a freed"]);
}

#[test]
fn restarts_are_counted_and_one_that_fails_is_not_told() {
    let (mut job, witness) = Running::watched(RestartCondition::Always);
    assert!(job.exit(1).is_some());
    job.leaf = job.begin_restart().expect("nothing is in the way");
    job.registry.commit_executable(&job.cell, &job.name, run(job.leaf));
    assert!(job.exit(2).is_some());
    assert_eq!(witness.news(), ["a/job exited Code(1) 0", "a/job restarted 1", "a/job exited Code(2) 1"]);
    job.leaf = job.begin_restart().expect("nothing is in the way");
    let aftermath = job.registry.restart_failed(&job.cell, &job.name, job.leaf, true);
    assert_eq!(aftermath.expect("it is known").delay, None);
    assert!(job.has_ended());
    assert_eq!(witness.news(), [""; 0], "its exit has been told");
    assert!(job.stop());
    assert_eq!(witness.news(), ["a/job removed 1"]);
}

#[test]
fn a_tree_is_told_from_its_leafs() {
    let (mut registry, witness) = watched(&["a", "a/x", "a/x/y", "b"]);
    for cell in ["a", "a/x/y"] {
        let spec = executable("job", RestartCondition::Never);
        let leaf = start(&mut registry, cell, &spec).expect("free");
        registry.record_exit(&self::spec(cell).name, &spec.name, leaf, outcome(0));
    }
    witness.news();
    free(&mut registry, "a");
    let expected = ["a/x/y/job removed 0", "a/x/y freed", "a/x freed", "a/job removed 0", "a freed"];
    assert_eq!(witness.news(), expected);
}

#[test]
fn what_makes_way_is_told_when_the_start_has_succeeded() {
    let (mut registry, witness) = watched(&["a"]);
    fill(&mut registry);
    witness.news();
    let (cell, late) = (spec("a").name, numbered(9999));
    let leaf = registry.reserve_executable(&cell, &late).expect("one makes way").place.leaf;
    registry.cancel_executable(&cell, &late.name, leaf);
    assert_eq!(witness.news(), [""; 0]);
    assert!(registry.completion(&cell, &numbered(0).name).is_ok(), "it is back");
    start(&mut registry, "a", &late).expect("one makes way");
    assert_eq!(witness.news(), ["a/0000 removed 0", "a/9999 started 0"]);
}

/// A record that has made way, and may come back, does not outlive its cell, nor the next executable of its name.
#[test]
fn what_has_made_way_is_told_before_what_comes_behind_it() {
    let (mut registry, witness) = watched(&["a"]);
    fill(&mut registry);
    witness.news();
    let (cell, late) = (spec("a").name, numbered(9999));
    let leaf = registry.reserve_executable(&cell, &late).expect("0 makes way").place.leaf;
    // One that had ended by itself goes, so that there is room.
    let last = registry.started(&cell, &numbered(1).name).expect("there").0;
    stop(&mut registry, "a", &numbered(1), last);
    assert_eq!(witness.news(), ["a/0001 removed 0"]);
    let again = start(&mut registry, "a", &numbered(0)).expect("its name is free");
    assert_eq!(witness.news(), ["a/0000 removed 0", "a/0000 started 0"]);
    stop(&mut registry, "a", &numbered(0), again);
    stop(&mut registry, "a", &numbered(0), again);
    assert_eq!(witness.news(), ["a/0000 exited Code(0) 0", "a/0000 removed 0"]);
    registry.cancel_executable(&cell, &late.name, leaf);
    assert_eq!(witness.news(), [""; 0]);
    assert!(registry.completion(&cell, &numbered(0).name).is_err(), "what is gone does not come back");
}

#[test]
fn what_has_made_way_goes_with_its_cell() {
    let cells = ["a", "b", "c", "d", "e"];
    let (mut registry, witness) = watched(&cells);
    fill(&mut registry);
    for cell in ["b", "c", "d"] {
        for number in 0..EXECUTABLES_PER_CELL_MAX {
            start(&mut registry, cell, &numbered(number)).expect("below the limit");
        }
    }
    let late = numbered(0);
    let leaf = registry.reserve_executable(&spec("e").name, &late).expect("one of a makes way").place.leaf;
    witness.news();
    free(&mut registry, "a");
    let told = witness.news();
    assert_eq!((told[0].as_str(), told.len()), ("a/0000 removed 0", EXECUTABLES_PER_CELL_MAX + 1));
    assert_eq!(told.last().map(String::as_str), Some("a freed"));
    add(&mut registry, &["a"]);
    registry.commit_executable(&spec("e").name, &late.name, run(leaf));
    assert_eq!(witness.news(), ["a allocated", "e/0000 started 0"]);
}

/// Nobody is woken under the lock, and nobody without news.
#[test]
fn who_waits_is_woken_without_the_lock() {
    #[derive(Debug, Default)]
    struct Waker {
        registry: OnceLock<Arc<Mutex<Registry>>>,
        woken: Mutex<usize>,
    }
    impl EventSink for Waker {
        fn put(&self, _: Event<'_>) {}

        fn tell(&self) {
            let registry = self.registry.get().expect("it is set");
            assert!(registry.try_lock().is_ok(), "the lock is held");
            *self.woken.lock().expect("no panic") += 1;
        }
    }
    let (waker, registry) = (Arc::new(Waker::default()), Arc::new(Mutex::new(Registry::default())));
    waker.registry.set(registry.clone()).expect("once");
    Locked::new(&registry).send_events_to(waker.clone());
    let woken = || *waker.woken.lock().expect("no panic");
    let number = Locked::new(&registry).reserve_cell(&spec("a")).expect("free");
    assert_eq!(woken(), 0);
    Locked::new(&registry).commit_cell(&spec("a").name, number, Namespaces::Ours);
    assert_eq!(woken(), 1);
    assert_eq!(Locked::new(&registry).list().len(), 1);
    assert_eq!(woken(), 1);
}

#[test]
fn what_is_gone_is_freed_with_the_lock() {
    let registry = Mutex::new(registry(&["a"]));
    let (cell, job) = (spec("a").name, executable("job", RestartCondition::Never));
    let mut leafs = Vec::new();
    let mut records = Vec::new();
    for _ in 0..2 {
        let mut locked = Locked::new(&registry);
        leafs.push(start(&mut locked, "a", &job).expect("its name is free"));
        records.push(Arc::downgrade(&locked.completion(&cell, &job.name).expect("there")));
        locked.record_exit(&cell, &job.name, leafs[leafs.len() - 1], outcome(0));
    }
    assert_eq!(records.iter().map(|record| record.strong_count()).collect::<Vec<_>>(), [0, 1]);
    stop(&mut Locked::new(&registry), "a", &job, leafs[1]);
    assert_eq!(records[1].strong_count(), 0);
    let record = {
        let mut locked = Locked::new(&registry);
        start(&mut locked, "a", &job).expect("its name is free");
        Arc::downgrade(&locked.completion(&cell, &job.name).expect("there"))
    };
    free(&mut Locked::new(&registry), "a");
    assert_eq!(record.strong_count(), 0);
}
