//! Workloads that resist, and others that touch what is ours.

use std::fs;

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::{Cell, PidsController};
use nix::sys::signal::Signal;

use super::daemon::{Daemon, PROMPT, cell, eventually, has_ended, is_gone, start_stubborn};

#[test]
fn what_ignores_sigterm_is_killed_with_its_descendants() {
    let Some(daemon) = Daemon::start("stubborn") else { return };
    let client = daemon.client();
    client.allocate(cell("a")).expect("allocate");
    start_stubborn(&daemon, "a", "stubborn");
    let script = "setsid sh -c 'trap \"\" TERM; sleep 1000' & (setsid sleep 1000 &) ; exec sleep 1000";
    client.start("a", "family", script).expect("start");
    eventually("the family is there", || daemon.processes("a").len() >= 5);
    let all = daemon.processes("a");
    client.free("a").expect("free");
    // One that has left its cgroup is about to end, and needs its turn for that.
    eventually("all have ended", || all.iter().all(|pid| has_ended(*pid)));
    daemon.assert_empty();
}

#[test]
fn a_fork_bomb_is_held_and_ended() {
    let Some(daemon) = Daemon::start("bomb") else { return };
    let client = daemon.client();
    let pids = Some(PidsController { max: Some(40) });
    match client.allocate(Cell { pids, ..cell("bomb") }) {
        // Without the controller nothing would hold it.
        Err(status) if status.code == Code::FailedPrecondition => return eprintln!("skipped: {status}"),
        allocated => allocated.expect("allocate"),
    }
    // As many as it gets, each for a moment, and deaf. A shell would end when it cannot fork.
    let bomb = "trap '' TERM; yes 0.1 | exec xargs -P 0 -n 1 sleep";
    client.start("bomb", "bomb", bomb).expect("start");
    eventually("the limit is reached", || daemon.processes("bomb").len() >= 35);
    let prompt = daemon.client_with(PROMPT);
    prompt.list();
    prompt.allocate(cell("calm")).expect("allocate");
    prompt.start("calm", "job", "exec sleep 1000").expect("start");
    prompt.free("calm").expect("free");
    client.free("bomb").expect("free");
    daemon.assert_empty();
}

#[test]
fn a_foreign_process_in_our_cgroup_ends_with_it() {
    let Some(daemon) = Daemon::start("foreign") else { return };
    let client = daemon.client();
    client.allocate(cell("a")).expect("allocate");
    let pid = client.start("a", "job", "exec sleep 1000").expect("start");
    let mut foreign = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep runs");
    let leaf = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let leafs = daemon.directories("a").into_iter().flat_map(|cell| {
        let names = leaf.lines().filter_map(|line| line.rsplit('/').next()).map(str::to_owned);
        names.map(|name| cell.join(name)).filter(|leaf| leaf.is_dir()).collect::<Vec<_>>()
    });
    let moved = leafs.map(|leaf| fs::write(leaf.join("cgroup.procs"), foreign.id().to_string()));
    assert!(moved.filter(Result::is_ok).count() > 0, "the process is in no cgroup of ours");
    client.stop("a", "job").expect("stop");
    use std::os::unix::process::ExitStatusExt;
    let ended = foreign.wait().expect("our child").signal();
    assert!(ended == Some(Signal::SIGTERM as i32) || ended == Some(Signal::SIGKILL as i32), "{ended:?}");
    client.free("a").expect("free");
    daemon.assert_empty();
}

#[test]
fn a_cgroup_that_somebody_removed_is_no_hindrance() {
    let Some(daemon) = Daemon::start("removed") else { return };
    let client = daemon.client();
    client.allocate(cell("a")).expect("allocate");
    client.allocate(cell("a/b")).expect("allocate");
    for directory in daemon.directories("a/b") {
        fs::remove_dir(directory).expect("nothing is in it");
    }
    assert_eq!(client.list().len(), 1);
    let refused = client.start("a/b", "job", "exec sleep 1000").expect_err("there is no cgroup");
    assert!(refused.message.contains("a/b"), "{refused}");
    assert_ne!(refused.code, Code::Unknown);
    client.free("a/b").expect("free");
    client.allocate(cell("a/b")).expect("allocate it anew");
    client.start("a/b", "job", "exec sleep 1000").expect("start");
    client.free("a/b").expect("free");
    client.free("a").expect("free");
    daemon.assert_empty();
}

#[test]
fn a_directory_that_is_not_ours_is_not_touched() {
    let Some(daemon) = Daemon::start("taken") else { return };
    let client = daemon.client();
    let taken: Vec<_> = daemon.directories("").into_iter().map(|base| base.join("taken")).collect();
    taken.iter().for_each(|directory| fs::create_dir(directory).expect("make"));
    let refused = client.allocate(cell("taken")).expect_err("somebody else's");
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
    assert!(taken.iter().all(|directory| directory.is_dir()));
    taken.iter().for_each(|directory| fs::remove_dir(directory).expect("remove"));
    client.allocate(cell("taken")).expect("allocate");
    client.free("taken").expect("free");
    daemon.assert_empty();
}

#[test]
fn a_cell_that_is_busy_for_a_while_is_freed_all_the_same() {
    let Some(daemon) = Daemon::start("busy") else { return };
    let client = daemon.client();
    client.allocate(cell("a")).expect("allocate");
    // A cgroup of somebody else's in ours, with a process in it: rmdir answers EBUSY until both are gone.
    let pid = client.start("a", "job", "trap '' TERM; while :; do sleep 0.1; done").expect("start");
    for directory in daemon.directories("a") {
        fs::create_dir(directory.join("guest")).expect("make");
    }
    client.free("a").expect("free");
    assert!(is_gone(pid));
    daemon.assert_empty();
}
