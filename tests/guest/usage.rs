//! What cells use, counted by every controller and by pressure stall information, and that they can be frozen.

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::*;

use crate::machine::*;

/// More than what changes by itself between two looks at a cell that does nothing.
const DRIFT_BYTES: u64 = 1 << 20;

const BLOCK_BYTES: u64 = 4 << 20;

fn get(daemon: &Daemon, cell: &str) -> CellGraphNode {
    let request = CellServiceGetRequest { cell_name: cell.to_owned() };
    daemon.call(async |cells| cells.get(&request).await).expect("get").cell.expect("a cell")
}

fn usage(daemon: &Daemon, cell: &str) -> CellUsage {
    get(daemon, cell).usage.expect("it is there")
}

fn freeze(daemon: &Daemon, cell: &str) {
    let request = CellServiceFreezeRequest { cell_name: cell.to_owned() };
    daemon.call(async |cells| cells.freeze(&request).await).expect("freeze");
}

fn thaw(daemon: &Daemon, cell: &str) {
    let request = CellServiceThawRequest { cell_name: cell.to_owned() };
    daemon.call(async |cells| cells.thaw(&request).await).expect("thaw");
}

fn number(group: &Group, file: &str) -> u64 {
    group.read(file).parse().expect("a number")
}

/// The sum over all devices of a value of `io.stat`.
fn io(group: &Group, key: &str) -> u64 {
    let text = group.read("io.stat");
    let values = text.split_ascii_whitespace().filter_map(|field| field.strip_prefix(key)?.strip_prefix('='));
    values.map(|value| value.parse::<u64>().expect("a number")).sum()
}

fn is_near(one: u64, other: u64) -> bool {
    one.abs_diff(other) < DRIFT_BYTES
}

/// What an idle cell uses does not change by itself, so that two looks at it can be compared.
#[test]
fn memory_and_processes_are_counted_up_the_tree() {
    let group = OwnGroup::new("usage-memory");
    let daemon = Daemon::start("usage-memory", &group);
    daemon.allocate(cell("a")).expect("allocate");
    daemon.allocate(cell("a/b")).expect("allocate");
    let hold = "x=$(head -c 16000000 /dev/zero | tr '\\0' x); sleep 1000 & sleep 1000 & wait";
    daemon.run("a/b", "holder", hold);
    // One that was there a moment ago may have ended.
    let is_sleep =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    eventually("it has its memory, and two more processes", || {
        daemon.pids("a/b").iter().filter(|pid| is_sleep(pid)).count() == 2
    });

    for name in ["a/b", "a"] {
        let (of, group) = (usage(&daemon, name), daemon.group(name));
        assert_eq!(of.pids, Some(3), "{name}");
        // What has ended by now is uncharged a moment later.
        eventually("it is what the kernel counts", || {
            let memory = usage(&daemon, name).memory_bytes.expect("counted");
            memory > 16_000_000 && is_near(memory, number(&group, "memory.current"))
        });
        assert_eq!(of.swap_bytes, Some(0), "{name}");
        if group.child("memory.peak").exists() {
            assert!(of.memory_peak_bytes >= of.memory_bytes, "{name}: {of:?}");
        } else {
            assert_eq!(of.memory_peak_bytes, None, "{name}");
        }
    }
    daemon.stop("a/b", "holder").expect("stop");
    // What it has forked is reaped by the machine's first process, and counts until then.
    eventually("all are reaped", || usage(&daemon, "a").pids == Some(0));
    let after = usage(&daemon, "a");
    assert!(after.memory_bytes < Some(16_000_000), "{after:?}");
    daemon.end();
}

#[test]
fn reads_of_a_device_are_counted() {
    let group = OwnGroup::new("usage-io");
    let daemon = Daemon::start("usage-io", &group);
    daemon.allocate(cell("web")).expect("allocate");
    assert_eq!(
        (usage(&daemon, "web").io_read_bytes, usage(&daemon, "web").io_written_bytes),
        (Some(0), Some(0))
    );
    // Else the device need not be read.
    std::fs::write("/proc/sys/vm/drop_caches", "1").expect("drop the caches");
    let script = format!("head -c {BLOCK_BYTES} /dev/nvme0n1 >/dev/null; exec sleep 1000");
    let pid = daemon.run("web", "reader", &script);
    eventually("it reads no more", || status(pid, "Name") == "sleep");
    eventually("the device was read", || usage(&daemon, "web").io_read_bytes >= Some(BLOCK_BYTES));
    let (of, web) = (usage(&daemon, "web"), daemon.group("web"));
    assert_eq!(of.io_read_bytes, Some(io(&web, "rbytes")));
    assert_eq!(of.io_written_bytes, Some(io(&web, "wbytes")));
    daemon.end();
}

#[test]
fn pressure_is_told() {
    let group = OwnGroup::new("usage-pressure");
    let daemon = Daemon::start("usage-pressure", &group);
    daemon.allocate(Cell { cpu: cpu_max(50_000), ..cell("web") }).expect("allocate");
    daemon.run("web", "spinners", "while :; do :; done & while :; do :; done");
    let some = |pressure: Option<Pressure>| pressure.expect("psi=1").some.expect("always told");
    // More than a tenth of a second without a processor, and enough of the last ten seconds to show.
    eventually("they wait for a processor", || {
        let waited = some(usage(&daemon, "web").cpu_pressure);
        waited.total_us > 100_000 && waited.avg10 > 0.0
    });
    let of = usage(&daemon, "web");
    assert!(some(of.cpu_pressure).avg10 <= 100.0, "{of:?}");
    assert!(
        of.cpu_us.expect("counted") > 0
            && of.cpu_us <= Some(daemon.group("web").number("cpu.stat", "usage_usec"))
    );
    for other in [of.memory_pressure, of.io_pressure] {
        let other = other.expect("psi=1");
        assert!(other.some.is_some() && other.full.is_some(), "{of:?}");
    }
    daemon.end();
}

#[test]
fn a_frozen_cell_uses_no_processor_until_it_is_thawed() {
    let group = OwnGroup::new("usage-frozen");
    let daemon = Daemon::start("usage-frozen", &group);
    for name in ["a", "a/b"] {
        daemon.allocate(cell(name)).expect("allocate");
    }
    let pid = daemon.run("a/b", "spins", "while :; do :; done");
    freeze(&daemon, "a");
    assert_eq!(daemon.group("a").number("cgroup.events", "frozen"), 1);
    let cpu = || usage(&daemon, "a/b").cpu_us.expect("counted");
    let before = cpu();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(cpu(), before);
    assert!(get(&daemon, "a").frozen && daemon.list()[0].children[0].frozen);
    let late = Executable { name: "late".to_owned(), command: "true".to_owned(), ..Executable::default() };
    let late = daemon.start_in("a/b", late).expect_err("frozen");
    assert_eq!(late.code, Code::FailedPrecondition);

    thaw(&daemon, "a/b");
    assert!(get(&daemon, "a/b").frozen, "the cell around it is frozen");
    thaw(&daemon, "a");
    eventually("it goes on", || cpu() > before);
    assert!(!get(&daemon, "a/b").frozen);

    freeze(&daemon, "a/b");
    daemon.stop("a/b", "spins").expect("stop");
    assert!(is_gone(pid) && get(&daemon, "a/b").frozen);
    freeze(&daemon, "a");
    daemon.free("a/b").expect("free");
    daemon.free("a").expect("free");
    daemon.end();
}
