//! Memory, processes and block devices on v2, with every controller: as the kernel has their limits, as it holds them, and
//! their change in a cell in which something runs.

use auraed::grpc::status::{Code, Status};
use auraed::proto::aurae::runtime::v0::*;

use crate::machine::*;

const MIB: i64 = 1 << 20;

fn memory_max(max: i64) -> Option<MemoryController> {
    Some(MemoryController { max: Some(max), ..MemoryController::default() })
}

fn pids_max(max: i64) -> Option<PidsController> {
    Some(PidsController { max: Some(max) })
}

fn io_max(device: &str, read_bytes_per_second: Option<u64>, writes_per_second: Option<u64>) -> IoMax {
    let device = device.to_owned();
    IoMax { device, read_bytes_per_second, writes_per_second, ..IoMax::default() }
}

fn devices(max: Vec<IoMax>) -> Option<IoController> {
    Some(IoController { weight: None, max })
}

fn update(daemon: &Daemon, cell: Cell, clear: &[&str]) -> Result<Cell, Status> {
    let clear = clear.iter().map(|limit| (*limit).to_owned()).collect();
    let request = CellServiceUpdateRequest { cell: Some(cell), clear };
    let response = daemon.call(async |cells| cells.update(&request).await);
    response.map(|response| response.cell.expect("it is always set"))
}

/// The cell as List shows it, when it is in no other.
fn listed(daemon: &Daemon, name: &str) -> Cell {
    let cells = daemon.list().into_iter().filter_map(|node| node.cell);
    cells.into_iter().find(|cell| cell.name == name).expect("it is listed")
}

fn has(group: &Group, file: &str) -> bool {
    group.child(file).exists()
}

/// The first disk, by its node and by its numbers.
const DISK: &str = "/dev/nvme0n1";

fn disk_numbers() -> String {
    std::fs::read_to_string("/sys/block/nvme0n1/dev").expect("a disk").trim_end().to_owned()
}

#[test]
fn memory_and_pids_are_the_kernels_own() {
    let group = OwnGroup::new("own-files");
    let daemon = Daemon::start("own-files", &group);
    let memory = MemoryController {
        min: Some(MIB),
        low: Some(2 * MIB + 1),
        high: Some(30 * MIB),
        max: Some(40 * MIB + 4095),
        swap_max: Some(0),
    };
    let asked = Cell { memory: Some(memory), pids: pids_max(50), ..cell("web") };
    daemon.allocate(asked.clone()).expect("allocate");
    let web = daemon.group("web");
    for (file, bytes) in [
        ("memory.min", MIB),
        ("memory.low", 2 * MIB),
        ("memory.high", 30 * MIB),
        // Whole pages.
        ("memory.max", 40 * MIB),
        ("memory.swap.max", 0),
        ("pids.max", 50),
    ] {
        assert_eq!(web.read(file), bytes.to_string(), "{file}");
    }
    assert_eq!(listed(&daemon, "web"), asked);
    assert_eq!(web.read("cgroup.subtree_control"), "memory");
    let pid = daemon.run("web", "job", "exec sleep 1000");
    assert_eq!(group_of(pid).number("memory.events", "oom_kill"), 0);
    assert!(!has(&group_of(pid), "pids.max"), "a leaf has memory alone");

    daemon.allocate(cell("web/in")).expect("allocate");
    let given = web.read("cgroup.subtree_control");
    assert!(
        ["cpu", "cpuset", "io", "memory", "pids"].iter().all(|c| given.split(' ').any(|g| g == *c)),
        "{given}"
    );
    assert_tidy(&group);
    daemon.end();
}

#[test]
fn a_childs_memory_is_held_by_its_parent() {
    let group = OwnGroup::new("memory-held");
    let daemon = Daemon::start("memory-held", &group);
    daemon.allocate(Cell { memory: memory_max(32 * MIB), ..cell("a") }).expect("allocate");
    daemon.allocate(Cell { memory: memory_max(200 * MIB), ..cell("a/b") }).expect("allocate");
    assert_eq!(daemon.group("a/b").read("memory.max"), (200 * MIB).to_string());
    // tail keeps all of it; the shell stays, so that its leaf does.
    let hungry = "head -c 64M /dev/zero | tail -c 64M >/dev/null; exec sleep 1000";
    let pid = daemon.run("a/b", "hungry", hungry);
    eventually("tail is killed", || group_of(pid).number("memory.events", "oom_kill") == 1);
    let events = |cell: &str, file: &str, key: &str| daemon.group(cell).number(file, key);
    assert!(events("a", "memory.events.local", "oom") >= 1, "by the limit of the parent");
    assert_eq!(events("a/b", "memory.events.local", "oom"), 0, "and not by its own");
    assert_eq!(
        (events("a", "memory.events", "oom_kill"), events("a/b", "memory.events", "oom_kill")),
        (1, 1)
    );
    daemon.end();
}

#[test]
fn a_fork_beyond_pids_max_fails() {
    let group = OwnGroup::new("forks");
    let daemon = Daemon::start("forks", &group);
    daemon.allocate(Cell { pids: pids_max(3), ..cell("a") }).expect("allocate");
    daemon.allocate(Cell { pids: pids_max(300), ..cell("a/b") }).expect("allocate");
    // What the shell cannot fork ends it; the two that it has forked stay.
    daemon.run("a/b", "job", "sleep 1000 & sleep 1000 & sleep 1000 & wait");
    // Told of the cell that forks before Linux 6.11, and then of the one whose limit it is.
    let failed = |cell: &str| daemon.group(cell).number("pids.events", "max") >= 1;
    eventually("the third fails", || failed("a") || failed("a/b"));
    eventually("two are left", || daemon.group("a").read("pids.current") == "2");
    daemon.run("a/b", "third", "exec sleep 1000");
    let executable = Executable {
        name: "fourth".to_owned(),
        command: "exec sleep 1000".to_owned(),
        ..Executable::default()
    };
    let refused = daemon.start_in("a/b", executable).expect_err("there are three");
    assert_eq!(refused.code, Code::ResourceExhausted, "{refused}");
    daemon.end();
}

#[test]
fn devices_are_limited_one_by_one() {
    let group = OwnGroup::new("devices");
    let daemon = Daemon::start("devices", &group);
    let numbers = disk_numbers();
    let io = devices(vec![io_max(DISK, Some(1 << 20), Some(70))]);
    daemon.allocate(Cell { io, ..cell("a") }).expect("allocate");
    let file = || daemon.group("a").read("io.max");
    assert_eq!(file(), format!("{numbers} rbps=1048576 wbps=max riops=max wiops=70"));
    assert_eq!(listed(&daemon, "a").io, devices(vec![io_max(&numbers, Some(1 << 20), Some(70))]));

    update(&daemon, Cell { io: devices(vec![io_max(&numbers, None, Some(7))]), ..cell("a") }, &[])
        .expect("update");
    assert_eq!(file(), format!("{numbers} rbps=max wbps=max riops=max wiops=7"));
    let cleared = update(&daemon, cell("a"), &["io.max"]).expect("clear");
    assert_eq!((file(), cleared), (String::new(), cell("a")));

    let partition = format!("{DISK}p1");
    let partition = std::path::Path::new(&partition).exists().then_some((&*partition, "no whole disk"));
    let others =
        [("/dev/null", "it is no block device"), ("4095:9", "no whole disk"), ("/none", "No such file")];
    for (device, why) in others.into_iter().chain(partition) {
        let io = devices(vec![io_max(device, Some(1), None)]);
        let refused = daemon.allocate(Cell { io, ..cell("b") }).expect_err("no disk");
        assert_eq!(refused.code, Code::InvalidArgument, "{device}: {refused}");
        assert!(refused.message.contains(why), "{device}: {refused}");
        assert!(!daemon.group("b").exists());
    }
    daemon.end();
}

#[test]
fn a_weight_of_devices_is_taken_or_refused() {
    let group = OwnGroup::new("io-weight");
    let daemon = Daemon::start("io-weight", &group);
    let asked = Cell { io: Some(IoController { weight: Some(50), max: Vec::new() }), ..cell("a") };
    match daemon.allocate(asked) {
        Ok(_) => {
            let a = daemon.group("a");
            let file = if has(&a, "io.weight") { "io.weight" } else { "io.bfq.weight" };
            assert_eq!(a.read(file).lines().next(), Some("default 50"));
        }
        Err(refused) => {
            assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
            assert!(refused.message.contains("modprobe bfq"), "{refused}");
            assert!(!daemon.group("a").exists());
        }
    }
    daemon.end();
}

#[test]
fn an_update_is_whole_or_not_at_all() {
    let group = OwnGroup::new("update");
    let daemon = Daemon::start("update", &group);
    let cpu = Some(CpuController { weight: Some(200), max: Some(50_000), period: Some(100_000) });
    let asked = Cell { cpu, cpuset: cpus("0"), memory: memory_max(64 * MIB), ..cell("a") };
    daemon.allocate(asked.clone()).expect("allocate");
    let pid = daemon.run("a", "job", "exec sleep 1000");
    let files = || {
        let a = daemon.group("a");
        ["cpu.weight", "cpu.max", "cpuset.cpus", "memory.high", "memory.max", "pids.max", "io.max"]
            .map(|f| a.read(f))
    };
    let before = files();
    let change = Cell {
        cpu: cpu_weight(7),
        cpuset: cpus("1"),
        memory: Some(MemoryController {
            high: Some(30 * MIB),
            max: Some(40 * MIB),
            ..MemoryController::default()
        }),
        pids: pids_max(9),
        ..cell("a")
    };
    // Written when all else but memory has been taken.
    let mut bad = change.clone();
    bad.io = devices(vec![io_max(DISK, Some(1), None), io_max("4095:9", Some(1), None)]);
    let refused = update(&daemon, bad, &["cpu.max"]).expect_err("one device of two is none");
    assert_eq!(refused.code, Code::InvalidArgument, "{refused}");
    assert_eq!((files(), listed(&daemon, "a")), (before, asked));

    let updated = update(&daemon, change.clone(), &["cpu.max"]).expect("update");
    let expected = ["7", "max 100000", "1", "31457280", "41943040", "9", ""];
    assert_eq!(files(), expected);
    assert_eq!((&updated, &listed(&daemon, "a")), (&change, &change));
    assert_eq!(status(pid, "Cpus_allowed_list"), "1");
    let clear = ["cpu.weight", "cpuset.cpus", "memory.high", "memory.max", "pids.max"];
    assert_eq!(update(&daemon, cell("a"), &clear).expect("clear"), cell("a"));
    // With processes in it a group cannot be without a list.
    assert_eq!(files(), ["100", "max 100000", "0-1", "max", "max", "max", ""]);
    assert_eq!(status(pid, "Cpus_allowed_list"), "0-1");
    assert_tidy(&group);
    daemon.end();
}

#[test]
fn memory_in_use_is_taken_away_by_an_update() {
    let group = OwnGroup::new("in-use");
    let daemon = Daemon::start("in-use", &group);
    daemon.allocate(Cell { memory: memory_max(100 * MIB), ..cell("a") }).expect("allocate");
    // It has read all into its buffer, and can't get rid of it.
    daemon.run("a", "job", "dd if=/dev/zero bs=32M count=1 2>/dev/null | sleep 1000");
    let current = || daemon.group("a").read("memory.current").parse::<i64>().expect("a number");
    eventually("it has its memory", || current() > 32 * MIB);
    update(&daemon, Cell { memory: memory_max(8 * MIB), ..cell("a") }, &[]).expect("update");
    eventually("dd is killed", || daemon.group("a").number("memory.events", "oom_kill") >= 1);
    eventually("its memory is gone", || current() <= 8 * MIB);
    daemon.end();
}

/// On a kernel that was started without the controller.
mod disabled {
    use super::*;

    #[test]
    fn a_limit_on_memory_says_how_it_is_turned_on() {
        let group = OwnGroup::new("no-memory");
        if group.read("cgroup.controllers").split(' ').any(|controller| controller == "memory") {
            return eprintln!("skipped: this kernel was started with memory");
        }
        let daemon = Daemon::start("no-memory", &group);
        let limited = Cell { memory: memory_max(MIB), ..cell("web") };
        let refused = daemon.allocate(limited.clone()).expect_err("no controller");
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
        for part in [
            "without the cgroup controller memory",
            "cgroup_enable=memory cgroup_memory=1",
            "Raspberry Pi OS",
        ] {
            assert!(refused.message.contains(part), "{refused}");
        }
        assert!(!daemon.group("web").exists());
        daemon.allocate(Cell { pids: pids_max(5), ..cell("web") }).expect("all else works");
        let refused = update(&daemon, limited, &[]).expect_err("nor later");
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
        assert_eq!(daemon.group("web").read("cgroup.subtree_control"), "");
        let pid = daemon.run("web", "job", "exec sleep 1000");
        assert!(group_of(pid).is_below(&daemon.group("web")));
        daemon.end();
    }
}
