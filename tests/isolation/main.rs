//! Isolated cells on the kernel that runs these tests: what is seen inside, what is not, what stays of it outside, and
//! how it ends. Needs root; says so and does nothing without.

mod machine;
#[path = "../common/seccomp.rs"]
mod seccomp;
#[path = "../common/view.rs"]
mod view;

use auraed::runtime::{Cells, ErrorKind, ExecutableSpec, Finish, RestartCondition, RestartPolicy, Restarted};
use auraed::sys::open_files::OpenFilesLimit;
use machine::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Those that isolated processes have for themselves, without the network.
const PROCESS_NAMESPACES: [&str; 4] = ["pid", "ipc", "uts", "mnt"];

#[test]
fn each_cell_has_the_namespaces_that_it_asks_for() {
    let Some(machine) = Machine::new("kinds") else { return };
    for isolation in [NOTHING, NETWORK, PROCESS, BOTH] {
        machine.allocate("web", isolation);
        let one = machine.start("web", "one", "exec sleep 1000").pid.to_string();
        let other = machine.start("web", "other", "exec sleep 1000").pid.to_string();
        for kind in PROCESS_NAMESPACES.into_iter().chain(["net", "cgroup", "user"]) {
            let is_own = match kind {
                "net" => isolation.network,
                "cgroup" => true,
                "user" => false,
                _ => isolation.process,
            };
            let (ours, one, other) =
                (namespace("self", kind), namespace(&one, kind), namespace(&other, kind));
            assert_eq!(one != ours, is_own, "{kind} of {isolation:?}");
            assert_eq!(one == other, kind != "cgroup", "{kind} of {isolation:?}");
        }
        assert_eq!(machine.inits().len(), usize::from(isolation.process), "{isolation:?}");
        machine.free("web");
        assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]), "{isolation:?}");
    }
}

#[test]
fn namespaces_outlive_every_executable_and_end_with_the_cell() {
    let Some(machine) = Machine::new("lasting") else { return };
    for isolation in [NETWORK, BOTH] {
        machine.allocate("web", isolation);
        let kinds: Vec<&str> =
            if isolation.process { [&PROCESS_NAMESPACES[..], &["net"]].concat() } else { vec!["net"] };
        let namespaces = || {
            let pid = machine.start("web", "job", "exec sleep 1000").pid.to_string();
            let found: Vec<_> = kinds.iter().map(|kind| namespace(&pid, kind)).collect();
            machine.stop("web", "job");
            found
        };
        let first = namespaces();
        // A new one would have another number: the kernel gives none twice as long as somebody looks.
        let held: Vec<_> = machine.inits().iter().map(|init| namespace(&init.to_string(), "pid")).collect();
        assert_eq!(namespaces(), first, "{isolation:?}");
        let inits = machine.inits();
        machine.free("web");
        assert!(inits.iter().all(|init| !is_there(*init)), "{held:?} ends with the cell");
    }
}

#[test]
fn inside_there_are_only_the_cells_processes() {
    let Some(machine) = Machine::new("processes") else { return };
    machine.allocate("web", PROCESS);
    let other = machine.start("web", "other", "exec sleep 1000");
    let [outside, inside] = &pids(&status(other.pid, "NSpid"))[..] else { panic!("two pids") };
    assert_eq!(*outside, other.pid, "the daemon's view is answered");

    let list = machine.output("web", "echo $$; echo /proc/[0-9]*; cat /proc/1/comm; cat /proc/self/stat");
    let lines: Vec<&str> = list.lines().collect();
    let [shell, list, init, stat] = lines[..] else { panic!("four lines: {list}") };
    let listed: BTreeSet<i32> =
        list.split(' ').filter_map(|path| path.strip_prefix("/proc/")?.parse().ok()).collect();
    assert_eq!(listed, BTreeSet::from([1, *inside, shell.parse().expect("a pid")]));
    assert_eq!(init, "auraed-init");
    assert!(!stat.starts_with(&other.pid.to_string()), "{stat}");
    let sibling = machine.output("web", &format!("cat /proc/{inside}/comm"));
    assert_eq!(sibling, "sleep\n", "executables see each other");
    machine.free("web");
}

#[test]
fn the_host_name_is_the_last_label() {
    let Some(machine) = Machine::new("hostname") else { return };
    let before = nix::unistd::gethostname().expect("a host name");
    machine.allocate("web", NOTHING);
    machine.allocate("web/Api-1", PROCESS);
    assert_eq!(machine.output("web/Api-1", "cat /proc/sys/kernel/hostname"), "Api-1\n");
    machine.output("web/Api-1", "echo changed > /proc/sys/kernel/hostname");
    assert_eq!(machine.output("web/Api-1", "uname -n"), "changed\n", "it is theirs");
    assert_eq!(machine.output("web", "uname -n").trim_end(), before.to_string_lossy());
    assert_eq!(nix::unistd::gethostname().expect("a host name"), before);
    machine.free("web/Api-1");
    machine.free("web");
}

#[test]
fn the_loopback_interface_answers_and_is_the_only_one() {
    let Some(machine) = Machine::new("loopback") else { return };
    for isolation in [NETWORK, BOTH] {
        machine.allocate("web", isolation);
        let pid = machine.start("web", "job", "exec sleep 1000").pid;
        let devices = proc_file(pid, "net/dev");
        let names: Vec<&str> =
            devices.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
        assert_eq!(names, ["lo"], "{isolation:?}");
        // Without mounts of its own it is shown those of this machine, which may have none but lo, too.
        let shown = machine.output("web", "ls /sys/class/net");
        assert!(shown == "lo\n" || !isolation.process, "{shown}");
        let network = fs::File::open(format!("/proc/{pid}/ns/net")).expect("a namespace");
        let answered = thread::spawn(move || {
            // This thread alone, which ends here.
            nix::sched::setns(network, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
            socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
            socket.send_to(b"ping", socket.local_addr().expect("address")).expect("send");
            let mut answer = [0; 8];
            socket.recv(&mut answer).expect("receive")
        });
        assert_eq!(answered.join().expect("no panic"), 4, "{isolation:?}");
        machine.free("web");
    }
}

#[test]
fn nothing_above_the_cell_can_be_seen() {
    let Some(machine) = Machine::new("view") else { return };
    for isolation in [PROCESS, BOTH] {
        machine.allocate("web", isolation);
        machine.allocate("web/inner", NOTHING);
        let all = "cat /proc/self/mountinfo /proc/self/cgroup /proc/1/cgroup /proc/1/cmdline /proc/mounts";
        let seen = machine.output("web", all);
        assert!(!seen.contains(&machine.config.slice), "{seen}");
        let mounts = machine.output("web", "cat /proc/self/mountinfo");
        let of_cgroups: Vec<&str> = mounts.lines().filter(|line| line.contains(" - cgroup")).collect();
        let [cgroup] = of_cgroups[..] else { panic!("one mount of cgroups: {mounts}") };
        assert!(cgroup.contains(" /sys/fs/cgroup ro,nosuid,nodev,noexec"), "{cgroup}");
        assert_eq!(mounts.lines().filter(|line| line.contains(" - proc ")).count(), 1, "{mounts}");

        let groups = machine.output("web", "cd /sys/fs/cgroup; ls -d */");
        let groups: Vec<&str> = groups.lines().collect();
        let [leaf, inner] = groups[..] else {
            panic!("the leaf of the one who looks, and a cell: {groups:?}")
        };
        assert!(leaf.starts_with("exec_") && inner == "inner/", "{groups:?}");
        // The cgroup namespace has its root in the leaf; what is mounted is the cell, which has the limits.
        let places = machine.output("web", "cat /proc/self/cgroup");
        assert!(places.lines().any(|line| line.ends_with(":/")), "{places}");
        let refused = machine.output("web", "mkdir /sys/fs/cgroup/x; echo 0 > /sys/fs/cgroup/cgroup.procs");
        assert_eq!(refused.matches("Read-only file system").count(), 2, "{refused}");
        let sys = machine.output("web", "mkdir /sys/x 2>&1; cat /sys/kernel/uevent_seqnum && echo there");
        assert!(sys.ends_with("there\n"), "{sys}");

        // Not even by taking away what covers it.
        let uncover = "for d in /sys/fs/cgroup /proc; do umount $d && echo uncovered && ls $d; done";
        assert_eq!(machine.output("web", uncover), "uncovered\nuncovered\n");
        machine.free("web/inner");
        machine.free("web");
    }
}

#[test]
fn the_hosts_mounts_and_settings_stay() {
    let Some(machine) = Machine::new("host") else { return };
    let settings = || {
        let files = [
            "self/mountinfo",
            "sys/kernel/hostname",
            "sys/kernel/domainname",
            "sys/kernel/shmmax",
            "sys/net/ipv4/ip_forward",
            "sys/net/ipv4/conf/all/forwarding",
            "sys/net/ipv4/conf/lo/rp_filter",
            "sys/net/ipv4/ip_local_port_range",
            "self/net/dev",
        ];
        let read = |file: &str| fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();
        // Of the devices, only which there are: the counters move.
        files.map(|file| match file {
            "self/net/dev" => {
                read(file).lines().filter_map(|l| Some(l.split_once(':')?.0.to_owned())).collect()
            }
            _ => read(file),
        })
    };
    let before = settings();
    machine.allocate("web", BOTH);
    let folder = std::env::temp_dir().join(format!("{}-mount", machine.config.slice));
    fs::create_dir(&folder).expect("mkdir");
    let point = folder.display();
    let change = format!(
        "mount -t tmpfs inside {point} && : > {point}/file && echo 1 > /proc/sys/kernel/shmmax && \
         echo name > /proc/sys/kernel/domainname && echo 1 > /proc/sys/net/ipv4/ip_forward && echo done"
    );
    assert_eq!(machine.output("web", &change), "done\n");
    assert_eq!(
        machine.output("web", &format!("ls {point}; cat /proc/sys/kernel/shmmax")),
        "file\n1\n",
        "it is all theirs"
    );
    assert_eq!((settings(), fs::read_dir(&folder).expect("list").count()), (before.clone(), 0));
    machine.free("web");
    assert_eq!(settings(), before);
    fs::remove_dir(&folder).expect("rmdir");
}

#[test]
fn a_system_v_segment_is_seen_in_its_cell_only() {
    let Some(machine) = Machine::new("ipc") else { return };
    machine.allocate("web", PROCESS);
    let host = fs::read_to_string("/proc/sysvipc/msg").expect("queues");
    let queues = machine.output("web", "cat /proc/sysvipc/msg /proc/sysvipc/shm /proc/sysvipc/sem");
    assert_eq!(queues.lines().count(), 3, "headings alone: {queues}");
    assert_eq!(fs::read_to_string("/proc/sysvipc/msg").expect("queues"), host);
    machine.free("web");
}

#[test]
fn orphans_are_reaped() {
    let Some(machine) = Machine::new("orphans") else { return };
    machine.allocate("web", PROCESS);
    let (init, orphans) = (machine.init(), "sh -c 'sleep 0.1 & sleep 1000 &'");
    await_rest(init);
    let wakes = status(init, "voluntary_ctxt_switches");
    machine
        .output("web", &format!("for i in 1 2 3 4 5 6 7 8; do (setsid {orphans} &); done; sleep 0.05; true"));
    // `output` has stopped the executable, and so the orphans.
    eventually("none is left, not even as a zombie", || children_of(init).is_empty());
    machine.start("web", "job", "(setsid sh -c 'exec sleep 1000' &); exec sleep 1000");
    eventually("one is inherited", || !children_of(init).is_empty());
    for orphan in children_of(init) {
        kill(Pid::from_raw(orphan), Signal::SIGKILL).expect("it runs");
    }
    eventually("it is reaped", || children_of(init).is_empty());
    assert_eq!(status(init, "voluntary_ctxt_switches"), wakes, "the init sleeps on");
    machine.free("web");
}

#[test]
fn the_init_is_clean_and_small() {
    let Some(machine) = Machine::new("init") else { return };
    machine.allocate("web", BOTH);
    let init = machine.init();
    assert_eq!(proc_file(init, "environ"), "");
    assert_eq!(proc_file(init, "cmdline"), "auraed-init\0web\0");
    assert_eq!(proc_file(init, "comm"), "auraed-init\n");
    assert_eq!(status(init, "Threads"), "1");
    assert_eq!((status(init, "SigBlk"), status(init, "SigCgt")), ("0".repeat(16), "0".repeat(16)));
    // SIGCHLD, so that the kernel reaps.
    assert_eq!(status(init, "SigIgn"), format!("{:016x}", 1 << 16));
    assert_eq!(fs::read_link(format!("/proc/{init}/cwd")).expect("cwd"), Path::new("/"));
    let fds = fs::read_dir(format!("/proc/{init}/fd")).expect("fds").flatten();
    let fds: Vec<_> = fds.map(|fd| fs::read_link(fd.path()).expect("link")).collect();
    assert_eq!(fds, vec![Path::new("/dev/null"); 3]);

    await_rest(init);
    println!("private memory of an init: {} KiB", private_kib(init));
    machine.output("web", "s=1; while [ $s -le 64 ]; do kill -$s 1; s=$((s + 1)); done; sleep 0.05");
    assert_eq!(machine.init(), init, "it outlives what is sent to it from inside");
    assert!(!status(init, "State").starts_with('T'));
    machine.free("web");
}

/// Waits until the init has done the last that it ever does.
fn await_rest(init: i32) {
    let switches = || status(init, "voluntary_ctxt_switches");
    let mut before = switches();
    eventually("it has given its memory back, and sleeps", || {
        // It shows as asleep a moment before it is, which counts as a switch.
        thread::sleep(Duration::from_millis(20));
        let has_come_to_rest = std::mem::replace(&mut before, switches()) == before;
        has_come_to_rest && private_kib(init) <= 150 && status(init, "State").starts_with('S')
    });
}

/// What is its own. Clean pages are those of its file: how many of them the kernel maps around the one that it needs depends
/// on how they came into the page cache, and they cost nothing that the daemon's file doesn't.
fn private_kib(pid: i32) -> u64 {
    let rollup = proc_file(pid, "smaps_rollup");
    let private = rollup.lines().filter(|line| line.starts_with("Private_Dirty:"));
    private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[test]
fn all_that_was_started_ends() {
    let Some(machine) = Machine::new("ends") else { return };
    machine.allocate("web", BOTH);
    let command = "setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000 & wait' & exec sleep 1000";
    for end in ["stop", "free"] {
        let init = machine.init();
        let inside = namespace(&init.to_string(), "pid");
        let started = machine.start("web", "job", command);
        let members = || {
            let is_inside =
                |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|n| n == inside);
            processes().into_iter().filter(is_inside).collect::<BTreeSet<i32>>()
        };
        eventually("five processes", || members().len() == 5);
        let pids = members();
        let grace = Duration::from_millis(100);
        if end == "stop" {
            let ending = machine.cells.stop(&cell_name("web"), &executable_name("job")).expect("stop");
            machine.end(&ending, grace);
            // One that has left its cgroup is in the table of processes for a moment more.
            eventually("the init alone stays", || members() == BTreeSet::from([init]));
        } else {
            machine.end(&machine.cells.free(&cell_name("web"), false).expect("free"), grace);
        }
        assert!(!is_there(started.pid));
        let left = |pid: &&i32| **pid != init && is_there(**pid);
        eventually(end, || pids.iter().filter(left).count() == 0);
    }
    assert_eq!((machine.inits(), machine.groups()), (vec![], BTreeSet::new()));
}

#[test]
fn what_was_daemonised_has_its_grace_period() {
    let Some(machine) = Machine::new("grace") else { return };
    machine.allocate("web", PROCESS);
    let file = |name: &str| std::env::temp_dir().join(format!("{}-{name}", machine.config.slice));
    let (ready, last) = (file("ready"), file("last"));
    let command = format!(
        "setsid sh -c 'trap \"sleep 0.3; : > {}; exit\" TERM; : > {}; while :; do sleep 0.02; done' & exec sleep 1000",
        last.display(),
        ready.display()
    );
    // Whose outputs somebody has open: the shell says of its `sleep` that it was ended.
    let _started = machine.start("web", "job", &command);
    eventually("the trap is set", || ready.exists());
    // The executable's own process ends at once.
    machine.free("web");
    assert!(last.exists(), "its init was ended before it");
    for file in [ready, last] {
        fs::remove_file(file).expect("remove");
    }
}

#[test]
fn a_failed_start_leaves_nothing() {
    let no_shell = |config: &mut auraed::runtime::CellsConfig| config.shell = "/nonexistent/sh".into();
    let Some(machine) = Machine::with("failed", no_shell) else { return };
    for isolation in [NETWORK, PROCESS, BOTH] {
        machine.allocate("web", isolation);
        let before = (machine.groups(), machine.inits());
        for _ in 0..3 {
            let error =
                machine.cells.start(&cell_name("web"), executable("job", "true")).expect_err("no shell");
            assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
            assert!(error.to_string().ends_with("exec /nonexistent/sh: ENOENT: No such file or directory"));
        }
        assert_eq!((machine.groups(), machine.inits()), before, "{isolation:?}");
        for init in machine.inits() {
            assert_eq!(children_of(init), Vec::<i32>::new());
        }
        machine.free("web");
    }
}

#[test]
fn a_cell_whose_init_fails_is_not_made() {
    let few = |soft| Some(OpenFilesLimit { soft, hard: soft });
    let missing = ("/nonexistent/auraed", None, "exec: ENOENT: No such file or directory");
    let mute = ("/bin/sh", None, "start the cell's init: it ended");
    // With the three streams and the socket one is left, which the cgroup takes.
    let short = (env!("CARGO_BIN_EXE_auraed"), few(5), "read /proc/self/mountinfo: EMFILE");
    for (program, open_files, expected) in [missing, mute, short] {
        let change = |config: &mut auraed::runtime::CellsConfig| {
            config.init = program.into();
            config.open_files = open_files;
        };
        let Some(machine) = Machine::with("unmade", change) else { return };
        let error = machine.cells.allocate(spec("web", BOTH)).expect_err("no init");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]));
        assert_eq!(machine.cells.list(), []);
        machine.allocate("web", NETWORK);
        machine.free("web");
    }
}

#[test]
fn a_cell_whose_init_was_killed_says_so_and_can_be_freed() {
    let Some(machine) = Machine::new("killed") else { return };
    machine.allocate("web", PROCESS);
    let started = machine.start("web", "job", "exec sleep 1000");
    kill(Pid::from_raw(machine.init()), Signal::SIGKILL).expect("kill");
    machine.wait_for_exit(&started);
    let refused = || {
        let error = machine.cells.start(&cell_name("web"), executable("late", "true")).expect_err("no init");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        error.to_string()
    };
    eventually("it says so", || {
        refused()
            == "somebody has ended the init of cell \"web\", and its namespaces with it; free the cell and allocate it again"
    });
    machine.free("web");
    assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]));
}

#[test]
fn nothing_is_restarted_for_ever_where_the_init_was_killed() {
    let Some(machine) = Machine::new("restarted") else { return };
    machine.allocate("web", PROCESS);
    let restart = RestartPolicy { condition: RestartCondition::Always, max_restarts: None };
    let job = ExecutableSpec { restart, ..executable("job", "exec sleep 1000") };
    let started = machine.cells.start(&cell_name("web"), job).expect("start");
    kill(Pid::from_raw(machine.init()), Signal::SIGKILL).expect("kill");
    let exit = &started.exit;
    let restart = {
        let mut restart = None;
        eventually("it has ended", || {
            restart = machine.cells.exited(exit);
            restart.is_some()
        });
        restart.expect("it is to be started again")
    };
    let completion =
        machine.cells.completion(&cell_name("web"), &executable_name("job")).expect("it is there");
    assert_eq!(completion.end(), None);
    let restarted = machine.cells.restart(restart);
    assert!(matches!(restarted, Restarted::Over), "{restarted:?}");
    assert!(completion.end().is_some(), "who waits is told");
    machine.free("web");
    assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]));
}

#[test]
fn the_inits_of_a_tree_end_at_the_same_time() {
    let Some(machine) = Machine::new("tree") else { return };
    let outer = ["web", "web/9", "web/9/deep"];
    outer.iter().for_each(|cell| machine.allocate(cell, PROCESS));
    let outer = machine.inits();
    (0..8).for_each(|number| machine.allocate(&format!("web/{number}"), PROCESS));
    let rest: Vec<i32> = machine.inits().into_iter().filter(|init| !outer.contains(init)).collect();
    assert_eq!((outer.len(), rest.len()), (3, 8));
    // The cell that goes first is the one that stays longest.
    let stubborn = machine.start("web/9/deep", "job", "trap '' TERM; exec sleep 1000").pid;
    eventually("it ignores SIGTERM", || proc_file(stubborn, "comm") == "sleep\n");
    let ending = machine.cells.free(&cell_name("web"), true).expect("free");
    assert_eq!(machine.cells.finish(&ending).expect("finish"), Finish::Busy);
    let has_ended = |init: &i32| !is_there(*init) || status(*init, "State").starts_with('Z');
    eventually("all that have no cell inside end", || rest.iter().all(has_ended));
    assert!(!outer.iter().any(has_ended), "the others wait for what is inside");
    machine.end(&ending, Duration::ZERO);
    assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]));
}

#[test]
fn a_frozen_cell_can_be_freed() {
    let Some(machine) = Machine::new("frozen") else { return };
    machine.allocate("web", BOTH);
    let started = machine.start("web", "job", "exec sleep 1000");
    let group = proc_file(started.pid, "cgroup");
    let Some((_, place)) = group.lines().find_map(|line| line.strip_prefix("0::")?.rsplit_once("/web/"))
    else {
        machine.free("web");
        return eprintln!("skipped: the freezer of cgroup v1 is another test's");
    };
    assert!(place.starts_with("exec_"));
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a v2 mount");
    let own = group.lines().find_map(|line| line.strip_prefix("0::/")?.strip_suffix(place)).expect("a place");
    let point = Path::new(mount.split(' ').nth(4).expect("a mount point"));
    fs::write(point.join(own).join("cgroup.freeze"), "1").expect("freeze");
    // A frozen process does not see SIGTERM: it takes the whole grace period.
    machine.end(&machine.cells.free(&cell_name("web"), false).expect("free"), Duration::ZERO);
    assert!(!is_there(started.pid));
    assert_eq!((machine.groups(), machine.inits()), (BTreeSet::new(), vec![]));
}

#[test]
fn an_earlier_run_is_swept_away() {
    let Some(machine) = Machine::new("swept") else { return };
    machine.allocate("web", PROCESS);
    let (init, started) = (machine.init(), machine.start("web", "job", "exec sleep 1000"));
    let again = Cells::open(machine.config.clone()).expect("open");
    assert_eq!((machine.groups(), again.list()), (BTreeSet::new(), vec![]));
    // Zombies, of which this process is the parent: a daemon that died would have left them to another.
    machine.wait_for_exit(&started);
    eventually("it has ended", || try_proc_file(init, "stat").is_none_or(|stat| stat.contains(") Z ")));
    machine.free("web");
    assert!(!is_there(init));
}

#[test]
fn killing_all_kills_inits_too() {
    let Some(machine) = Machine::new("kill-all") else { return };
    machine.allocate("web", BOTH);
    let init = machine.init();
    machine.cells.kill_all().expect("kill");
    eventually("it has ended", || status(init, "State").starts_with('Z'));
    machine.free("web");
    assert!(!is_there(init));
}

#[test]
fn a_cell_inside_has_namespaces_of_its_own_or_the_hosts() {
    let Some(machine) = Machine::new("inside") else { return };
    machine.allocate("a", BOTH);
    machine.allocate("a/b", PROCESS);
    machine.allocate("a/c", NOTHING);
    let job = |cell: &str| machine.start(cell, "job", "exec sleep 1000").pid.to_string();
    let (a, b, c) = (job("a"), job("a/b"), job("a/c"));
    assert_ne!(namespace(&a, "pid"), namespace(&b, "pid"));
    assert_eq!(namespace(&b, "net"), namespace("self", "net"));
    assert_eq!(namespace(&c, "pid"), namespace("self", "pid"));
    for cell in ["a/c", "a/b", "a"] {
        machine.free(cell);
    }
}

#[test]
fn starts_from_many_threads_find_their_way() {
    let Some(machine) = Machine::new("threads") else { return };
    machine.allocate("web", BOTH);
    let inside = namespace(&machine.init().to_string(), "pid");
    thread::scope(|scope| {
        for number in 0..8 {
            let (machine, inside) = (&machine, &inside);
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("job {number} {round}");
                    let started = machine.start("web", &name, "exec sleep 1000");
                    assert_eq!(namespace(&started.pid.to_string(), "pid"), *inside);
                    machine.stop("web", &name);
                }
            });
        }
    });
    machine.free("web");
}

fn pids(text: &str) -> Vec<i32> {
    text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

/// All of the above with mounts that propagate, as systemd sets them up.
#[test]
fn all_with_shared_mounts() {
    view::run_in_view("with shared mounts", "mount --make-rshared /");
}

/// All of the above with the v2 mount hidden.
#[test]
fn all_with_v1_alone() {
    view::with_v1_alone();
}

/// All of the above with nothing but the v2 mount.
#[test]
fn all_with_v2_alone() {
    view::with_v2_alone();
}

/// All of the above where a seccomp filter refuses clone3.
#[test]
fn all_without_clone3() {
    view::run_again("without clone3", view::rerun("exec \"$0\" \"$@\"").map(seccomp::without_clone3));
}
