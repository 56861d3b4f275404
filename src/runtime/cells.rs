//! Cells and executables: allocate, start, list, stop, free. The one thing that services hold.
//!
//! Every method returns promptly. Those that make or end something work in three steps: reserve the name under the lock,
//! make the system calls without it, commit or undo. The states are drawn in `registry`.

use super::cgroup::{Group, Hierarchies, Removal, Tree};
use super::child::{Child, Exit, Started};
use super::ending::{Ending, Finish, RemovalNotice, Target};
use super::error::Error;
use super::info::CellInfo;
use super::isolation::Namespaces;
use super::launch::{Destination, Launcher};
use super::names::{CellName, ExecutableName};
use super::registry::{Executable, FreeingCell, MayRemove, Registry, Reservation, StoppingExecutable};
use super::spec::{CellSpec, ExecutableSpec};
use crate::sys::open_files::OpenFilesLimit;
use crate::sys::spawn::Spawned;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What [`Cells::open`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellsConfig {
    /// Name of our directory in each hierarchy: see [`CellsConfig::for_runtime_dir`].
    pub slice: String,
    /// Runs commands, as `sh -c COMMAND`.
    pub shell: PathBuf,
    /// Is executed as the init of cells that isolate their processes: this very program, or one that acts on the zeroth
    /// argument as it does.
    pub init: PathBuf,
    /// The limit on open files for what is started; `None` leaves the daemon's.
    pub open_files: Option<OpenFilesLimit>,
}

impl CellsConfig {
    /// The cgroups of the daemon whose runtime directory this is, by its canonical path: `aurae` for `/run/aurae`, else
    /// `aurae-` and a hash of the path, so that two daemons share nothing.
    pub fn for_runtime_dir(canonical: &Path) -> Self {
        let slice = match canonical.as_os_str().as_bytes() {
            b"/run/aurae" => "aurae".to_owned(),
            path => format!("aurae-{:08x}", fnv1a(path)),
        };
        Self { slice, shell: "/bin/sh".into(), init: OWN_PROGRAM.into(), open_files: None }
    }
}

/// Stays what it is when the file is replaced: proc_pid_exe(5).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// FNV-1a, 32 bits. A hash that stays the same from one release to the next, which std's doesn't promise.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The cells of this daemon.
#[derive(Debug)]
pub struct Cells {
    tree: Tree,
    launcher: Launcher,
    /// Never held across a system call.
    registry: Mutex<Registry>,
}

impl Cells {
    /// Finds the cgroup hierarchies, ends and removes what an earlier daemon with the same `slice` left (logged as a
    /// warning; waits for it, some seconds at most), and makes our directories.
    ///
    /// The caller holds the lock that says that no such daemon lives. Nothing else here ever waits.
    pub fn open(config: CellsConfig) -> Result<Self, Error> {
        let hierarchies = Hierarchies::detect()?;
        // First what leaves nothing behind when it fails.
        let launcher = Launcher::new(&config, hierarchies.tracking.version)?;
        let tree = Tree::open(&hierarchies, &config.slice)?;
        log::info!("cells are cgroups below {:?}, unified: {}", tree.bases(), tree.is_unified());
        Ok(Self { tree, launcher, registry: Mutex::default() })
    }

    /// Whether this machine has cgroup v2 alone. `false` on v1 and on a hybrid, where v2 has no controllers.
    pub fn cgroup_v2(&self) -> bool {
        self.tree.is_unified()
    }

    /// Whether cells can be made right now: our directories are there and may be written.
    pub fn probe(&self) -> Result<(), Error> {
        for path in self.tree.bases() {
            access(path, AccessFlags::W_OK).map_err(|errno| Error::File {
                verb: "write to",
                path: path.to_owned(),
                errno,
            })?;
        }
        Ok(())
    }

    /// Removes our directories if no cell is left in them, as the last act of a daemon. Cells that are left stay as they
    /// are, running; the next [`Cells::open`] ends them.
    pub fn close(&self) -> Result<(), Error> {
        self.tree.close()
    }

    /// Orders SIGKILL for all that runs in any cell, for a daemon that is told not to wait.
    pub fn kill_all(&self) -> Result<(), Error> {
        self.tree.base().kill()
    }

    /// Makes a cell with its limits and namespaces; all of it, or nothing.
    pub fn allocate(&self, spec: CellSpec) -> Result<(), Error> {
        let number = self.registry().reserve_cell(&spec)?;
        match self.make(&spec, number) {
            Ok(namespaces) => self.registry().commit_cell(&spec.name, number, namespaces),
            Err(error) => {
                self.registry().cancel_cell(&spec.name, number);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Starts an executable in a cell. Returns when its command's shell runs, or nothing is left of the attempt.
    pub fn start(&self, cell: &CellName, spec: ExecutableSpec) -> Result<Started, Error> {
        // A process that is born frozen does not execute, and this call would wait for it.
        if self.tree.cell(cell).is_frozen()? {
            return Err(Error::CellFrozen(cell.clone()));
        }
        let reservation = self.registry().reserve_executable(cell, &spec.name, &spec.description)?;
        let Reservation { leaf: number, mut previous, namespaces, mut stale } = reservation;
        stale.retain(|leaf| !self.drop_leaf(cell, *leaf));
        self.registry().keep_stale(cell, stale);

        let launched = self
            .retire(cell, &spec.name, &mut previous)
            .and_then(|()| self.launch(cell, &spec, number, &namespaces));
        match launched {
            Ok(spawned) => Ok(self.commit(cell, &spec.name, number, spawned)),
            Err(error) => {
                self.registry().cancel_executable(cell, &spec.name, number, previous);
                Err(error)
            }
        }
    }

    /// To be called when the descriptor of `exit` is readable: reaps the process, records how it ended, and drops its
    /// cgroup if nothing that it started is left in it. Does nothing if it still runs.
    pub fn exited(&self, exit: &Exit) {
        // Numbers of leafs are never given twice, so that nobody else's is dropped.
        if exit.child.reap().is_some() && self.drop_leaf(&exit.cell, exit.leaf) {
            // After the removal: a Stop that begins later than this look finds no cgroup, and doesn't wait.
            let stopping = self.registry().leaf_notice(&exit.cell, exit.leaf);
            stopping.into_iter().for_each(|notice| notice.give());
        }
    }

    /// All cells, as a tree.
    pub fn list(&self) -> Vec<CellInfo> {
        self.registry().list()
    }

    /// Sends SIGTERM to all that the executable ever started. Its name is released by [`Cells::finish`].
    ///
    /// One that has exited is stopped the same way, once; one that is being stopped may be stopped again.
    pub fn stop(&self, cell: &CellName, executable: &ExecutableName) -> Result<Ending, Error> {
        let notice = RemovalNotice::new()?;
        let stopping = self.registry().stop_executable(cell, executable, notice)?;
        let StoppingExecutable { leaf, child, removal } = stopping;
        let target = Target::Executable { cell: cell.clone(), executable: executable.clone(), leaf };
        let ending = Ending { target, group: self.leaf(cell, leaf), children: vec![child], removal };
        terminate(&ending);
        Ok(ending)
    }

    /// Closes the cell to all that is new, and sends SIGTERM to all that runs in it. [`Cells::finish`] removes it.
    pub fn free(&self, cell: &CellName) -> Result<Ending, Error> {
        let notice = RemovalNotice::new()?;
        let FreeingCell { number, children, removal } = self.registry().free_cell(cell, notice)?;
        let target = Target::Cell { cell: cell.clone(), number };
        let ending = Ending { target, group: self.tree.cell(cell), children, removal };
        terminate(&ending);
        Ok(ending)
    }

    /// Orders SIGKILL for all that runs in it, what is forked meanwhile included.
    pub fn kill(&self, ending: &Ending) -> Result<(), Error> {
        let Target::Cell { cell, number } = &ending.target else { return kill_all_of(ending) };
        // Held meanwhile, so that the name is not given to a next cell, which the path would then be of.
        if !self.registry().hold(cell, *number) {
            return Ok(());
        }
        // What left the hierarchy that tracks may still be in one that limits, and would keep the cell from going.
        let limiting = self.tree.limiting(cell);
        let killed = limiting
            .iter()
            .fold(kill_all_of(ending), |killed, group| killed.and(group.signal(Signal::SIGKILL)));
        self.registry().cancel_removal(cell, *number);
        killed
    }

    /// Reaps the processes, removes the cgroups and drops the record, as far as the kernel lets us. [`Finish::Done`] when
    /// nothing is left, or another caller has finished it.
    pub fn finish(&self, ending: &Ending) -> Result<Finish, Error> {
        match &ending.target {
            Target::Executable { cell, executable, leaf } => {
                if !all_reaped(&ending.children) || ending.group.remove()? == Removal::Busy {
                    return Ok(Finish::Busy);
                }
                self.registry().remove_executable(cell, executable, *leaf);
                ending.removal.give();
            }
            Target::Cell { cell, number } => {
                let may = self.registry().begin_removal(cell, *number);
                let (children, namespaces) = match may {
                    MayRemove::Gone => return Ok(Finish::Done),
                    MayRemove::Later => return Ok(Finish::Busy),
                    MayRemove::Now(children, namespaces) => (children, namespaces),
                };
                let removed = self.remove(cell, &children, &namespaces);
                if !matches!(removed, Ok(Removal::Gone)) {
                    self.registry().cancel_removal(cell, *number);
                    return removed.map(|_| Finish::Busy);
                }
                let notices = self.registry().remove_cell(cell, *number);
                notices.iter().for_each(|notice| notice.give());
            }
        }
        Ok(Finish::Done)
    }

    /// For a caller that has waited long enough after [`Cells::kill`]: the error to answer. What remains stays marked as
    /// ending, so that nothing new joins it, and may be stopped or freed again.
    pub fn give_up(&self, ending: &Ending) -> Error {
        let mut pids = ending.group.processes().unwrap_or_default();
        pids.extend(ending.children.iter().filter(|child| child.reap().is_none()).map(|child| child.pid));
        Error::StillAlive { object: ending.target.to_string(), pids: shown_pids(&pids) }
    }

    /// Makes way for a new executable of the same name: the leaf of the one that has exited must be empty.
    fn retire(
        &self,
        cell: &CellName,
        name: &ExecutableName,
        previous: &mut Option<Executable>,
    ) -> Result<(), Error> {
        let Some(exited) = previous else { return Ok(()) };
        if !self.leaf(cell, exited.leaf).is_empty()? {
            return Err(Error::ProcessesLeft { cell: cell.clone(), executable: name.clone() });
        }
        if !self.drop_leaf(cell, exited.leaf) {
            self.registry().keep_stale(cell, vec![exited.leaf]);
        }
        Ok(())
    }

    fn make(&self, spec: &CellSpec, number: u64) -> Result<Namespaces, Error> {
        self.tree.create_cell(spec)?;
        let made = Namespaces::make(&self.launcher, &self.tree, spec, number);
        if made.is_err()
            && let Err(error) = self.tree.remove_cell(&spec.name)
        {
            log::warn!("while undoing: {error}");
        }
        made
    }

    /// In this order: whatever is left runs in the namespaces, and an end of the init would be its end, without a grace
    /// period; and as long as the namespaces are there, so is a mount of the cell's cgroup.
    fn remove(
        &self,
        cell: &CellName,
        children: &[Arc<Child>],
        namespaces: &Namespaces,
    ) -> Result<Removal, Error> {
        if !all_reaped(children) {
            return Ok(Removal::Busy);
        }
        if namespaces.init().is_some()
            && (!self.tree.cell(cell).is_empty()? || namespaces.end()? == Removal::Busy)
        {
            return Ok(Removal::Busy);
        }
        self.tree.remove_cell(cell)
    }

    fn launch(
        &self,
        cell: &CellName,
        spec: &ExecutableSpec,
        number: u64,
        namespaces: &Namespaces,
    ) -> Result<Spawned, Error> {
        let entrance = namespaces.enter(cell)?;
        let leaf = self.leaf(cell, number);
        let created = leaf.create_leaf();
        let entered = (!self.launcher.born_in_leaf()).then_some(&leaf);
        let join = self.tree.procs_to_join(cell, entered);
        let destination = Destination { leaf: &leaf, join, namespaces: entrance.as_sys() };
        match created.and_then(|()| self.launcher.launch(cell, spec, &destination)) {
            Ok(spawned) => Ok(spawned),
            Err(error) => {
                if !self.drop_leaf(cell, number) {
                    self.registry().keep_stale(cell, vec![number]);
                }
                Err(namespaces.explain(cell, error))
            }
        }
    }

    fn commit(&self, cell: &CellName, name: &ExecutableName, leaf: u64, spawned: Spawned) -> Started {
        let (child, pidfd) = Child::new(spawned.pid, spawned.pidfd);
        let child = Arc::new(child);
        let freeing = self.registry().commit_executable(cell, name, leaf, Arc::clone(&child));
        if freeing {
            // Free has sent its signals already, SIGKILL perhaps among them.
            let _ = child.signal(Signal::SIGKILL);
        }
        Started { pid: child.pid, exit: Exit { cell: cell.clone(), leaf, child, pidfd } }
    }

    fn leaf(&self, cell: &CellName, number: u64) -> Group {
        self.tree.cell(cell).leaf(number)
    }

    /// Removes a leaf; `false` when it is not gone. It then goes with a later start, or with its cell.
    fn drop_leaf(&self, cell: &CellName, number: u64) -> bool {
        match self.leaf(cell, number).remove() {
            Ok(removal) => removal == Removal::Gone,
            Err(error) => {
                log::warn!("{error}");
                false
            }
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // A panic in between leaves the registry whole: each method changes it at its end.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill_all_of(ending: &Ending) -> Result<(), Error> {
    let killed = ending.group.kill();
    for child in &ending.children {
        // One that left its cgroup (root can) is still ours.
        let _ = child.signal(Signal::SIGKILL);
    }
    killed
}

/// SIGTERM, to whatever can be reached: what cannot gets SIGKILL after the grace period, so that it is no failure.
fn terminate(ending: &Ending) {
    let members = ending.group.processes().unwrap_or_default();
    if let Err(error) = ending.group.signal(Signal::SIGTERM) {
        log::warn!("while ending {}: {error}", ending.target);
    }
    // One that left its cgroup (root can) is still ours.
    for child in ending.children.iter().filter(|child| !members.contains(&child.pid)) {
        let _ = child.signal(Signal::SIGTERM);
    }
}

fn all_reaped(children: &[Arc<Child>]) -> bool {
    // All of them, and not just up to the first that still runs.
    children.iter().filter(|child| child.reap().is_none()).count() == 0
}

/// The first few pids, and how many more there are.
fn shown_pids(pids: &BTreeSet<i32>) -> String {
    const SHOWN: usize = 16;
    let shown: Vec<String> = pids.iter().take(SHOWN).map(i32::to_string).collect();
    match pids.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_directory_has_its_own_slice() {
        let slice = |path: &str| CellsConfig::for_runtime_dir(Path::new(path)).slice;
        assert_eq!(slice("/run/aurae"), "aurae");
        assert_eq!(slice("/tmp/x"), "aurae-ff28930c");
        assert_ne!(slice("/tmp/x"), slice("/tmp/y"));
    }
}
