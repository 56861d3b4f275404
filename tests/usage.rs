//! What cells use, and that they can be frozen, on the kernel that runs these tests: as it is, with cgroup v1 alone, and
//! with cgroup v2 alone. Needs root; says so and does nothing without.

#[path = "common/view.rs"]
mod view;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use auraed::grpc::status::{Code, Status};
use auraed::limits::FREEZE_TIMEOUT;
use auraed::runtime::{
    CellInfo, CellName, CellSpec, Cells, CellsConfig, Command, ExecutableName, ExecutableSpec, Pressure,
    Program, Usage,
};
use auraed::services::cells::Runtime;
use auraed::services::supervisor::Supervisor;
use auraed::work::{Pool, Tasks};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use smol::Executor;
use smol::channel::{self, Sender};
use smol::future::block_on;

/// Far more than anything here takes, on a machine that does ten other things, too; ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be quick takes less, though other tests run beside it; what waits out the grace period takes longer.
const PROMPT: Duration = Duration::from_secs(60);

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(120);

/// A command that burns some processor time and then sleeps.
const BURN: &str = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exec sleep 1000";

/// A command that burns processor time without end.
const SPIN: &str = "while :; do :; done";

/// Cells and what drives them; none is left after the test, however that ends.
struct Machine {
    supervisor: Supervisor,
    cells: Arc<Cells>,
    config: CellsConfig,
    /// Closing it ends the thread of the executor.
    _running: Sender<()>,
}

impl Machine {
    /// `None`, and a reason on standard error, when this process may not make cgroups.
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            eprintln!("skipped: needs root, to make cgroups");
            return None;
        }
        let slice = format!("aurae-test-{}-{test}", process::id());
        let config = CellsConfig {
            slice,
            init: env!("CARGO_BIN_EXE_auraed").into(),
            ..CellsConfig::for_runtime_dir(Path::new("/"))
        };
        let cells = Arc::new(Cells::open(config.clone()).expect("open"));
        let executor: &'static Executor<'static> = Box::leak(Box::default());
        let (running, ended) = channel::bounded::<()>(1);
        thread::spawn(move || block_on(executor.run(ended.recv())));
        let pool = Pool::start().expect("threads");
        let supervisor = Supervisor::new(cells.clone(), pool, Tasks::new(executor), GRACE);
        Some(Self { supervisor, cells, config, _running: running })
    }

    fn allocate(&self, name: &str) {
        let spec =
            CellSpec { name: cell_name(name), limits: Default::default(), isolation: Default::default() };
        block_on(self.supervisor.allocate(spec)).expect("allocate");
    }

    fn try_start(&self, cell: &str, name: &str, command: &str) -> Result<i32, Status> {
        let name = ExecutableName::parse(name).expect("valid");
        let command = Command::parse(command).expect("valid");
        let spec = ExecutableSpec::new(name, Program::Shell(command));
        block_on(self.supervisor.start(cell_name(cell), spec))
    }

    /// Gives the pid.
    fn start(&self, cell: &str, name: &str, command: &str) -> i32 {
        self.try_start(cell, name, command).expect("start")
    }

    fn stop(&self, cell: &str, name: &str) {
        let name = ExecutableName::parse(name).expect("valid");
        block_on(self.supervisor.stop(cell_name(cell), name, None)).expect("stop");
    }

    fn free(&self, cell: &str) {
        block_on(self.supervisor.free(cell_name(cell), false, None)).expect("free");
    }

    fn try_freeze(&self, cell: &str) -> Result<(), Status> {
        block_on(self.supervisor.freeze(cell_name(cell)))
    }

    fn freeze(&self, cell: &str) {
        self.try_freeze(cell).expect("freeze");
    }

    fn thaw(&self, cell: &str) {
        block_on(self.supervisor.thaw(cell_name(cell))).expect("thaw");
    }

    fn get(&self, cell: &str) -> CellInfo {
        block_on(self.supervisor.get(cell_name(cell))).expect("get")
    }

    fn usage(&self, cell: &str) -> Usage {
        self.get(cell).usage.expect("it is there")
    }

    /// The cell's directory in the hierarchy that tracks, told by a process that was started in the cell itself.
    fn tracked(&self, cell: &str, pid: i32) -> PathBuf {
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("memberships");
        let line = memberships.lines().find(|line| line.contains("/exec_")).expect("a leaf");
        let controllers = line.split(':').nth(1).expect("controllers");
        let mount = view::cgroup_mounts().into_iter().find(|mount| match controllers {
            "" => mount.contains(" - cgroup2 "),
            controllers => mount.contains(" - cgroup ") && mount.ends_with(&format!(",{controllers}")),
        });
        let mount = mount.expect("a mount");
        let own = line.splitn(3, ':').nth(2).expect("a path").split(&self.config.slice).next();
        let point = Path::new(mount.split(' ').nth(4).expect("a mount point"));
        let own = point.join(own.expect("a path").trim_matches('/'));
        own.join(&self.config.slice).join(cell)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let closed = Cells::open(self.config.clone()).and_then(|again| again.close());
        if let Err(error) = closed
            && !thread::panicking()
        {
            panic!("clean up: {error}");
        }
    }
}

fn cell_name(text: &str) -> CellName {
    CellName::parse(text).expect("valid")
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Processor time in the kernel's ticks: fields 14 and 15 of proc_pid_stat(5).
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    [11, 12].map(|field| fields[field].parse::<u64>().expect("ticks")).iter().sum()
}

/// Whether SIGTERM is among the caught signals of proc_pid_status(5).
fn handles_sigterm(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).expect("signals");
    u64::from_str_radix(caught, 16).expect("a mask") & (1 << 14) != 0
}

fn stands_still(pid: i32) -> bool {
    let before = ticks(pid);
    thread::sleep(Duration::from_millis(100));
    ticks(pid) == before
}

fn goes_on(pid: i32) {
    let before = ticks(pid);
    eventually("it goes on", || ticks(pid) > before);
}

fn wait_for_comm(pid: i32, comm: &str) {
    let name = || fs::read_to_string(format!("/proc/{pid}/comm")).expect("comm");
    eventually(comm, || name().trim_end() == comm);
}

/// The number behind `key` in a file of the cell.
fn keyed(directory: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

/// The `total` of a line of a pressure file.
fn total(directory: &Path, file: &str, kind: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    let line = text.lines().find(|line| line.starts_with(kind))?;
    line.split_once("total=")?.1.parse().ok()
}

fn pressures(usage: &Usage) -> [Option<Pressure>; 3] {
    [usage.cpu_pressure, usage.memory_pressure, usage.io_pressure]
}

#[test]
fn usage_is_what_the_kernel_counts() {
    let Some(machine) = Machine::new("counted") else { return };
    machine.allocate("web");
    let pid = machine.start("web", "burner", BURN);
    wait_for_comm(pid, "sleep");
    let directory = machine.tracked("web", pid);
    let burnt = || keyed(&directory, "cpu.stat", "usage_usec");
    let waited = || ["cpu", "memory", "io"].map(|of| total(&directory, &format!("{of}.pressure"), "some"));
    let (burnt_before, waited_before) = (burnt(), waited());
    let usage = machine.usage("web");
    let (burnt_after, waited_after) = (burnt(), waited());

    // Before v2 the kernel counts with the controller cpuacct, which may be in a hierarchy that no cell is in.
    assert!(burnt_before <= usage.cpu_us && usage.cpu_us <= burnt_after, "{usage:?}");
    assert!(usage.cpu_us.is_none_or(|us| us > 10_000), "{usage:?}");
    for ((got, before), after) in pressures(&usage).into_iter().zip(waited_before).zip(waited_after) {
        let got = got.map(|pressure| pressure.some.expect("this line is always there").total_us);
        assert!(before <= got && got <= after, "{before:?} <= {got:?} <= {after:?}");
    }
    let is_v2 = directory.join("cgroup.events").exists();
    assert_eq!((usage.cpu_us.is_some(), directory.join("cpu.stat").exists()), (is_v2, is_v2));
    for (file, value) in [
        ("memory.current", usage.memory_bytes),
        ("memory.peak", usage.memory_peak_bytes),
        ("memory.swap.current", usage.swap_bytes),
        ("pids.current", usage.pids),
        ("io.stat", usage.io_read_bytes),
        ("io.stat", usage.io_written_bytes),
    ] {
        assert_eq!(value.is_some(), directory.join(file).exists(), "{file}: {value:?}");
    }
    machine.free("web");
}

#[test]
fn what_inner_cells_use_counts_for_the_outer() {
    let Some(machine) = Machine::new("inner") else { return };
    machine.allocate("a");
    machine.allocate("a/b");
    let pid = machine.start("a/b", "burner", BURN);
    wait_for_comm(pid, "sleep");
    if machine.usage("a").cpu_us.is_none() {
        machine.free("a/b");
        machine.free("a");
        return eprintln!("skipped: cpu time is not counted here");
    }
    let info = machine.get("a");
    let [inner] = &info.children[..] else { panic!("one cell inside") };
    // Asleep by now, and the outer was read first.
    let cpu = |cell: &CellInfo| cell.usage.and_then(|usage| usage.cpu_us).expect("counted");
    assert!(cpu(&info) > 10_000 && cpu(inner) > 10_000, "{info:?}");
    machine.stop("a/b", "burner");
    assert!(cpu(&machine.get("a/b")) >= cpu(inner), "what has ended is not forgotten");
    machine.free("a/b");
    assert!(cpu(&machine.get("a")) >= cpu(inner), "and neither is what a cell inside has used");
    machine.free("a");
}

#[test]
fn a_frozen_cell_stands_still_and_goes_on_when_thawed() {
    let Some(machine) = Machine::new("frozen") else { return };
    for cell in ["a", "a/b", "other"] {
        machine.allocate(cell);
    }
    let pids = [machine.start("a", "spin", SPIN), machine.start("a/b", "spin", SPIN)];
    let other = machine.start("other", "spin", SPIN);
    assert!(!machine.get("a").frozen);
    machine.freeze("a");
    assert!(pids.iter().all(|pid| stands_still(*pid)));
    goes_on(other);
    let listed = block_on(machine.supervisor.list()).expect("list");
    let frozen: BTreeMap<&str, bool> = [&listed[0], &listed[0].children[0], &listed[1]]
        .map(|cell| (cell.spec.name.as_str(), cell.frozen))
        .into();
    assert_eq!(frozen, BTreeMap::from([("a", true), ("a/b", true), ("other", false)]));
    machine.freeze("a");
    machine.thaw("a");
    pids.iter().for_each(|pid| goes_on(*pid));
    assert!(!machine.get("a").frozen && !machine.get("a/b").frozen);
    machine.thaw("a");
    for cell in ["a/b", "a", "other"] {
        machine.free(cell);
    }
}

#[test]
fn a_thaw_is_of_one_cell_and_not_of_those_around_or_inside_it() {
    let Some(machine) = Machine::new("thaw") else { return };
    machine.allocate("a");
    machine.allocate("a/b");
    let (outer, inner) = (machine.start("a", "spin", SPIN), machine.start("a/b", "spin", SPIN));
    machine.freeze("a");
    machine.thaw("a/b");
    assert!(stands_still(inner) && machine.get("a/b").frozen, "the cell around it is frozen");
    machine.freeze("a/b");
    machine.thaw("a");
    goes_on(outer);
    assert!(stands_still(inner) && machine.get("a/b").frozen, "it is frozen itself");
    machine.thaw("a/b");
    goes_on(inner);
    machine.free("a/b");
    machine.free("a");
}

#[test]
fn nothing_starts_in_a_frozen_cell() {
    let Some(machine) = Machine::new("no-start") else { return };
    machine.allocate("a");
    machine.allocate("a/b");
    machine.freeze("a");
    for cell in ["a", "a/b"] {
        let refused = machine.try_start(cell, "late", "exec sleep 1000").expect_err("frozen");
        assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
        assert!(refused.message.ends_with("thaw it first"), "{refused}");
    }
    machine.allocate("a/c");
    assert!(machine.get("a/c").frozen, "a cell that is made in a frozen one is frozen");
    machine.thaw("a");
    let pid = machine.start("a/c", "now", SPIN);
    goes_on(pid);
    for cell in ["a/b", "a/c", "a"] {
        machine.free(cell);
    }
}

#[test]
fn what_cannot_be_frozen_says_why() {
    let Some(machine) = Machine::new("refused") else { return };
    assert_eq!(machine.try_freeze("gone").map_err(|status| status.code), Err(Code::NotFound));
    let thawed = block_on(machine.supervisor.thaw(cell_name("gone")));
    assert_eq!(thawed.map_err(|status| status.code), Err(Code::NotFound));
    let got = block_on(machine.supervisor.get(cell_name("gone")));
    assert_eq!(got.map_err(|status| status.code), Err(Code::NotFound));

    machine.allocate("web");
    // Begun, and not finished.
    let ending = machine.cells.free(&cell_name("web"), false).expect("free");
    let refused = machine.try_freeze("web").expect_err("it is being freed");
    assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
    assert!(machine.get("web").freeing && !machine.get("web").frozen);
    drop(ending);
    machine.free("web");
}

#[test]
fn stop_and_free_work_at_once_in_a_frozen_cell() {
    let Some(machine) = Machine::new("ends") else { return };
    for frozen in ["a/b", "a"] {
        machine.allocate("a");
        machine.allocate("a/b");
        // SIGTERM ends what does not handle it, frozen or not.
        let handles = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
        let stopped = machine.start("a/b", "stopped", &format!("setsid sh -c \"{handles}\" & {handles}"));
        eventually("the trap is set", || handles_sigterm(stopped));
        let stays = machine.start("a/b", "stays", &format!("trap 'exit 0' TERM; {SPIN}"));
        eventually("the trap is set", || handles_sigterm(stays));
        machine.freeze(frozen);

        let begin = Instant::now();
        machine.stop("a/b", "stopped");
        assert!(begin.elapsed() < PROMPT, "{:?} for a Stop", begin.elapsed());
        assert!(!is_there(stopped), "neither process nor zombie");
        assert!(stands_still(stays) && machine.get("a/b").frozen, "only the one was ended");
        machine.thaw(frozen);
        goes_on(stays);

        machine.freeze(frozen);
        let begin = Instant::now();
        machine.free("a/b");
        assert!(!is_there(stays), "neither process nor zombie");
        machine.free("a");
        assert!(begin.elapsed() < PROMPT, "{:?} for two Frees", begin.elapsed());
    }
}

/// A process in uninterruptible sleep: frozen by another hierarchy, it cannot come to rest in this one.
#[test]
fn a_freeze_that_fails_changes_nothing() {
    let Some(machine) = Machine::new("restless") else { return };
    machine.allocate("web");
    machine.allocate("other");
    let restless = machine.start("web", "restless", "exec sleep 1000");
    let spins = machine.start("web", "spins", SPIN);
    let Some(ice) = Ice::around(&machine, restless) else {
        machine.free("web");
        return eprintln!("skipped: needs the v1 freezer beside cgroup v2");
    };
    // Others do not wait for it. Where this machine makes them, once is enough.
    let is_beside = (0..5).any(|round| {
        let name = round.to_string();
        thread::scope(|scope| {
            let begin = Instant::now();
            let freeze = scope.spawn(|| machine.try_freeze("web"));
            eventually("it stands still", || stands_still(spins));
            assert!(!block_on(machine.supervisor.list()).expect("list")[1].frozen);
            machine.start("other", &name, "exec sleep 1000");
            let is_beside = !freeze.is_finished();
            let late = scope.spawn(|| machine.try_start("web", &name, "exec sleep 1000"));
            let refused = freeze.join().expect("no panic").expect_err("one does not come to rest");
            assert_eq!(refused.code, Code::Internal, "{refused}");
            assert!(refused.message.contains(&format!("the processes {restless};")), "{refused}");
            assert!(begin.elapsed() >= FREEZE_TIMEOUT, "{:?}", begin.elapsed());
            late.join().expect("no panic").expect("it was waiting for the end of the freeze");
            is_beside
        })
    });
    assert!(is_beside, "each time the freeze was over before others went on");
    goes_on(spins);
    drop(ice);
    machine.freeze("web");
    machine.free("web");
    machine.free("other");
}

/// A group of the v1 freezer with one frozen process in it, which goes on when this is dropped.
struct Ice(PathBuf);

impl Ice {
    fn around(machine: &Machine, pid: i32) -> Option<Self> {
        let is_v2 = machine.tracked("web", pid).join("cgroup.freeze").exists();
        let mounts = view::cgroup_mounts();
        let freezer = mounts.iter().find(|mount| is_v2 && mount.ends_with(",freezer"))?;
        let ice = Path::new(freezer.split(' ').nth(4)?).join(&machine.config.slice);
        fs::create_dir(&ice).expect("mkdir");
        let ice = Self(ice);
        fs::write(ice.0.join("cgroup.procs"), pid.to_string()).expect("move");
        fs::write(ice.0.join("freezer.state"), "FROZEN").expect("freeze");
        eventually("ice", || fs::read_to_string(ice.0.join("freezer.state")).expect("state") == "FROZEN\n");
        Some(ice)
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(self.0.with_file_name("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// A process that is born frozen never becomes its program: its start would hold a thread until the thaw.
#[test]
fn no_start_is_caught_in_a_freeze() {
    let Some(machine) = Machine::new("caught") else { return };
    machine.allocate("a");
    machine.allocate("a/b");
    for round in 0..60 {
        let cell = ["a", "a/b"][round % 2];
        thread::scope(|scope| {
            let (tell, ended) = mpsc::channel();
            let machine = &machine;
            scope.spawn(move || {
                // It reads this as late as the test fails.
                let _ = tell.send(machine.try_start(cell, &round.to_string(), "exec sleep 1000"));
            });
            machine.freeze("a");
            let started = ended.recv_timeout(PROMPT);
            machine.thaw("a");
            match started.expect("the start ends while the cell is frozen") {
                Ok(pid) => assert!(is_there(pid)),
                // And not as one that is given up.
                Err(status) => assert!(status.message.ends_with("thaw it first"), "{status}"),
            }
        });
    }
    machine.free("a/b");
    machine.free("a");
}

/// What the kernel takes for it depends on the machine; this is what we promise, and some ten times what was measured. In
/// processor time, since other programs take theirs meanwhile.
#[test]
fn a_list_of_a_thousand_cells_is_quick_for_fifty_clients() {
    const CELLS: usize = 1000;
    const QUICK: Duration = Duration::from_secs(5);
    let Some(machine) = Machine::new("list") else { return };
    for number in 0..CELLS {
        machine.allocate(&format!("cell-{number}"));
    }
    // The best of some: other tests of this process take time, but not each time.
    let is_quick = (0..5).any(|_| {
        let (begin, before) = (Instant::now(), processor_time());
        let listed = block_on(machine.supervisor.list()).expect("list");
        let alone = processor_time() - before;
        assert!(listed.len() == CELLS && listed.iter().all(|cell| cell.usage.is_some()));
        thread::scope(|scope| {
            let list = || assert_eq!(block_on(machine.supervisor.list()).expect("list").len(), CELLS);
            let threads: Vec<_> = (0..50).map(|_| scope.spawn(list)).collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
        let all = processor_time() - before;
        println!("{CELLS} cells: {alone:?} for one, {:?} for fifty more at once", all - alone);
        all < QUICK && begin.elapsed() < PROMPT
    });
    assert!(is_quick, "never within {QUICK:?}");
}

/// What this process has had of it.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is ours");
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(microseconds.try_into().expect("it only grows"))
}

#[test]
fn all_with_v1_alone() {
    view::with_v1_alone();
}

#[test]
fn all_with_v2_alone() {
    view::with_v2_alone();
}
