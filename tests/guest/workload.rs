//! What a workload may do to its own cgroups, as root may: whatever it does, it can be stopped and its cell freed.

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::Cell;

use crate::machine::*;

/// Has `mischief` done to a stubborn process in the cell `web`, by its pid and its leaf; then stops it, frees the cell,
/// and asserts that both are gone.
fn ends_after(test: &str, mischief: impl Fn(&Daemon, i32, &Group)) {
    let group = OwnGroup::new(test);
    let daemon = Daemon::start(test, &group);
    for by_free in [false, true] {
        daemon.allocate(cell("web")).expect("allocate");
        let pid = daemon.run_stubborn("web", "job");
        mischief(&daemon, pid, &group_of(pid));
        if !by_free {
            daemon.stop("web", "job").expect("stop");
            assert!(is_gone(pid));
        }
        daemon.free("web").expect("free");
        assert!(is_gone(pid));
        assert_eq!(daemon.base().children(), []);
    }
    daemon.end();
}

/// As libvirt does for the threads of virtual processors.
#[test]
fn a_threaded_cgroup_below_the_leaf() {
    ends_after("threaded-below", |_, _, leaf| {
        leaf.child("in").make();
        leaf.child("in").write("cgroup.type", "threaded");
        assert_eq!(leaf.read("cgroup.type"), "domain threaded");
    });
}

#[test]
fn a_threaded_cgroup_below_the_leaf_with_the_process_in_it() {
    ends_after("threaded-in", |_, pid, leaf| {
        leaf.child("in").make();
        leaf.child("in").write("cgroup.type", "threaded");
        leaf.child("in").write("cgroup.threads", &pid.to_string());
        assert_eq!(group_of(pid), leaf.child("in"));
    });
}

/// Its processes would be in the cell's `cgroup.procs`, and its own could not be read. The kernel makes no cgroup threaded
/// that gets memory.
#[test]
fn a_leaf_cannot_be_threaded_itself() {
    ends_after("threaded-leaf", |daemon, pid, leaf| {
        // The kernel lets none but an empty leaf become one.
        Group::root().write("cgroup.procs", &pid.to_string());
        assert!(leaf.try_write("cgroup.type", "threaded").is_err());
        leaf.write("cgroup.procs", &pid.to_string());
        assert_eq!(daemon.group("web").read("cgroup.type"), "domain");
    });
}

#[test]
fn a_subgroup_with_the_process_in_it() {
    ends_after("subgroup", |_, pid, leaf| {
        leaf.child("in").make();
        leaf.child("in").write("cgroup.procs", &pid.to_string());
    });
}

#[test]
fn a_frozen_leaf() {
    ends_after("frozen-leaf", |_, _, leaf| leaf.write("cgroup.freeze", "1"));
}

/// Out of its leaf, into the cell: the kernel keeps it from there, as the cell gives memory to its leafs.
#[test]
fn a_process_cannot_move_up_into_its_cell() {
    ends_after("moves-up", |daemon, pid, leaf| {
        assert!(daemon.group("web").try_write("cgroup.procs", &pid.to_string()).is_err());
        assert_eq!(group_of(pid), *leaf);
    });
}

/// A write to a file system that stands still cannot be interrupted, not even by SIGKILL.
#[test]
fn a_process_in_uninterruptible_sleep_holds_nobody_up() {
    let group = OwnGroup::new("uninterruptible");
    let daemon = Daemon::start("uninterruptible", &group);
    daemon.allocate(cell("stuck")).expect("allocate");
    let disk = FrozenDisk::new();
    let pid = daemon.run("stuck", "writer", "exec dd if=/dev/zero of=/mnt/disk/stuck bs=4k count=1");
    eventually("it sleeps", || status(pid, "State").starts_with('D'));

    // All of it while a stop waits, which it does for some seconds: on a slow machine not every time.
    let mut waits = false;
    for name in ["one", "two", "three"] {
        std::thread::scope(|scope| {
            let stop = scope.spawn(|| daemon.stop("stuck", "writer").expect_err("it cannot end"));
            daemon.allocate(cell(name)).expect("allocate");
            daemon.run(name, "job", "exec sleep 1000");
            assert_eq!(daemon.list().len(), 2);
            daemon.free(name).expect("free");
            waits |= !stop.is_finished();
            assert!(!is_gone(pid));
            let refused = stop.join().expect("answered");
            assert_eq!(refused.code, Code::Internal, "{refused}");
            assert!(refused.message.contains(&pid.to_string()), "{refused}");
        });
        if waits {
            break;
        }
    }
    assert!(waits, "nobody was served while a stop waited");
    drop(disk);
    daemon.stop("stuck", "writer").expect("it can end by now");
    assert!(is_gone(pid));
    daemon.free("stuck").expect("free");
    daemon.end();
}

/// The guest's disk, on which nothing can be written until this is dropped.
struct FrozenDisk;

impl FrozenDisk {
    fn new() -> Self {
        run("fsfreeze", &["--freeze", "/mnt/disk"]);
        Self
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        run("fsfreeze", &["--unfreeze", "/mnt/disk"]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let done = std::process::Command::new(program).args(arguments).status();
    assert!(done.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

/// Without the controller memory the kernel does not keep a process from moving up into its cell, which would become
/// `domain threaded` if it gave others then.
mod disabled {
    use super::*;

    #[test]
    fn a_process_in_the_cell_itself_keeps_limits_from_inner_cells() {
        let group = OwnGroup::new("in-the-way");
        if group.read("cgroup.controllers").split(' ').any(|controller| controller == "memory") {
            return eprintln!("skipped: this kernel was started with memory");
        }
        let daemon = Daemon::start("in-the-way", &group);
        daemon.allocate(cell("web")).expect("allocate");
        let pid = daemon.run("web", "job", "exec sleep 1000");
        daemon.group("web").write("cgroup.procs", &pid.to_string());
        let limited = Cell { cpu: cpu_max(100_000), ..cell("web/in") };
        let refused = daemon.allocate(limited).expect_err("no controller");
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
        assert!(refused.message.contains("has processes itself"), "{refused}");
        assert!(!daemon.group("web/in").exists());
        assert_eq!(daemon.group("web").read("cgroup.type"), "domain");
        daemon.allocate(cell("web/in")).expect("without limits");
        daemon.run("web/in", "job", "exec sleep 1000");
        daemon.free("web/in").expect("free");
        daemon.free("web").expect("free");
        assert!(is_gone(pid));
        daemon.end();
    }
}

/// The kernel keeps the rule itself when the cell gives controllers.
#[test]
fn a_cell_that_gives_controllers_takes_no_process() {
    let group = OwnGroup::new("no-process");
    let daemon = Daemon::start("no-process", &group);
    daemon.allocate(cell("web")).expect("allocate");
    daemon.allocate(Cell { cpuset: cpus("0"), ..cell("web/in") }).expect("allocate");
    let pid = daemon.run("web", "job", "exec sleep 1000");
    assert!(daemon.group("web").try_write("cgroup.procs", &pid.to_string()).is_err());
    assert_tidy(&group);
    for name in ["web", "web/in"] {
        daemon.run(name, "next", "exec sleep 1000");
    }
    daemon.stop("web", "job").expect("stop");
    assert!(is_gone(pid));
    daemon.end();
}
