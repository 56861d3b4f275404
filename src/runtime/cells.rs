//! Cells and executables: allocate, start, list, stop, free. The one thing that services hold.
//!
//! Every method returns promptly. Those that make or end something work in three steps: reserve the name under the lock,
//! make the system calls without it, commit or undo. The states are drawn in `registry`.

#[cfg(test)]
mod failures;

use super::cgroup::{ControllerSet, Group, Hierarchies, MemoryCounts, Removal, Tree, Version};
use super::change::LimitsChange;
use super::child::{Child, Exit, Leaf, Run, Started};
use super::clock::unix_ms;
use super::ending::{Ending, Finish, RemovalNotice, Target};
use super::error::Error;
use super::events::EventSink;
use super::executable::ExecutableSpec;
use super::freezing::Freezing;
use super::info::CellInfo;
use super::isolation::Namespaces;
use super::launch::{Destination, Launcher};
use super::logs::{Capture, Library, LogFiles, LogMode, Logs};
use super::names::{CellName, ExecutableName};
use super::outcome::{Completion, Outcome};
use super::output::{Output, Whose};
use super::record::MayFinish;
use super::registry::{
    Aftermath, FreeingCell, Locked, MayHold, MayRemove, Place, Registry, Relaunch, Reservation,
    StoppingExecutable, is_inside,
};
use super::signal::SignalNumber;
use super::spec::CellSpec;
use crate::limits::{FREED_IN_A_STEP, LOG_MEMORY_BYTES, RESTART_HINDERED_DELAY};
use crate::sys::open_files::OpenFilesLimit;
use crate::sys::pidfd::ExitReason;
use crate::sys::spawn::Spawned;
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    /// Bytes that are held of all output together.
    pub log_memory: usize,
    /// Holds the files of those whose output is to be in files.
    pub library_dir: PathBuf,
}

impl CellsConfig {
    /// The cgroups of the daemon whose runtime directory this is, by its canonical path: `aurae` for `/run/aurae`, else
    /// `aurae-` and a hash of the path, so that two daemons share nothing.
    pub fn for_runtime_dir(canonical: &Path) -> Self {
        let slice = match canonical.as_os_str().as_bytes() {
            b"/run/aurae" => "aurae".to_owned(),
            path => format!("aurae-{:08x}", fnv1a(path)),
        };
        Self {
            slice,
            shell: "/bin/sh".into(),
            init: OWN_PROGRAM.into(),
            open_files: None,
            log_memory: LOG_MEMORY_BYTES,
            library_dir: "/var/lib/aurae".into(),
        }
    }
}

/// Stays what it is when the file is replaced: proc_pid_exe(5).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// FNV-1a, 32 bits. A hash that stays the same from one release to the next, which std's doesn't promise.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

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

    /// Sends SIGTERM to all that the executable ever started, and closes it to restarts. [`Cells::finish`] records that it
    /// has exited; or, if it had before this, releases its name.
    ///
    /// One that is being stopped may be stopped again, and both ends are one.
    pub fn stop(&self, cell: &CellName, executable: &ExecutableName) -> Result<Ending, Error> {
        let notice = RemovalNotice::new()?;
        let stopping = self.registry().stop_executable(cell, executable, notice)?;
        let StoppingExecutable { leaf, run, removal, completion } = stopping;
        completion.tell();
        let target = Target::Executable { cell: cell.clone(), executable: executable.clone(), leaf };
        // Where it is not known, the grace period is waited out.
        let frozen = self.tree.is_frozen(cell).unwrap_or(false);
        let children = vec![Arc::clone(&run.child)];
        let ending = Ending { target, group: self.leaf(cell, leaf), children, removal, frozen };
        terminate(&ending);
        Ok(ending)
    }

    /// Closes the cell to all that is new, and sends SIGTERM to all that runs in it. [`Cells::finish`] removes it. With
    /// `force` all cells inside it go the same way, and their processes get SIGTERM at the same time.
    pub fn free(&self, cell: &CellName, force: bool) -> Result<Ending, Error> {
        let notice = RemovalNotice::new()?;
        let freeing = self.registry().free_cell(cell, force, notice)?;
        let FreeingCell { number, runs, inits, removal, completions } = freeing;
        completions.iter().for_each(|completion| completion.tell());
        let children = runs.iter().map(|run| Arc::clone(&run.child)).chain(inits).collect();
        let target = Target::Cell { cell: cell.clone(), number };
        let frozen = self.tree.is_frozen(cell).unwrap_or(false);
        let ending = Ending { target, group: self.tree.cell(cell), children, removal, frozen };
        terminate(&ending);
        Ok(ending)
    }

    /// Orders all processes of a cell, and of the cells inside it, to stand still. [`Cells::is_at_rest`] says when they
    /// do; no process must be started in it until then, since one that is born frozen never becomes its program.
    pub fn freeze(&self, cell: &CellName) -> Result<Freezing, Error> {
        let number = self.registry().open_number(cell)?;
        let group = self.tree.cell(cell);
        let was_told = group.is_told_to_freeze()?;
        group.freeze()?;
        Ok(Freezing { cell: cell.clone(), number, group, was_told })
    }

    /// Whether all processes of a cell that is being frozen, and of those inside it, stand still.
    pub fn is_at_rest(&self, freezing: &Freezing) -> Result<bool, Error> {
        let Freezing { cell, number, .. } = freezing;
        // Held meanwhile: on cgroup v1 it is frozen once more, which must not come behind the thaw that lets a kill take effect.
        let may = self.registry().hold(cell, *number);
        match may {
            MayHold::Gone => return Err(Error::NoSuchCell(cell.clone())),
            MayHold::Later => return Ok(false),
            MayHold::Now => {}
        }
        let at_rest = freezing.is_at_rest();
        self.registry().cancel_removal(cell, *number);
        at_rest
    }

    /// For a caller that has waited long enough after [`Cells::freeze`]: lets the cell go on, unless it was frozen before,
    /// and gives the error to answer.
    pub fn undo_freeze(&self, freezing: &Freezing) -> Error {
        let Freezing { cell, number, group, was_told } = freezing;
        let pids = shown_pids(&group.restless().unwrap_or_default());
        // Held meanwhile, so that the next cell of the name is not thawed. One that is being freed needs no thaw.
        if !was_told && self.registry().hold(cell, *number) == MayHold::Now {
            let thawed = group.thaw();
            self.registry().cancel_removal(cell, *number);
            if let Err(error) = thawed {
                return error;
            }
        }
        Error::NotFrozen { cell: cell.clone(), pids }
    }

    /// Lets the processes of a cell go on, unless a cell around it is frozen. Cells inside it that have been frozen
    /// themselves stay so.
    pub fn thaw(&self, cell: &CellName) -> Result<(), Error> {
        self.registry().open_number(cell)?;
        self.tree.cell(cell).thaw()
    }

    /// Orders SIGKILL for all that runs in it, what is forked meanwhile included. [`Finish::Busy`] when another caller is
    /// about to remove it, and it has not been ordered.
    pub fn kill(&self, ending: &Ending) -> Result<Finish, Error> {
        let Target::Cell { cell, number } = &ending.target else {
            return self.kill_all_of(ending).map(|()| Finish::Done);
        };
        // Held meanwhile, so that the name is not given to a next cell, which the path would then be of.
        let may = self.registry().hold(cell, *number);
        match may {
            MayHold::Gone => return Ok(Finish::Done),
            MayHold::Later => return Ok(Finish::Busy),
            MayHold::Now => {}
        }
        // What left the hierarchy that tracks may still be in one that limits, and would keep the cell from going.
        let limiting = self.tree.limiting(cell);
        let killed = limiting
            .iter()
            .fold(self.kill_all_of(ending), |killed, group| killed.and(group.signal(Signal::SIGKILL)));
        self.registry().cancel_removal(cell, *number);
        killed.map(|()| Finish::Done)
    }

    /// Reaps the processes, removes the cgroups and records the end, as far as the kernel lets us; of a tree of cells the
    /// innermost first. [`Finish::Done`] when nothing is left, or another caller has finished it.
    pub fn finish(&self, ending: &Ending) -> Result<Finish, Error> {
        match &ending.target {
            Target::Executable { cell, executable, leaf } => {
                let may = self.registry().may_finish_stop(cell, executable, *leaf, &ending.removal);
                let run = match may {
                    MayFinish::Gone => return Ok(Finish::Done),
                    MayFinish::Later => return Ok(Finish::Busy),
                    MayFinish::Now(run) => run,
                };
                if self.settle(cell, executable, &run).is_none() || ending.group.remove()? == Removal::Busy {
                    return Ok(Finish::Busy);
                }
                self.registry().finish_stop(cell, executable, *leaf, &ending.removal);
                ending.removal.give();
                run.removed.notify(usize::MAX);
                Ok(Finish::Done)
            }
            Target::Cell { cell, number } => {
                let Some(next) = self.registry().innermost(cell, *number, FREED_IN_A_STEP) else {
                    return Ok(Finish::Done);
                };
                let mut busy: Vec<&CellName> = Vec::new();
                for (inner, its_number) in &next {
                    // What is around a busy one waits for it. The others don't: each init takes a moment to end.
                    let waits = busy.iter().any(|other| is_inside(other, inner));
                    if !waits && self.finish_cell(inner, *its_number)? == Finish::Busy {
                        busy.push(inner);
                    }
                }
                if !busy.is_empty() {
                    return Ok(Finish::Busy);
                }
                let all = next.last().is_some_and(|(last, _)| last == cell);
                Ok(if all { Finish::Done } else { Finish::Partly })
            }
        }
    }

    /// A cell that has none inside it any more.
    fn finish_cell(&self, cell: &CellName, number: u64) -> Result<Finish, Error> {
        let may = self.registry().begin_removal(cell, number);
        let (runs, namespaces) = match may {
            MayRemove::Gone => return Ok(Finish::Done),
            MayRemove::Later => return Ok(Finish::Busy),
            MayRemove::Now(runs, namespaces) => (runs, namespaces),
        };
        // All of them, and not just up to the first that still runs.
        let alive = runs.iter().filter(|(name, run)| self.settle(cell, name, run).is_none()).count();
        let removed = if alive == 0 { self.remove(cell, &namespaces) } else { Ok(Removal::Busy) };
        if !matches!(removed, Ok(Removal::Gone)) {
            self.registry().cancel_removal(cell, number);
            return removed.map(|_| Finish::Busy);
        }
        let notices = self.registry().remove_cell(cell, number);
        notices.iter().for_each(|notice| notice.give());
        for (_, run) in &runs {
            run.removed.notify(usize::MAX);
        }
        Ok(Finish::Done)
    }

    /// Removes a cell of which no run is left. In this order: whatever is left runs in the namespaces, and an end of the init
    /// would be its end, without a grace period; and as long as the namespaces are there, so is a mount of the cell's cgroup.
    fn remove(&self, cell: &CellName, namespaces: &Namespaces) -> Result<Removal, Error> {
        if namespaces.init().is_some()
            && (!self.tree.cell(cell).is_empty()? || namespaces.end()? == Removal::Busy)
        {
            return Ok(Removal::Busy);
        }
        self.tree.remove_cell(cell)
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

    /// For a caller that has waited long enough after [`Cells::kill`]: the error to answer. What remains stays marked as
    /// ending, so that nothing new joins it, and may be stopped or freed again.
    pub fn give_up(&self, ending: &Ending) -> Error {
        let mut pids = ending.group.processes().unwrap_or_default();
        pids.extend(ending.children.iter().filter(|child| child.reap().is_none()).map(|child| child.pid));
        Error::StillAlive { object: ending.target.to_string(), pids: shown_pids(&pids) }
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
        let Place { leaf: number, limited, namespaces, output } = place;
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
        let memory = self.tree.memory_counts(cell);
        let launched = created.and_then(|()| self.launcher.launch(cell, spec, &destination, &output));
        drop(output);
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

    fn kill_all_of(&self, ending: &Ending) -> Result<(), Error> {
        ending.children.iter().for_each(|child| child.condemn());
        let killed = ending.group.kill();
        for child in &ending.children {
            // One that left its cgroup (root can) is still ours.
            let _ = child.signal(Signal::SIGKILL);
        }
        if ending.group.version() == Version::V1 && ending.group.is_frozen()? {
            return killed.and(ending.group.move_all_to(self.tree.base()));
        }
        killed
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
