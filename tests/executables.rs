//! What an executable is given and what it is not: its program, its environment, its limits, its user, its signals; looked
//! at from outside, in /proc. Needs root; says so and does nothing without.

use auraed::runtime::{
    Arguments, CapabilitySet, CellName, CellSpec, Cells, CellsConfig, Command, Environment, Error, ErrorKind,
    ExecutableName, ExecutableSpec, ExitReason, Finish, Limits, Program, ResourceLimits, SignalNumber,
    StandardInput, Started, User, WorkingDirectory,
};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything here takes, on a machine that does ten other things, too; ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

const CELL: &str = "web";

/// A user and a group that are nobody's.
const NOBODY: User = User { uid: Some(64_123), gid: Some(64_456) };

/// Set in the environment of this test binary when a test starts it as a daemon of its own.
const DISORDER: &str = "AURAE_TEST_DISORDER";

/// One cell, and a folder for files; both are gone after the test, however that ends.
struct Machine {
    cells: Cells,
    config: CellsConfig,
    folder: PathBuf,
}

impl Machine {
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            eprintln!("skipped: needs root, to make cgroups");
            return None;
        }
        let slice = format!("aurae-test-{}-exe-{test}", process::id());
        let folder = std::env::temp_dir().join(&slice);
        fs::create_dir(&folder).expect("the folder is new");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("a mode");
        let config = CellsConfig {
            slice,
            init: env!("CARGO_BIN_EXE_auraed").into(),
            ..CellsConfig::for_runtime_dir(Path::new("/"))
        };
        let cells = Cells::open(config.clone()).expect("open");
        let spec = CellSpec { name: cell(), limits: Limits::default(), isolation: Default::default() };
        cells.allocate(spec).expect("allocate");
        Some(Self { cells, config, folder })
    }

    fn start(&self, spec: ExecutableSpec) -> Result<Started, Error> {
        self.cells.start(&cell(), spec)
    }

    /// Starts what sleeps, with these changes, and answers when it is asleep.
    fn sleeper(&self, change: impl FnOnce(&mut ExecutableSpec)) -> Started {
        let mut spec = direct(&["sleep", "1000"]);
        change(&mut spec);
        let started = self.start(spec).expect("start");
        asleep(&started, "sleep");
        started
    }

    fn refusal(&self, spec: ExecutableSpec) -> (ErrorKind, String) {
        let error = self.start(spec).expect_err("refused");
        (error.kind(), error.to_string())
    }

    fn signal(&self, name: &str, signal: &str, all: bool) -> Result<(), Error> {
        self.cells.signal(&cell(), &named(name), SignalNumber::parse(signal).expect("a signal"), all)
    }

    fn wait(&self, started: &Started) -> ExitReason {
        let timeout = PollTimeout::try_from(PATIENCE).expect("a short time");
        let mut ready = [PollFd::new(started.exit.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ready, timeout), Ok(1), "the process has not ended");
        self.cells.exited(&started.exit);
        started.exit.reason().expect("reaped")
    }

    /// What a command that ends writes to the file that is its `$OUT`.
    fn output(&self, mut spec: ExecutableSpec) -> Vec<u8> {
        let out = self.folder.join("out");
        fs::write(&out, "").expect("a file");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).expect("a mode");
        spec.environment = environment(&[("OUT", out.to_str().expect("UTF-8"))]);
        let started = self.start(spec).expect("start");
        assert_eq!(self.wait(&started), ExitReason::Code(0));
        fs::read(&out).expect("the file")
    }

    fn stop_all(&self) {
        let ending = self.cells.free(&cell(), false).expect("free");
        self.cells.kill(&ending).expect("kill");
        let deadline = Instant::now() + PATIENCE;
        while self.cells.finish(&ending).expect("finish") == Finish::Busy {
            assert!(Instant::now() < deadline, "{}", self.cells.give_up(&ending));
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        if thread::panicking() {
            // What is left is ended as that of a daemon that died.
            let _ = Cells::open(self.config.clone()).and_then(|again| again.close());
        } else {
            self.stop_all();
            self.cells.close().expect("close");
        }
    }
}

fn cell() -> CellName {
    CellName::parse(CELL).expect("valid")
}

fn named(name: &str) -> ExecutableName {
    ExecutableName::parse(name).expect("valid")
}

fn direct(arguments: &[&str]) -> ExecutableSpec {
    let arguments = Arguments::parse(arguments.iter().map(|a| (*a).to_owned()).collect()).expect("valid");
    ExecutableSpec::new(named("job"), Program::Direct(arguments))
}

fn shell(command: &str) -> ExecutableSpec {
    ExecutableSpec::new(named("job"), Program::Shell(Command::parse(command).expect("valid")))
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: BTreeMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Environment::parse(variables).expect("valid")
}

fn directory(path: impl AsRef<Path>) -> WorkingDirectory {
    WorkingDirectory::parse(path.as_ref().to_str().expect("UTF-8")).expect("valid")
}

fn limits(limits: &[(&str, u64, u64)]) -> ResourceLimits {
    let mut parsed = ResourceLimits::default();
    for (name, soft, hard) in limits {
        parsed.add(name, Some(*soft), Some(*hard)).expect(name);
    }
    parsed
}

fn capabilities(names: &[&str]) -> Option<CapabilitySet> {
    let mut set = CapabilitySet::default();
    names.iter().for_each(|name| set.add(name).expect(name));
    Some(set)
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn asleep(started: &Started, program: &str) {
    let is_up = || {
        proc_file(started.pid, "comm").trim_end() == program && status(started.pid, "State").starts_with('S')
    };
    eventually(program, is_up);
}

fn proc_file(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect(file)
}

fn status(pid: i32, field: &str) -> String {
    let status = proc_file(pid, "status");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    value.expect(field).trim().to_owned()
}

fn link(pid: i32, file: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/{file}")).expect(file)
}

/// Soft and hard limit, as /proc shows them.
fn limit(pid: i32, title: &str) -> (String, String) {
    let limits = proc_file(pid, "limits");
    let line = limits.lines().find_map(|line| line.strip_prefix(title)).expect(title);
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

fn capability_bits(pid: i32, set: &str) -> u64 {
    u64::from_str_radix(&status(pid, set), 16).expect("hexadecimal")
}

fn has_sys_resource() -> bool {
    let own = i32::try_from(process::id()).expect("a pid");
    capability_bits(own, "CapEff") & 1 << 24 != 0
}

#[test]
fn arguments_arrive_as_they_are() {
    let Some(machine) = Machine::new("arguments") else { return };
    let started =
        machine.start(direct(&["sh", "-c", "sleep 1000; :", "", "a b", "$HOME", "*"])).expect("start");
    // A shell that waits for its child is asleep, and so done with being loaded.
    asleep(&started, "sh");
    assert_eq!(proc_file(started.pid, "cmdline"), "sh\0-c\0sleep 1000; :\0\0a b\0$HOME\0*\0");
}

#[test]
fn a_program_is_looked_for_in_its_own_path() {
    let Some(machine) = Machine::new("path") else { return };
    let folder = |name: &str| {
        let folder = machine.folder.join(name);
        fs::create_dir(&folder).expect("mkdir");
        folder
    };
    let (empty, locked, full) = (folder("empty"), folder("locked"), folder("full"));
    fs::write(locked.join("sleep"), "").expect("a file that is no program");
    fs::copy("/bin/sleep", full.join("sleep")).expect("a program");
    let program = |folders: &[&PathBuf]| {
        let path: Vec<_> = folders.iter().map(|folder| folder.to_str().expect("UTF-8")).collect();
        let environment = environment(&[("PATH", &path.join(":"))]);
        ExecutableSpec { environment, ..direct(&["sleep", "1000"]) }
    };
    let started = machine.start(program(&[&empty, &locked, &full])).expect("start");
    asleep(&started, "sleep");
    assert_eq!(link(started.pid, "exe"), full.join("sleep"));
    machine.signal("job", "KILL", false).expect("signal");
    machine.wait(&started);

    let (kind, text) = machine.refusal(program(&[&locked, &empty]));
    assert_eq!(kind, ErrorKind::FailedPrecondition);
    assert!(text.contains(&format!("exec {}/sleep: EACCES", locked.display())), "{text}");
    let (kind, text) = machine.refusal(program(&[&empty, &empty]));
    assert_eq!(kind, ErrorKind::FailedPrecondition);
    assert!(text.contains("exec \"sleep\", looked for in PATH: ENOENT"), "{text}");

    // An empty place is the working directory, and so is where a path that is not absolute begins.
    for (path, name) in [(":/nonexistent", "sleep"), ("/nonexistent", "./sleep")] {
        let here = ExecutableSpec {
            environment: environment(&[("PATH", path)]),
            directory: directory(&full),
            ..direct(&[name, "1000"])
        };
        let started = machine.start(here).expect("start");
        asleep(&started, "sleep");
        assert_eq!(link(started.pid, "exe"), full.join("sleep"));
        machine.signal("job", "KILL", false).expect("signal");
        machine.wait(&started);
    }

    fs::write(full.join("script"), "exit 0\n").expect("a script");
    fs::set_permissions(full.join("script"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let script = full.join("script");
    let (kind, text) = machine.refusal(direct(&[script.to_str().expect("UTF-8")]));
    assert_eq!(kind, ErrorKind::FailedPrecondition);
    assert!(text.contains("ENOEXEC") && text.contains("\"#!\""), "{text}");
}

#[test]
fn the_environment_is_what_was_asked_for() {
    let Some(machine) = Machine::new("environment") else { return };
    let started = machine.sleeper(|spec| {
        spec.environment = environment(&[("HOME", "/srv"), ("A", "b=c\nd"), ("EMPTY", "")]);
    });
    let environment = proc_file(started.pid, "environ");
    let mut variables: Vec<&str> = environment.split_terminator('\0').collect();
    variables.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = ["A=b=c\nd", "AURAE_CELL=web", "AURAE_EXECUTABLE=job", "EMPTY=", "HOME=/srv", path];
    assert_eq!(variables, expected);
}

#[test]
fn the_working_directory_is_its_users() {
    let Some(machine) = Machine::new("directory") else { return };
    let started = machine.sleeper(|spec| spec.directory = directory(&machine.folder));
    assert_eq!(link(started.pid, "cwd"), machine.folder);

    let private = machine.folder.join("private");
    fs::create_dir(&private).expect("mkdir");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::write(machine.folder.join("file"), "").expect("a file");
    for (path, user, errno) in [
        (machine.folder.join("nowhere"), User::default(), "ENOENT"),
        (machine.folder.join("file"), User::default(), "ENOTDIR"),
        (private.clone(), NOBODY, "EACCES"),
    ] {
        let mut spec = direct(&["sleep", "1000"]);
        (spec.name, spec.directory, spec.user) = (named("other"), directory(&path), user);
        let (kind, text) = machine.refusal(spec);
        assert_eq!(kind, ErrorKind::FailedPrecondition, "{text}");
        assert!(text.contains(&format!("chdir {}: {errno}", path.display())), "{text}");
    }
}

#[test]
fn a_user_has_nothing_of_the_daemons_privileges() {
    let Some(machine) = Machine::new("user") else { return };
    for (number, (user, ids)) in [
        (NOBODY, ([64_123; 4], [64_456; 4])),
        (User { uid: Some(64_123), gid: None }, ([64_123; 4], [0; 4])),
        (User { uid: None, gid: Some(64_456) }, ([0; 4], [64_456; 4])),
    ]
    .into_iter()
    .enumerate()
    {
        let name = named(&number.to_string());
        let started = machine.sleeper(|spec| (spec.name, spec.user) = (name, user));
        let numbers = |field: &str| -> Vec<u32> {
            status(started.pid, field).split_whitespace().map(|id| id.parse().expect("an id")).collect()
        };
        assert_eq!((numbers("Uid"), numbers("Gid")), (ids.0.to_vec(), ids.1.to_vec()));
        assert_eq!(numbers("Groups"), [0u32; 0]);
        if user.uid.is_some() {
            let owner = fs::metadata(format!("/proc/{}/environ", started.pid)).expect("environ").uid();
            assert_eq!(owner, 64_123, "its user may look at it");
            let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| capability_bits(started.pid, set));
            assert_eq!(sets, [0; 4]);
        }
        let listed = machine.cells.list().pop().expect("the cell").executables.pop().expect("the last one");
        assert_eq!((listed.identity.uid, listed.identity.gid), (ids.0[0], ids.1[0]));
    }
    assert!(nix::unistd::geteuid().is_root(), "the daemon is who it was");
}

#[test]
fn limits_are_set_and_those_of_others_stay() {
    let Some(machine) = Machine::new("limits") else { return };
    let asked = limits(&[
        ("as", 1 << 32, 1 << 33),
        ("core", 0, 1 << 20),
        ("cpu", 1000, 2000),
        ("data", 1 << 32, 1 << 32),
        ("fsize", 1 << 20, 1 << 21),
        ("locks", 10, 11),
        ("memlock", 4096, 8192),
        ("msgqueue", 1, 2),
        ("nice", 0, 0),
        ("nofile", 64, 128),
        ("nproc", 1000, 1001),
        ("rss", 1 << 30, 1 << 30),
        ("rtprio", 0, 0),
        ("rttime", 1000, 2000),
        ("sigpending", 5, 6),
        ("stack", 1 << 20, 1 << 21),
    ]);
    let own = i32::try_from(process::id()).expect("a pid");
    let before = proc_file(own, "limits");
    let started = machine.sleeper(|spec| spec.limits = asked);
    for (title, soft, hard) in [
        ("Max address space", "4294967296", "8589934592"),
        ("Max core file size", "0", "1048576"),
        ("Max cpu time", "1000", "2000"),
        ("Max data size", "4294967296", "4294967296"),
        ("Max file size", "1048576", "2097152"),
        ("Max file locks", "10", "11"),
        ("Max locked memory", "4096", "8192"),
        ("Max msgqueue size", "1", "2"),
        ("Max nice priority", "0", "0"),
        ("Max open files", "64", "128"),
        ("Max processes", "1000", "1001"),
        ("Max resident set", "1073741824", "1073741824"),
        ("Max realtime priority", "0", "0"),
        ("Max realtime timeout", "1000", "2000"),
        ("Max pending signals", "5", "6"),
        ("Max stack size", "1048576", "2097152"),
    ] {
        assert_eq!(limit(started.pid, title), (soft.to_owned(), hard.to_owned()), "{title}");
    }
    assert_eq!(proc_file(own, "limits"), before, "those of the daemon");
}

#[test]
fn a_limit_above_the_daemons_takes_a_privilege() {
    let Some(machine) = Machine::new("above") else { return };
    let raised = limits(&[("core", 0, 0), ("msgqueue", 1 << 40, 1 << 40)]);
    let spec = ExecutableSpec { limits: raised, ..direct(&["sleep", "1000"]) };
    if has_sys_resource() {
        let started = machine.start(spec).expect("start");
        let expected = (1u64 << 40).to_string();
        return assert_eq!(limit(started.pid, "Max msgqueue size"), (expected.clone(), expected));
    }
    println!("without CAP_SYS_RESOURCE: the refusal is tested");
    let (kind, text) = machine.refusal(spec);
    assert_eq!(kind, ErrorKind::FailedPrecondition);
    let expected = "set the limit msgqueue (soft 1099511627776, hard 1099511627776): EPERM";
    assert!(text.contains(expected) && text.contains("CAP_SYS_RESOURCE"), "{text}");
}

#[test]
fn capabilities_are_bounded() {
    let Some(machine) = Machine::new("capabilities") else { return };
    let own = i32::try_from(process::id()).expect("a pid");
    let all = capability_bits(own, "CapBnd");
    for (number, (asked, user, bounding, effective)) in [
        (None, User::default(), all, all),
        (capabilities(&["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]), User::default(), 1 | 1 << 10, 1 | 1 << 10),
        (capabilities(&[]), User::default(), 0, 0),
        (capabilities(&["CAP_CHOWN"]), NOBODY, 1, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let name = named(&number.to_string());
        let started = machine.sleeper(|spec| (spec.name, spec.capabilities, spec.user) = (name, asked, user));
        let sets = ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"];
        let sets = sets.map(|set| capability_bits(started.pid, set));
        assert_eq!(sets, [bounding & all, effective & all, effective & all, 0, 0], "{number}");
    }
    assert_eq!(capability_bits(own, "CapBnd"), all, "those of the daemon");
}

#[test]
fn privileges_are_not_gained_where_they_must_not() {
    let Some(machine) = Machine::new("privileges") else { return };
    let plain = machine.sleeper(|_| {});
    assert_eq!(status(plain.pid, "NoNewPrivs"), "0");
    let bound = machine.sleeper(|spec| (spec.name, spec.no_new_privileges) = (named("other"), true));
    assert_eq!(status(bound.pid, "NoNewPrivs"), "1");
}

#[test]
fn standard_input_is_given_whole_and_ends() {
    let Some(machine) = Machine::new("stdin") else { return };
    let bytes: Vec<u8> = (0..65_536u32).map(|n| (n % 251) as u8).collect();
    for (given, user) in [(&bytes[..], User::default()), (b"", User::default()), (b"a\0b", NOBODY)] {
        let spec = ExecutableSpec {
            stdin: Some(StandardInput::parse(given.to_vec()).expect("it fits")),
            user,
            // By its name, too: the pipe is the user's own.
            ..shell("cat >>$OUT; cat /dev/stdin >>$OUT")
        };
        assert!(machine.output(spec) == given, "{} bytes", given.len());
    }
    assert_eq!(machine.output(shell("readlink /proc/self/fd/0 >$OUT")), b"/dev/null\n");
    let spec = ExecutableSpec { stdin: StandardInput::parse(bytes).ok(), ..direct(&["sleep", "1000"]) };
    let unread =
        machine.start(ExecutableSpec { name: named("unread"), ..spec }).expect("nobody need read it");
    asleep(&unread, "sleep");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", unread.pid)).expect("fds").count();
    assert_eq!(descriptors, 3, "no other end of the pipe");
}

#[test]
fn signals_go_to_one_or_to_all() {
    let Some(machine) = Machine::new("signals") else { return };
    let command = "trap 'echo main >>$OUT' USR1 37; \
                   (trap 'echo child >>$OUT' USR1 37; echo up >>$OUT; while :; do sleep 0.02; done) & \
                   echo up >>$OUT; while :; do sleep 0.02; done";
    let out = machine.folder.join("out");
    let spec = ExecutableSpec {
        environment: environment(&[("OUT", out.to_str().expect("UTF-8"))]),
        ..shell(command)
    };
    let started = machine.start(spec).expect("start");
    let heard = |word: &str| {
        let text = fs::read_to_string(&out).unwrap_or_default();
        text.lines().filter(|line| *line == word).count()
    };
    eventually("both have set their traps", || heard("up") == 2);
    machine.signal("job", "USR1", false).expect("signal");
    eventually("the first process hears it", || heard("main") == 1);
    machine.signal("job", "SIGRTMIN+3", true).expect("signal");
    eventually("all hear it", || heard("main") == 2 && heard("child") == 1);

    machine.signal("job", "9", false).expect("signal");
    assert_eq!(machine.wait(&started), ExitReason::Signal(9));
    let error = machine.signal("job", "TERM", false).expect_err("it has exited");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
    machine.signal("job", "USR1", true).expect("the child is left");
    eventually("the child hears it", || heard("child") == 2);
    machine.signal("job", "KILL", true).expect("signal");
    eventually("nothing is left", || machine.signal("job", "USR1", true).is_err());
    let error = machine.signal("nobody", "TERM", true).expect_err("no such executable");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// The daemon's code in a process with all that a workload must not have of it.
#[test]
fn a_daemon_in_disorder_starts_clean_programs() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: needs root, to make cgroups");
    }
    let text = run_disordered("in_disorder", make_disorder);
    assert!(text.contains("it is clean"), "it has looked: {text}");
}

#[test]
fn what_cannot_be_reset_is_told_once_and_hinders_no_start() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: needs root, to make cgroups");
    }
    let text = run_disordered("in_disorder_for_good", || {
        // SAFETY: integers, which change this process alone.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, 5);
            // CAP_SYS_NICE, without which it stays so.
            libc::prctl(libc::PR_CAPBSET_DROP, 23 as libc::c_ulong);
        }
        Ok(())
    });
    assert_eq!(text.matches("keeps the nice value of this daemon").count(), 1, "{text}");
    assert!(text.contains("both run"), "it has looked: {text}");
}

/// Part of the above.
#[test]
fn in_disorder_for_good() {
    if std::env::var_os(DISORDER).is_none() {
        return;
    }
    env_logger::Builder::new().filter_level(log::LevelFilter::Warn).init();
    let Some(machine) = Machine::new("for-good") else { return };
    for name in ["one", "other"] {
        let started = machine.sleeper(|spec| spec.name = named(name));
        assert_eq!(nice_and_policy(started.pid).0, "5");
    }
    println!("both run");
}

/// Runs one test of this binary in a process that `disorder` has changed before, and answers what it says.
fn run_disordered(test: &str, disorder: fn() -> std::io::Result<()>) -> String {
    let mut daemon = process::Command::new(std::env::current_exe().expect("own path"));
    daemon.args(["--exact", test, "--nocapture"]).env(DISORDER, "1").env("SECRET", "1");
    // SAFETY: system calls on the new process alone.
    unsafe { daemon.pre_exec(disorder) };
    let output = daemon.output().expect("the test starts itself");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// All of it outlives exec, and none may reach a workload.
fn make_disorder() -> std::io::Result<()> {
    // SAFETY: system calls on this process alone, whose arguments are constants or valid for the call.
    unsafe {
        let adj = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY);
        libc::write(adj, c"500".as_ptr().cast(), 3);
        // Left open, as the number says: it is to outlive exec.
        assert!(adj >= 0 && libc::dup2(adj, 77) == 77);
        libc::umask(0o077);
        let idle: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &idle);
        libc::setpriority(libc::PRIO_PROCESS, 0, 5);
        // Best effort, the last level.
        libc::syscall(libc::SYS_ioprio_set, 1, 0, 2 << 13 | 7);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_000 as libc::c_ulong);
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
        let mut blocked = std::mem::zeroed();
        libc::sigemptyset(&mut blocked);
        libc::sigaddset(&mut blocked, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_BLOCK, &blocked, std::ptr::null_mut());
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, c"aurae-test".as_ptr());
        heritable_kill();
    }
    Ok(())
}

const KEYCTL_GET_KEYRING_ID: libc::c_int = 0;
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// The serial number of the session keyring; negative where there are no keyrings.
fn session_keyring() -> libc::c_long {
    // SAFETY: integers; -3 stands for the session keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3, 0) }
}

/// The program of an executable: this test binary, which says what only a process itself can know.
#[test]
fn say_keyring() {
    if let Some(out) = std::env::var_os("OUT") {
        fs::write(out, session_keyring().to_string()).expect("a file");
    }
}

/// CAP_KILL, inheritable and ambient.
///
/// # Safety
/// Changes the calling process.
unsafe fn heritable_kill() {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut sets = [0u32; 6];
    // SAFETY: two words of header and three of each set, twice, as version 3 has them.
    unsafe {
        libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr());
        sets[2] |= 1 << 5;
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr());
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            5 as libc::c_ulong,
            0,
            0,
        );
    }
}

/// Part of the above.
#[test]
fn in_disorder() {
    if std::env::var_os(DISORDER).is_none() {
        return;
    }
    let Some(machine) = Machine::new("disorder") else { return };
    let own = i32::try_from(process::id()).expect("a pid");
    assert_eq!(proc_file(own, "oom_score_adj"), "500\n", "the disorder is there");
    assert_eq!(capability_bits(own, "CapAmb"), 1 << 5, "the disorder is there");
    assert_eq!(nice_and_policy(own), ("5".to_owned(), "3".to_owned()), "the disorder is there");
    let started = machine.sleeper(|_| {});
    let pid = started.pid;
    for set in ["SigBlk", "SigIgn", "SigCgt", "CapInh", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "Umask"), "0022");
    assert_eq!(proc_file(pid, "oom_score_adj"), "0\n");
    assert_eq!(nice_and_policy(pid), ("0".to_owned(), "0".to_owned()));
    assert_eq!(proc_file(pid, "timerslack_ns"), "50000\n");
    // SAFETY: integers, and nothing is changed.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid) };
    assert!(priority >> 13 == 0 || priority == 2 << 13 | 4, "that of a nice value of 0: {priority:#x}");
    assert_eq!(status(pid, "NSsid"), pid.to_string());
    assert!(!proc_file(pid, "environ").contains("SECRET"));
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("fds").flatten();
    let mut descriptors: Vec<_> = descriptors.map(|fd| fd.file_name()).collect();
    descriptors.sort_unstable();
    assert_eq!(descriptors, ["0", "1", "2"]);

    let this = std::env::current_exe().expect("own path");
    let program = [this.to_str().expect("UTF-8"), "--exact", "say_keyring"];
    let keyring = machine.output(ExecutableSpec { name: named("keyring"), ..direct(&program) });
    let keyring: libc::c_long = String::from_utf8_lossy(&keyring).parse().expect("a number");
    assert!(keyring < 0 || keyring != session_keyring(), "a keyring of its own");

    assert_eq!(proc_file(own, "oom_score_adj"), "500\n", "the daemon's own stays");
    assert_eq!(nice_and_policy(own), ("5".to_owned(), "3".to_owned()), "the daemon's own stay");
    println!("it is clean");
}

/// Fields 19 and 41 of proc_pid_stat(5).
fn nice_and_policy(pid: i32) -> (String, String) {
    let stat = proc_file(pid, "stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a command").1.split(' ').collect();
    (fields[16].to_owned(), fields[38].to_owned())
}
