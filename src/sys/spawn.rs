//! Starting a program in a cgroup, a session and a cgroup namespace of its own, clean of everything of ours.
//!
//! The child shares our memory and our thread stands still until it has executed the program (see [`super::clone`]).
//! That orders all that the child writes before all that we read, so that it reports by writing the step that it is
//! at, and the errno that ended it, into our own frame. A pipe would say the same with four more system calls.

use super::capabilities::{self, CapabilityBits};
use super::clone::{self, Birth, Cloned};
use super::failpoint::check;
use super::inherited::Inherited;
use super::namespaces::Namespaces;
use super::pidfd::{self, ExitReason};
use super::rlimit::ResourceLimit;
use super::signals::{self, AllBlocked};
use super::stack::Stack;
use super::user::User;
use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// All that the child needs, made ready before it exists.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Paths of the program, of which the first is taken that is there and may be executed, as execvp(3) does. Not none.
    pub programs: &'a [CString],
    /// Its arguments, with the zeroth.
    pub arguments: &'a [CString],
    /// Its environment, `NAME=value`, and nothing else.
    pub environment: &'a [CString],
    /// Directory of the cgroup (v2) in which it begins; `None` when [`into_cgroup_works`] says no.
    pub into: Option<BorrowedFd<'a>>,
    /// The namespaces in which it begins.
    pub namespaces: Namespaces<'a>,
    /// `cgroup.procs` files, open for writing, of the cgroups that the child enters by itself before all else.
    pub join: &'a [BorrowedFd<'a>],
    /// What becomes standard input, and standard output and error. Must be above 2: [`above_stdio`].
    pub stdin: BorrowedFd<'a>,
    pub output: [BorrowedFd<'a>; 2],
    /// What becomes descriptor 3, the one that the program gets beside those.
    pub third: Option<BorrowedFd<'a>>,
    /// What it would have of ours, and is to leave behind.
    pub inherited: Inherited,
    /// Limits for the program; all others are ours.
    pub limits: &'a [ResourceLimit],
    /// What it, and all that it executes, can have at most.
    pub bounding: Option<BoundingSet>,
    pub user: User,
    /// Where it begins, seen as its user.
    pub directory: &'a CStr,
    /// Nothing that it executes gains privileges (PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
}

/// A bounding set, on a kernel whose last capability is [`capabilities::last`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundingSet {
    pub kept: CapabilityBits,
    pub last: u32,
}

/// A program that runs: exec has succeeded.
#[derive(Debug)]
pub struct Spawned {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Of [`Plan::inherited`], what the kernel did not let it leave behind.
    pub kept: Inherited,
}

impl Spawned {
    /// Ends it at once, with what follows from its being a child of ours.
    pub fn kill(self) {
        // ESRCH, the one error, says that it has ended.
        let _ = pidfd::send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        pidfd::reap_ended(self.pidfd.as_fd());
    }
}

/// What the child does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Step {
    /// The parent makes the child.
    Clone,
    /// It enters the namespaces that are there.
    EnterNamespaces,
    /// It enters its cgroups.
    JoinCgroups,
    /// It becomes the root of a cgroup namespace.
    NewCgroupNamespace,
    NewSession,
    StandardStreams,
    /// Each of [`Plan::limits`] is an item.
    ResourceLimits,
    BoundingSet,
    /// From here on it has the privileges of its user.
    BecomeUser,
    ChangeDirectory,
    NoNewPrivileges,
    UnblockSignals,
    /// Each of [`Plan::programs`] is an item.
    Execute,
}

impl Step {
    /// All steps, at the index of their number.
    const ALL: [Step; 13] = [
        Step::Clone,
        Step::EnterNamespaces,
        Step::JoinCgroups,
        Step::NewCgroupNamespace,
        Step::NewSession,
        Step::StandardStreams,
        Step::ResourceLimits,
        Step::BoundingSet,
        Step::BecomeUser,
        Step::ChangeDirectory,
        Step::NoNewPrivileges,
        Step::UnblockSignals,
        Step::Execute,
    ];

    fn text(self) -> &'static str {
        match self {
            Step::Clone => "clone",
            Step::EnterNamespaces => "enter the namespaces",
            Step::JoinCgroups => "join the cgroups",
            Step::NewCgroupNamespace => "make a cgroup namespace",
            Step::NewSession => "setsid",
            Step::StandardStreams => "set the standard streams",
            Step::ResourceLimits => "set the limit",
            Step::BoundingSet => "drop capabilities",
            Step::BecomeUser => "become",
            Step::ChangeDirectory => "chdir",
            Step::NoNewPrivileges => "set no_new_privs",
            Step::UnblockSignals => "unblock signals",
            Step::Execute => "exec",
        }
    }

    fn from_number(number: i32) -> Self {
        let index = usize::try_from(number).unwrap_or_default();
        Self::ALL.get(index).copied().unwrap_or(Step::Clone)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The step that failed. No process is left: the child, if there was one, has been reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError {
    pub step: Step,
    /// Which item of the step it was at, if the step has items. That of a program that is nowhere is none of them.
    pub item: Option<usize>,
    /// What the kernel said; `None` when a signal (SIGKILL from outside) ended the child at this step.
    pub errno: Option<Errno>,
}

/// Whether [`Plan::into`] works here. `null` is any descriptor that is not a cgroup's.
pub fn into_cgroup_works(null: BorrowedFd<'_>) -> bool {
    clone::clone_into_works(null)
}

/// `fd`, or a copy of it, closed on exec, where it is one of 0, 1 and 2.
pub fn above_stdio(fd: impl Into<OwnedFd>) -> Result<OwnedFd, Errno> {
    use nix::fcntl::{FcntlArg, fcntl};
    let fd = fd.into();
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Starts the program. Returns when exec has succeeded or has failed.
///
/// The calling thread stands still meanwhile (tens of microseconds; joining a v1 cgroup can take some milliseconds).
pub fn spawn(plan: &Plan<'_>) -> Result<Spawned, SpawnError> {
    let (arguments, environment) = (pointers(plan.arguments), pointers(plan.environment));
    let frame = Frame {
        plan,
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        unshare: !namespace_at_clone(plan),
        step: AtomicI32::new(Step::Clone as i32),
        item: AtomicI32::new(NO_ITEM),
        kept: AtomicI32::new(0),
        errno: AtomicI32::new(0),
    };
    let cloned = match plan.namespaces.need_an_envoy() {
        true => clone_by_envoy(&frame)?,
        false => clone_child(&frame).map_err(not_made)?,
    };
    match frame.failure() {
        None => Ok(Spawned {
            pid: cloned.pid,
            pidfd: cloned.pidfd,
            kept: Inherited::from_bits(frame.kept.load(Ordering::Acquire)),
        }),
        Some(failure) => {
            // It has ended, or is about to: CLONE_VFORK let us go on.
            pidfd::reap_ended(cloned.pidfd.as_fd());
            Err(failure)
        }
    }
}

fn not_made(errno: Errno) -> SpawnError {
    SpawnError { step: Step::Clone, item: None, errno: Some(errno) }
}

/// A new cgroup namespace has its root where the process is when it is made: at the clone only if the process is in
/// all of its cgroups by then.
fn namespace_at_clone(plan: &Plan<'_>) -> bool {
    plan.into.is_some() && plan.join.is_empty()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// How the program's process begins.
fn birth<'a>(frame: &Frame<'a>) -> Birth<'a> {
    let namespace = if namespace_at_clone(frame.plan) { libc::CLONE_NEWCGROUP } else { 0 };
    Birth { cgroup: frame.plan.into, flags: frame.plan.namespaces.new_flags() | namespace }
}

fn clone_child(frame: &Frame<'_>) -> Result<Cloned, Errno> {
    check(Step::Clone.text())?;
    let stack = Stack::kept_or_new()?;
    // A handler of ours that ran in the child would run in our memory: no signal may arrive before the reset.
    let _blocked = AllBlocked::new()?;
    // SAFETY: `child_main` obeys the rules of `clone` and is given the frame that it expects, which outlives the call,
    // and this thread stands still until the child has left our memory.
    let cloned = unsafe { clone::clone(birth(frame), &stack, child_main, address(frame)) };
    stack.keep();
    cloned
}

/// Makes the child in namespaces that only its maker can enter, and so by an envoy: a child that enters them, makes the
/// program's process as a child of ours (CLONE_PARENT), in our table of descriptors (CLONE_FILES), and ends.
///
/// All three share our memory, and the envoy stands still while its child does as we do while the envoy does.
fn clone_by_envoy(frame: &Frame<'_>) -> Result<Cloned, SpawnError> {
    let (outer, inner) = (Stack::new().map_err(not_made)?, Stack::new().map_err(not_made)?);
    // SAFETY: no arguments, and nothing is changed.
    let maker = unsafe { libc::getpid() };
    let envoy = Envoy { frame, stack: &inner, maker, pid: 0.into(), pidfd: (-1).into() };
    let birth = Birth { cgroup: None, flags: libc::CLONE_FILES };
    check("clone the envoy").map_err(not_made)?;
    let made = {
        let _blocked = AllBlocked::new().map_err(not_made)?;
        // SAFETY: `envoy_main` obeys the rules of `clone` and is given the envoy that it expects. That the envoy has left
        // our memory does not say that its child has: see the end.
        unsafe { clone::clone(birth, &outer, envoy_main, address(&envoy)) }.map_err(not_made)?
    };
    let reason = pidfd::reap_ended(made.pidfd.as_fd());
    let was_killed = SpawnError { step: Step::EnterNamespaces, item: None, errno: None };
    let (pid, pidfd) = (envoy.pid.into_inner(), envoy.pidfd.into_inner());
    let was_made = pid > 0 || (pidfd >= 0 && matches!(reason, Some(ExitReason::Signal(_))));
    if !was_made {
        return Err(frame.failure().unwrap_or(was_killed));
    }
    // SAFETY: stored by the kernel as it made the child, in the table that the envoy shared with us, for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if pid > 0 {
        return Ok(Cloned { pid, pidfd });
    }
    // Somebody has killed the envoy while its child was in our memory, on a stack and with a frame of ours.
    let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL);
    pidfd::reap_ended(pidfd.as_fd());
    Err(was_killed)
}

/// What the envoy reads, and the two words that it and the kernel write.
struct Envoy<'a> {
    frame: &'a Frame<'a>,
    /// Of its child.
    stack: &'a Stack,
    /// Our pid.
    maker: libc::pid_t,
    /// Of its child, as we see it: the envoy is in our pid namespace.
    pid: AtomicI32,
    pidfd: AtomicI32,
}

/// The envoy. As for [`child_main`].
extern "C" fn envoy_main(envoy: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_by_envoy` passes a pointer to an `Envoy` that lives until this process has left its memory.
    let envoy = unsafe { &*envoy.cast::<Envoy<'_>>() };
    let frame = envoy.frame;
    // It shares our table of descriptors, and with it would keep our locks when we are killed and its child stands still.
    // SAFETY: an integer, which changes this process alone. It cannot fail: SIGKILL is a signal (prctl(2)).
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
    // SAFETY: no arguments, and nothing is changed.
    if unsafe { libc::getppid() } != envoy.maker {
        // We died before that, and no signal will come.
        // SAFETY: as at the end.
        unsafe { libc::_exit(0) }
    }
    let entered = frame.at(Step::EnterNamespaces).and_then(|()| frame.plan.namespaces.enter());
    let made = entered.and_then(|()| {
        frame.at(Step::Clone)?;
        let birth = birth(frame);
        let birth = Birth { flags: birth.flags | libc::CLONE_PARENT, ..birth };
        // SAFETY: as in `clone_child`; all signals are blocked since before this process was made.
        unsafe { clone::clone_to(birth, envoy.stack, child_main, address(frame), &envoy.pidfd) }
    });
    match made {
        Ok(pid) => envoy.pid.store(pid, Ordering::Release),
        Err(errno) => frame.errno.store(errno as i32, Ordering::Release),
    }
    // SAFETY: ends this process without running exit handlers, which are the parent's.
    unsafe { libc::_exit(0) }
}

/// As a child's argument.
fn address<T>(shared: &T) -> *mut libc::c_void {
    (&raw const *shared).cast_mut().cast()
}

/// What the child reads, and the words that it writes.
struct Frame<'a> {
    plan: &'a Plan<'a>,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    unshare: bool,
    /// The step that the child is at.
    step: AtomicI32,
    /// The item of the step that failed.
    item: AtomicI32,
    /// What it could not leave behind.
    kept: AtomicI32,
    /// What ended it there; 0 for nothing.
    errno: AtomicI32,
}

const NO_ITEM: i32 = -1;

impl Frame<'_> {
    /// Success leaves the child at [`Step::Execute`] with no errno. No errno before that: a signal ended it.
    fn failure(&self) -> Option<SpawnError> {
        let step = Step::from_number(self.step.load(Ordering::Acquire));
        let errno = self.errno.load(Ordering::Acquire);
        let item = usize::try_from(self.item.load(Ordering::Acquire)).ok();
        match (step, errno) {
            (Step::Execute, 0) => None,
            (step, 0) => Some(SpawnError { step, item, errno: None }),
            (step, errno) => Some(SpawnError { step, item, errno: Some(Errno::from_raw(errno)) }),
        }
    }

    fn at(&self, step: Step) -> Result<(), Errno> {
        self.step.store(step as i32, Ordering::Release);
        check(step.text())
    }

    fn blame(&self, item: usize) {
        self.item.store(i32::try_from(item).unwrap_or(NO_ITEM), Ordering::Release);
    }
}

/// The child. From here to exec: system calls and stores to the frame, no allocation, no lock, no log, no panic.
extern "C" fn child_main(frame: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_child` passes a pointer to a `Frame` that lives until this process has left its memory.
    let frame = unsafe { &*frame.cast::<Frame<'_>>() };
    let Err(errno) = become_program(frame);
    frame.errno.store(errno as i32, Ordering::Release);
    // SAFETY: ends this process without running exit handlers, which are the parent's.
    unsafe { libc::_exit(127) }
}

fn become_program(frame: &Frame<'_>) -> Result<std::convert::Infallible, Errno> {
    let plan = frame.plan;
    if !plan.namespaces.need_an_envoy() {
        frame.at(Step::EnterNamespaces)?;
        plan.namespaces.enter()?;
    }
    frame.at(Step::JoinCgroups)?;
    join_cgroups(plan.join)?;
    frame.at(Step::NewCgroupNamespace)?;
    new_cgroup_namespace(frame.unshare)?;
    frame.at(Step::NewSession)?;
    // SAFETY: a plain system call on this process alone.
    Errno::result(unsafe { libc::setsid() })?;
    // SAFETY: changes the umask of this process alone (no CLONE_FS), and cannot fail.
    unsafe { libc::umask(0o022) };
    frame.at(Step::StandardStreams)?;
    standard_streams(plan.stdin, plan.output)?;
    frame.kept.store(plan.inherited.leave_behind().bits(), Ordering::Release);
    frame.at(Step::ResourceLimits)?;
    set_limits(frame)?;
    frame.at(Step::BoundingSet)?;
    if let Some(BoundingSet { kept, last }) = plan.bounding {
        capabilities::limit_bounding_set(kept, last)?;
    }
    close_others_on_exec();
    third_stream(plan.third)?;
    // As late as can be: other processes of this user may stop this one from here on, and our thread with it.
    frame.at(Step::BecomeUser)?;
    plan.user.assume()?;
    frame.at(Step::ChangeDirectory)?;
    // SAFETY: the path is NUL-terminated and lives in the parent's frame; no CLONE_FS: the directory is our own.
    Errno::result(unsafe { libc::chdir(plan.directory.as_ptr()) })?;
    frame.at(Step::NoNewPrivileges)?;
    no_new_privileges(plan.no_new_privileges)?;
    frame.at(Step::UnblockSignals)?;
    signals::unblock_all()?;
    frame.at(Step::Execute)?;
    Err(execute(frame))
}

/// "0" stands for the writer (cgroups.rst, "cgroup.procs").
fn join_cgroups(procs: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    for file in procs {
        // SAFETY: the buffer is a constant of this length.
        Errno::result(unsafe { libc::write(file.as_raw_fd(), c"0".as_ptr().cast(), 1) })?;
    }
    Ok(())
}

fn new_cgroup_namespace(wanted: bool) -> Result<(), Errno> {
    if wanted {
        // SAFETY: changes the namespaces of this process alone.
        Errno::result(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) })?;
    }
    Ok(())
}

/// The descriptor of [`Plan::third`].
pub(super) const THIRD: RawFd = 3;

fn standard_streams(input: BorrowedFd<'_>, [out, err]: [BorrowedFd<'_>; 2]) -> Result<(), Errno> {
    for (file, stream) in [(input, 0), (out, 1), (err, 2)] {
        // SAFETY: the descriptor table is this process's own (no CLONE_FILES).
        Errno::result(unsafe { libc::dup2(file.as_raw_fd(), stream) })?;
    }
    Ok(())
}

fn third_stream(descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let Some(descriptor) = descriptor else { return Ok(()) };
    // One that is the third already keeps its flag, which dup2 leaves out of a copy.
    let result = match descriptor.as_raw_fd() {
        // SAFETY: the descriptor table is this process's own (no CLONE_FILES).
        THIRD => unsafe { libc::fcntl(THIRD, libc::F_SETFD, 0) },
        // SAFETY: as above.
        other => unsafe { libc::dup2(other, THIRD) },
    };
    Errno::result(result).map(drop)
}

fn set_limits(frame: &Frame<'_>) -> Result<(), Errno> {
    for (number, limit) in frame.plan.limits.iter().enumerate() {
        limit.set().inspect_err(|_| frame.blame(number))?;
    }
    Ok(())
}

fn no_new_privileges(wanted: bool) -> Result<(), Errno> {
    let [set, unused]: [libc::c_ulong; 2] = [1, 0];
    if wanted {
        // SAFETY: integers, which change this process alone.
        Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, set, unused, unused, unused) })?;
    }
    Ok(())
}

/// Returns only when there is no program to be executed. As execvp(3): a program that may not be executed is passed over,
/// and remembered if nothing better follows.
fn execute(frame: &Frame<'_>) -> Errno {
    let programs = frame.plan.programs;
    let mut outcome = Errno::ENOENT;
    for (number, program) in programs.iter().enumerate() {
        // SAFETY: program, arguments and environment are NUL-terminated, the two arrays end in a null pointer, and all
        // live in the parent's frame, which stands still.
        unsafe { libc::execve(program.as_ptr(), frame.arguments, frame.environment) };
        match Errno::last() {
            Errno::EACCES if outcome == Errno::EACCES => {}
            Errno::EACCES => {
                outcome = Errno::EACCES;
                frame.blame(number);
            }
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT
                if programs.len() > 1 => {}
            errno => {
                frame.blame(number);
                return errno;
            }
        }
    }
    outcome
}

/// A second line: all descriptors of the daemon are close-on-exec from birth. Kernels before 5.11 lack the call or the
/// flag, and lose only this line.
fn close_others_on_exec() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: marks descriptors of this process's own table.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn run(programs: &[&CStr], script: &str) -> Result<Spawned, SpawnError> {
        let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        let null = above_stdio(null).expect("dup");
        let arguments = ["sh", "-c", script].map(|a| CString::new(a).expect("no NUL"));
        spawn(&Plan {
            programs: &programs.iter().map(|&program| program.to_owned()).collect::<Vec<_>>(),
            arguments: &arguments,
            environment: &[],
            into: None,
            join: &[],
            namespaces: Namespaces::Ours,
            stdin: null.as_fd(),
            output: [null.as_fd(); 2],
            third: None,
            inherited: Inherited::of_this_thread(),
            limits: &[],
            bounding: None,
            user: User::default(),
            directory: c"/",
            no_new_privileges: false,
        })
    }

    fn wait(spawned: &Spawned) -> pidfd::ExitReason {
        let mut ready = [nix::poll::PollFd::new(spawned.pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut ready, 60_000u16).expect("poll");
        pidfd::reap(spawned.pidfd.as_fd()).expect("reap").expect("ended within 60 s")
    }

    /// A cgroup namespace takes CAP_SYS_ADMIN.
    fn is_root() -> bool {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            eprintln!("skipped: needs root");
        }
        root
    }

    #[test]
    fn a_program_runs_and_is_reaped() {
        if is_root() {
            assert_eq!(wait(&run(&[c"/bin/sh"], "exit 7").expect("spawn")), pidfd::ExitReason::Code(7));
            assert_eq!(wait(&run(&[c"/bin/sh"], "kill -9 $$").expect("spawn")), pidfd::ExitReason::Signal(9));
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_with_its_step() {
        if is_root() {
            let error = run(&[c"/nonexistent/sh"], "exit 0").expect_err("no such program");
            let item = Some(0);
            assert_eq!(error, SpawnError { step: Step::Execute, item, errno: Some(Errno::ENOENT) });
        }
    }

    #[test]
    fn programs_are_tried_in_order() {
        if !is_root() {
            return;
        }
        // A directory may be searched, but not executed.
        let found =
            run(&[c"/nonexistent/sh", c"/dev/null/sh", c"/etc", c"/bin/sh"], "exit 3").expect("spawn");
        assert_eq!(wait(&found), pidfd::ExitReason::Code(3));
        for (programs, item, errno) in [
            (&[c"/nonexistent/sh", c"/dev/null/sh"][..], None, Errno::ENOENT),
            (&[c"/nonexistent/sh", c"/etc", c"/var", c"/dev/null/sh"], Some(1), Errno::EACCES),
            (&[c"/nonexistent/sh", c"/proc/self/fd/../comm/x"], None, Errno::ENOENT),
        ] {
            let error = run(programs, "exit 0").expect_err("nothing to execute");
            assert_eq!(error, SpawnError { step: Step::Execute, item, errno: Some(errno) }, "{programs:?}");
        }
    }

    #[test]
    fn steps_have_their_numbers() {
        for (number, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, number);
        }
    }
}
