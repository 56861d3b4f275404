//! How a daemon ends, and what the next one on its runtime directory makes of what is left.

use auraed::proto::aurae::runtime::v0::Cell;

use crate::machine::*;

/// A cell and one in it, with processes that SIGTERM ends and with those that it doesn't.
fn fill(daemon: &Daemon) -> Vec<i32> {
    daemon.allocate(Cell { cpuset: cpus("0"), ..cell("s") }).expect("allocate");
    daemon.allocate(Cell { cpu: cpu_max(500_000), ..cell("s/t") }).expect("allocate");
    daemon.run("s", "job", "setsid sleep 1000 & exec sleep 1000");
    daemon.run_stubborn("s/t", "job");
    eventually("all have started", || daemon.pids("s").len() >= 3);
    daemon.pids("s")
}

#[test]
fn a_daemon_that_is_stopped_leaves_nothing() {
    let group = OwnGroup::new("stopped");
    let daemon = Daemon::start("stopped", &group);
    let pids = fill(&daemon);
    daemon.end();
    pids.into_iter().for_each(|pid| eventually("it is gone", || is_gone(pid)));
    assert_eq!(group.children(), [group.child("_daemon")], "the daemon itself was in that to its end");
}

#[test]
fn what_a_crashed_daemon_left_is_ended_by_the_next() {
    let root = Group::root();
    let daemon = Daemon::start("crashed", &root);
    let (pids, base) = (fill(&daemon), daemon.base().clone());
    daemon.crash();
    assert!(base.child("s/t").exists() && !is_gone(pids[0]), "a crash ends no cell");
    let daemon = Daemon::start("crashed", &root);
    // Orphans are reaped by the machine's first process.
    pids.into_iter().for_each(|pid| eventually("it is gone", || is_gone(pid)));
    assert_eq!((base.children(), daemon.list()), (vec![], vec![]));
    assert!(daemon.log().contains("removing what an earlier run left"), "{}", daemon.log());
    daemon.allocate(Cell { cpu: cpu_max(100_000), ..cell("s") }).expect("works as before");
    daemon.end();
}

/// What a supervisor that stays in the daemon's leaf does; the cgroup around it takes no process while it gives
/// controllers.
#[test]
fn the_next_daemon_may_start_in_the_leaf_of_the_crashed_one() {
    let group = OwnGroup::new("in-leaf");
    let daemon = Daemon::start("in-leaf", &group);
    let (pids, base) = (fill(&daemon), daemon.base().clone());
    daemon.crash();
    let leaf = group.child("_daemon");
    assert!(leaf.exists());
    let daemon = Daemon::start("in-leaf", &leaf);
    assert_eq!(group_of(daemon.pid()), leaf);
    pids.into_iter().for_each(|pid| eventually("it is gone", || is_gone(pid)));
    assert_eq!(base.children(), []);
    daemon.allocate(Cell { cpu: cpu_max(200_000), ..cell("s") }).expect("limits as before");
    assert!(base.child("s").exists(), "in the same place");
    assert_tidy(&group);
    daemon.end();
}

/// The supervisor kills the whole cgroup and removes what is in it, as systemd does: the kernel puts no process into one that
/// still gives controllers.
#[test]
fn the_next_daemon_may_start_in_the_emptied_cgroup() {
    let group = OwnGroup::new("emptied");
    for runs in [false, true] {
        let daemon = Daemon::start("emptied", &group);
        daemon.allocate(Cell { cpuset: cpus("0"), ..cell("web") }).expect("allocate");
        if runs {
            daemon.run_stubborn("web", "job");
        }
        daemon.crash();
        group.write("cgroup.kill", "1");
        eventually("it is empty", || group.number("cgroup.events", "populated") == 0);
        group.all_below().iter().rev().for_each(Group::remove);
        group.write("cgroup.subtree_control", "-cpu -cpuset -memory -pids -io");
    }
    let daemon = Daemon::start("emptied", &group);
    assert_eq!(group_of(daemon.pid()), group.child("_daemon"));
    assert_eq!(daemon.list(), []);
    daemon.allocate(Cell { cpu: cpu_max(200_000), cpuset: cpus("0"), ..cell("web") }).expect("allocate");
    daemon.run("web", "job", "exec sleep 1000");
    assert_tidy(&group);
    daemon.end();
}

#[test]
fn a_threaded_leaf_of_a_crashed_daemon_is_swept() {
    let root = Group::root();
    let daemon = Daemon::start("swept-threaded", &root);
    daemon.allocate(cell("web")).expect("allocate");
    let pid = daemon.run("web", "job", "exec sleep 1000");
    let inner = group_of(pid).child("in");
    inner.make();
    inner.write("cgroup.type", "threaded");
    daemon.crash();
    let daemon = Daemon::start("swept-threaded", &root);
    eventually("it is gone", || is_gone(pid));
    assert_eq!(daemon.base().children(), []);
    daemon.end();
}
