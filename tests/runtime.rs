//! Cells on the kernel that runs these tests: as it is; in a mount namespace of their own, with cgroup v1 alone and with
//! cgroup v2 alone; and where clone3 is refused. Needs root; says so and does nothing without.

#[path = "common/seccomp.rs"]
mod seccomp;
#[path = "common/view.rs"]
mod view;

use auraed::runtime::cpu::{CpuLimits, CpuMax, CpuWeight};
use auraed::runtime::cpuset::{CpusetLimits, IdList};
use auraed::runtime::{
    CellInfo, CellName, CellSpec, Cells, CellsConfig, Command, Description, Ending, Error, ErrorKind,
    ExecutableName, ExecutableSpec, ExecutableState, ExitReason, Finish, Isolation, Limits, Program, Started,
};
use auraed::sys::open_files::OpenFilesLimit;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};
use view::cgroup_mounts;

#[path = "runtime/limits.rs"]
mod limits;

/// Far more than anything here takes; ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

const OPEN_FILES: OpenFilesLimit = OpenFilesLimit { soft: 512, hard: 1024 };

/// A machine with no cell on it, and none after the test, however that ends.
struct Machine {
    cells: Cells,
    config: CellsConfig,
}

impl Machine {
    /// `None`, and a reason on standard error, when this process may not make cgroups.
    fn new(test: &str) -> Option<Self> {
        Self::with(test, |_| {})
    }

    fn with(test: &str, change: impl FnOnce(&mut CellsConfig)) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            eprintln!("skipped: needs root, to make cgroups");
            return None;
        }
        let slice = format!("aurae-test-{}-{test}", process::id());
        let mut config = CellsConfig {
            slice,
            open_files: Some(OPEN_FILES),
            ..CellsConfig::for_runtime_dir(Path::new("/"))
        };
        change(&mut config);
        Some(Self { cells: Cells::open(config.clone()).expect("open"), config })
    }

    fn allocate(&self, name: &str) {
        self.cells.allocate(spec(name)).expect("allocate");
    }

    fn start(&self, cell: &str, name: &str, command: &str) -> Started {
        self.cells.start(&cell_name(cell), executable(name, command)).expect("start")
    }

    /// Starts a process that ignores SIGTERM, and does so by now.
    fn start_stubborn(&self, cell: &str, name: &str) -> Started {
        let ready = std::env::temp_dir().join(format!("{}-ready", self.config.slice));
        // The program inherits what the shell ignores.
        let command = format!("trap '' TERM; : > {}; exec sleep 1000", ready.display());
        let started = self.start(cell, name, &command);
        eventually("the trap is set", || ready.exists());
        fs::remove_file(&ready).expect("remove");
        started
    }

    fn stop(&self, cell: &str, name: &str) {
        let ending = self.cells.stop(&cell_name(cell), &executable_name(name)).expect("stop");
        self.end(ending, PATIENCE);
    }

    fn free(&self, cell: &str) {
        self.end(self.cells.free(&cell_name(cell), false).expect("free"), PATIENCE);
    }

    /// What a service does: waits for the grace period, kills, waits, finishes.
    fn end(&self, ending: Ending, grace: Duration) {
        if !self.ended_within(&ending, grace) {
            self.cells.kill(&ending).expect("kill");
            assert!(self.ended_within(&ending, PATIENCE), "{}", self.cells.give_up(&ending));
        }
    }

    fn ended_within(&self, ending: &Ending, patience: Duration) -> bool {
        let emptied = ending.watch().expect("watch");
        let deadline = Instant::now() + patience;
        while self.cells.finish(ending).expect("finish") == Finish::Busy {
            let left = deadline.saturating_duration_since(Instant::now());
            match emptied.readiness() {
                _ if left.is_zero() => return false,
                Some(fd) if !emptied.is_empty().expect("is_empty") => _ = readable(fd, left),
                _ => thread::sleep(Duration::from_millis(2)),
            }
        }
        true
    }

    /// Waits for the process to end, and has it reaped.
    fn wait_for_exit(&self, started: &Started) -> ExitReason {
        assert!(readable(started.exit.as_fd(), PATIENCE), "the process has not ended");
        self.cells.exited(&started.exit);
        started.exit.reason().expect("reaped")
    }

    /// Directories of the cell in all hierarchies.
    fn directories(&self, cell: &str) -> Vec<PathBuf> {
        let below = |root: PathBuf| root.join(&self.config.slice).join(cell);
        hierarchy_roots().into_iter().map(below).filter(|path| path.exists()).collect()
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

fn wait_until_empty(ending: &Ending, patience: Duration) -> bool {
    let emptied = ending.watch().expect("watch");
    let deadline = Instant::now() + patience;
    while !emptied.is_empty().expect("is_empty") {
        let left = deadline.saturating_duration_since(Instant::now());
        match emptied.readiness() {
            _ if left.is_zero() => return false,
            Some(fd) => _ = readable(fd, left),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    true
}

fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let timeout = PollTimeout::try_from(patience).expect("a short time");
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).expect("poll") == 1
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn cell_name(text: &str) -> CellName {
    CellName::parse(text).expect("valid")
}

fn executable_name(text: &str) -> ExecutableName {
    ExecutableName::parse(text).expect("valid")
}

fn spec(name: &str) -> CellSpec {
    CellSpec { name: cell_name(name), limits: Limits::default(), isolation: Isolation::default() }
}

fn limited(name: &str) -> CellSpec {
    let cpu = CpuLimits { weight: CpuWeight::new(200).ok(), max: CpuMax::new(500_000, None).ok() };
    let cpuset = CpusetLimits { cpus: IdList::parse("0").ok(), mems: IdList::parse("0").ok() };
    CellSpec { limits: Limits { cpu, cpuset, ..Limits::default() }, ..spec(name) }
}

fn executable(name: &str, command: &str) -> ExecutableSpec {
    let program = Program::Shell(Command::parse(command).expect("valid"));
    let description = Description::parse("a test").expect("valid");
    ExecutableSpec { description, ..ExecutableSpec::new(executable_name(name), program) }
}

/// Directories of the cgroups that this process is in: the mount point joined with the place in the hierarchy.
fn hierarchy_roots() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").expect("own cgroups");
    let mut roots = Vec::new();
    for line in cgroup_mounts() {
        let point = line.split(' ').nth(4).expect("mount point");
        let options = line.rsplit(' ').next().expect("options");
        let is_v2 = line.contains(" - cgroup2 ");
        let place = own.lines().find_map(|place| {
            let (controllers, path) = place.split_once(':')?.1.split_once(':')?;
            let first = controllers.split(',').next()?;
            let same = if is_v2 { first.is_empty() } else { options.split(',').any(|o| o == first) };
            same.then(|| path.trim_start_matches('/').to_owned())
        });
        // Where the daemon was before it moved into its leaf.
        let place = place.map(|place| place.strip_suffix("_daemon").unwrap_or(&place).to_owned());
        roots.extend(place.map(|place| Path::new(point).join(place)));
    }
    roots
}

/// The root, as above, of the v1 hierarchy of `controller`.
fn v1_root(controller: &str) -> Option<PathBuf> {
    let named = |path: &PathBuf| path.components().any(|c| c.as_os_str() == controller);
    hierarchy_roots().into_iter().find(named)
}

fn proc_file(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect(file)
}

fn status(pid: i32, field: &str) -> String {
    let status = proc_file(pid, "status");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    value.expect(field).to_owned()
}

fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_for_comm(pid: i32, comm: &str) {
    // Asleep, and so done with being loaded.
    let is_up = || proc_file(pid, "comm").trim_end() == comm && status(pid, "State").starts_with('S');
    eventually(comm, is_up);
}

/// Processes whose environment names this cell of this machine.
fn processes_of(machine: &Machine, cell: &str) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    for directory in machine.directories(cell) {
        let mut pending = vec![directory];
        while let Some(directory) = pending.pop() {
            let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(procs.lines().filter_map(|pid| pid.parse::<i32>().ok()));
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
    }
    pids
}

/// The one cell of this list.
fn only(cells: Vec<CellInfo>) -> CellInfo {
    let [cell] = <[_; 1]>::try_from(cells).expect("one cell");
    cell
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn a_process_lives_in_its_cell_and_both_go() {
    let Some(machine) = Machine::new("life") else { return };
    machine.cells.probe().expect("usable");
    machine.allocate("web");
    let started = machine.start("web", "sleep 1000", "exec sleep 1000");

    let place = format!("/{}/web", machine.config.slice);
    let memberships = proc_file(started.pid, "cgroup");
    let inside = memberships.lines().filter(|line| line.contains(&place)).count();
    // Nothing limits it, so that it has joined no other hierarchy.
    assert_eq!(inside, 1, "{memberships}");
    assert!(memberships.contains(&format!("{place}/exec_")), "{memberships}");

    let cell = only(machine.cells.list());
    assert_eq!((cell.spec, cell.freeing, cell.children.len()), (spec("web"), false, 0));
    let [listed] = &cell.executables[..] else { panic!("one executable") };
    assert_eq!((listed.name.as_str(), listed.description.as_str()), ("sleep 1000", "a test"));
    assert_eq!(listed.state, ExecutableState::Running);
    assert_eq!(listed.process.map(|process| process.pid), Some(started.pid));

    machine.stop("web", "sleep 1000");
    assert!(!is_there(started.pid), "neither process nor zombie");
    assert_eq!(started.exit.reason(), Some(ExitReason::Signal(15)));
    let listed = only(machine.cells.list()).executables.remove(0);
    assert_eq!((listed.state, listed.stopping), (ExecutableState::Exited, false));
    machine.stop("web", "sleep 1000");
    assert_eq!(only(machine.cells.list()).executables, []);
    machine.free("web");
    assert_eq!((machine.directories("web"), machine.cells.list()), (vec![], vec![]));
}

#[test]
fn limits_are_the_kernels_or_refused() {
    let Some(machine) = Machine::new("limits") else { return };
    let (Some(cpu), Some(cpuset)) = (v1_root("cpu"), v1_root("cpuset")) else {
        if has_v2_controllers(&machine) {
            return limits_on_v2(&machine);
        }
        let error = machine.cells.allocate(limited("web")).expect_err("no controller");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(error.to_string().contains("controller cpu"), "{error}");
        return assert_eq!(machine.directories("web"), Vec::<PathBuf>::new());
    };
    machine.cells.allocate(limited("web")).expect("allocate");
    let read = |root: &Path, file: &str| {
        let path = root.join(&machine.config.slice).join("web").join(file);
        fs::read_to_string(path).expect(file).trim_end().to_owned()
    };
    assert_eq!(read(&cpu, "cpu.shares"), "2048");
    assert_eq!(read(&cpu, "cpu.cfs_quota_us"), "500000");
    assert_eq!(read(&cpu, "cpu.cfs_period_us"), "1000000");
    assert_eq!((read(&cpuset, "cpuset.cpus"), read(&cpuset, "cpuset.mems")), ("0".into(), "0".into()));
    let started = machine.start("web", "job", "exec sleep 1000");
    assert_eq!(status(started.pid, "Cpus_allowed_list"), "0");
    machine.free("web");
}

/// Whether our own directory may give both controllers to cells, and not just the cgroup around it.
fn has_v2_controllers(machine: &Machine) -> bool {
    let has = |base: &PathBuf| {
        let given = fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default();
        ["cpu", "cpuset"].iter().all(|wanted| given.split_whitespace().any(|word| word == *wanted))
    };
    machine.directories("").iter().any(has)
}

fn limits_on_v2(machine: &Machine) {
    machine.cells.allocate(limited("web")).expect("allocate");
    let directories = machine.directories("web");
    let read = |file: &str| fs::read_to_string(directories[0].join(file)).expect(file);
    assert_eq!((read("cpu.weight"), read("cpu.max")), ("200\n".into(), "500000 1000000\n".into()));
    assert_eq!((read("cpuset.cpus"), read("cpuset.mems")), ("0\n".into(), "0\n".into()));
    machine.free("web");
}

#[test]
fn a_cell_is_allocated_whole_or_not_at_all() {
    let Some(machine) = Machine::new("whole") else { return };
    if v1_root("cpuset").is_none() && !has_v2_controllers(&machine) {
        return eprintln!("skipped: no cpuset controller here");
    }
    let mut beyond = limited("web");
    beyond.limits.cpuset.cpus = IdList::parse("0,8191").ok();
    let error = machine.cells.allocate(beyond).expect_err("no such cpu");
    assert_eq!(error.kind(), ErrorKind::Invalid("cell.cpuset.cpus"));
    assert!(error.to_string().contains("is not within 0"), "{error}");
    assert_eq!((machine.directories("web"), machine.cells.list()), (vec![], vec![]));
    machine.cells.allocate(limited("web")).expect("the name is free");
    assert_eq!(kind(machine.cells.allocate(spec("web"))), Some(ErrorKind::AlreadyExists));
    machine.free("web");
}

#[test]
fn a_directory_that_is_not_ours_is_left_alone() {
    let Some(machine) = Machine::new("foreign") else { return };
    machine.allocate("probe");
    // The last hierarchy in which a cell gets a directory, so that others have to be undone.
    let mut foreign = machine.directories("probe").pop().expect("a directory");
    machine.free("probe");
    foreign.set_file_name("web");
    fs::create_dir(&foreign).expect("mkdir");
    let error = machine.cells.allocate(spec("web")).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
    assert_eq!(machine.directories("web"), std::slice::from_ref(&foreign));
    fs::remove_dir(&foreign).expect("rmdir");
}

#[test]
fn a_process_begins_clean() {
    let Some(machine) = Machine::new("clean") else { return };
    machine.allocate("web");
    machine.allocate("web/inner");
    let mut usr1 = nix::sys::signal::SigSet::empty();
    usr1.add(nix::sys::signal::Signal::SIGUSR1);
    usr1.thread_block().expect("block");
    let started = machine.start("web/inner", "job \"1\"", "umask 027; umask 022; exec sleep 1000");
    assert!(usr1.thread_unblock().is_ok());
    wait_for_comm(started.pid, "sleep");

    let pid = started.pid;
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "Umask"), "0022");
    assert_eq!(status(pid, "NSsid"), pid.to_string(), "leads a session");
    assert_eq!(status(pid, "NSpgid"), pid.to_string(), "leads its process group");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("cwd"), Path::new("/"));

    let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("fds").flatten();
    let fds: BTreeSet<_> = fds.map(|fd| (fd.file_name(), fs::read_link(fd.path()).expect("link"))).collect();
    let [(stdin, null), (_, stdout), (_, stderr)] = fds.iter().collect::<Vec<_>>()[..] else {
        panic!("it has other descriptors than three: {fds:?}")
    };
    assert_eq!((stdin.to_str(), null.as_path()), (Some("0"), Path::new("/dev/null")));
    let is_pipe = |target: &Path| target.to_string_lossy().starts_with("pipe:");
    assert!(is_pipe(stdout) && is_pipe(stderr) && stdout != stderr, "{fds:?}");

    let environment = proc_file(pid, "environ");
    let mut variables: Vec<&str> = environment.split_terminator('\0').filter(|v| *v != "PWD=/").collect();
    variables.sort_unstable();
    assert_eq!(
        variables,
        [
            "AURAE_CELL=web/inner",
            "AURAE_EXECUTABLE=job \"1\"",
            "HOME=/",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ]
    );
    let limits = proc_file(pid, "limits");
    let open_files = limits.lines().find(|l| l.starts_with("Max open files")).expect("limit");
    assert!(
        open_files.split_whitespace().eq(["Max", "open", "files", "512", "1024", "files"]),
        "{open_files}"
    );
    machine.free("web/inner");
    machine.free("web");
}

#[test]
fn a_process_sees_nothing_above_its_cell() {
    let Some(machine) = Machine::new("namespace") else { return };
    machine.allocate("web");
    let seen = std::env::temp_dir().join(format!("{}-seen", machine.config.slice));
    let started = machine.start("web", "job", &format!("cat /proc/self/cgroup > {}", seen.display()));
    assert_eq!(machine.wait_for_exit(&started), ExitReason::Code(0));
    let memberships = fs::read_to_string(&seen).expect("written");
    fs::remove_file(&seen).expect("remove");
    assert!(!memberships.contains(&machine.config.slice), "{memberships}");
    let inside = |line: &&str| line.ends_with(":/");
    assert!(memberships.lines().filter(inside).count() >= machine.directories("web").len(), "{memberships}");
    machine.free("web");
}

#[test]
fn all_that_was_ever_started_ends_at_stop() {
    let Some(machine) = Machine::new("descendants") else { return };
    machine.allocate("web");
    let command = "setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1001 & wait' & exec sleep 1002";
    let started = machine.start("web", "job", command);
    eventually("four processes", || processes_of(&machine, "web").len() == 4);
    let pids = processes_of(&machine, "web");
    let ending = machine.cells.stop(&cell_name("web"), &executable_name("job")).expect("stop");
    machine.end(ending, Duration::from_millis(200));
    for pid in pids {
        // Grandchildren are reaped by init, or by whoever is our subreaper.
        eventually("a process of the session is gone", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| stat.contains(") Z ")) || !is_there(pid)
        });
    }
    assert!(!is_there(started.pid));
    machine.free("web");
}

#[test]
fn sigterm_may_be_ignored_and_sigkill_may_not() {
    let Some(machine) = Machine::new("stubborn") else { return };
    machine.allocate("web");
    let started = machine.start_stubborn("web", "job");
    let ending = machine.cells.free(&cell_name("web"), false).expect("free");
    assert!(!wait_until_empty(&ending, Duration::from_millis(200)), "SIGTERM is ignored");
    assert_eq!(machine.cells.finish(&ending).expect("finish"), Finish::Busy);
    assert!(only(machine.cells.list()).freeing);
    machine.end(ending, Duration::ZERO);
    assert_eq!(started.exit.reason(), Some(ExitReason::Signal(9)));
    assert_eq!((machine.directories("web"), is_there(started.pid)), (vec![], false));
}

#[test]
fn what_still_runs_is_named_and_can_be_ended_later() {
    let Some(machine) = Machine::new("given-up") else { return };
    machine.allocate("web");
    let started = machine.start_stubborn("web", "job");
    let stop = || machine.cells.stop(&cell_name("web"), &executable_name("job")).expect("stop");
    let error = machine.cells.give_up(&stop());
    assert!(error.to_string().contains(&started.pid.to_string()), "{error}");
    let again = machine.cells.start(&cell_name("web"), executable("job", "true"));
    assert_eq!(kind(again), Some(ErrorKind::AlreadyExists), "it is being stopped");
    machine.end(stop(), Duration::ZERO);
    machine.free("web");
}

#[test]
fn a_failed_exec_leaves_nothing() {
    let Some(machine) = Machine::with("noexec", |c| c.shell = "/nonexistent/sh".into()) else { return };
    machine.allocate("web");
    let descriptors = || fs::read_dir("/proc/self/fd").expect("fds").count();
    for _ in 0..3 {
        let error = machine.cells.start(&cell_name("web"), executable("job", "true")).expect_err("no shell");
        assert!(error.to_string().contains("exec /nonexistent/sh: ENOENT"), "{error}");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    }
    assert!(descriptors() > 0);
    assert_eq!(only(machine.cells.list()).executables, []);
    for directory in machine.directories("web") {
        let inside = fs::read_dir(directory).expect("list").flatten().filter(|entry| entry.path().is_dir());
        assert_eq!(inside.count(), 0, "no leaf is left");
    }
    machine.free("web");
}

#[test]
fn a_name_is_free_again_after_its_exit() {
    let Some(machine) = Machine::new("restart") else { return };
    machine.allocate("web");
    let (cell, name) = (cell_name("web"), executable_name("job"));
    let running = machine.start("web", "job", "exec sleep 1000");
    let taken = machine.cells.start(&cell, executable("job", "true"));
    assert_eq!(kind(taken), Some(ErrorKind::AlreadyExists));
    machine.stop("web", "job");
    assert!(!is_there(running.pid));

    for code in [7, 8] {
        let started = machine.start("web", "job", &format!("exit {code}"));
        assert_eq!(machine.wait_for_exit(&started), ExitReason::Code(code));
        let listed = only(machine.cells.list()).executables.remove(0);
        assert_eq!(listed.state, ExecutableState::Exited);
        assert_eq!(listed.process.map(|process| process.pid), Some(started.pid));
        assert_eq!(listed.outcome.map(|outcome| outcome.reason), Some(ExitReason::Code(code)));
        assert!(!is_there(started.pid), "reaped at once");
    }
    machine.stop("web", "job");
    assert_eq!(kind(machine.cells.stop(&cell, &name)), Some(ErrorKind::NotFound));
    machine.free("web");
}

#[test]
fn daemonised_children_keep_the_name_until_stop() {
    let Some(machine) = Machine::new("daemonised") else { return };
    machine.allocate("web");
    let started = machine.start("web", "job", "setsid sleep 1000 & exit 0");
    assert_eq!(machine.wait_for_exit(&started), ExitReason::Code(0));
    let error =
        machine.cells.start(&cell_name("web"), executable("job", "true")).expect_err("sleep still runs");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("still run"), "{error}");
    let listed = only(machine.cells.list()).executables;
    assert_eq!(listed[0].state, ExecutableState::Exited, "a refusal changes nothing");
    machine.stop("web", "job");
    assert_eq!(processes_of(&machine, "web"), BTreeSet::new());
    machine.free("web");
}

#[test]
fn cells_nest() {
    let Some(machine) = Machine::new("nested") else { return };
    assert_eq!(kind(machine.cells.allocate(spec("a/b"))), Some(ErrorKind::NotFound));
    for cell in ["a", "a/b", "a/b/c"] {
        machine.allocate(cell);
    }
    let inner = machine.start("a/b/c", "job", "exec sleep 1000");
    let outer = machine.start("a", "job", "exec sleep 1000");
    assert!(proc_file(inner.pid, "cgroup").contains(&format!("{}/a/b/c/exec_", machine.config.slice)));
    let error = machine.cells.free(&cell_name("a"), false).expect_err("has a child");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("\"a/b\""), "{error}");
    assert!(is_there(outer.pid), "a refusal ends nothing");
    let listed = only(machine.cells.list());
    assert_eq!(listed.children[0].children[0].spec.name, cell_name("a/b/c"));
    for cell in ["a/b/c", "a/b", "a"] {
        machine.free(cell);
    }
    assert_eq!(machine.directories("a"), Vec::<PathBuf>::new());
}

#[test]
fn a_child_stays_within_its_parents_limits() {
    let Some(machine) = Machine::new("bounded") else { return };
    if v1_root("cpuset").is_none() && !has_v2_controllers(&machine) {
        return eprintln!("skipped: no cpuset controller here");
    }
    machine.cells.allocate(limited("a")).expect("allocate");
    let mut wider = spec("a/b");
    wider.limits.cpuset.cpus = IdList::parse("0-1").ok();
    let error = machine.cells.allocate(wider).expect_err("the parent has cpu 0 alone");
    assert_eq!(error.kind(), ErrorKind::Invalid("cell.cpuset.cpus"), "{error}");
    machine.allocate("a/b");
    let started = machine.start("a/b", "job", "exec sleep 1000");
    assert_eq!(status(started.pid, "Cpus_allowed_list"), "0");
    if v1_root("cpu").is_some() {
        let mut more = spec("a/c");
        more.limits.cpu.max = CpuMax::new(900_000, None).ok();
        let error = machine.cells.allocate(more).expect_err("v1 refuses more than the parent has");
        assert_eq!(error.kind(), ErrorKind::Invalid("cell.cpu.max"), "{error}");
        let mut less = spec("a/c");
        less.limits.cpu.max = CpuMax::new(400_000, None).ok();
        machine.cells.allocate(less).expect("less is fine");
        machine.free("a/c");
    }
    machine.free("a/b");
    machine.free("a");
}

#[test]
fn two_ends_at_once_both_succeed() {
    let Some(machine) = Machine::new("twice") else { return };
    for round in 0..20 {
        machine.allocate("web");
        let started = machine.start("web", "job", "exec sleep 1000");
        let stop = || machine.cells.stop(&cell_name("web"), &executable_name("job")).expect("stop");
        let (one, other) = (stop(), stop());
        thread::scope(|scope| {
            scope.spawn(|| machine.end(one, PATIENCE));
            scope.spawn(|| machine.end(other, PATIENCE));
        });
        assert!(!is_there(started.pid), "round {round}");
        let free = || machine.cells.free(&cell_name("web"), false).expect("free");
        let (one, other) = (free(), free());
        thread::scope(|scope| {
            scope.spawn(|| machine.end(one, PATIENCE));
            scope.spawn(|| machine.end(other, PATIENCE));
        });
    }
    assert_eq!(machine.directories("web"), Vec::<PathBuf>::new());
}

#[test]
fn a_process_may_make_cgroups_in_its_leaf() {
    let Some(machine) = Machine::new("subgroups") else { return };
    machine.allocate("web");
    let started = machine.start("web", "job", "exec sleep 1000");
    let memberships = proc_file(started.pid, "cgroup");
    let leaf = memberships.lines().find_map(|line| line.split_once("/exec_")).expect("leaf").1;
    let tracked = machine.directories("web").into_iter().map(|d| d.join(format!("exec_{leaf}")));
    let inner = tracked.into_iter().find(|leaf| leaf.exists()).expect("leaf").join("inner");
    fs::create_dir(&inner).expect("mkdir");
    fs::write(inner.join("cgroup.procs"), started.pid.to_string()).expect("move");
    machine.stop("web", "job");
    assert!(!inner.exists() && !is_there(started.pid));
    machine.free("web");
}

/// As libvirt does for the threads of virtual processors.
#[test]
fn a_process_may_make_threaded_cgroups_in_its_leaf() {
    let Some(machine) = Machine::new("threaded") else { return };
    machine.allocate("web");
    for moved in [false, true] {
        let started = machine.start_stubborn("web", "job");
        let memberships = proc_file(started.pid, "cgroup");
        let leaf = memberships.lines().find_map(|line| line.split_once("/exec_")).expect("leaf").1;
        let leafs = machine.directories("web").into_iter().map(|d| d.join(format!("exec_{leaf}")));
        let Some(leaf) = leafs.into_iter().find(|leaf| leaf.join("cgroup.type").exists()) else {
            machine.end(machine.cells.free(&cell_name("web"), false).expect("free"), Duration::ZERO);
            return eprintln!("skipped: cgroup v1 has no threaded cgroups");
        };
        let inner = leaf.join("inner");
        fs::create_dir(&inner).expect("mkdir");
        fs::write(inner.join("cgroup.type"), "threaded").expect("threaded");
        if moved {
            fs::write(inner.join("cgroup.threads"), started.pid.to_string()).expect("move");
        }
        let ending = machine.cells.stop(&cell_name("web"), &executable_name("job")).expect("stop");
        machine.end(ending, Duration::ZERO);
        assert!(!leaf.exists() && !is_there(started.pid));
    }
    machine.free("web");
}

#[test]
fn a_process_that_left_its_leaf_ends_too() {
    let Some(machine) = Machine::new("left") else { return };
    machine.allocate("web");
    let started = machine.start("web", "job", "exec sleep 1000");
    let leaf = |cell: &PathBuf| {
        let entries = fs::read_dir(cell).expect("list").flatten();
        entries.map(|entry| entry.path()).any(|path| path.is_dir())
    };
    let tracked = machine.directories("web").into_iter().find(leaf).expect("a directory with a leaf");
    match fs::write(tracked.join("cgroup.procs"), started.pid.to_string()) {
        // On v2 a cell that gives controllers to its leafs takes no process itself.
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {}
        moved => moved.expect("move"),
    }
    machine.stop("web", "job");
    assert!(!is_there(started.pid));
    machine.free("web");
}

#[test]
fn a_process_that_left_its_cgroup_ends_with_it() {
    let Some(machine) = Machine::new("moved-out") else { return };
    machine.allocate("web");
    let started = machine.start("web", "job", "exec sleep 1000");
    let Some(leaf) = v2_leaf(&machine, &started) else {
        machine.free("web");
        return eprintln!("skipped: on cgroup v1 it would have to leave several");
    };
    let base = leaf.parent().and_then(Path::parent).expect("a leaf is two below ours");
    fs::create_dir(base.join("elsewhere")).expect("mkdir");
    fs::write(base.join("elsewhere/cgroup.procs"), started.pid.to_string()).expect("move");
    machine.stop("web", "job");
    assert!(!is_there(started.pid));
    machine.free("web");
    eventually("the other cgroup is empty", || fs::remove_dir(base.join("elsewhere")).is_ok());
}

#[test]
fn nothing_is_started_in_a_frozen_cell() {
    let Some(machine) = Machine::new("freezing") else { return };
    machine.allocate("web");
    let started = machine.start("web", "job", "exec sleep 1000");
    let Some(leaf) = v2_leaf(&machine, &started) else {
        machine.free("web");
        return eprintln!("skipped: the freezer of cgroup v1 is another test's");
    };
    let freeze = leaf.parent().expect("the cell").join("cgroup.freeze");
    fs::write(&freeze, "1").expect("freeze");
    let late = machine.cells.start(&cell_name("web"), executable("late", "true"));
    assert_eq!(kind(late), Some(ErrorKind::FailedPrecondition));
    // A frozen process does not see SIGTERM: it takes the whole grace period.
    machine.end(machine.cells.free(&cell_name("web"), false).expect("free"), Duration::ZERO);
    assert!(!is_there(started.pid), "a frozen cell can be freed");
}

#[test]
fn two_frees_at_once_leave_the_next_cell_of_the_name_alone() {
    let Some(machine) = Machine::new("refilled") else { return };
    for _ in 0..50 {
        machine.allocate("web");
        machine.start("web", "job", "exec sleep 1000");
        let free = || machine.cells.free(&cell_name("web"), false).expect("free");
        let (one, other) = (free(), free());
        thread::scope(|scope| {
            scope.spawn(|| machine.end(one, PATIENCE));
            scope.spawn(|| machine.end(other, PATIENCE));
            eventually("the name is free", || machine.cells.allocate(spec("web")).is_ok());
        });
        let started = machine.start("web", "next", "exec sleep 1000");
        assert!(is_there(started.pid));
        machine.free("web");
    }
}

/// The executable's directory in the v2 hierarchy, if that is the one that tracks.
fn v2_leaf(machine: &Machine, started: &Started) -> Option<PathBuf> {
    let memberships = proc_file(started.pid, "cgroup");
    let number = memberships.lines().find_map(|line| line.split_once("/exec_")).expect("leaf").1;
    let leafs = machine.directories("web").into_iter().map(|cell| cell.join(format!("exec_{number}")));
    leafs.into_iter().find(|leaf| leaf.join("cgroup.type").exists())
}

#[test]
fn emptiness_is_announced() {
    let Some(machine) = Machine::new("announced") else { return };
    machine.allocate("web");
    machine.start_stubborn("web", "job");
    let ending = machine.cells.free(&cell_name("web"), false).expect("free");
    let emptied = ending.watch().expect("watch");
    assert!(!emptied.is_empty().expect("is_empty"));
    let Some(fd) = emptied.readiness() else {
        machine.end(ending, Duration::ZERO);
        return eprintln!("skipped: cgroup v1 announces nothing");
    };
    assert!(!readable(fd, Duration::from_millis(100)), "nothing has changed");
    machine.cells.kill(&ending).expect("kill");
    assert!(readable(fd, PATIENCE), "it is empty now");
    assert!(emptied.is_empty().expect("is_empty"));
    assert!(!readable(fd, Duration::from_millis(20)), "asking acknowledges the change");
    machine.end(ending, Duration::ZERO);
}

#[test]
fn an_earlier_run_is_swept_away() {
    let Some(machine) = Machine::new("swept") else { return };
    machine.allocate("a");
    machine.allocate("a/b");
    let jobs = [machine.start("a", "job", "exec sleep 1000"), machine.start("a/b", "job", "exec sleep 1000")];
    let again = Cells::open(machine.config.clone()).expect("open");
    assert_eq!((machine.directories("a"), again.list()), (vec![], vec![]));
    again.allocate(spec("a")).expect("allocate");
    for job in jobs {
        assert_eq!(machine.wait_for_exit(&job), ExitReason::Signal(9));
    }
}

#[test]
fn fifty_threads_at_once() {
    let Some(machine) = Machine::new("crowd") else { return };
    let pids: BTreeSet<i32> = thread::scope(|scope| {
        let one = |number: usize| {
            let cell = format!("cell-{number}");
            machine.allocate(&cell);
            let jobs = ["x", "y"].map(|name| machine.start(&cell, name, "sleep 1000 & exec sleep 1000"));
            machine.stop(&cell, "x");
            machine.free(&cell);
            jobs.map(|job| job.pid)
        };
        let threads: Vec<_> = (0..50).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(pids.len(), 100);
    assert!(!pids.iter().any(|pid| is_there(*pid)), "neither process nor zombie");
    assert_eq!(machine.cells.list(), []);
    let left = machine.directories("").into_iter().flat_map(|base| fs::read_dir(base).expect("list"));
    assert_eq!(left.flatten().filter(|entry| entry.path().is_dir()).count(), 0);
}

#[test]
fn a_cell_ends_while_executables_start() {
    let Some(machine) = Machine::new("race") else { return };
    for _ in 0..20 {
        machine.allocate("web");
        let started = thread::scope(|scope| {
            let starts: Vec<_> = (0..4)
                .map(|number| {
                    let spec = executable(&number.to_string(), "exec sleep 1000");
                    scope.spawn(|| machine.cells.start(&cell_name("web"), spec))
                })
                .collect();
            machine.free("web");
            starts.into_iter().map(|start| start.join().expect("no panic")).collect::<Vec<_>>()
        });
        for start in started {
            match start {
                Ok(started) => assert!(!is_there(started.pid)),
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::FailedPrecondition | ErrorKind::NotFound),
                    "{error}"
                ),
            }
        }
        assert_eq!(machine.directories("web"), Vec::<PathBuf>::new());
    }
}

#[test]
fn the_machine_says_which_cgroups_it_has() {
    let Some(machine) = Machine::new("version") else { return };
    let v1 = cgroup_mounts().iter().any(|line| line.contains(" - cgroup ") && !line.contains("name="));
    assert_eq!(machine.cells.cgroup_v2(), !v1);
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

/// All of the above where a seccomp filter refuses clone3, as that of some container engines does.
#[test]
fn all_without_clone3() {
    view::run_again("without clone3", view::rerun("exec \"$0\" \"$@\"").map(seccomp::without_clone3));
}
