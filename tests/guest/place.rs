//! Where the daemon may be, and what it can give to cells there: the root of the hierarchy, a cgroup of its own, one that
//! it shares, one that lacks controllers, and those of containers.

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::Cell;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::*;

/// The daemon's cells have limits, processes and leaves.
fn assert_works(daemon: &Daemon, around: &Group) {
    let limited = Cell { cpu: cpu_max(200_000), cpuset: cpus("0"), ..cell("web") };
    assert!(daemon.allocate(limited).expect("allocate").cgroup_v2);
    assert_eq!(daemon.group("web").read("cpu.max"), "200000 1000000");
    let pid = daemon.run("web", "job", "exec sleep 1000");
    assert_eq!(group_of(pid).read("cgroup.procs"), pid.to_string(), "its own pid namespace shows the same");
    assert!(group_of(pid).is_below(&daemon.group("web")));
    let given = daemon.base().read("cgroup.subtree_control");
    assert!(["cpu", "cpuset"].iter().all(|name| given.split(' ').any(|other| other == *name)), "{given}");
    assert_tidy(around);
    daemon.free("web").expect("free");
    assert!(is_gone(pid));
}

#[test]
fn in_the_root_it_stays() {
    let root = Group::root();
    let daemon = Daemon::start("root", &root);
    assert_eq!(group_of(daemon.pid()), root);
    assert_works(&daemon, daemon.base());
    daemon.end();
}

#[test]
fn in_a_cgroup_of_its_own_it_moves_into_a_leaf() {
    let group = OwnGroup::new("own");
    for round in ["first", "again"] {
        let daemon = Daemon::start("own", &group);
        assert_eq!(group_of(daemon.pid()), group.child("_daemon"), "{round}");
        assert_works(&daemon, &group);
        assert_eq!(group.pids(), [] as [i32; 0]);
        daemon.end();
        assert_eq!(group.read("cgroup.type"), "domain");
    }
}

#[test]
fn in_a_shared_cgroup_limits_are_refused_and_all_else_works() {
    let group = OwnGroup::new("shared");
    let _other = Sleeper::start(&group);
    let daemon = Daemon::start("shared", &group);
    assert_eq!(group_of(daemon.pid()), *group, "it does not move");
    for limited in [
        Cell { cpu: cpu_max(200_000), ..cell("web") },
        Cell { cpu: cpu_weight(50), ..cell("web") },
        Cell { cpuset: cpus("0"), ..cell("web") },
    ] {
        let refused = daemon.allocate(limited).expect_err("the cgroup is shared");
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
        assert!(refused.message.contains("has 1 other processes"), "{refused}");
        assert!(refused.message.contains("Delegate=yes"), "{refused}");
        assert!(!daemon.group("web").exists());
    }
    assert!(daemon.allocate(cell("web")).expect("without limits").cgroup_v2);
    daemon.allocate(cell("web/in")).expect("nested");
    for name in ["web", "web/in"] {
        let pid = daemon.run(name, "job", "exec sleep 1000");
        assert!(group_of(pid).is_below(&daemon.group(name)));
    }
    assert_tidy(&group);
    daemon.end();
    assert_eq!((group.read("cgroup.type").as_str(), group.children()), ("domain", vec![]));
}

/// An earlier run turned them on, and another process came: the kernel has made it `domain threaded` by then, and no
/// process may enter what is below.
#[test]
fn in_a_shared_cgroup_that_gives_controllers_it_takes_them_back() {
    let group = OwnGroup::new("shared-giving");
    let _other = Sleeper::start(&group);
    group.write("cgroup.subtree_control", "+cpu +cpuset");
    assert_eq!(group.read("cgroup.type"), "domain threaded");
    let daemon = Daemon::start("shared-giving", &group);
    assert_eq!(group.read("cgroup.type"), "domain");
    daemon.allocate(cell("web")).expect("without limits");
    daemon.run("web", "job", "exec sleep 1000");
    assert_tidy(&group);
    daemon.end();
}

#[test]
fn controllers_that_others_cgroups_use_are_not_taken_back() {
    let group = OwnGroup::new("shared-used");
    let _other = Sleeper::start(&group);
    group.write("cgroup.subtree_control", "+cpu +cpuset");
    let theirs = OwnGroup::below(&group, "theirs");
    theirs.write("cpu.weight", "77");
    let log = Daemon::try_start("shared-used", &group, &[]).err().expect("no process can enter a cell");
    assert!(log.contains("gives controllers to cgroups that others have made"), "{log}");
    assert!(log.contains("start this daemon in a cgroup of its own"), "{log}");
    assert_eq!(theirs.read("cpu.weight"), "77");
}

/// As systemd makes one for a service without `Delegate=`.
#[test]
fn a_controller_that_is_not_delegated_is_named() {
    let outer = OwnGroup::new("partly");
    outer.write("cgroup.subtree_control", "+cpu");
    let group = OwnGroup::below(&outer, "service");
    let daemon = Daemon::start("partly", &group);
    daemon.allocate(Cell { cpu: cpu_max(200_000), ..cell("web") }).expect("cpu is there");
    let refused = daemon.allocate(Cell { cpuset: cpus("0"), ..cell("other") }).expect_err("cpuset is not");
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
    assert!(refused.message.contains("without the cgroup controller cpuset:"), "{refused}");
    daemon.allocate(Cell { cpu: cpu_weight(3), ..cell("web/in") }).expect("nested");
    assert_tidy(&group);
    daemon.end();
}

/// Their pids stand as 0 in `cgroup.procs`.
#[test]
fn processes_that_its_pid_namespace_does_not_show_count() {
    let group = OwnGroup::new("pid-namespace");
    let _other = Sleeper::start(&group);
    let prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let daemon = Daemon::try_start("pid-namespace", &group, &prefix).expect("start");
    let refused = daemon.allocate(Cell { cpuset: cpus("0"), ..cell("web") }).expect_err("it is shared");
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
    assert!(refused.message.contains("other processes"), "{refused}");
    daemon.allocate(cell("web")).expect("without limits");
    daemon.run("web", "job", "exec sleep 1000");
    assert_eq!(daemon.pids("web").len(), 1);
    assert_tidy(&group);
    // unshare itself does not hear SIGTERM.
    daemon.crash();
}

/// As a container with a cgroup namespace of its own has it.
#[test]
fn in_a_cgroup_namespace_its_root_is_like_any_cgroup() {
    let group = OwnGroup::new("container");
    let script = "umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let prefix = ["unshare", "--cgroup", "--mount", "sh", "-c", script];
    let daemon = Daemon::try_start("container", &group, &prefix).expect("start");
    assert_eq!(group_of(daemon.pid()), group.child("_daemon"));
    assert_works(&daemon, &group);
    daemon.end();
}

#[test]
fn aer_tells_what_the_daemon_did() {
    let group = OwnGroup::new("aer");
    let daemon = Daemon::start("aer", &group);
    let allocate = ["cell", "allocate", "web", "--cpu-max", "200000", "--cpus", "0"];
    assert_eq!(daemon.aer(&allocate), Ok("allocated web (cgroup v2)".into()));
    assert_eq!(daemon.group("web").read("cpu.max"), "200000 1000000");
    let started = daemon.aer(&["cell", "start", "web", "job", "--", "sleep", "1000"]).expect("start");
    let pid = started.strip_prefix("started job in web, pid ").expect("a pid").parse().expect("a number");
    assert!(group_of(pid).is_below(&daemon.group("web")));
    let list = daemon.aer(&["cell", "list"]).expect("list");
    assert!(list.contains("cpu-max 200000") && list.contains(&pid.to_string()), "{list}");
    assert_eq!(daemon.aer(&["cell", "stop", "web", "job"]), Ok("stopped job in web".into()));
    assert_eq!(daemon.aer(&["cell", "free", "web"]), Ok("freed web".into()));
    assert!(is_gone(pid) && !daemon.group("web").exists());
    daemon.end();
}

/// A process that is not the daemon's, in the daemon's cgroup.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start(group: &Group) -> Self {
        let child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        group.write("cgroup.procs", &child.id().to_string());
        Self(child)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
