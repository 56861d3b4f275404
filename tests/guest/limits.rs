//! Limits are the kernel's own, exact, and bounded by those of the cells around.

use std::time::{Duration, Instant};

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::{Cell, CpuController, CpusetController};

use crate::machine::*;

/// The greatest quota that the kernel takes: 2^44 - 1.
const QUOTA_US_MAX: i64 = 17_592_186_044_415;

#[test]
fn what_was_asked_is_what_the_kernel_has() {
    let group = OwnGroup::new("exact");
    let daemon = Daemon::start("exact", &group);
    let cpu = Some(CpuController { weight: Some(150), max: Some(200_000), period: None });
    let cpuset = Some(CpusetController { cpus: Some("1".into()), mems: Some("0".into()) });
    let answer = daemon.allocate(Cell { cpu, cpuset, ..cell("web") }).expect("allocate");
    assert_eq!((answer.cell_name.as_str(), answer.cgroup_v2), ("web", true));
    let web = daemon.group("web");
    for (file, value) in
        [("cpu.max", "200000 1000000"), ("cpu.weight", "150"), ("cpuset.cpus", "1"), ("cpuset.mems", "0")]
    {
        assert_eq!(web.read(file), value, "{file}");
    }
    let pid = daemon.run("web", "job", "exec sleep 1000");
    assert!(group_of(pid).is_below(&web) && group_of(pid).children().is_empty());
    assert_eq!(status(pid, "Cpus_allowed_list"), "1");
    assert_tidy(&group);
    daemon.end();
}

#[test]
fn each_weight_and_each_max_is_exact() {
    let group = OwnGroup::new("each");
    let daemon = Daemon::start("each", &group);
    let kernels = |cpu: CpuController, file: &str| {
        daemon.allocate(Cell { cpu: Some(cpu), ..cell("web") }).expect("allocate");
        let value = daemon.group("web").read(file);
        daemon.free("web").expect("free");
        value
    };
    for weight in [1, 2, 3, 7, 99, 101, 333, 9999, 10_000] {
        let cpu = CpuController { weight: Some(weight), ..CpuController::default() };
        assert_eq!(kernels(cpu, "cpu.weight"), weight.to_string());
    }
    for (max, period, expected) in [
        // Raised to the kernel's floor.
        (0, None, "1000 1000000"),
        (QUOTA_US_MAX, None, "17592186044415 1000000"),
        (50_000, Some(100_000), "50000 100000"),
        (1000, Some(1000), "1000 1000"),
        (QUOTA_US_MAX, Some(1000), "17592186044415 1000"),
    ] {
        assert_eq!(kernels(CpuController { weight: None, max: Some(max), period }, "cpu.max"), expected);
    }
    let refused =
        daemon.allocate(Cell { cpu: cpu_max(QUOTA_US_MAX + 1), ..cell("web") }).expect_err("too much");
    assert_eq!(refused.code, Code::InvalidArgument, "{refused}");
}

#[test]
fn a_list_beyond_the_parents_is_refused_and_leaves_nothing() {
    let group = OwnGroup::new("beyond");
    let daemon = Daemon::start("beyond", &group);
    daemon.allocate(Cell { cpuset: cpus("0"), ..cell("a") }).expect("allocate");
    let mems = Some(CpusetController { cpus: None, mems: Some("1".into()) });
    for (name, cpuset, expected) in [
        ("a/b", cpus("0-1"), "0-1 is not within 0,"),
        ("x", cpus("0-9"), "0-9 is not within 0-1,"),
        ("x", mems, "1 is not within 0,"),
    ] {
        let refused = daemon.allocate(Cell { cpuset, ..cell(name) }).expect_err("beyond");
        assert_eq!(refused.code, Code::InvalidArgument);
        assert!(refused.message.contains(expected), "{refused}");
        assert!(!daemon.group(name).exists());
    }
}

#[test]
fn cells_nest_in_leaves_and_are_freed_from_within() {
    let group = OwnGroup::new("nested");
    let daemon = Daemon::start("nested", &group);
    daemon.allocate(Cell { cpuset: cpus("0-1"), ..cell("a") }).expect("allocate");
    let mut pids = vec![daemon.run("a", "first", "exec sleep 1000")];
    // While its parent runs something.
    daemon.allocate(Cell { cpu: cpu_max(300_000), cpuset: cpus("0"), ..cell("a/b") }).expect("allocate");
    pids.push(daemon.run("a/b", "second", "exec sleep 1000"));
    pids.push(daemon.run("a", "third", "exec sleep 1000"));
    daemon.allocate(Cell { cpu: cpu_weight(7), ..cell("a/b/c") }).expect("allocate");
    pids.push(daemon.run("a/b/c", "fourth", "exec sleep 1000"));

    let inner = daemon.group("a/b/c");
    assert_eq!(daemon.group("a/b").read("cpu.max"), "300000 1000000");
    assert_eq!((inner.read("cpuset.cpus.effective").as_str(), inner.read("cpu.weight").as_str()), ("0", "7"));
    assert_eq!(status(pids[3], "Cpus_allowed_list"), "0");
    assert_tidy(&group);

    let refused = daemon.free("a").expect_err("has a child");
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert!(refused.message.contains("\"a/b\""), "{refused}");
    for name in ["a/b/c", "a/b", "a"] {
        daemon.free(name).expect("free");
    }
    assert!(pids.into_iter().all(is_gone));
    assert_eq!(daemon.base().children(), []);
    daemon.end();
}

#[test]
fn a_childs_cpu_time_is_held_by_its_parent() {
    let group = OwnGroup::new("held");
    let daemon = Daemon::start("held", &group);
    let max = |max| Some(CpuController { weight: None, max: Some(max), period: Some(100_000) });
    daemon.allocate(Cell { cpu: max(20_000), ..cell("a") }).expect("allocate");
    daemon.allocate(Cell { cpu: max(90_000), ..cell("a/b") }).expect("allocate");
    daemon.run("a/b", "burn", "while :; do :; done");
    let used = || Duration::from_micros(daemon.group("a/b").number("cpu.stat", "usage_usec"));
    // The first period is one in which the shell is loaded.
    eventually("it is throttled", || daemon.group("a").number("cpu.stat", "nr_throttled") > 0);
    let (before, begin) = (used(), Instant::now());
    eventually("it has had some time", || used() - before >= Duration::from_millis(400));
    let (used, elapsed) = (used() - before, begin.elapsed());
    // A fifth; a period more or less, and what an emulated timer is late. The child's own limit would let it have nine tenths.
    assert!(used < elapsed * 3 / 10, "{used:?} of {elapsed:?}");
    assert_eq!(daemon.group("a/b").number("cpu.stat", "nr_throttled"), 0, "by its own limit");
    daemon.end();
}
