//! Namespaces: which ones a process begins in, making them, and entering them.
//!
//! Entering changes the calling process (or, for the pid namespace, its children to come), so that only a child that has
//! not become a program yet does it; see [`super::spawn`].

use super::clone::{self, Birth};
use super::failpoint::check;
use super::pidfd;
use super::signals::AllBlocked;
use super::stack::Stack;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// The namespaces of a process that is started, the cgroup namespace apart.
#[derive(Clone, Copy, Debug, Default)]
pub enum Namespaces<'a> {
    /// Those of the caller.
    #[default]
    Ours,
    /// New pid, ipc, uts and mount namespaces, of which the process is the first, and perhaps a new network.
    New { network: bool },
    /// The network namespace that this descriptor holds.
    Network(BorrowedFd<'a>),
    /// Those that the process of this pidfd was made with by [`Namespaces::New`] (pidfds since Linux 5.8, setns(2)).
    Of { process: BorrowedFd<'a>, network: bool },
}

const ISOLATED: libc::c_int =
    libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNS;

impl Namespaces<'_> {
    /// What clone(2) is to make anew.
    pub(super) fn new_flags(self) -> libc::c_int {
        match self {
            Self::New { network } => isolated(network),
            _ => 0,
        }
    }

    /// Enters those that are there. Makes system calls only.
    pub(super) fn enter(self) -> Result<(), Errno> {
        let (descriptor, flags) = match self {
            Self::Ours | Self::New { .. } => return Ok(()),
            Self::Network(namespace) => (namespace, libc::CLONE_NEWNET),
            Self::Of { process, network } => (process, isolated(network)),
        };
        // SAFETY: changes the namespaces, root and working directory of this process alone (no CLONE_FS).
        Errno::result(unsafe { libc::setns(descriptor.as_raw_fd(), flags) }).map(drop)
    }

    /// Whether a process must enter them before it makes the one that is to be in them: setns(2) leaves the caller in the
    /// pid namespace that it is in.
    pub(super) fn need_an_envoy(self) -> bool {
        matches!(self, Self::Of { .. })
    }
}

fn isolated(network: bool) -> libc::c_int {
    ISOLATED | if network { libc::CLONE_NEWNET } else { 0 }
}

/// A network namespace with `lo` up, which lives as long as the descriptor or a process in it. Or the step that failed.
///
/// Made by a child that begins in it, so that nothing of this process changes, and that is gone on return.
pub fn new_network() -> Result<OwnedFd, (&'static str, Errno)> {
    let maker = NetworkMaker::default();
    let failed = |errno| (NETWORK_STEPS[0], errno);
    let stack = Stack::new().map_err(failed)?;
    let birth = Birth { cgroup: None, flags: libc::CLONE_NEWNET | libc::CLONE_FILES };
    let argument = (&raw const maker).cast_mut().cast::<libc::c_void>();
    check("clone").map_err(failed)?;
    let child = {
        // A handler of ours that ran in the child would run in our memory.
        let _blocked = AllBlocked::new().map_err(failed)?;
        // SAFETY: `network_main` makes system calls only, and gets the maker, which outlives the call.
        unsafe { clone::clone(birth, &stack, network_main, argument) }.map_err(failed)?
    };
    pidfd::reap_ended(child.pidfd.as_fd());
    let step = NETWORK_STEPS[maker.step.into_inner().min(NETWORK_STEPS.len() - 1)];
    match (maker.namespace.into_inner(), maker.errno.into_inner()) {
        // Neither: a signal ended it.
        (-1, 0) => Err((step, Errno::EINTR)),
        (-1, errno) => Err((step, Errno::from_raw(errno))),
        // SAFETY: the child opened it in the table that it shared with us (CLONE_FILES), for us alone.
        (namespace, _) => Ok(unsafe { OwnedFd::from_raw_fd(namespace) }),
    }
}

/// What the child is at, in this order.
const NETWORK_STEPS: [&str; 3] = ["clone", "set lo up", "open /proc/self/ns/net"];

/// What the child writes.
#[derive(Debug)]
struct NetworkMaker {
    step: AtomicUsize,
    errno: AtomicI32,
    namespace: AtomicI32,
}

impl Default for NetworkMaker {
    fn default() -> Self {
        Self { step: 0.into(), errno: 0.into(), namespace: (-1).into() }
    }
}

/// The child: system calls and stores only.
extern "C" fn network_main(maker: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `new_network` passes a pointer to its maker, which lives until this process has ended.
    let maker = unsafe { &*maker.cast::<NetworkMaker>() };
    maker.step.store(1, Ordering::Release);
    let made = loopback_up().and_then(|()| {
        maker.step.store(2, Ordering::Release);
        check(NETWORK_STEPS[2])?;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a constant.
        Errno::result(unsafe { libc::open(c"/proc/self/ns/net".as_ptr(), flags) })
    });
    match made {
        Ok(namespace) => maker.namespace.store(namespace, Ordering::Release),
        Err(errno) => maker.errno.store(errno as i32, Ordering::Release),
    }
    // SAFETY: ends this process without running exit handlers, which are the parent's.
    unsafe { libc::_exit(0) }
}

/// Has the loopback interface of this process's network namespace up (netdevice(7)); the kernel gives it its addresses.
/// Makes system calls only.
pub fn loopback_up() -> Result<(), Errno> {
    check(NETWORK_STEPS[1])?;
    // SAFETY: plain system calls; a new descriptor, which is closed below.
    let socket =
        Errno::result(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: reads one ifreq, which names an interface and has its flags set.
    let up = Errno::result(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request) });
    // SAFETY: opened above, and nobody else's.
    unsafe { libc::close(socket) };
    up.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_another_one_and_ours_stays() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: needs root");
        }
        let inode = |path: &str| std::fs::read_link(path).expect("a namespace");
        let before = inode("/proc/thread-self/ns/net");
        let made = new_network().expect("a network");
        let ours = inode("/proc/thread-self/ns/net");
        assert_eq!(ours, before);
        let stat = |fd: BorrowedFd<'_>| nix::sys::stat::fstat(fd).expect("stat").st_ino;
        let held = std::fs::File::open("/proc/self/ns/net").expect("ours");
        assert_ne!(stat(made.as_fd()), stat(held.as_fd()));
    }
}
