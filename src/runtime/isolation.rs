//! The namespaces of a cell: made with the cell, entered by all that is started in it, ended with it.
//!
//! A network alone is a descriptor. Isolated processes take a process, as a pid namespace ends with its first one: the
//! cell's init (`crate::init`), which also holds the others of the cell's namespaces, the network among them.

use super::cgroup::{Group, Removal, Tree};
use super::child::Child;
use super::error::{Error, errno_of};
use super::launch::{Destination, Launcher};
use super::names::CellName;
use super::spec::CellSpec;
use crate::init::{Orders, REPORT_BYTES_MAX, Report};
use crate::limits::INIT_TIMEOUT;
use crate::sys::failpoint::check;
use crate::sys::namespaces::{self as sys, new_network};
use crate::sys::spawn::{SpawnError, Step};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// What a cell has for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Process ids, System V IPC, host name and mounts.
    pub process: bool,
    pub network: bool,
}

/// The namespaces of a cell, for as long as this is there.
#[derive(Debug, Default)]
pub(super) enum Namespaces {
    /// The daemon's own.
    #[default]
    Ours,
    Network(OwnedFd),
    Init(Init),
}

/// The first process of a cell that isolates its processes.
#[derive(Debug)]
pub(super) struct Init {
    child: Arc<Child>,
    /// Beside the cells and not in its own: there it would keep the cell from ever being empty, be frozen with it, count as
    /// one of its processes, and be killed for what they do to their memory limit, which would end all of them.
    leaf: Group,
    network: bool,
}

/// Namespaces that will not go while something is started in them.
#[derive(Debug)]
pub(super) enum Entrance<'a> {
    Ours,
    Network(BorrowedFd<'a>),
    Init { pidfd: Arc<OwnedFd>, network: bool },
}

impl Namespaces {
    /// Makes what the cell asks for; all of it, or nothing. Its cgroups must be there. `number` names the init's leaf.
    ///
    /// Waits for the init, which has as much to do as a program that is started.
    pub fn make(launcher: &Launcher, tree: &Tree, spec: &CellSpec, number: u64) -> Result<Self, Error> {
        let Isolation { process, network } = spec.isolation;
        if process {
            return Init::start(launcher, tree, spec, number).map(Self::Init);
        }
        if network {
            let made = new_network().map(Self::Network);
            return made.map_err(|(step, errno)| failed(&spec.name, step, Some(errno)));
        }
        Ok(Self::Ours)
    }

    /// For something that is about to be started. Fails when somebody has ended the init.
    pub fn enter(&self, cell: &CellName) -> Result<Entrance<'_>, Error> {
        match self {
            Self::Ours => Ok(Entrance::Ours),
            Self::Network(namespace) => Ok(Entrance::Network(namespace.as_fd())),
            Self::Init(init) => {
                let pidfd = init.child.running().ok_or_else(|| Error::InitEnded(cell.clone()))?;
                Ok(Entrance::Init { pidfd, network: init.network })
            }
        }
    }

    /// Why a start in them failed: an init that ends meanwhile lets nobody in.
    pub fn explain(&self, cell: &CellName, error: Error) -> Error {
        // ESRCH (setns(2)): it is ending, which lasts until what ran in its namespaces has been reaped, by us too.
        let gone = SpawnError { step: Step::EnterNamespaces, item: None, errno: Some(Errno::ESRCH) };
        match &error {
            Error::Spawn { failure, .. } if *failure == gone => Error::InitEnded(cell.clone()),
            _ => self.enter(cell).err().unwrap_or(error),
        }
    }

    /// The process among the namespaces, if there is one.
    pub fn init(&self) -> Option<Arc<Child>> {
        match self {
            Self::Ours | Self::Network(_) => None,
            Self::Init(init) => Some(Arc::clone(&init.child)),
        }
    }

    /// Ends the init of a cell in which nothing runs any more. [`Removal::Busy`] until nothing of it is left. A network is
    /// gone when the last one lets go of it.
    pub fn end(&self) -> Result<Removal, Error> {
        let Self::Init(init) = self else { return Ok(Removal::Gone) };
        // Again at each call: it does no harm, and the next line says how it stands.
        let _ = init.child.signal(Signal::SIGKILL);
        match init.child.reap() {
            None => Ok(Removal::Busy),
            Some(_) => init.leaf.remove(),
        }
    }
}

impl Entrance<'_> {
    pub fn as_sys(&self) -> sys::Namespaces<'_> {
        match self {
            Self::Ours => sys::Namespaces::Ours,
            Self::Network(namespace) => sys::Namespaces::Network(*namespace),
            Self::Init { pidfd, network } => {
                sys::Namespaces::Of { process: pidfd.as_fd(), network: *network }
            }
        }
    }
}

impl Init {
    fn start(launcher: &Launcher, tree: &Tree, spec: &CellSpec, number: u64) -> Result<Self, Error> {
        let leaf = tree.base().init(number);
        leaf.create()?;
        let launched = Self::launch(launcher, spec, &leaf);
        let (init, socket) = launched.inspect_err(|_| remove(&leaf))?;
        let orders = Orders {
            hostname: spec.name.last_label().into(),
            network: init.network,
            cgroup: tree.cell(&spec.name).path().to_owned(),
        };
        let failure = match init.report(socket, &orders) {
            Ok(Some(Report::Ready)) => return Ok(init),
            Ok(Some(Report::Failed { step, errno })) => failed(&spec.name, &step, Some(errno)),
            Ok(None) => failed(&spec.name, "start the cell's init", None),
            Err(error) if is_of_a_closed_socket(&error) => failed(&spec.name, "start the cell's init", None),
            Err(error) => failed(&spec.name, "hear of the cell's init", Some(hearing_errno(&error))),
        };
        init.undo();
        Err(failure)
    }

    fn launch(launcher: &Launcher, spec: &CellSpec, leaf: &Group) -> Result<(Self, UnixStream), Error> {
        let network = spec.isolation.network;
        let (ours, theirs) = pair().map_err(|errno| failed(&spec.name, "make a socket", Some(errno)))?;
        let entered = (!launcher.born_in_leaf()).then(|| leaf.path().join("cgroup.procs"));
        let namespaces = sys::Namespaces::New { network };
        let destination = Destination { leaf, join: entered.into_iter().collect(), namespaces };
        let spawned = launcher.launch_init(&spec.name, &destination, theirs.as_fd())?;
        let (child, _) = Child::new(spawned.pid, spawned.pidfd);
        Ok((Self { child: Arc::new(child), leaf: leaf.clone(), network }, ours))
    }

    /// Tells it what to do, and waits until it is done. `None` when it has ended without a word.
    fn report(&self, mut socket: UnixStream, orders: &Orders) -> io::Result<Option<Report>> {
        check("tell the init")?;
        socket.set_read_timeout(Some(INIT_TIMEOUT))?;
        socket.write_all(&orders.encode())?;
        socket.shutdown(Shutdown::Write)?;
        check("hear of the init")?;
        let mut report = Vec::new();
        socket.take(REPORT_BYTES_MAX as u64).read_to_end(&mut report)?;
        Ok(Report::decode(&report))
    }

    /// Nothing else runs in its namespaces yet, so that it ends at once.
    fn undo(&self) {
        let _ = self.child.signal(Signal::SIGKILL);
        if let Some(pidfd) = self.child.running() {
            let timeout = PollTimeout::try_from(INIT_TIMEOUT).unwrap_or(PollTimeout::MAX);
            // Whatever it says, the next lines look for themselves.
            let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout);
        }
        match self.child.reap() {
            Some(_) => remove(&self.leaf),
            None => log::warn!("the init {} of a cell that was not made does not end", self.child.pid),
        }
    }
}

fn pair() -> Result<(UnixStream, UnixStream), Errno> {
    check("make a socket")?;
    UnixStream::pair().map_err(|error| errno_of(&error))
}

/// The init has ended before it read its orders.
fn is_of_a_closed_socket(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// What a read says when its time is up would pass for a limit that was reached.
fn hearing_errno(error: &io::Error) -> Errno {
    match errno_of(error) {
        Errno::EAGAIN => Errno::ETIMEDOUT,
        errno => errno,
    }
}

/// Undoes the making of a leaf.
fn remove(leaf: &Group) {
    match leaf.remove() {
        Ok(Removal::Gone) => {}
        Ok(Removal::Busy) => log::warn!("while undoing: {} is busy", leaf.path().display()),
        Err(error) => log::warn!("while undoing: {error}"),
    }
}

fn failed(cell: &CellName, step: &str, errno: Option<Errno>) -> Error {
    Error::Isolation { cell: cell.clone(), step: step.to_owned(), errno }
}
