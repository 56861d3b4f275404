//! Memory that runs out: whom the kernel ended, and whose limit is named for it.

use auraed::proto::aurae::observe::v0::EventType;
use auraed::proto::aurae::runtime::v0::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::*;

const SMALL: i64 = 16 << 20;
const LARGE: i64 = 128 << 20;

/// Writes 48 MiB of memory.
const HOG: &str = "dd if=/dev/zero of=/dev/null bs=48M count=1";

#[test]
fn the_cells_own_limit_is_named() {
    let group = OwnGroup::new("oom-own");
    let daemon = Daemon::start("oom-own", &group);
    daemon.allocate(limited("outer", LARGE)).expect("allocate");
    daemon.allocate(limited("outer/web", SMALL)).expect("allocate");
    daemon.run("outer/web", "hog", &format!("exec {HOG}"));
    let ended = wait(&daemon, "outer/web", "hog");
    assert_oom(&ended, "outer/web");
    let web = daemon.list().remove(0).children.remove(0);
    let listed = &web.executables[0];
    assert_eq!((listed.oom_killed, listed.oom_cell_name.as_str()), (true, "outer/web"));
    let told = daemon.aer(&["cell", "wait", "outer/web", "hog"]).expect_err("128 and the signal");
    assert_eq!(told, "killed: out of memory (limit of cell outer/web)");
    daemon.end();
}

#[test]
fn what_became_of_a_victim_is_told_in_order() {
    let group = OwnGroup::new("oom-events");
    let daemon = Daemon::start("oom-events", &group);
    daemon.allocate(limited("web", SMALL)).expect("allocate");
    let pid = daemon.run("web", "hog", &format!("exec {HOG}"));
    assert_oom(&wait(&daemon, "web", "hog"), "web");
    daemon.free("web").expect("free");
    let events = daemon.events();
    let told: Vec<_> =
        events.iter().map(|it| (it.r#type(), it.pid, it.exit_signal, it.oom_cell_name.as_str())).collect();
    let expected = [
        (EventType::CellAllocated, 0, None, ""),
        (EventType::ExecutableStarted, pid, None, ""),
        (EventType::ExecutableOutOfMemory, pid, None, "web"),
        (EventType::ExecutableExited, pid, Some(9), ""),
        (EventType::ExecutableRemoved, pid, None, ""),
        (EventType::CellFreed, 0, None, ""),
    ];
    assert_eq!(events[0].r#type(), EventType::DaemonStarted);
    assert_eq!(told[1..], expected);
    daemon.end();
}

#[test]
fn a_limit_around_the_cell_is_named() {
    let group = OwnGroup::new("oom-parent");
    let daemon = Daemon::start("oom-parent", &group);
    daemon.allocate(limited("outer", SMALL)).expect("allocate");
    daemon.allocate(limited("outer/web", LARGE)).expect("allocate");
    daemon.allocate(cell("outer/web/api")).expect("allocate");
    daemon.run("outer/web/api", "hog", &format!("exec {HOG}"));
    assert_oom(&wait(&daemon, "outer/web/api", "hog"), "outer");
    daemon.end();
}

#[test]
fn neither_a_sibling_nor_a_plain_sigkill_is_taken_for_a_victim() {
    let group = OwnGroup::new("oom-sibling");
    let daemon = Daemon::start("oom-sibling", &group);
    daemon.allocate(limited("outer", SMALL)).expect("allocate");
    daemon.allocate(cell("outer/web")).expect("allocate");
    daemon.allocate(cell("outer/other")).expect("allocate");
    let bystanders = [("outer/web", "same cell"), ("outer/other", "other cell"), ("outer", "cell around")];
    let pids = bystanders.map(|(cell, name)| daemon.run(cell, name, "exec sleep 1000"));
    daemon.run("outer/web", "hog", &format!("exec {HOG}"));
    assert_oom(&wait(&daemon, "outer/web", "hog"), "outer");
    for (pid, (cell, name)) in pids.into_iter().zip(bystanders) {
        assert!(!is_gone(pid), "{name} was a victim");
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        let ended = wait(&daemon, cell, name);
        assert_eq!((ended.exit_signal, ended.oom_killed, ended.oom_cell_name.as_str()), (Some(9), false, ""));
    }
    daemon.end();
}

#[test]
fn a_child_that_was_the_victim_is_not_the_executable() {
    let group = OwnGroup::new("oom-child");
    let daemon = Daemon::start("oom-child", &group);
    daemon.allocate(limited("web", SMALL)).expect("allocate");
    daemon.run("web", "careful", &format!("{HOG} || exit 3"));
    let ended = wait(&daemon, "web", "careful");
    assert_eq!((ended.exit_code, ended.oom_killed), (Some(3), false));

    // And a SIGKILL of ours is no victim's, whatever happened before.
    let pid = daemon.run("web", "stubborn", &format!("trap '' TERM; {HOG}; while :; do sleep 0.2; done"));
    let leaf = group_of(pid);
    eventually("the child is ended", || leaf.number("memory.events", "oom_kill") > 0);
    daemon.stop("web", "stubborn").expect("stop");
    let ended = wait(&daemon, "web", "stubborn");
    assert_eq!((ended.exit_signal, ended.oom_killed), (Some(9), false));
    daemon.end();
}

#[test]
fn a_limit_that_the_executable_made_itself_is_no_cells() {
    let group = OwnGroup::new("oom-inner");
    let daemon = Daemon::start("oom-inner", &group);
    daemon.allocate(limited("web", LARGE)).expect("allocate");
    let script = format!("until [ -e /run/oom-inner ]; do sleep 0.2; done; exec {HOG}");
    let pid = daemon.run("web", "job", &script);
    group_of(pid).write("memory.max", &SMALL.to_string());
    std::fs::write("/run/oom-inner", "").expect("it may begin");
    assert_oom(&wait(&daemon, "web", "job"), "");
    daemon.end();
}

#[test]
fn a_victim_is_restarted_and_each_run_is_judged_alone() {
    let group = OwnGroup::new("oom-restart");
    let daemon = Daemon::start("oom-restart", &group);
    daemon.allocate(limited("web", SMALL)).expect("allocate");
    let executable = |name: &str, command: String, max| Executable {
        name: name.to_owned(),
        command,
        restart: Some(RestartPolicy {
            condition: RestartCondition::OnFailure.into(),
            max_restarts: Some(max),
        }),
        ..Executable::default()
    };
    daemon.start_in("web", executable("hog", format!("exec {HOG}"), 2)).expect("start");
    let ended = wait(&daemon, "web", "hog");
    assert_oom(&ended, "web");
    assert_eq!(ended.restarts, 2);

    // The first run is a victim, the second kills itself.
    let script = format!("[ -e /run/oom-once ] && kill -9 $$; : >/run/oom-once; exec {HOG}");
    daemon.start_in("web", executable("once", script, 1)).expect("start");
    let ended = wait(&daemon, "web", "once");
    assert_eq!((ended.exit_signal, ended.restarts, ended.oom_killed), (Some(9), 1, false));
    daemon.end();
}

fn limited(name: &str, max: i64) -> Cell {
    let memory = MemoryController { max: Some(max), ..MemoryController::default() };
    Cell { memory: Some(memory), ..cell(name) }
}

fn wait(daemon: &Daemon, cell: &str, name: &str) -> CellServiceWaitResponse {
    let request = CellServiceWaitRequest { cell_name: cell.to_owned(), executable_name: name.to_owned() };
    daemon.call(async |cells| cells.wait(&request).await).expect("it ends")
}

fn assert_oom(ended: &CellServiceWaitResponse, cell: &str) {
    assert_eq!((ended.exit_signal, ended.oom_killed, ended.oom_cell_name.as_str()), (Some(9), true, cell));
}
