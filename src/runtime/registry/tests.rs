//! The registry as `cells` uses it, without a kernel.

mod events;

use super::super::cgroup::MemoryCounts;
use super::super::change::LimitName;
use super::super::child::Child;
use super::super::error::ErrorKind;
use super::super::executable::{Command, ExecutableSpec, Program};
use super::super::outcome::Outcome;
use super::super::output::Whose;
use super::super::pids::PidsMax;
use super::super::record::MayFinish;
use super::super::restart::{RestartCondition, RestartPolicy};
use super::super::spec::Limits;
use super::*;
use crate::limits::EXECUTABLES_PER_CELL_MAX;
use crate::sys::pidfd::ExitReason;
use std::time::Duration;

fn spec(name: &str) -> CellSpec {
    let name = CellName::parse(name).expect("valid");
    CellSpec { name, limits: Limits::default(), isolation: Isolation::default() }
}

fn executable(name: &str, condition: RestartCondition) -> Arc<ExecutableSpec> {
    let name = ExecutableName::parse(name).expect("valid");
    let program = Program::Shell(Command::parse("true").expect("valid"));
    let restart = RestartPolicy { condition, max_restarts: None };
    Arc::new(ExecutableSpec { restart, ..ExecutableSpec::new(name, program) })
}

/// A run without a process; nothing here looks at one.
fn run(leaf: u64) -> Arc<Run> {
    run_as(PID, leaf)
}

fn run_as(pid: i32, leaf: u64) -> Arc<Run> {
    Arc::new(Run::new(leaf, Child::ended(pid), MemoryCounts::default()))
}

/// Of those of which the number does not matter.
const PID: i32 = 1;

fn outcome(code: i32) -> Outcome {
    Outcome { reason: ExitReason::Code(code), oom: None, exited_ms: 1 }
}

/// A registry with one cell, in which an executable runs.
struct Running {
    registry: Registry,
    cell: CellName,
    name: ExecutableName,
    leaf: u64,
    completion: Arc<Completion>,
}

impl Running {
    fn new(condition: RestartCondition) -> Self {
        let (mut registry, cell) = (registry(&["a"]), spec("a").name);
        let spec = executable("job", condition);
        let leaf = start(&mut registry, "a", &spec).expect("free");
        let completion = registry.completion(&cell, &spec.name).expect("there");
        Self { registry, cell, name: spec.name.clone(), leaf, completion }
    }

    fn exit(&mut self, code: i32) -> Option<Duration> {
        let aftermath = self.registry.record_exit(&self.cell, &self.name, self.leaf, outcome(code));
        aftermath.expect("the run is known").delay
    }

    fn begin_restart(&mut self) -> Option<u64> {
        self.registry.begin_restart(&self.cell, &self.name, self.leaf).map(|relaunch| relaunch.place.leaf)
    }

    /// Until nothing is left; whether the record has gone, too.
    fn stop(&mut self) -> bool {
        let stopping = self.registry.stop_executable(&self.cell, &self.name, notice()).expect("there");
        self.finish(&stopping);
        self.registry.completion(&self.cell, &self.name).is_err()
    }

    fn finish(&mut self, stopping: &StoppingExecutable) {
        self.registry.finish_stop(&self.cell, &self.name, stopping.leaf, &stopping.removal);
    }

    fn has_ended(&self) -> bool {
        self.completion.end().is_some()
    }
}

fn start(registry: &mut Registry, cell: &str, spec: &Arc<ExecutableSpec>) -> Result<u64, Error> {
    let cell = self::spec(cell).name;
    let leaf = registry.reserve_executable(&cell, spec)?.place.leaf;
    registry.commit_executable(&cell, &spec.name, run(leaf));
    Ok(leaf)
}

fn registry(cells: &[&str]) -> Registry {
    let mut registry = Registry::default();
    add(&mut registry, cells);
    registry
}

fn add(registry: &mut Registry, cells: &[&str]) {
    for cell in cells {
        let number = registry.reserve_cell(&spec(cell)).expect(cell);
        registry.commit_cell(&spec(cell).name, number, Namespaces::Ours);
    }
}

fn notice() -> Arc<RemovalNotice> {
    RemovalNotice::new().expect("eventfd")
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn cells_are_listed_as_a_tree() {
    let registry = registry(&["b", "a", "a/x", "a-b", "a/x/y", "a/z"]);
    fn shape(cells: &[CellInfo]) -> String {
        let shown = |c: &CellInfo| format!("{}({})", c.spec.name.last_label(), shape(&c.children));
        cells.iter().map(shown).collect()
    }
    assert_eq!(shape(&registry.list()), "a(x(y())z())a-b()b()");
    let get = |name: &str| registry.get(&spec(name).name).map(|cell| shape(&[cell]));
    for (name, expected) in [("a", "a(x(y())z())"), ("a/x", "x(y())"), ("a/x/y", "y()"), ("b", "b()")] {
        assert_eq!(get(name).expect("is there"), expected);
    }
    for name in ["c", "a/y", "a/x/y/z"] {
        assert_eq!(kind(get(name)), Some(ErrorKind::NotFound), "{name}");
    }
}

#[test]
fn a_name_is_taken_from_its_reservation_on() {
    let mut registry = Registry::default();
    let number = registry.reserve_cell(&spec("a")).expect("free");
    assert_eq!(kind(registry.reserve_cell(&spec("a"))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(registry.reserve_cell(&spec("a/b"))), Some(ErrorKind::FailedPrecondition));
    assert_eq!(registry.list(), []);
    assert_eq!(kind(registry.get(&spec("a").name)), Some(ErrorKind::NotFound));
    registry.cancel_cell(&spec("a").name, number);
    assert_eq!(kind(registry.reserve_cell(&spec("a"))), None);
}

#[test]
fn siblings_are_allocated_at_the_same_time_and_their_parent_waits_with_an_update() {
    let mut registry = registry(&["a"]);
    let name = |text| spec(text).name;
    let numbers = ["a/b", "a/c"].map(|cell| registry.reserve_cell(&spec(cell)).expect("free"));
    let refused =
        registry.begin_update(&name("a"), &LimitsChange::default()).expect_err("they get its lists");
    assert!(matches!(refused, Error::CellAllocating(_)), "{refused}");
    registry.commit_cell(&name("a/b"), numbers[0], Namespaces::default());
    registry.cancel_cell(&name("a/c"), numbers[1]);
    registry.begin_update(&name("a"), &LimitsChange::default()).expect("nobody is at it");
}

#[test]
fn a_cell_needs_its_parent_and_its_parent_it() {
    let mut registry = registry(&["a", "a/b", "ab"]);
    assert_eq!(kind(registry.reserve_cell(&spec("c/d"))), Some(ErrorKind::NotFound));
    let error = registry.free_cell(&spec("a").name, false, notice()).expect_err("has a child").to_string();
    assert!(error.contains("the cells \"a/b\";"), "{error}");
    registry.free_cell(&spec("ab").name, false, notice()).expect("has none");
    registry.free_cell(&spec("ab").name, false, notice()).expect("and again");
    assert_eq!(kind(registry.reserve_cell(&spec("ab/c"))), Some(ErrorKind::FailedPrecondition));
}

#[test]
fn a_late_end_does_not_hit_a_later_cell_of_the_same_name() {
    let mut registry = registry(&["a"]);
    let first = registry.free_cell(&spec("a").name, false, notice()).expect("free").number;
    registry.remove_cell(&spec("a").name, first);
    let second = registry.reserve_cell(&spec("a")).expect("free again");
    registry.remove_cell(&spec("a").name, first);
    assert!(matches!(registry.begin_removal(&spec("a").name, first), MayRemove::Gone));
    assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Now(..)));
    assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Later));
}

#[test]
fn an_update_holds_its_cell_and_all_that_depend_on_it() {
    let mut registry = registry(&["a", "a/b", "a/b/c", "a/d", "e"]);
    let name = |text| spec(text).name;
    let mut change = LimitsChange::default();
    change.set.pids.max = PidsMax::new(5).ok();
    let (number, updating) = registry.begin_update(&name("a/b"), &change).expect("nobody is at it");
    assert_eq!((updating.old.clone(), updating.new.clone()), (Limits::default(), change.set.clone()));
    assert_eq!(updating.inside, [spec("a/b/c")]);
    for cell in ["a", "a/b", "a/b/c"] {
        let refused = registry.begin_update(&name(cell), &change).expect_err(cell);
        assert!(matches!(refused, Error::CellUpdating(cell) if cell == name("a/b")));
    }
    assert!(matches!(registry.reserve_cell(&spec("a/b/x")), Err(Error::CellUpdating(_))));
    for cell in ["a/d", "e"] {
        let (number, _) = registry.begin_update(&name(cell), &change).expect("apart from it");
        registry.cancel_update(&name(cell), number);
        assert!(registry.limited(&name(cell)).is_empty());
    }
    // What starts now is under it already.
    let pids = ControllerSet::of(&change.set);
    assert_eq!([registry.limited(&name("a")), registry.limited(&name("a/b/c"))], [Default::default(), pids]);
    assert_eq!(registry.commit_update(updating, number).limits, change.set);

    // What a limit has made the kernel count stays when the limit goes.
    let unlimit = LimitsChange { clear: vec![LimitName::PidsMax], ..LimitsChange::default() };
    let (number, updating) = registry.begin_update(&name("a/b"), &unlimit).expect("nobody is at it");
    registry.commit_update(updating, number);
    assert_eq!(registry.limited(&name("a/b/c")), ControllerSet::default());
    assert_eq!(
        [registry.ever_limited(&name("a")), registry.ever_limited(&name("a/b/c"))],
        [Default::default(), pids]
    );

    let (number, _) = registry.begin_update(&name("e"), &change).expect("nobody is at it");
    let freeing = registry.free_cell(&name("e"), false, notice()).expect("at any time").number;
    assert!(matches!(registry.begin_removal(&name("e"), freeing), MayRemove::Later));
    registry.cancel_update(&name("e"), number);
    assert!(matches!(registry.begin_removal(&name("e"), freeing), MayRemove::Now(..)));
    let refused = registry.begin_update(&name("e"), &change).expect_err("it is on its way out");
    assert!(matches!(refused, Error::CellFreeing(_)));
}

#[test]
fn executables_are_bounded_per_cell_and_in_all() {
    let mut registry = registry(&["a", "b", "c", "d", "e"]);
    let start = |registry: &mut Registry, cell: &str, number: usize| {
        start(registry, cell, &executable(&number.to_string(), RestartCondition::Never))
    };
    for cell in ["a", "b", "c", "d"] {
        for number in 0..EXECUTABLES_PER_CELL_MAX {
            start(&mut registry, cell, number).expect("below the limit");
        }
    }
    let error = start(&mut registry, "a", 9999).expect_err("cell is full");
    assert!(matches!(error, Error::TooManyExecutablesInCell(_)));
    assert!(matches!(start(&mut registry, "e", 0), Err(Error::TooManyExecutables)));
    let number = registry.free_cell(&spec("a").name, false, notice()).expect("free").number;
    registry.remove_cell(&spec("a").name, number);
    start(&mut registry, "e", 0).expect("there is room again");
}

#[test]
fn cells_are_bounded() {
    let mut registry = Registry::default();
    for number in 0..CELLS_MAX {
        registry.reserve_cell(&spec(&number.to_string())).expect("below the limit");
    }
    assert_eq!(kind(registry.reserve_cell(&spec("more"))), Some(ErrorKind::ResourceExhausted));
}

#[test]
fn a_failed_start_leaves_the_name_as_it_was() {
    let mut registry = registry(&["a"]);
    let (cell, spec) = (spec("a").name, executable("job", RestartCondition::Always));
    let reserved = registry.reserve_executable(&cell, &spec).expect("free");
    let completion = registry.completion(&cell, &spec.name).expect("it is awaited from the start");
    assert_eq!(kind(registry.reserve_executable(&cell, &spec)), Some(ErrorKind::AlreadyExists));
    assert_eq!(
        kind(registry.stop_executable(&cell, &spec.name, notice())),
        Some(ErrorKind::FailedPrecondition)
    );
    registry.cancel_executable(&cell, &spec.name, reserved.place.leaf);
    assert_eq!(completion.end(), Some(&None), "who waits is told that it never was");
    assert_eq!(kind(registry.stop_executable(&cell, &spec.name, notice())), Some(ErrorKind::NotFound));
    assert_eq!(registry.executables, 0);
}

#[test]
fn a_stopped_executable_stays_until_it_is_stopped_again() {
    let mut job = Running::new(RestartCondition::Never);
    let stop = |job: &mut Running| job.registry.stop_executable(&job.cell, &job.name, notice());
    let (first, joined) = (stop(&mut job).expect("runs"), stop(&mut job).expect("at the same time"));
    assert!(Arc::ptr_eq(&first.removal, &joined.removal));
    job.exit(0);
    job.finish(&first);
    assert!(job.has_ended());
    job.finish(&joined);
    assert!(job.registry.completion(&job.cell, &job.name).is_ok(), "the other Stop finds it done");
    assert!(job.stop(), "it had exited");
    assert_eq!(kind(stop(&mut job)), Some(ErrorKind::NotFound));
    assert_eq!(job.registry.executables, 0);
}

#[test]
fn an_executable_that_ended_by_itself_is_stopped_once() {
    let mut job = Running::new(RestartCondition::OnFailure);
    assert_eq!(job.exit(0), None);
    assert!(job.has_ended());
    assert!(job.stop());
}

#[test]
fn a_restart_keeps_the_record_and_nobody_hears_of_an_end() {
    let mut job = Running::new(RestartCondition::Always);
    assert!(job.exit(0).is_some());
    assert_eq!(job.exit(0), None, "an exit is told once");
    let next = job.begin_restart().expect("nothing is in the way");
    assert_eq!(job.begin_restart(), None, "and restarted once");
    assert!(!job.registry.commit_executable(&job.cell, &job.name, run(next)));
    job.leaf = next;
    assert!(!job.has_ended());
    let listed = job.registry.list().remove(0).executables.remove(0);
    assert_eq!((listed.restarts, listed.outcome), (1, None));
    assert!(job.exit(1).is_some());
}

/// Whatever comes between an exit and the restart that would follow: afterwards none does.
#[test]
fn no_restart_slips_in_behind_an_end() {
    type End = fn(&mut Running);
    let ends: [(&str, End); 3] = [
        ("stop", |job| {
            job.registry.stop_executable(&job.cell, &job.name, notice()).expect("there");
        }),
        ("free", |job| {
            job.registry.free_cell(&job.cell, false, notice()).expect("there");
        }),
        ("the daemon's end", |job| {
            job.registry.shut();
        }),
    ];
    for (what, end) in ends {
        let mut job = Running::new(RestartCondition::Always);
        assert!(job.exit(1).is_some());
        end(&mut job);
        assert!(job.has_ended(), "{what}");
        assert_eq!(job.begin_restart(), None, "{what}");

        let mut job = Running::new(RestartCondition::Always);
        end(&mut job);
        assert_eq!(job.exit(1), None, "{what} came first");
        assert!(job.has_ended(), "{what} came first");
    }
    let mut job = Running::new(RestartCondition::Always);
    assert!(job.exit(1).is_some());
    assert!(!job.stop(), "it had not ended, so that its record stays");
    assert_eq!(job.begin_restart(), None, "and a Stop that has answered is as good");
}

#[test]
fn a_restart_that_is_under_way_when_it_is_stopped_ends_with_it() {
    for fails in [false, true] {
        let mut job = Running::new(RestartCondition::Always);
        assert!(job.exit(1).is_some());
        let next = job.begin_restart().expect("nothing is in the way");
        let stopping = job.registry.stop_executable(&job.cell, &job.name, notice()).expect("there");
        assert_eq!(stopping.leaf, next);
        let may = job.registry.may_finish_stop(&job.cell, &job.name, next, &stopping.removal);
        assert!(matches!(may, MayFinish::Later));
        job.leaf = next;
        if fails {
            let aftermath = job.registry.restart_failed(&job.cell, &job.name, next, false);
            assert_eq!(aftermath.expect("it is known").delay, None);
        } else {
            assert!(job.registry.commit_executable(&job.cell, &job.name, run(next)), "it is to end");
            assert_eq!(job.exit(9), None);
        }
        assert!(job.has_ended());
        let may = job.registry.may_finish_stop(&job.cell, &job.name, next, &stopping.removal);
        assert!(matches!(may, MayFinish::Now(_)));
    }
}

#[test]
fn the_record_that_was_stopped_first_makes_way_and_no_other() {
    let mut job = Running::new(RestartCondition::Never);
    job.exit(0);
    let named = |number: usize| executable(&format!("{number:04}"), RestartCondition::Never);
    for number in 1..EXECUTABLES_PER_CELL_MAX {
        let leaf = start(&mut job.registry, "a", &named(number)).expect("below the limit");
        job.registry.record_exit(&job.cell, &named(number).name, leaf, outcome(0));
    }
    let full = start(&mut job.registry, "a", &named(9999));
    assert!(matches!(full, Err(Error::TooManyExecutablesInCell(_))), "all ended by themselves");

    // 7 is stopped before 3 is; both ran.
    let mut replaced = Vec::new();
    for number in [7, 3] {
        let spec = named(number);
        let leaf = start(&mut job.registry, "a", &spec).expect("the name may be used again");
        let stopping = job.registry.stop_executable(&job.cell, &spec.name, notice()).expect("runs");
        job.registry.record_exit(&job.cell, &spec.name, leaf, outcome(0));
        job.registry.finish_stop(&job.cell, &spec.name, leaf, &stopping.removal);
        replaced.push(spec.name.clone());
    }
    let is_there =
        |registry: &Registry, name: &ExecutableName| registry.completion(&spec("a").name, name).is_ok();
    let failed = job.registry.reserve_executable(&job.cell, &named(9999)).expect("7 makes way");
    assert_eq!(replaced.iter().map(|name| is_there(&job.registry, name)).collect::<Vec<_>>(), [false, true]);
    job.registry.cancel_executable(&job.cell, &named(9999).name, failed.place.leaf);
    assert!(is_there(&job.registry, &replaced[0]), "a call that fails changes nothing");

    start(&mut job.registry, "a", &named(9998)).expect("7 makes way");
    start(&mut job.registry, "a", &named(9997)).expect("3 makes way");
    assert!(replaced.iter().all(|name| !is_there(&job.registry, name)));
    assert!(start(&mut job.registry, "a", &named(9996)).is_err(), "no other does");
    assert_eq!(job.registry.executables, EXECUTABLES_PER_CELL_MAX);
}

#[test]
fn one_at_a_time_is_at_a_cell_that_goes() {
    let mut registry = registry(&["a"]);
    let name = spec("a").name;
    let number = registry.free_cell(&name, false, notice()).expect("allocated").number;
    assert!(matches!(registry.begin_removal(&name, number), MayRemove::Now(..)));
    assert_eq!(registry.hold(&name, number), MayHold::Later, "it is not gone yet");
    registry.cancel_removal(&name, number);
    assert_eq!(registry.hold(&name, number), MayHold::Now);
    assert!(matches!(registry.begin_removal(&name, number), MayRemove::Later));
    assert_eq!(registry.hold(&name, number), MayHold::Later);
    registry.remove_cell(&name, number);
    assert_eq!(registry.hold(&name, number), MayHold::Gone);
}

#[test]
fn a_tree_is_freed_from_its_leafs() {
    let mut registry = registry(&["a", "a/x", "a/x/y", "a/z", "b"]);
    let name = |text: &str| spec(text).name;
    let young = registry.reserve_cell(&spec("a/young")).expect("free");
    let refused = registry.free_cell(&name("a"), true, notice());
    assert_eq!(kind(refused), Some(ErrorKind::FailedPrecondition), "a/young is being allocated");
    registry.cancel_cell(&name("a/young"), young);
    assert_eq!(kind(registry.reserve_cell(&spec("a/x/new"))), None, "a refusal closes nothing");

    let number = registry.free_cell(&name("a/x"), true, notice());
    assert_eq!(kind(number), Some(ErrorKind::FailedPrecondition), "a/x/new is being allocated");
    let new = registry.cells.get(&name("a/x/new")).expect("there").number;
    registry.commit_cell(&name("a/x/new"), new, Namespaces::Ours);
    let number = registry.free_cell(&name("a"), true, notice()).expect("allocated").number;
    assert_eq!(kind(registry.reserve_cell(&spec("a/x/y/late"))), Some(ErrorKind::FailedPrecondition));
    let next = |registry: &mut Registry, at_most| {
        let next = registry.innermost(&name("a"), number, at_most).unwrap_or_default();
        next.into_iter().map(|(cell, _)| cell.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(next(&mut registry, 9), ["a/z", "a/x/y", "a/x/new", "a/x", "a"]);
    assert_eq!(next(&mut registry, 2), ["a/z", "a/x/y"]);
    for (cell, number) in registry.innermost(&name("a"), number, 9).expect("there") {
        registry.remove_cell(&cell, number);
    }
    assert!(registry.innermost(&name("a"), number, 9).is_none());
    assert_eq!(registry.list().len(), 1);
}

#[test]
fn a_pid_that_was_given_twice_is_that_of_the_run_that_had_it_last() {
    let mut registry = registry(&["a"]);
    let cell = spec("a").name;
    let [one, other] = ["one", "other"].map(|name| executable(name, RestartCondition::Always));
    let begin = |registry: &mut Registry, spec: &Arc<ExecutableSpec>, pid| {
        let leaf = registry.reserve_executable(&cell, spec).expect("free").place.leaf;
        registry.commit_executable(&cell, &spec.name, run_as(pid, leaf));
        leaf
    };
    let whose = |registry: &Registry| registry.output(&Whose::Process(7)).map(|output| output.executable);
    let leaf = begin(&mut registry, &one, 7);
    assert_eq!(whose(&registry).ok(), Some(one.name.clone()));
    registry.record_exit(&cell, &one.name, leaf, outcome(1));
    let others = begin(&mut registry, &other, 7);
    registry.record_exit(&cell, &other.name, others, outcome(1));
    // It has had another run since, as another process.
    let next = registry.begin_restart(&cell, &one.name, leaf).expect("it is to be").place.leaf;
    assert_eq!(whose(&registry).ok(), Some(other.name.clone()));
    registry.commit_executable(&cell, &one.name, run_as(8, next));
    assert_eq!(whose(&registry).ok(), Some(other.name.clone()));
}
