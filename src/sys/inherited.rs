//! What a program would inherit from the thread that starts it, beside what every child leaves behind anyway: looked up
//! once, so that a start costs no call for what is as it should be.

use super::capabilities;
use super::signals::Disposed;
use nix::errno::Errno;
use nix::libc;

/// Nanoseconds by which timers may be late (prctl(2), PR_SET_TIMERSLACK): what a process has that nobody has changed.
const TIMER_SLACK_NS: libc::c_ulong = 50_000;

/// What differs from what a program is to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Bit n is the nth of [`ITEMS`].
    items: i32,
    signals: Disposed,
}

struct Item {
    /// What a log calls it.
    name: &'static str,
    differs: fn() -> bool,
    /// For the child between clone and exec: only system calls.
    reset: fn() -> Result<(), Errno>,
}

/// The policy first: nice value and timer slack mean nothing to some of them.
const ITEMS: [Item; 8] = [
    Item { name: "the scheduling policy", differs: has_policy, reset: reset_policy },
    Item { name: "the nice value", differs: || nice() != 0, reset: reset_nice },
    Item { name: "the I/O priority", differs: has_io_priority, reset: reset_io_priority },
    Item { name: "the timer slack", differs: has_timer_slack, reset: reset_timer_slack },
    Item { name: "oom_score_adj", differs: has_oom_score, reset: reset_oom_score },
    Item {
        name: "the inheritable capabilities",
        differs: capabilities::has_heritable,
        reset: capabilities::clear_heritable,
    },
    Item { name: "the securebits", differs: has_secure_bits, reset: reset_secure_bits },
    // To ask whether there is one would make one.
    Item { name: "the session keyring", differs: || true, reset: join_new_keyring },
];

impl Inherited {
    /// Looks at the calling thread. Those that it makes later have the same; and nothing in this program changes what a
    /// signal does once its threads run.
    pub fn of_this_thread() -> Self {
        let differing = ITEMS.iter().enumerate().filter(|(_, item)| (item.differs)());
        let items = differing.fold(0, |bits, (number, _)| bits | 1 << number);
        Self { items, signals: Disposed::now() }
    }

    /// What it is, in the words of a log.
    pub fn names(self) -> Vec<&'static str> {
        let items = ITEMS.iter().enumerate().filter(|(number, _)| self.has(*number));
        items.map(|(_, item)| item.name).collect()
    }

    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Leaves it behind, and answers what the kernel has not let go of: a better priority or a lower score takes a
    /// privilege that we may lack. For the child between clone and exec, as long as it has ours: only system calls.
    pub(super) fn leave_behind(self) -> Self {
        self.signals.reset();
        let mut kept = 0;
        for (number, item) in ITEMS.iter().enumerate() {
            if self.has(number) && (item.reset)().is_err() {
                kept |= 1 << number;
            }
        }
        Self::from_bits(kept)
    }

    pub(super) fn bits(self) -> i32 {
        self.items
    }

    pub(super) fn from_bits(items: i32) -> Self {
        Self { items, signals: Disposed::default() }
    }

    fn has(self, number: usize) -> bool {
        self.items & (1 << number) != 0
    }
}

fn has_policy() -> bool {
    // SAFETY: one integer, and nothing is changed.
    let policy = unsafe { libc::sched_getscheduler(0) };
    // The flag beside the policy says what children get.
    policy & !libc::SCHED_RESET_ON_FORK != libc::SCHED_OTHER
}

fn reset_policy() -> Result<(), Errno> {
    // SAFETY: all zeroes is a value of this plain struct, and the one that SCHED_OTHER wants.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: reads parameters that are valid for the call; changes this process alone.
    Errno::result(unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &parameters) }).map(drop)
}

fn nice() -> libc::c_long {
    // The call itself, which answers 40..=1 for -20..=19: the wrapper's -1 is ambiguous.
    // SAFETY: two integers, and nothing is changed.
    20 - unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) }
}

fn reset_nice() -> Result<(), Errno> {
    // SAFETY: integers, which change this process alone.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) }).map(drop)
}

// ioprio_get(2); libc has no names for these.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_SHIFT: u32 = 13;
const IOPRIO_CLASS_BEST_EFFORT: libc::c_long = 2;

/// A process without an I/O priority has, since Linux 6.5, the one that follows from its nice value.
fn has_io_priority() -> bool {
    // SAFETY: integers, and nothing is changed.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
    let from_nice = (IOPRIO_CLASS_BEST_EFFORT << IOPRIO_CLASS_SHIFT) | ((nice() + 20) / 5);
    priority >> IOPRIO_CLASS_SHIFT > 0 && priority != from_nice
}

fn reset_io_priority() -> Result<(), Errno> {
    // SAFETY: integers, which change this process alone.
    Errno::result(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) }).map(drop)
}

fn has_timer_slack() -> bool {
    // The call itself: the answer may be wider than the wrapper's.
    // SAFETY: an integer, and nothing is changed.
    (unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) })
        != TIMER_SLACK_NS as libc::c_long
}

fn reset_timer_slack() -> Result<(), Errno> {
    // SAFETY: an integer, which changes this process alone.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS) }).map(drop)
}

fn has_oom_score() -> bool {
    !matches!(std::fs::read("/proc/self/oom_score_adj").as_deref(), Ok(b"0\n"))
}

/// The kernel gives the score of a process to all that share its memory, but spares the parent of a vfork(2)
/// (`__set_oom_adj` in fs/proc/base.c).
fn reset_oom_score() -> Result<(), Errno> {
    // SAFETY: the path is a constant.
    let file = unsafe { libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    Errno::result(file)?;
    // SAFETY: the buffer is a constant of this length.
    let written = unsafe { libc::write(file, c"0".as_ptr().cast(), 1) };
    let outcome = Errno::result(written).map(drop);
    // SAFETY: opened above, and nobody else knows of it.
    unsafe { libc::close(file) };
    outcome
}

fn has_secure_bits() -> bool {
    // SAFETY: an integer, and nothing is changed.
    unsafe { libc::prctl(libc::PR_GET_SECUREBITS) != 0 }
}

fn reset_secure_bits() -> Result<(), Errno> {
    // SAFETY: an integer, which changes this process alone.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, 0 as libc::c_ulong) }).map(drop)
}

/// A session keyring is handed on from one process to the next, whoever they are (session-keyring(7)).
fn join_new_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for a new keyring without one; no memory is read.
    let joined = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    match Errno::result(joined) {
        // A kernel without keys, or a filter that refuses them: to the program, too.
        Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        joined => joined.map(drop),
    }
}
