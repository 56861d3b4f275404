//! One cgroup in the hierarchy that tracks: what runs in it, and how to signal, kill and remove it.
//!
//! Knows nothing of cells. Nothing here waits: a kill has only been ordered when it returns.

use super::super::error::{Error, errno_of};
use super::super::signal::SignalNumber;
use super::{Version, file};
use crate::limits::{LEAF_DEPTH_MAX, LEAF_DESCENDANTS_MAX, SIGNAL_BATCH, SIGNAL_ROUNDS_MAX};
use crate::sys::failpoint::check;
use crate::sys::{pidfd, watch::ChangeWatch};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// What leads the names of leafs; `_` is in no label, so that a leaf collides with no cell.
const LEAF_PREFIX: &str = "exec_";

/// What leads the names of the leafs of cells' inits, for the same reason.
const INIT_PREFIX: &str = "init_";

/// A cgroup directory of the hierarchy that tracks. It may be gone: then nothing runs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    version: Version,
    path: PathBuf,
}

/// Whether the processes of a cgroup stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of them do, for this cgroup or for one around it.
    Frozen,
    /// They are to, and some do not yet.
    Freezing,
    /// They are not to.
    Thawed,
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, now or before.
    Gone,
    /// The kernel is not done with what was in it (EBUSY): try again later.
    Busy,
}

impl Group {
    pub fn new(version: Version, path: PathBuf) -> Self {
        Self { version, path }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn child(&self, name: impl AsRef<Path>) -> Self {
        Self { version: self.version, path: self.path.join(name) }
    }

    /// The leaf with this number directly below.
    pub fn leaf(&self, number: u64) -> Self {
        self.child(format!("{LEAF_PREFIX}{number}"))
    }

    /// The leaf of an init with this number directly below.
    pub fn init(&self, number: u64) -> Self {
        self.child(format!("{INIT_PREFIX}{number}"))
    }

    /// Pids in this cgroup and in all below it, as this process sees them.
    pub fn processes(&self) -> Result<BTreeSet<i32>, Error> {
        let mut pids = BTreeSet::new();
        for directory in descendants(&self.path)? {
            pids.extend(processes_in(&directory)?);
        }
        Ok(pids)
    }

    /// Pids in a cell's cgroup, without those in the cells inside it: `_` is in the name of each cgroup below that is no
    /// cell's.
    pub fn own_processes(&self) -> Result<BTreeSet<i32>, Error> {
        let mut pids = processes_in(&self.path)?;
        for directory in subdirectories(&self.path)? {
            if directory.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'_')) {
                pids.extend(Self::new(self.version, directory).processes()?);
            }
        }
        Ok(pids)
    }

    /// Sends `signal` once to each process in this cgroup and below it, in rounds until no new one shows up: one that was
    /// forked while its parent was being signalled is found in the next.
    pub fn signal(&self, signal: impl Into<SignalNumber>) -> Result<(), Error> {
        let signal = signal.into();
        let mut known = BTreeSet::new();
        for _ in 0..SIGNAL_ROUNDS_MAX {
            let before = known.len();
            for directory in descendants(&self.path)? {
                signal_new(&directory, signal, &mut known)?;
            }
            if known.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// Has everything in this cgroup and below it killed, what is forked meanwhile included.
    ///
    /// v2: `cgroup.kill` (since 5.14). v1: frozen, so that it doesn't grow; killed; thawed, so that it dies.
    pub fn kill(&self) -> Result<(), Error> {
        if self.version == Version::V2 {
            let switch = self.path.join("cgroup.kill");
            match file::write(&switch, "1") {
                Ok(()) => return Ok(()),
                // EOPNOTSUPP: a threaded cgroup.
                Err(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => {}
                Err(errno) => return Err(Error::File { verb: "write", path: switch, errno }),
            }
        }
        self.freeze()?;
        let killed = self.signal(Signal::SIGKILL);
        // Each by itself: one inside may have been frozen by what runs in it.
        descendants(&self.path)?.into_iter().try_for_each(|d| Self::new(self.version, d).thaw())?;
        killed
    }

    /// Moves what is in this cgroup and below it into `other`. For what has been killed and is frozen by a v1 cgroup around
    /// this one: it ends where it is not frozen, and not before.
    pub fn move_all_to(&self, other: &Self) -> Result<(), Error> {
        let procs = other.path.join("cgroup.procs");
        for pid in self.processes()? {
            match file::write(&procs, &pid.to_string()) {
                // ESRCH: it has ended meanwhile.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(Error::File { verb: "write", path: procs, errno }),
            }
        }
        Ok(())
    }

    /// Orders that all in this cgroup and below it stand still; [`Group::rest`] says when they do.
    pub fn freeze(&self) -> Result<(), Error> {
        let (switch, on, _) = self.freezer();
        write_if_there(self.path.join(switch), on)
    }

    /// Lets go on what was frozen by [`Group::freeze`]. What a cgroup around it or below it has frozen stays so.
    pub fn thaw(&self) -> Result<(), Error> {
        let (switch, _, off) = self.freezer();
        write_if_there(self.path.join(switch), off)
    }

    /// The file that freezes and thaws, and what is written to it.
    fn freezer(&self) -> (&'static str, &'static str, &'static str) {
        match self.version {
            Version::V1 => ("freezer.state", "FROZEN", "THAWED"),
            Version::V2 => ("cgroup.freeze", "1", "0"),
        }
    }

    /// Whether what is in it stands still; `None` when the cgroup is gone.
    pub fn rest(&self) -> Result<Option<Rest>, Error> {
        if self.version == Version::V1 {
            let state = file::read_if_there(&self.path.join("freezer.state"))?;
            return Ok(state.map(|state| match state.trim_end() {
                "FROZEN" => Rest::Frozen,
                "FREEZING" => Rest::Freezing,
                _ => Rest::Thawed,
            }));
        }
        // At first there is what was asked for, and `frozen` in the events when all of it has come to rest.
        Ok(match self.has_frozen()? {
            Some(true) => Some(Rest::Frozen),
            Some(false) if self.is_told_to_freeze()? => Some(Rest::Freezing),
            Some(false) => Some(Rest::Thawed),
            None => None,
        })
    }

    /// v2: whether all of it has come to rest, for this cgroup or for one around it. `None` when it is gone.
    fn has_frozen(&self) -> Result<Option<bool>, Error> {
        let events = file::read_if_there(&self.path.join("cgroup.events"))?;
        Ok(events.map(|events| events.lines().any(|line| line == "frozen 1")))
    }

    /// Whether it is frozen, or is about to be: by itself, or with a cgroup around it. On v2 it takes a moment until the
    /// latter is known.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        match self.version {
            Version::V1 => self.rest().map(|rest| matches!(rest, Some(Rest::Frozen | Rest::Freezing))),
            Version::V2 => Ok(self.is_told_to_freeze()? || self.has_frozen()? == Some(true)),
        }
    }

    /// Whether it has been told to freeze itself, whatever is around it.
    pub fn is_told_to_freeze(&self) -> Result<bool, Error> {
        let own = match self.version {
            Version::V1 => "freezer.self_freezing",
            Version::V2 => "cgroup.freeze",
        };
        Ok(file::read_if_there(&self.path.join(own))?.is_some_and(|told| told.trim_end() == "1"))
    }

    /// Of its processes those that are not frozen, as far as the kernel tells them apart; else all.
    pub fn restless(&self) -> Result<BTreeSet<i32>, Error> {
        let pids = self.processes()?;
        // On v2 what is frozen sleeps, on v1 it looks as if it could not be interrupted. Stopped is as good as frozen.
        let at_rest: &[char] = match self.version {
            Version::V1 => &['D', 'T', 't', 'Z', 'X'],
            Version::V2 => &['S', 'T', 't', 'Z', 'X'],
        };
        let is_restless = |pid: &&i32| process_state(**pid).is_some_and(|state| !at_rest.contains(&state));
        let mut restless = BTreeSet::new();
        restless.extend(pids.iter().filter(is_restless));
        Ok(if restless.is_empty() { pids } else { restless })
    }

    /// Whether nothing runs in it or below it. A zombie does not count.
    pub fn is_empty(&self) -> Result<bool, Error> {
        if self.version == Version::V1 {
            return self.processes().map(|pids| pids.is_empty());
        }
        let events = file::read_if_there(&self.path.join("cgroup.events"))?;
        Ok(events.is_none_or(|events| says_empty(&events)))
    }

    /// A way to learn of changes, if this hierarchy has one and the cgroup is still there. `removed` must become readable
    /// when the cgroup is removed by us, which the kernel does not announce.
    pub fn changes(&self, removed: BorrowedFd<'_>) -> Result<Option<Changes>, Error> {
        if self.version == Version::V1 {
            return Ok(None);
        }
        let path = self.path.join("cgroup.events");
        let file = match File::open(&path) {
            Err(error) if is_gone(&error) => return Ok(None),
            opened => opened.map_err(|error| Error::file("open", &path, &error))?,
        };
        let watch = check("watch a cgroup")
            .and_then(|()| ChangeWatch::new(file, removed))
            .map_err(|errno| Error::File { verb: "watch", path: path.clone(), errno })?;
        Ok(Some(Changes { watch, path }))
    }

    /// Makes its directory, which must not be there yet.
    pub fn create(&self) -> Result<(), Error> {
        create(&self.path)
    }

    /// Makes the directory of a leaf, which must not be there yet. What runs in it may make cgroups inside, but on v2 no
    /// more than can be walked when they are removed.
    pub fn create_leaf(&self) -> Result<(), Error> {
        create(&self.path)?;
        if self.version == Version::V2 {
            write_if_there(self.path.join("cgroup.max.depth"), &LEAF_DEPTH_MAX.to_string())?;
            write_if_there(self.path.join("cgroup.max.descendants"), &LEAF_DESCENDANTS_MAX.to_string())?;
        }
        Ok(())
    }

    /// Removes the cgroup, and what its processes may have made below it.
    pub fn remove(&self) -> Result<Removal, Error> {
        remove(&self.path)
    }
}

/// The `cgroup.events` of a cgroup, and a descriptor that is readable when they have changed since [`Changes::is_empty`].
#[derive(Debug)]
pub struct Changes {
    watch: ChangeWatch,
    path: PathBuf,
}

impl Changes {
    /// As [`Group::is_empty`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        let mut events = [0; 256];
        match self.watch.read(&mut events) {
            Err(error) if is_gone(&error) => Ok(true),
            Err(error) => Err(Error::file("read", &self.path, &error)),
            Ok(length) => Ok(says_empty(&String::from_utf8_lossy(&events[..length]))),
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// Makes the directory of a cgroup that must not be there yet.
pub fn create(path: &Path) -> Result<(), Error> {
    check("make a cgroup").map_err(|errno| Error::File { verb: "make", path: path.to_owned(), errno })?;
    fs::create_dir(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::PathTaken { path: path.to_owned() },
        _ => Error::file("make", path, &error),
    })
}

/// Removes the directory of a cgroup, and those that its processes have made in it: a process that is root in its cgroup
/// namespace may make some.
pub fn remove(path: &Path) -> Result<Removal, Error> {
    if remove_one(path)? == Removal::Gone {
        return Ok(Removal::Gone);
    }
    let directories = descendants(path)?;
    if is_populated(path, &directories)? {
        return Ok(Removal::Busy);
    }
    // Deepest first; the directory itself comes last.
    let mut removal = Removal::Gone;
    for directory in directories.iter().rev() {
        removal = remove_one(directory)?;
    }
    Ok(removal)
}

/// Whether anything runs in the first of these directories or below it, which the others are.
fn is_populated(path: &Path, directories: &[PathBuf]) -> Result<bool, Error> {
    if let Some(events) = file::read_if_there(&path.join("cgroup.events"))? {
        return Ok(!says_empty(&events));
    }
    for directory in directories {
        if !processes_in(directory)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes one directory and nothing below it: busy when something is.
pub fn remove_one(path: &Path) -> Result<Removal, Error> {
    check("remove a cgroup").map_err(|errno| Error::File { verb: "remove", path: path.to_owned(), errno })?;
    match fs::remove_dir(path) {
        Ok(()) => Ok(Removal::Gone),
        Err(error) if is_gone(&error) => Ok(Removal::Gone),
        Err(error) if errno_of(&error) == Errno::EBUSY => Ok(Removal::Busy),
        Err(error) => Err(Error::file("remove", path, &error)),
    }
}

/// This directory and all below it, a parent before its children. None when it is gone.
pub fn descendants(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next) {
        found.extend(subdirectories(directory)?);
        next += 1;
    }
    Ok(found)
}

pub fn subdirectories(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let fail = |error: &io::Error| Error::file("list", path, error);
    check("list a cgroup").map_err(|errno| fail(&errno.into()))?;
    let entries = match fs::read_dir(path) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        entries => entries.map_err(|error| fail(&error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| fail(&error))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Pids in this cgroup alone. 0 stands for a process that our pid namespace doesn't show, which nobody can signal by it.
pub fn processes_in(directory: &Path) -> Result<BTreeSet<i32>, Error> {
    let procs = match file::read_if_there(&directory.join("cgroup.procs")) {
        // A threaded cgroup, which a workload may make of one of its own: the domain above lists its processes.
        Err(Error::File { errno: Errno::EOPNOTSUPP, .. }) => return Ok(BTreeSet::new()),
        procs => procs?.unwrap_or_default(),
    };
    // Whole lines only: the last one may be cut where the reading was bounded.
    let whole = procs.rsplit_once('\n').map_or("", |(whole, _)| whole);
    // Not collected, which would sort them first: the kernel has them in order.
    let mut pids = BTreeSet::new();
    pids.extend(whole.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    Ok(pids)
}

fn write_if_there(path: PathBuf, value: &str) -> Result<(), Error> {
    match file::write(&path, value) {
        Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => Ok(()),
        Err(errno) => Err(Error::File { verb: "write", path, errno }),
    }
}

/// Signals each process of one directory that is not yet in `known`, and puts it there.
///
/// A pid may have passed to a stranger since it was read. So: open pidfds, which hold on to whoever has the pid now, and
/// then see if the cgroup lists the pid still. If so, the pidfd is of a member.
fn signal_new(directory: &Path, signal: SignalNumber, known: &mut BTreeSet<i32>) -> Result<(), Error> {
    let pids: Vec<i32> = processes_in(directory)?.into_iter().filter(|pid| known.insert(*pid)).collect();
    for batch in pids.chunks(SIGNAL_BATCH) {
        let opened: Vec<_> = batch.iter().filter_map(|&pid| Some((pid, pidfd::open(pid).ok()?))).collect();
        let members = processes_in(directory)?;
        for (_, pidfd) in opened.iter().filter(|(pid, _)| members.contains(pid)) {
            // ESRCH: it has ended meanwhile, which is what was wanted.
            let _ = pidfd::send_signal(pidfd.as_fd(), signal.value());
        }
    }
    Ok(())
}

/// The third field of `/proc/PID/stat` (proc_pid_stat(5)): behind the name, which may hold anything.
fn process_state(pid: i32) -> Option<char> {
    let stat = file::read_if_there(&PathBuf::from(format!("/proc/{pid}/stat"))).ok()??;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// `populated 0` in `cgroup.events` (cgroup-v2.rst).
fn says_empty(events: &str) -> bool {
    events.lines().any(|line| line == "populated 0")
}

/// ENODEV: the file was opened before its cgroup was removed.
fn is_gone(error: &io::Error) -> bool {
    matches!(errno_of(error), Errno::ENOENT | Errno::ENODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read() {
        assert!(says_empty("populated 0\nfrozen 0\n"));
        assert!(!says_empty("populated 1\nfrozen 0\n"));
        assert!(!says_empty("populated 01\n"));
        assert!(!says_empty(""));
    }

    #[test]
    fn what_is_gone_is_empty() {
        for version in [Version::V1, Version::V2] {
            let group = Group::new(version, "/nonexistent/cgroup".into());
            assert!(group.is_empty().expect("no error"));
            assert_eq!(group.remove().expect("no error"), Removal::Gone);
            group.signal(Signal::SIGTERM).expect("no error");
            group.kill().expect("no error");
            group.freeze().expect("no error");
            group.thaw().expect("no error");
            assert_eq!(group.rest().expect("no error"), None);
            assert_eq!(group.restless().expect("no error"), BTreeSet::new());
            let removed = File::open("/dev/null").expect("/dev/null");
            assert!(group.changes(removed.as_fd()).expect("no error").is_none());
        }
    }
}
