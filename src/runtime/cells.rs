//! Cells and executables: allocate, start, list, stop, free. The one thing that services hold.
//!
//! Every method returns promptly. Those that make or end something work in three steps: reserve the name under the lock,
//! make the system calls without it, commit or undo. The states are drawn in `registry`.

mod config;
mod ends;
#[cfg(test)]
mod failures;
mod freezes;

use super::cgroup::{ControllerSet, Group, Hierarchies, MemoryCounts, Removal, Tree};
use super::change::LimitsChange;
use super::child::{Child, Exit, Leaf, Run, Started};
use super::clock::unix_ms;
use super::error::Error;
use super::events::EventSink;
use super::executable::ExecutableSpec;
use super::info::CellInfo;
use super::isolation::Namespaces;
use super::launch::{Destination, Launcher};
use super::logs::{Capture, Library, LogFiles, LogMode, Logs};
use super::names::{CellName, ExecutableName};
use super::outcome::{Completion, Outcome};
use super::output::{Output, Whose};
use super::registry::{Aftermath, Locked, Place, Registry, Relaunch, Reservation};
use super::signal::SignalNumber;
use super::spec::CellSpec;
use crate::limits::RESTART_HINDERED_DELAY;
use crate::sys::pidfd::ExitReason;
use crate::sys::spawn::Spawned;
pub use config::CellsConfig;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An executable that is to be started again, with [`Cells::restart`], after a delay.
#[derive(Debug)]
pub struct Restart {
    cell: CellName,
    executable: ExecutableName,
    /// Of the last run.
    leaf: u64,
    /// How long to wait before.
    pub delay: Duration,
    /// Has an end as soon as the restart is not to be any more.
    pub completion: Arc<Completion>,
}

/// What became of a restart.
#[derive(Debug)]
pub enum Restarted {
    Running(Started),
    /// It failed, or could not be tried: after the delay, again.
    Later(Restart),
    /// It is not to be any more.
    Over,
}

impl Restart {
    pub fn cell(&self) -> &CellName {
        &self.cell
    }

    /// The leaf of the last run.
    pub fn last(&self) -> Leaf {
        Leaf { cell: self.cell.clone(), number: self.leaf }
    }
}

/// The cells of this daemon.
#[derive(Debug)]
pub struct Cells {
    tree: Tree,
    launcher: Launcher,
    library: Library,
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
        let registry = Registry::new(Logs::new(config.log_memory));
        let library = Library::new(&config.library_dir);
        Ok(Self { tree, launcher, library, registry: Mutex::new(registry) })
    }

    /// Tells `sink` what becomes of cells and executables from now on.
    pub fn send_events_to(&self, sink: Arc<dyn EventSink>) {
        self.registry().send_events_to(sink);
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
        let spec = CellSpec { limits: spec.limits.resolved()?, ..spec };
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

    /// Changes limits of a cell and of all that runs in it; all of it, or nothing. Answers the cell as it is then.
    ///
    /// On cgroup v1, memory that a process has had before its cell's first limit on memory stays uncounted.
    pub fn update(&self, cell: &CellName, change: LimitsChange) -> Result<CellSpec, Error> {
        let change = change.resolved()?;
        let (number, updating) = self.registry().begin_update(cell, &change)?;
        match self.tree.update_cell(&updating) {
            Ok(()) => Ok(self.registry().commit_update(updating, number)),
            Err(error) => {
                self.registry().cancel_update(cell, number);
                Err(error)
            }
        }
    }

    /// Starts an executable in a cell. Returns when its program or its command's shell runs, or nothing is left of the attempt.
    pub fn start(&self, cell: &CellName, spec: ExecutableSpec) -> Result<Started, Error> {
        // A process that is born frozen does not execute, and this call would wait for it.
        if self.tree.is_frozen(cell)? {
            return Err(Error::CellFrozen(cell.clone()));
        }
        self.drop_stale(cell);
        let spec = Arc::new(spec);
        let Reservation { place, previous } = self.registry().reserve_executable(cell, &spec)?;
        let leaf = place.leaf;

        let launched =
            self.retire(cell, &spec.name, previous).and_then(|()| self.launch(cell, &spec, &place));
        match launched {
            Ok(launched) => Ok(self.commit(cell, &spec.name, leaf, launched)),
            Err(error) => {
                if !self.drop_leaf(cell, leaf) {
                    self.registry().keep_stale(cell, vec![leaf]);
                }
                let nobody = self.registry().cancel_executable(cell, &spec.name, leaf);
                nobody.into_iter().for_each(|completion| completion.tell());
                Err(error)
            }
        }
    }

    /// The number of the start or restart that is under way in this cell. Makes no system call.
    pub fn launching(&self, cell: &CellName) -> Option<u64> {
        self.registry().launching(cell)
    }

    /// For a caller that has waited long enough for the start of this number: kills the process that is to run the program,
    /// so that the start fails. Does nothing if that is over.
    pub fn give_up_start(&self, cell: &CellName, number: u64) {
        let given_up = self.registry().give_up_launch(cell, number);
        if given_up {
            self.kill_leaf(cell, number);
        }
    }

    /// To be called when the descriptor of `exit` is readable: reaps the process, records how it ended, and drops its
    /// cgroup if nothing that it started is left in it. Does nothing if it still runs.
    ///
    /// Answers whether the executable is to be started again; what its last run left is then killed.
    pub fn exited(&self, exit: &Exit) -> Option<Restart> {
        let Exit { cell, executable, run, .. } = exit;
        let aftermath = self.settle(cell, executable, run)?;
        // Numbers of leafs are never given twice, so that nobody else's is dropped.
        let gone = self.drop_leaf(cell, run.leaf);
        if gone {
            // After the removal: a Stop that begins later than this look finds no cgroup, and doesn't wait.
            let stopping = self.registry().leaf_notice(cell, executable, run.leaf);
            stopping.into_iter().for_each(|notice| notice.give());
            run.removed.notify(usize::MAX);
        }
        let Aftermath { delay, completion } = aftermath?;
        let delay = delay?;
        if !gone {
            self.kill_leaf(cell, run.leaf);
        }
        let (cell, executable) = (cell.clone(), executable.clone());
        Some(Restart { cell, executable, leaf: run.leaf, delay, completion })
    }

    /// Whether nothing that was started in a leaf is left. Where that cannot be told, it is as if there were nothing.
    pub fn is_gone(&self, leaf: &Leaf) -> bool {
        self.leaf(&leaf.cell, leaf.number).is_empty().unwrap_or(true)
    }

    /// Removes the leaf of a run that is over. False when something is left in it, which is then killed.
    pub fn clear(&self, leaf: &Leaf) -> bool {
        let is_clear = self.drop_leaf(&leaf.cell, leaf.number);
        if !is_clear {
            self.kill_leaf(&leaf.cell, leaf.number);
        }
        is_clear
    }

    /// To be called when the delay of `restart` is over, in the place of a [`Cells::start`].
    pub fn restart(&self, restart: Restart) -> Restarted {
        let Restart { cell, executable, leaf, .. } = &restart;
        // What the last run left is gone before the next one begins. And a process that is born frozen does not execute.
        let is_clear = self.clear(&restart.last());
        if !is_clear || self.tree.is_frozen(cell).unwrap_or(true) {
            return Restarted::Later(Restart { delay: RESTART_HINDERED_DELAY, ..restart });
        }
        let begun = self.registry().begin_restart(cell, executable, *leaf);
        let Some(Relaunch { spec, place }) = begun else { return Restarted::Over };
        let next = place.leaf;
        let error = match self.launch(cell, &spec, &place) {
            Ok(launched) => return Restarted::Running(self.commit(cell, executable, next, launched)),
            Err(error) => error,
        };
        log::warn!("a restart failed: {error}");
        // If it stays, it is the record's: the next try, its Stop or its cell's end removes it.
        self.drop_leaf(cell, next);
        let for_good = matches!(error, Error::InitEnded(_));
        let aftermath = self.registry().restart_failed(cell, executable, next, for_good);
        match aftermath.and_then(|aftermath| told(aftermath).delay) {
            Some(delay) => Restarted::Later(Restart { leaf: next, delay, ..restart }),
            None => Restarted::Over,
        }
    }

    /// From now on nothing is started again: the daemon is about to end.
    pub fn shut(&self) {
        let ended = self.registry().shut();
        ended.iter().for_each(|completion| completion.tell());
    }

    /// The end to come of an executable, or the one that it has had. Makes no system call.
    pub fn completion(&self, cell: &CellName, executable: &ExecutableName) -> Result<Arc<Completion>, Error> {
        self.registry().completion(cell, executable)
    }

    /// What an executable writes, or has written. Makes no system call.
    pub fn output(&self, whose: &Whose) -> Result<Output, Error> {
        self.registry().output(whose)
    }

    /// All cells as a tree, with what they use now.
    pub fn list(&self) -> Vec<CellInfo> {
        let mut cells = self.outline();
        cells.iter_mut().for_each(|cell| self.look(cell));
        cells
    }

    /// All cells as a tree, without what [`Cells::look`] adds. Makes no system call.
    pub fn outline(&self) -> Vec<CellInfo> {
        self.registry().list()
    }

    /// Sends a signal to the first process of an executable, or to `all` that it ever started and that still runs. A frozen
    /// process finds it when it is thawed.
    pub fn signal(
        &self,
        cell: &CellName,
        executable: &ExecutableName,
        signal: SignalNumber,
        all: bool,
    ) -> Result<(), Error> {
        let (leaf, run) = self.registry().started(cell, executable)?;
        let child = &run.child;
        let group = self.leaf(cell, leaf);
        let members = if all { group.processes()? } else { BTreeSet::new() };
        if members.is_empty() && child.reason().is_some() {
            return Err(Error::NothingToSignal { cell: cell.clone(), executable: executable.clone() });
        }
        if signal.value() == Signal::SIGKILL as i32 {
            child.condemn();
        }
        if all {
            group.signal(signal)?;
        }
        // One that left its cgroup (root can) is still ours.
        if !members.contains(&child.pid) {
            let refused = |errno| Error::SignalRefused {
                cell: cell.clone(),
                executable: executable.clone(),
                signal: signal.value(),
                errno,
            };
            child.signal(signal).map_err(refused)?;
        }
        Ok(())
    }

    /// Asks the kernel about a cell and all inside it. One that is removed meanwhile is told without usage.
    pub fn look(&self, cell: &mut CellInfo) {
        let limited = self.registry().limited(&cell.spec.name);
        self.look_into(cell, limited);
    }

    /// `limited` are the controllers that limit the cell or one around it.
    fn look_into(&self, cell: &mut CellInfo, limited: ControllerSet) {
        if let Some(reading) = self.tree.read(&cell.spec.name, limited) {
            cell.usage = Some(reading.usage);
            cell.frozen = reading.frozen;
        }
        for child in &mut cell.children {
            let limited = limited.and(ControllerSet::of(&child.spec.limits));
            self.look_into(child, limited);
        }
    }

    /// One cell with all cells inside it, as [`Cells::list`] tells of all.
    pub fn get(&self, cell: &CellName) -> Result<CellInfo, Error> {
        let mut cell = self.registry().get(cell)?;
        self.look(&mut cell);
        Ok(cell)
    }

    /// Reaps the process of a run if it has ended, and publishes how, to List and to all who wait. `None` when it still
    /// runs; what follows from its end is told to the first who comes.
    ///
    /// May be called at once by several: whoever removes the leaf, where the counters are, has published before.
    fn settle(&self, cell: &CellName, executable: &ExecutableName, run: &Run) -> Option<Option<Aftermath>> {
        let reason = run.child.reap()?;
        let is_suspect = reason == KILLED && !run.child.is_condemned();
        let oom = is_suspect.then(|| self.tree.oom_since(&run.memory, cell, &self.leaf(cell, run.leaf)));
        let outcome = Outcome { reason, oom: oom.flatten(), exited_ms: unix_ms() };
        let aftermath = self.registry().record_exit(cell, executable, run.leaf, outcome);
        Some(aftermath.map(told))
    }

    /// Makes way for a new executable of the same name: the leaf of the one that has exited must be empty.
    fn retire(&self, cell: &CellName, name: &ExecutableName, previous: Option<u64>) -> Result<(), Error> {
        let Some(exited) = previous else { return Ok(()) };
        if !self.leaf(cell, exited).is_empty()? {
            return Err(Error::ProcessesLeft { cell: cell.clone(), executable: name.clone() });
        }
        if !self.drop_leaf(cell, exited) {
            self.registry().keep_stale(cell, vec![exited]);
        }
        Ok(())
    }

    /// Brings what was started before an update, and is known only now, under the limits that the update has brought.
    fn catch_up(&self, cell: &CellName, leaf: u64, joined: ControllerSet) {
        let missing = self.registry().limited(cell).without(joined);
        if let Err(error) = self.tree.enroll([cell].into_iter(), missing) {
            log::error!("killing what was started in cell \"{cell}\" and escapes its limits: {error}");
            let _ = self.leaf(cell, leaf).kill();
        }
    }

    fn make(&self, spec: &CellSpec, number: u64) -> Result<Namespaces, Error> {
        self.tree.create_cell(spec)?;
        let made = Namespaces::make(&self.launcher, &self.tree, spec, number);
        if made.is_err() {
            match self.tree.remove_cell(&spec.name) {
                Ok(Removal::Gone) => {}
                Ok(Removal::Busy) => log::warn!("while undoing: cell \"{}\" is busy", spec.name),
                Err(error) => log::warn!("while undoing: {error}"),
            }
        }
        made
    }

    /// A panic on the way is a launch that failed: the record must not wait for its process for ever.
    fn launch(&self, cell: &CellName, spec: &ExecutableSpec, place: &Place) -> Result<Launched, Error> {
        catch_unwind(AssertUnwindSafe(|| self.try_launch(cell, spec, place))).unwrap_or_else(|_| {
            // A process that there may be is nobody's.
            self.kill_leaf(cell, place.leaf);
            Err(Error::LaunchPanicked { cell: cell.clone(), executable: spec.name.clone() })
        })
    }

    fn try_launch(&self, cell: &CellName, spec: &ExecutableSpec, place: &Place) -> Result<Launched, Error> {
        let Place { leaf: number, limited, ever_limited, namespaces, output } = place;
        let (number, limited) = (*number, *limited);
        let entrance = namespaces.enter(cell)?;
        let files = self.open_files(cell, spec)?;
        let (mut capture, output) = Capture::open(output, spec.user, spec.log.mode, files)
            .map_err(|errno| Error::Setup("a pipe for output", errno))?;
        let leaf = self.leaf(cell, number);
        let created = leaf.create_leaf();
        let entered = (!self.launcher.born_in_leaf()).then_some(&leaf);
        let join = self.tree.procs_to_join(cell, entered, limited);
        let destination = Destination { leaf: &leaf, join, namespaces: entrance.as_sys() };
        let memory = self.tree.memory_counts(cell, *ever_limited);
        let launched = created.and_then(|()| self.launcher.launch(cell, spec, &destination, output));
        match self.in_time(cell, &spec.name, number, launched) {
            Ok(spawned) => {
                capture.keep_files();
                Ok(Launched { spawned, memory, limited, capture })
            }
            Err(error) => Err(namespaces.explain(cell, error)),
        }
    }

    fn open_files(&self, cell: &CellName, spec: &ExecutableSpec) -> Result<Option<LogFiles>, Error> {
        let LogMode::File(bounds) = spec.log.mode else { return Ok(None) };
        self.library.open(cell, &spec.name, bounds).map(Some)
    }

    /// A launch that was given up has failed, whatever it looks like: an exec that SIGKILL has cut short is no other than one
    /// that has succeeded.
    fn in_time(
        &self,
        cell: &CellName,
        executable: &ExecutableName,
        leaf: u64,
        launched: Result<Spawned, Error>,
    ) -> Result<Spawned, Error> {
        if !self.registry().is_overdue(cell, executable, leaf) {
            return launched;
        }
        if let Ok(spawned) = launched {
            spawned.kill();
        }
        Err(Error::StartOverdue { cell: cell.clone(), executable: executable.clone() })
    }

    fn commit(&self, cell: &CellName, executable: &ExecutableName, leaf: u64, launched: Launched) -> Started {
        let Launched { spawned, memory, limited, capture } = launched;
        let (child, pidfd) = Child::new(spawned.pid, spawned.pidfd);
        let run = Arc::new(Run::new(leaf, child, memory));
        let ending = self.registry().commit_executable(cell, executable, Arc::clone(&run));
        if ending {
            // Free or Stop has sent its signals already, SIGKILL perhaps among them.
            run.child.condemn();
            self.kill_leaf(cell, leaf);
            let _ = run.child.signal(Signal::SIGKILL);
        }
        self.catch_up(cell, leaf, limited);
        let (cell, executable) = (cell.clone(), executable.clone());
        Started { pid: run.child.pid, exit: Exit { cell, executable, run, pidfd }, capture }
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

    /// Removes the leafs that could not be removed before, as far as they can be now.
    fn drop_stale(&self, cell: &CellName) {
        let mut stale = self.registry().take_stale(cell);
        stale.retain(|leaf| !self.drop_leaf(cell, *leaf));
        self.registry().keep_stale(cell, stale);
    }

    /// Has what is left in a leaf killed; for one of which nothing is wanted any more.
    fn kill_leaf(&self, cell: &CellName, number: u64) {
        if let Err(error) = self.leaf(cell, number).kill() {
            log::warn!("{error}");
        }
    }

    fn registry(&self) -> Locked<'_> {
        Locked::new(&self.registry)
    }
}

/// A process that has just been started.
struct Launched {
    spawned: Spawned,
    memory: MemoryCounts,
    /// The controllers whose groups it has entered.
    limited: ControllerSet,
    capture: Capture,
}

/// How the kernel ends a process when memory has run out.
const KILLED: ExitReason = ExitReason::Signal(Signal::SIGKILL as i32);

/// Wakes those who wait for an end that has come.
fn told(aftermath: Aftermath) -> Aftermath {
    aftermath.completion.tell();
    aftermath
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
