//! Limits on cgroup v1, as the kernel has them and holds them, and their change in a cell in which something runs. Where
//! v1 lacks a controller, a test of it says so and does nothing; `tests/guest` has the same for v2.

use super::*;
use auraed::runtime::io::{Device, IoMax};
use auraed::runtime::memory::{Bytes, MemoryLimits};
use auraed::runtime::pids::PidsMax;
use auraed::runtime::{LimitName, LimitsChange};

const MIB: i64 = 1 << 20;

fn with(name: &str, change: impl FnOnce(&mut Limits)) -> CellSpec {
    let mut spec = spec(name);
    change(&mut spec.limits);
    spec
}

fn set(change: impl FnOnce(&mut Limits)) -> LimitsChange {
    LimitsChange { set: with("x", change).limits, ..LimitsChange::default() }
}

fn clear(limits: &[LimitName]) -> LimitsChange {
    LimitsChange { clear: limits.to_vec(), ..LimitsChange::default() }
}

fn memory(max: i64, swap_max: Option<i64>) -> MemoryLimits {
    let bytes = |bytes| Bytes::new(bytes).expect("valid");
    MemoryLimits { max: Some(bytes(max)), swap_max: swap_max.map(bytes), ..MemoryLimits::default() }
}

fn pids(max: i64) -> Option<PidsMax> {
    PidsMax::new(max).ok()
}

fn cpus(list: &str) -> Option<IdList> {
    IdList::parse(list).ok()
}

/// The place of a process in the v1 hierarchy of a controller.
fn place(pid: i32, controller: &str) -> String {
    let memberships = proc_file(pid, "cgroup");
    let line = memberships.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|c| c == controller).then(|| path.to_owned())
    });
    line.unwrap_or_else(|| panic!("{controller} in {memberships}"))
}

/// A machine, and the directories of its cells in the v1 hierarchies of these controllers.
struct V1 {
    machine: Machine,
}

impl V1 {
    fn new(test: &str, controllers: &[&str]) -> Option<Self> {
        let machine = Machine::new(test)?;
        if let Some(missing) = controllers.iter().find(|controller| v1_root(controller).is_none()) {
            eprintln!("skipped: {missing} is no cgroup v1 controller here");
            return None;
        }
        Some(Self { machine })
    }

    fn cells(&self) -> &Cells {
        &self.machine.cells
    }

    fn file(&self, controller: &str, cell: &str, file: &str) -> PathBuf {
        let root = v1_root(controller).expect("asked before");
        root.join(&self.machine.config.slice).join(cell).join(file)
    }

    fn read(&self, controller: &str, cell: &str, file: &str) -> String {
        fs::read_to_string(self.file(controller, cell, file)).expect(file).trim_end().to_owned()
    }

    fn update(&self, cell: &str, change: LimitsChange) -> Result<CellSpec, Error> {
        self.cells().update(&cell_name(cell), change)
    }

    /// Whether the process is in its cell's own group of this hierarchy.
    fn has_joined(&self, pid: i32, controller: &str, cell: &str) -> bool {
        place(pid, controller).ends_with(&format!("/{}/{cell}", self.machine.config.slice))
    }

    fn limits(&self) -> Vec<Limits> {
        fn of(cells: Vec<CellInfo>) -> Vec<Limits> {
            let each = |cell: CellInfo| [vec![cell.spec.limits], of(cell.children)].concat();
            cells.into_iter().flat_map(each).collect()
        }
        of(self.cells().list())
    }
}

#[test]
fn a_process_joins_the_groups_that_limit_it_and_no_others() {
    let Some(v1) = V1::new("joins", &["pids", "cpu"]) else { return };
    v1.machine.allocate("plain");
    v1.cells().allocate(with("limited", |limits| limits.pids.max = pids(100))).expect("allocate");
    v1.machine.allocate("limited/inner");
    let own = |controller| place(process::id() as i32, controller);

    let plain = v1.machine.start("plain", "job", "exec sleep 1000");
    assert_eq!((place(plain.pid, "pids"), place(plain.pid, "cpu")), (own("pids"), own("cpu")));
    for cell in ["limited", "limited/inner"] {
        // Its first act is to fork: the child is where it was itself.
        let started = v1.machine.start(cell, "job", "sleep 1000 & exec sleep 1000");
        wait_for_comm(started.pid, "sleep");
        assert_eq!(v1.read("pids", cell, "cgroup.procs").lines().count(), 2);
        assert!(v1.has_joined(started.pid, "pids", cell));
        assert_eq!(place(started.pid, "cpu"), own("cpu"), "it has no limit there");
    }
    for cell in ["limited/inner", "limited", "plain"] {
        v1.machine.free(cell);
    }
}

#[test]
fn memory_is_held() {
    let Some(v1) = V1::new("memory", &["memory"]) else { return };
    v1.cells().allocate(with("a", |limits| limits.memory = memory(16 * MIB + 1, None))).expect("allocate");
    assert_eq!(v1.read("memory", "a", "memory.limit_in_bytes"), (16 * MIB).to_string(), "whole pages");
    // A child that may have more has no more.
    v1.cells().allocate(with("a/b", |limits| limits.memory = memory(256 * MIB, None))).expect("allocate");
    let hungry = v1.machine.start("a/b", "hungry", "head -c 64M /dev/zero | tail -c 64M >/dev/null");
    assert_eq!(v1.machine.wait_for_exit(&hungry), ExitReason::Code(128 + 9), "tail is killed");
    let frugal = v1.machine.start("a/b", "frugal", "head -c 1M /dev/zero | tail -c 1M >/dev/null");
    assert_eq!(v1.machine.wait_for_exit(&frugal), ExitReason::Code(0));
    v1.machine.free("a/b");
    v1.machine.free("a");
}

#[test]
fn swap_is_limited_with_memory() {
    let Some(v1) = V1::new("swap", &["memory"]) else { return };
    if !v1_root("memory").expect("is there").join("memory.memsw.limit_in_bytes").exists() {
        return eprintln!("skipped: this kernel does not count swap space");
    }
    let alone = with("a", |limits| limits.memory.swap_max = Bytes::new(MIB).ok());
    let error = v1.cells().allocate(alone).expect_err("swap alone");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().starts_with("cell.memory.swap_max: "), "{error}");
    assert_eq!(v1.machine.directories("a"), Vec::<PathBuf>::new());

    v1.cells().allocate(with("a", |limits| limits.memory = memory(16 * MIB, Some(0)))).expect("allocate");
    let files = || {
        let file = |name| v1.read("memory", "a", name).parse::<i64>().expect("a number") / MIB;
        (file("memory.limit_in_bytes"), file("memory.memsw.limit_in_bytes"))
    };
    assert_eq!(files(), (16, 16));
    for (max, swap_max) in [(64, 8), (8, 1), (8, 100), (200, 0)] {
        let change = set(|limits| limits.memory = memory(max * MIB, Some(swap_max * MIB)));
        v1.update("a", change).expect("any order");
        assert_eq!(files(), (max, max + swap_max));
    }
    v1.update("a", clear(&[LimitName::MemoryMax, LimitName::MemorySwapMax])).expect("clear");
    let (max, both) = files();
    assert!(max > 1 << 40 && both > 1 << 40);
    v1.machine.free("a");
}

#[test]
fn a_fork_beyond_pids_max_fails() {
    let Some(v1) = V1::new("pids", &["pids"]) else { return };
    v1.cells().allocate(with("a", |limits| limits.pids.max = pids(3))).expect("allocate");
    let forks = "sleep 1000 & sleep 1000 & sleep 1000 & wait";
    let started = v1.machine.start("a", "job", forks);
    assert_eq!(v1.machine.wait_for_exit(&started), ExitReason::Code(2), "the shell cannot fork");
    assert_eq!(v1.read("pids", "a", "pids.current"), "2");
    v1.machine.stop("a", "job");
    v1.update("a", set(|limits| limits.pids.max = pids(4))).expect("update");
    let started = v1.machine.start("a", "job", forks);
    eventually("all run", || v1.read("pids", "a", "pids.current") == "4");
    assert_eq!(started.exit.reason(), None);
    v1.machine.free("a");
}

/// The numbers of a whole disk.
fn disk() -> Option<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let numbers = disks.filter_map(|disk| fs::read_to_string(disk.path().join("dev")).ok());
    numbers.map(|numbers| numbers.trim_end().to_owned()).next()
}

fn io_max(device: &str, rates: [Option<u64>; 4]) -> (Device, IoMax) {
    (Device::parse(device).expect("valid"), IoMax::new(rates).expect("valid"))
}

#[test]
fn devices_are_throttled_one_by_one() {
    let Some(v1) = V1::new("io", &["blkio"]) else { return };
    let Some(disk) = disk() else { return eprintln!("skipped: no disk here") };
    let rates = [Some(1 << 20), None, None, Some(70)];
    v1.cells().allocate(with("a", |limits| limits.io.max = [io_max(&disk, rates)].into())).expect("allocate");
    let files = || {
        ["read_bps", "write_bps", "read_iops", "write_iops"]
            .map(|rate| v1.read("blkio", "a", &format!("blkio.throttle.{rate}_device")))
    };
    let line = |rate: u64| format!("{disk} {rate}");
    assert_eq!(files(), [line(1 << 20), String::new(), String::new(), line(70)]);
    v1.update("a", set(|limits| limits.io.max = [io_max(&disk, [None, Some(5), None, None])].into()))
        .expect("update");
    assert_eq!(files(), [String::new(), line(5), String::new(), String::new()]);
    v1.update("a", clear(&[LimitName::IoMax])).expect("clear");
    assert_eq!((files(), v1.limits()), (["", "", "", ""].map(str::to_owned), vec![Limits::default()]));

    for (device, why) in [
        ("/dev/null", "it is no block device"),
        ("/nonexistent", "No such file"),
        ("4095:9", "no whole disk"),
    ] {
        let limit = |limits: &mut Limits| limits.io.max = [io_max(device, rates)].into();
        for error in [
            v1.update("a", set(limit)).expect_err("no disk"),
            v1.cells().allocate(with("b", limit)).expect_err("no disk"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid("cell.io.max"), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    assert_eq!((v1.machine.directories("b"), v1.limits()), (vec![], vec![Limits::default()]));
    v1.machine.free("a");
}

#[test]
fn what_v1_cannot_enforce_is_refused() {
    let Some(v1) = V1::new("refused", &["memory"]) else { return };
    let bytes = Bytes::new(MIB).ok();
    let changes: [fn(&mut Limits, Option<Bytes>); 3] = [
        |limits, bytes| limits.memory.min = bytes,
        |limits, bytes| limits.memory.low = bytes,
        |limits, bytes| limits.memory.high = bytes,
    ];
    for change in changes {
        let error = v1.cells().allocate(with("a", |limits| change(limits, bytes))).expect_err("v1");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
        assert!(error.to_string().contains("cgroup v1 has no such limit"), "{error}");
        assert_eq!(v1.machine.directories("a"), Vec::<PathBuf>::new());
    }
}

#[test]
fn an_update_is_whole_or_not_at_all() {
    let Some(v1) = V1::new("update", &["cpu", "pids", "cpuset"]) else { return };
    v1.cells().allocate(limited("a")).expect("allocate");
    let files = || {
        [
            ("cpu", "cpu.shares"),
            ("cpu", "cpu.cfs_quota_us"),
            ("cpu", "cpu.cfs_period_us"),
            ("pids", "pids.max"),
        ]
        .map(|(controller, file)| v1.read(controller, "a", file))
    };
    let before = (files(), v1.limits());
    let change = |limits: &mut Limits| {
        limits.cpu.weight = CpuWeight::new(300).ok();
        limits.cpu.max = CpuMax::new(10_000, Some(20_000)).ok();
        limits.pids.max = pids(50);
    };
    let mut bad = set(change);
    // The kernel has taken all else by then.
    bad.set.io.max = [io_max("4095:9", [Some(1), None, None, None])].into();
    let error = v1.update("a", bad).expect_err("no such device");
    assert_eq!(error.kind(), ErrorKind::Invalid("cell.io.max"), "{error}");
    assert_eq!((files(), v1.limits()), before);

    let updated = v1.update("a", set(change)).expect("update");
    assert_eq!(files(), ["3072", "10000", "20000", "50"]);
    assert_eq!(v1.limits(), [updated.limits]);
    v1.update("a", clear(&[LimitName::CpuWeight, LimitName::CpuMax, LimitName::PidsMax])).expect("clear");
    assert_eq!(files(), ["1024", "-1", "100000", "max"]);
    assert_eq!(kind(v1.update("b", set(change))), Some(ErrorKind::NotFound));
    v1.machine.free("a");
}

#[test]
fn an_update_brings_what_runs_under_its_first_limit() {
    let Some(v1) = V1::new("moves", &["pids", "memory"]) else { return };
    v1.machine.allocate("a");
    v1.machine.allocate("a/b");
    // One that forks all the time, too.
    let outer = v1.machine.start("a", "outer", "sleep 1000 & sleep 1000 & while :; do sleep 0.02; done");
    let inner = v1.machine.start("a/b", "inner", "sleep 1000 & exec sleep 1000");
    wait_for_comm(inner.pid, "sleep");
    eventually("all run", || processes_of(&v1.machine, "a").len() >= 6);
    assert!(!v1.has_joined(outer.pid, "pids", "a"));

    v1.update("a", set(|limits| limits.pids.max = pids(100))).expect("update");
    let members = |cell: &str| {
        let procs = fs::read_to_string(v1.file("pids", cell, "cgroup.procs")).expect("procs");
        procs.lines().map(|pid| pid.parse().expect("a pid")).collect::<BTreeSet<i32>>()
    };
    assert!(members("a").contains(&outer.pid) && members("a").len() >= 3, "{:?}", members("a"));
    assert!(members("a/b").contains(&inner.pid) && members("a/b").len() == 2, "{:?}", members("a/b"));
    assert!(!v1.has_joined(outer.pid, "memory", "a"), "nothing limits it there");
    // The shell and two that sleep; and what comes later.
    let late = v1.machine.start("a/b", "late", "exec sleep 1000");
    assert!(v1.has_joined(late.pid, "pids", "a/b"));
    v1.machine.free("a/b");
    v1.machine.free("a");
}

#[test]
fn what_forks_without_end_is_brought_under_a_limit_or_the_update_is_undone() {
    let Some(v1) = V1::new("chain", &["pids"]) else { return };
    let group = || fs::read_to_string(v1.file("pids", "a", "cgroup.procs")).expect("procs");
    for _ in 0..8 {
        v1.machine.allocate("a");
        // Each process lives until it has forked the next.
        v1.machine.start("a", "chain", r#"export chain='sh -c "$chain" &'; sh -c "$chain""#);
        let begin = Instant::now();
        match v1.update("a", set(|limits| limits.pids.max = pids(100))) {
            Ok(_) => {
                eventually("the chain is in its group", || !group().is_empty());
                assert_eq!(v1.read("pids", "a", "pids.max"), "100");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
                assert_eq!(v1.read("pids", "a", "pids.max"), "max");
            }
        }
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        // By a kill: SIGTERM may always come too late for the next in the chain.
        let ending = v1.cells().free(&cell_name("a"), false).expect("free");
        v1.machine.end(ending, Duration::ZERO);
    }
}

#[test]
fn lists_pass_to_cells_that_have_none_of_their_own() {
    let Some(v1) = V1::new("lists", &["cpuset"]) else { return };
    let all = fs::read_to_string("/sys/devices/system/cpu/online").expect("cpus");
    if all.trim_end() != "0-1" {
        return eprintln!("skipped: made for 2 cpus, not for {all}");
    }
    for cell in ["a", "a/b", "a/b/c"] {
        v1.machine.allocate(cell);
    }
    v1.cells().allocate(with("a/own", |limits| limits.cpuset.cpus = cpus("1"))).expect("allocate");
    let job = v1.machine.start("a/b/c", "job", "exec sleep 1000");
    let update = |list| v1.update("a", set(|limits| limits.cpuset.cpus = cpus(list)));
    let lists = || ["a", "a/b", "a/b/c"].map(|cell| v1.read("cpuset", cell, "cpuset.cpus"));

    let error = update("0").expect_err("a/own needs 1");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("limits of their own: \"a/own\""), "{error}");
    assert_eq!(lists(), ["0-1"; 3]);
    v1.machine.free("a/own");
    // To none that it had, as well.
    for list in ["0", "1", "0-1", "1"] {
        update(list).expect(list);
        assert_eq!(lists(), [list; 3]);
        assert_eq!(status(job.pid, "Cpus_allowed_list"), list);
    }
    v1.update("a", clear(&[LimitName::CpusetCpus])).expect("clear");
    assert_eq!(lists(), ["0-1"; 3]);
    for cell in ["a/b/c", "a/b", "a"] {
        v1.machine.free(cell);
    }
}

#[test]
fn a_quota_may_change_in_any_way_that_children_allow() {
    let Some(v1) = V1::new("quota", &["cpu"]) else { return };
    let max =
        |quota, period| move |limits: &mut Limits| limits.cpu.max = CpuMax::new(quota, Some(period)).ok();
    v1.cells().allocate(with("a", max(80_000, 100_000))).expect("allocate");
    v1.cells().allocate(with("a/b", max(400_000, 800_000))).expect("allocate");
    let quota = || (v1.read("cpu", "a", "cpu.cfs_quota_us"), v1.read("cpu", "a", "cpu.cfs_period_us"));
    for (us, period) in [(600_000, 1_000_000), (6_000, 10_000), (80_000, 100_000)] {
        v1.update("a", set(max(us, period))).expect("above the child's half");
        assert_eq!(quota(), (us.to_string(), period.to_string()));
    }
    let error = v1.update("a", set(max(1_000, 10_000))).expect_err("below it");
    assert_eq!(error.kind(), ErrorKind::Invalid("cell.cpu.max"), "{error}");
    assert_eq!(quota(), ("80000".to_owned(), "100000".to_owned()));
    v1.machine.free("a/b");
    v1.machine.free("a");
}

#[test]
fn memory_in_use_is_not_taken_away() {
    let Some(v1) = V1::new("in-use", &["memory"]) else { return };
    if fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1) {
        return eprintln!("skipped: this kernel may swap the memory out");
    }
    v1.cells().allocate(with("a", |limits| limits.memory = memory(64 * MIB, None))).expect("allocate");
    // It has read all into its buffer, and can't get rid of it.
    v1.machine.start("a", "job", "dd if=/dev/zero bs=32M count=1 2>/dev/null | sleep 1000");
    let usage = || v1.read("memory", "a", "memory.usage_in_bytes").parse::<i64>().expect("a number");
    eventually("it has its memory", || usage() > 32 * MIB);
    let error = v1.update("a", set(|limits| limits.memory = memory(8 * MIB, None))).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
    assert!(error.to_string().contains("uses more than that"), "{error}");
    assert_eq!(v1.read("memory", "a", "memory.limit_in_bytes"), (64 * MIB).to_string());
    v1.machine.free("a");
}

#[test]
fn updates_and_starts_and_frees_at_once() {
    let Some(v1) = V1::new("at-once", &["pids"]) else { return };
    v1.machine.allocate("a");
    v1.machine.allocate("a/b");
    let refused = |result: Result<CellSpec, Error>| match result {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
            true
        }
    };
    thread::scope(|scope| {
        for cell in ["a", "a", "a/b"] {
            let v1 = &v1;
            scope.spawn(move || {
                for max in 10..40 {
                    refused(v1.update(cell, set(|limits| limits.pids.max = pids(max))));
                    refused(v1.update(cell, clear(&[LimitName::PidsMax])));
                }
            });
        }
        scope.spawn(|| {
            for number in 0..20 {
                let started = v1.machine.start("a/b", &number.to_string(), "exec sleep 1000");
                assert!(is_there(started.pid));
                v1.machine.stop("a/b", &number.to_string());
            }
        });
    });
    v1.update("a", set(|limits| limits.pids.max = pids(100))).expect("nobody else is at it");
    thread::scope(|scope| {
        let updating = scope.spawn(|| v1.update("a/b", set(|limits| limits.pids.max = pids(7))));
        v1.machine.free("a/b");
        let _ = updating.join().expect("no panic");
    });
    assert_eq!(v1.limits().len(), 1);
    v1.machine.free("a");
}
