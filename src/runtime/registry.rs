//! Which cells and executables there are, and in which state. Pure bookkeeping: makes no system call, so that its lock
//! is held for microseconds.
//!
//! A name is reserved first, the work is done without the lock, and then the reservation is committed or taken back:
//!
//! ```text
//! cell         (none) ──reserve_cell──▶ Allocating ──commit_cell──▶ Allocated ──free──▶ Freeing ──remove_cell──▶ (none)
//!                 ▲                         │                                            ▲   │
//!                 └───────cancel_cell───────┘                                            └───┘ free, again
//!
//! executable   (none) ──reserve_executable──▶ [`Record`] ──remove──▶ (none)
//! ```
//!
//! An allocated cell may be updating: its limits are about to change, which keeps it, the cells inside it and those around
//! it from being updated, and its directories from being removed.
//!
//! What an executable goes through is drawn in `record`. A cell that could not be emptied stays Freeing, an executable
//! stopping: Free and Stop may be tried again, and nothing new gets in.

mod displaced;
mod locked;
#[cfg(test)]
mod tests;

use super::cgroup::{ControllerSet, Updating};
use super::change::LimitsChange;
use super::child::{Child, Run};
use super::ending::RemovalNotice;
use super::error::Error;
use super::events::{Event, EventSink, Events, ExecutableChange};
use super::executable::ExecutableSpec;
use super::info::CellInfo;
use super::isolation::{Isolation, Namespaces};
use super::logs::{Feed, LogMode, LogPolicy, Logs};
use super::names::{CellName, ExecutableName};
use super::outcome::{Completion, Outcome};
use super::output::{Output, Whose};
use super::record::{MayFinish, Record};
use super::restart::HeldBytes;
use super::spec::{CellSpec, Limits};
use crate::limits::CELLS_MAX;
use displaced::Displaced;
pub(super) use locked::Locked;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// In the order of [`CellName`]: a cell, then all that is inside it, then its next sibling.
    cells: BTreeMap<CellName, Cell>,
    /// Records of executables in all cells, but for those that have made way.
    executables: usize,
    /// At most one for each start that is under way.
    displaced: Vec<Displaced>,
    /// Records that are gone, and what they have written with them: freed when the lock is released.
    gone: Vec<Record>,
    /// The number that was given last; numbers are never given twice.
    last_number: u64,
    /// For restarts.
    held: HeldBytes,
    /// What all executables write.
    logs: Arc<Logs>,
    /// Told of each change under the lock, so that their order is that of the changes.
    events: Events,
    /// The daemon ends: nothing is started again.
    shut: bool,
}

#[derive(Debug)]
struct Cell {
    /// Tells this cell from an earlier one of the same name.
    number: u64,
    spec: CellSpec,
    /// What its limits are about to become. What starts meanwhile is put under these, too.
    updating: Option<Limits>,
    state: CellState,
    namespaces: Arc<Namespaces>,
    executables: BTreeMap<ExecutableName, Record>,
    /// Leafs that outlived their executable's record because the kernel was not done with them.
    stale: Vec<u64>,
    /// Of those that free it, from the first one on.
    removal: Option<Arc<RemovalNotice>>,
    /// One of those that free it removes its directories now. The others wait for it: a slow one must not remove the
    /// directories of the next cell of this name.
    removing: bool,
}

/// Whether the directories of a cell that is being freed may be removed; see [`Registry::begin_removal`].
pub(super) enum MayRemove {
    /// Somebody has finished before.
    Gone,
    /// An executable is still being started, or somebody else is at it.
    Later,
    /// By the caller, who says how it went with [`Registry::remove_cell`] or [`Registry::cancel_removal`]. These are the
    /// runs whose processes have to be reaped before, and the namespaces that end next.
    Now(Vec<(ExecutableName, Arc<Run>)>, Arc<Namespaces>),
}

/// Whether a cell can be kept from going; see [`Registry::hold`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayHold {
    Gone,
    /// Somebody else is at it.
    Later,
    /// It is kept.
    Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellState {
    Allocating,
    Allocated,
    Freeing,
}

/// A name held for an executable that is being started.
#[derive(Debug)]
pub(super) struct Reservation {
    pub place: Place,
    /// The leaf of the exited executable that had the name.
    pub previous: Option<u64>,
}

/// Where a process is to be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub leaf: u64,
    /// The controllers that limit the cell or one around it.
    pub limited: ControllerSet,
    pub namespaces: Arc<Namespaces>,
    pub output: Arc<Feed>,
}

/// A restart that has begun.
#[derive(Debug)]
pub(super) struct Relaunch {
    pub spec: Arc<ExecutableSpec>,
    /// Of the next run.
    pub place: Place,
}

/// A cell that is being freed, with all inside it.
#[derive(Debug)]
pub(super) struct FreeingCell {
    pub number: u64,
    pub runs: Vec<Arc<Run>>,
    /// The processes that keep the namespaces of these cells.
    pub inits: Vec<Arc<Child>>,
    pub removal: Arc<RemovalNotice>,
    /// Of executables that waited to be started again.
    pub completions: Vec<Arc<Completion>>,
}

/// An executable that is being stopped.
#[derive(Debug)]
pub(super) struct StoppingExecutable {
    pub leaf: u64,
    pub run: Arc<Run>,
    pub removal: Arc<RemovalNotice>,
    pub completion: Arc<Completion>,
}

/// What follows from an exit, or from a restart that failed.
#[derive(Debug)]
pub(super) struct Aftermath {
    /// When it is to be started again.
    pub delay: Option<Duration>,
    /// To be told, without the lock.
    pub completion: Arc<Completion>,
}

impl Registry {
    pub fn new(logs: Arc<Logs>) -> Self {
        Self { logs, ..Self::default() }
    }

    /// Tells `sink` what happens from now on.
    pub fn send_events_to(&mut self, sink: Arc<dyn EventSink>) {
        self.events = Events::new(sink);
    }

    /// Holds the name for a cell that is about to be made.
    pub fn reserve_cell(&mut self, spec: &CellSpec) -> Result<u64, Error> {
        if self.cells.contains_key(&spec.name) {
            return Err(Error::CellExists(spec.name.clone()));
        }
        if let Some(parent) = spec.name.parent() {
            self.open_cell(&parent)?;
            // On v1 it would get a copy of a list that is about to be another.
            self.check_not_updating(&parent)?;
        }
        if self.cells.len() >= CELLS_MAX {
            return Err(Error::TooManyCells);
        }
        let number = self.next_number();
        self.cells.insert(spec.name.clone(), Cell::new(number, spec.clone()));
        Ok(number)
    }

    pub fn commit_cell(&mut self, name: &CellName, number: u64, namespaces: Namespaces) {
        if let Some(cell) = self.numbered(name, number) {
            cell.namespaces = Arc::new(namespaces);
            cell.state = CellState::Allocated;
            self.events.put(Event::CellAllocated(name));
        }
    }

    pub fn cancel_cell(&mut self, name: &CellName, number: u64) {
        self.remove_cell(name, number);
    }

    /// Holds the limits of a cell for a change, and says what they become. Ends with [`Registry::commit_update`] or
    /// [`Registry::cancel_update`], until which the cell doesn't go.
    pub fn begin_update(&mut self, name: &CellName, change: &LimitsChange) -> Result<(u64, Updating), Error> {
        self.open_cell(name)?;
        self.check_not_updating(name)?;
        self.check_not_allocating(name)?;
        let inside = self.inside(name).map(|cell| cell.spec.clone()).collect();
        let cell = self.open_cell(name)?;
        check_isolation(name, change.isolation, cell.spec.isolation)?;
        let (old, new) = (cell.spec.limits.clone(), change.applied_to(&cell.spec.limits));
        cell.updating = Some(new.clone());
        Ok((cell.number, Updating { name: name.clone(), old, new, inside }))
    }

    /// The cell as it is now.
    pub fn commit_update(&mut self, updated: Updating, number: u64) -> CellSpec {
        let mut isolation = Isolation::default();
        if let Some(cell) = self.numbered(&updated.name, number) {
            cell.updating = None;
            cell.spec.limits.clone_from(&updated.new);
            isolation = cell.spec.isolation;
            if updated.new != updated.old {
                self.events.put(Event::CellUpdated(&updated.name));
            }
        }
        CellSpec { name: updated.name, limits: updated.new, isolation }
    }

    pub fn cancel_update(&mut self, name: &CellName, number: u64) {
        if let Some(cell) = self.numbered(name, number) {
            cell.updating = None;
        }
    }

    /// The controllers that limit this cell or one around it.
    pub fn limited(&self, name: &CellName) -> ControllerSet {
        let chain = std::iter::successors(Some(name.clone()), CellName::parent);
        let cells = chain.filter_map(|name| self.cells.get(&name));
        let of = |cell: &Cell| {
            let soon = cell.updating.as_ref().map(ControllerSet::of).unwrap_or_default();
            ControllerSet::of(&cell.spec.limits).and(soon)
        };
        cells.map(of).fold(ControllerSet::default(), ControllerSet::and)
    }

    /// Closes the cell and all inside it to all that is new, and answers what is in them. Without `force` there may be
    /// nothing inside. A cell that is being freed already is no error; its notice is answered in place of `removal`.
    pub fn free_cell(
        &mut self,
        name: &CellName,
        force: bool,
        removal: Arc<RemovalNotice>,
    ) -> Result<FreeingCell, Error> {
        let children = if force { Vec::new() } else { self.children_of(name) };
        let tree = self.tree_of(name)?;
        if let Some(young) = tree.iter().find(|cell| self.is_allocating(cell)) {
            return Err(Error::CellAllocating(young.clone()));
        }
        if !children.is_empty() {
            return Err(Error::CellHasChildren { cell: name.clone(), children: joined(&children) });
        }
        let (mut runs, mut inits, mut completions) = (Vec::new(), Vec::new(), Vec::new());
        for inner in &tree {
            let Some(cell) = self.cells.get_mut(inner) else { continue };
            cell.state = CellState::Freeing;
            runs.extend(cell.runs().map(|(_, run)| run));
            inits.extend(cell.namespaces.init());
            completions.extend(cell.give_up_restarting());
        }
        let cell = self.cells.get_mut(name).ok_or_else(|| Error::NoSuchCell(name.clone()))?;
        let removal = Arc::clone(cell.removal.get_or_insert(removal));
        Ok(FreeingCell { number: cell.number, runs, inits, removal, completions })
    }

    /// At most so many cells that are to be removed next: the innermost first, the cell itself last. `None` when it is
    /// gone.
    pub fn innermost(
        &mut self,
        name: &CellName,
        number: u64,
        at_most: usize,
    ) -> Option<Vec<(CellName, u64)>> {
        self.numbered(name, number)?;
        let tree = self.tree_of(name).ok()?;
        let numbered = |cell: CellName| self.cells.get(&cell).map(|found| found.number).map(|n| (cell, n));
        Some(tree.into_iter().rev().take(at_most).filter_map(numbered).collect())
    }

    /// The number of a cell in which something can be changed.
    pub fn open_number(&mut self, name: &CellName) -> Result<u64, Error> {
        self.open_cell(name).map(|cell| cell.number)
    }

    pub fn begin_removal(&mut self, name: &CellName, number: u64) -> MayRemove {
        let Some(cell) = self.numbered(name, number) else { return MayRemove::Gone };
        // Asked anew each time: a start that had begun before the Free may have added one. Neither it nor an update must
        // meet the next cell of the name.
        let is_busy = cell.updating.is_some() || cell.executables.values().any(Record::is_being_launched);
        if cell.removing || is_busy {
            return MayRemove::Later;
        }
        cell.removing = true;
        MayRemove::Now(cell.runs().collect(), Arc::clone(&cell.namespaces))
    }

    /// Keeps a cell that is being freed from going, until [`Registry::cancel_removal`].
    pub fn hold(&mut self, name: &CellName, number: u64) -> MayHold {
        match self.numbered(name, number) {
            None => MayHold::Gone,
            Some(cell) if cell.removing => MayHold::Later,
            Some(cell) => {
                cell.removing = true;
                MayHold::Now
            }
        }
    }

    pub fn cancel_removal(&mut self, name: &CellName, number: u64) {
        if let Some(cell) = self.numbered(name, number) {
            cell.removing = false;
        }
    }

    /// Answers the notices to give, of the cell and of what was being stopped in it.
    pub fn remove_cell(&mut self, name: &CellName, number: u64) -> Vec<Arc<RemovalNotice>> {
        if self.numbered(name, number).is_none() {
            return Vec::new();
        }
        self.forget_displaced_of(name);
        let Some(cell) = self.cells.remove(name) else { return Vec::new() };
        self.executables -= cell.executables.len();
        for (executable, record) in &cell.executables {
            self.events.put_executable(name, executable, record, ExecutableChange::Removed);
        }
        // One that was never there is not freed.
        if cell.state != CellState::Allocating {
            self.events.put(Event::CellFreed(name));
        }
        let stopping = cell.executables.values().filter_map(|record| record.notice().cloned());
        let notices = stopping.chain(cell.removal).collect();
        self.gone.extend(cell.executables.into_values());
        notices
    }

    /// Holds the name for an executable that is about to be started. The name of one that has exited may be taken.
    pub fn reserve_executable(
        &mut self,
        cell_name: &CellName,
        spec: &Arc<ExecutableSpec>,
    ) -> Result<Reservation, Error> {
        let (leaf, limited) = (self.next_number(), self.limited(cell_name));
        self.open_cell(cell_name)?.check_startable(cell_name, &spec.name)?;
        let again = self.held.keep(spec).map_err(|()| Error::TooManyRestartBytes)?;
        let previous = self.make_room(leaf, cell_name, &spec.name)?;
        let LogPolicy { mode, ring } = spec.log;
        let output = Feed::new(&self.logs, ring.value(), mode == LogMode::Block);
        let cell = self.open_cell(cell_name)?;
        let record = Record::new(leaf, spec, again, Arc::clone(&output));
        cell.executables.insert(spec.name.clone(), record);
        let namespaces = Arc::clone(&cell.namespaces);
        self.executables += 1;
        Ok(Reservation { place: Place { leaf, limited, namespaces, output }, previous })
    }

    /// The leaf in which a process is being made; the first, where several are.
    pub fn launching(&self, cell: &CellName) -> Option<u64> {
        let records = self.cells.get(cell)?.executables.values();
        records.filter(|record| record.is_being_launched()).map(|record| record.leaf).next()
    }

    /// Has the process that is being made in this leaf count as one that takes too long. False when there is none.
    pub fn give_up_launch(&mut self, cell: &CellName, leaf: u64) -> bool {
        let Some(cell) = self.cells.get_mut(cell) else { return false };
        cell.executables.values_mut().any(|record| record.leaf == leaf && record.give_up_launch())
    }

    /// Whether the process of this leaf has been given up while it was being made.
    pub fn is_overdue(&mut self, cell: &CellName, name: &ExecutableName, leaf: u64) -> bool {
        let cell = self.cells.get_mut(cell);
        cell.and_then(|cell| cell.record(name, leaf)).is_some_and(|record| record.is_overdue())
    }

    /// Records the process. Answers whether it is to end at once, as its end has begun meanwhile.
    pub fn commit_executable(&mut self, cell: &CellName, name: &ExecutableName, run: Arc<Run>) -> bool {
        self.forget_displaced_by(cell, name, run.leaf);
        let Some(found) = self.cells.get_mut(cell) else { return true };
        let freeing = found.state == CellState::Freeing;
        let Some(record) = found.record(name, run.leaf) else { return freeing };
        let change = record.started(run);
        self.events.put_executable(cell, name, record, change);
        freeing || record.is_closed()
    }

    /// Takes a reservation back, and restores what has made way for it. Answers whom to tell.
    pub fn cancel_executable(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
    ) -> Option<Arc<Completion>> {
        let record = self.remove_executable(cell, name, leaf);
        self.restore(leaf);
        let record = record?;
        record.never_started();
        Some(Arc::clone(record.completion()))
    }

    /// The leafs to remove at this opportunity. Not only when a start has found room: they are what takes it.
    pub fn take_stale(&mut self, cell: &CellName) -> Vec<u64> {
        self.cells.get_mut(cell).map(|cell| std::mem::take(&mut cell.stale)).unwrap_or_default()
    }

    /// Keeps leafs that could not be removed yet, for the next start in this cell or for its end.
    pub fn keep_stale(&mut self, cell: &CellName, leafs: Vec<u64>) {
        if let Some(cell) = self.cells.get_mut(cell) {
            cell.stale.extend(leafs);
        }
    }

    /// Records how a run has ended; again is no error. `None` when there is no such run any more.
    pub fn record_exit(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        outcome: Outcome,
    ) -> Option<Aftermath> {
        let found = self.cells.get_mut(cell)?;
        let closed = self.shut || found.state == CellState::Freeing;
        let record = found.record(name, leaf)?;
        if record.is_running() {
            self.events.put_exit(cell, name, record, &outcome);
        }
        let delay = record.exited(outcome, closed);
        Some(Aftermath { delay, completion: Arc::clone(record.completion()) })
    }

    /// Begins the restart that was to follow the run in this leaf; `None` when it is not to be. Answers the leaf of the next
    /// run, and what to start. Under the same lock as Stop and Free, so that none slips in behind them.
    pub fn begin_restart(&mut self, cell: &CellName, name: &ExecutableName, leaf: u64) -> Option<Relaunch> {
        let (next, limited) = (self.next_number(), self.limited(cell));
        if self.shut {
            return None;
        }
        let open = self.open_cell(cell).ok()?;
        let namespaces = Arc::clone(&open.namespaces);
        let record = open.record(name, leaf)?;
        let spec = record.begin_restart(next)?;
        let output = Arc::clone(&record.completion().output);
        Some(Relaunch { spec, place: Place { leaf: next, limited, namespaces, output } })
    }

    /// With `for_good` no other try can do better.
    pub fn restart_failed(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        for_good: bool,
    ) -> Option<Aftermath> {
        let shut = self.shut;
        let cell = self.cells.get_mut(cell)?;
        let closed = for_good || shut || cell.state == CellState::Freeing;
        let record = cell.record(name, leaf)?;
        let delay = record.restart_failed(closed);
        Some(Aftermath { delay, completion: Arc::clone(record.completion()) })
    }

    /// From now on nothing is started again. Answers whom to tell.
    pub fn shut(&mut self) -> Vec<Arc<Completion>> {
        self.shut = true;
        self.cells.values_mut().flat_map(Cell::give_up_restarting).collect()
    }

    /// The end to come of an executable.
    pub fn completion(&self, cell: &CellName, name: &ExecutableName) -> Result<Arc<Completion>, Error> {
        let found = self.cells.get(cell).ok_or_else(|| Error::NoSuchCell(cell.clone()))?;
        let record = found.executables.get(name);
        let none = || Error::NoSuchExecutable { cell: cell.clone(), executable: name.clone() };
        record.map(|record| Arc::clone(record.completion())).ok_or_else(none)
    }

    /// What an executable writes. A number may have been given to several processes, one after the other: then it is that
    /// of the one that has it, or else of the last that had it.
    pub fn output(&self, whose: &Whose) -> Result<Output, Error> {
        let (executable, completion) = match whose {
            Whose::Executable(cell, executable) => (executable, self.completion(cell, executable)?),
            Whose::Process(pid) => self.by_pid(*pid).ok_or(Error::NoSuchProcess(*pid))?,
        };
        Ok(Output { executable: executable.clone(), feed: Arc::clone(&completion.output) })
    }

    fn by_pid(&self, pid: i64) -> Option<(&ExecutableName, Arc<Completion>)> {
        let pid = i32::try_from(pid).ok()?;
        let records = self.cells.values().flat_map(|cell| &cell.executables);
        let theirs = records.filter_map(|found| Some((found.1.leaf_of(pid)?, found)));
        let last = theirs.max_by_key(|(leaf, (_, record))| (record.runs_as(pid), *leaf));
        last.map(|(_, (name, record))| (name, Arc::clone(record.completion())))
    }

    /// Marks the executable as being stopped. One that is being stopped already is no error; its notice is answered in
    /// place of `removal`.
    pub fn stop_executable(
        &mut self,
        cell_name: &CellName,
        name: &ExecutableName,
        removal: Arc<RemovalNotice>,
    ) -> Result<StoppingExecutable, Error> {
        let cell = self.cells.get_mut(cell_name).ok_or_else(|| Error::NoSuchCell(cell_name.clone()))?;
        let (cell_of, executable_of) = (|| cell_name.clone(), || name.clone());
        let record = cell
            .executables
            .get_mut(name)
            .ok_or_else(|| Error::NoSuchExecutable { cell: cell_of(), executable: executable_of() })?;
        let (run, removal) = record
            .stop(removal)
            .ok_or_else(|| Error::ExecutableStarting { cell: cell_of(), executable: executable_of() })?;
        let completion = Arc::clone(record.completion());
        Ok(StoppingExecutable { leaf: record.leaf, run, removal, completion })
    }

    pub fn may_finish_stop(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        notice: &Arc<RemovalNotice>,
    ) -> MayFinish {
        let record = self.cells.get_mut(cell).and_then(|cell| cell.record(name, leaf));
        record.map_or(MayFinish::Gone, |record| record.may_finish(notice))
    }

    /// To be called when nothing of a stopped executable is left: its record goes, or stays as that of an executable that
    /// has exited.
    pub fn finish_stop(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        notice: &Arc<RemovalNotice>,
    ) {
        let order = self.next_number();
        let Some(record) = self.cells.get_mut(cell).and_then(|cell| cell.record(name, leaf)) else { return };
        // Another caller has finished before.
        let is_this_stop = record.notice().is_some_and(|own| Arc::ptr_eq(own, notice));
        if !is_this_stop || !record.finish_stop(order) {
            return;
        }
        if let Some(record) = self.remove_executable(cell, name, leaf) {
            self.events.put_executable(cell, name, &record, ExecutableChange::Removed);
            self.gone.push(record);
        }
    }

    /// The leaf and the first process of an executable that has been started, for signals.
    pub fn started(&self, cell: &CellName, name: &ExecutableName) -> Result<(u64, Arc<Run>), Error> {
        let executables = &self.cells.get(cell).ok_or_else(|| Error::NoSuchCell(cell.clone()))?.executables;
        let (cell, executable) = (|| cell.clone(), || name.clone());
        let Some(found) = executables.get(name) else {
            return Err(Error::NoSuchExecutable { cell: cell(), executable: executable() });
        };
        match found.run() {
            Some(run) => Ok((found.leaf, Arc::clone(run))),
            None => Err(Error::ExecutableStarting { cell: cell(), executable: executable() }),
        }
    }

    /// The notice to give when this leaf is gone, if its executable is being stopped.
    pub fn leaf_notice(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
    ) -> Option<Arc<RemovalNotice>> {
        self.cells.get_mut(cell)?.record(name, leaf)?.notice().cloned()
    }

    fn remove_executable(&mut self, cell: &CellName, name: &ExecutableName, leaf: u64) -> Option<Record> {
        let cell = self.cells.get_mut(cell)?;
        cell.record(name, leaf)?;
        self.executables -= 1;
        cell.executables.remove(name)
    }

    /// All cells as a tree, without what the kernel tells of them. One that is still being allocated is not there yet.
    pub fn list(&self) -> Vec<CellInfo> {
        siblings(None, &mut self.cells.values().filter(|cell| cell.is_listed()).peekable())
    }

    /// One cell as [`Registry::list`] has it.
    pub fn get(&self, name: &CellName) -> Result<CellInfo, Error> {
        let from = self.cells.range(name..).map(|(_, cell)| cell).filter(|cell| cell.is_listed());
        let mut from = from.peekable();
        let cell = from.next_if(|cell| cell.spec.name == *name);
        let cell = cell.ok_or_else(|| Error::NoSuchCell(name.clone()))?;
        Ok(cell.info(siblings(Some(name), &mut from)))
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn numbered(&mut self, name: &CellName, number: u64) -> Option<&mut Cell> {
        self.cells.get_mut(name).filter(|cell| cell.number == number)
    }

    /// A cell with which something can be done.
    fn open_cell(&mut self, name: &CellName) -> Result<&mut Cell, Error> {
        let cell = self.cells.get_mut(name).ok_or_else(|| Error::NoSuchCell(name.clone()))?;
        match cell.state {
            CellState::Allocating => Err(Error::CellAllocating(name.clone())),
            CellState::Freeing => Err(Error::CellFreeing(name.clone())),
            CellState::Allocated => Ok(cell),
        }
    }

    fn is_allocating(&self, name: &CellName) -> bool {
        self.cells.get(name).is_some_and(|cell| cell.state == CellState::Allocating)
    }

    /// The cell and all inside it, a parent before its children.
    fn tree_of(&self, name: &CellName) -> Result<Vec<CellName>, Error> {
        if !self.cells.contains_key(name) {
            return Err(Error::NoSuchCell(name.clone()));
        }
        let from = self.cells.range(name..).map(|(other, _)| other);
        Ok(from.take_while(|other| *other == name || is_inside(other, name)).cloned().collect())
    }

    /// One update at a time along each path of the tree: those of two cells depend on each other when one is inside the
    /// other.
    fn check_not_updating(&self, name: &CellName) -> Result<(), Error> {
        let around = std::iter::successors(Some(name.clone()), CellName::parent);
        let around = around.filter_map(|name| self.cells.get(&name));
        if let Some(cell) = around.chain(self.inside(name)).find(|cell| cell.updating.is_some()) {
            return Err(Error::CellUpdating(cell.spec.name.clone()));
        }
        Ok(())
    }

    /// On v1 a cell that is being allocated gets its parent's lists. Its siblings may be allocated at the same time.
    fn check_not_allocating(&self, name: &CellName) -> Result<(), Error> {
        match self.inside(name).find(|cell| cell.state == CellState::Allocating) {
            Some(cell) => Err(Error::CellAllocating(cell.spec.name.clone())),
            None => Ok(()),
        }
    }

    /// The cells inside, being allocated or not, a parent before its children.
    fn inside(&self, name: &CellName) -> impl Iterator<Item = &Cell> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.cells.range((Excluded(name), Unbounded));
        after.take_while(move |(other, _)| is_inside(other, name)).map(|(_, cell)| cell)
    }

    /// The cells directly inside, being allocated or not.
    fn children_of(&self, name: &CellName) -> Vec<CellName> {
        let names = self.inside(name).map(|cell| &cell.spec.name);
        names.filter(|other| other.is_child_of(name)).cloned().collect()
    }
}

impl Cell {
    fn new(number: u64, spec: CellSpec) -> Self {
        let (executables, stale) = (BTreeMap::new(), Vec::new());
        Self {
            number,
            spec,
            updating: None,
            state: CellState::Allocating,
            namespaces: Arc::default(),
            executables,
            stale,
            removal: None,
            removing: false,
        }
    }

    fn is_listed(&self) -> bool {
        self.state != CellState::Allocating
    }

    /// The run that each executable has or had last.
    fn runs(&self) -> impl Iterator<Item = (ExecutableName, Arc<Run>)> {
        self.executables.iter().filter_map(|(name, record)| Some((name.clone(), Arc::clone(record.run()?))))
    }

    /// The record of this name, if it is the one of this leaf.
    fn record(&mut self, name: &ExecutableName, leaf: u64) -> Option<&mut Record> {
        self.executables.get_mut(name).filter(|record| record.leaf == leaf)
    }

    /// Nothing in it is started again. Answers whom to tell.
    fn give_up_restarting(&mut self) -> Vec<Arc<Completion>> {
        self.executables.values_mut().for_each(Record::give_up_restarting);
        let completions = self.executables.values().map(Record::completion);
        completions.filter(|completion| completion.end().is_some()).cloned().collect()
    }

    /// Of the records that may make way, the one that was stopped first.
    fn oldest_stopped(&self) -> Option<(u64, &ExecutableName)> {
        self.executables.iter().filter_map(|(name, record)| Some((record.makes_way()?, name))).min()
    }

    /// The name is free, or that of an executable that has exited and is not being stopped.
    fn check_startable(&self, cell: &CellName, name: &ExecutableName) -> Result<(), Error> {
        match self.executables.get(name).and_then(Record::in_use) {
            None => Ok(()),
            Some(state) => {
                Err(Error::ExecutableExists { cell: cell.clone(), executable: name.clone(), state })
            }
        }
    }

    fn info(&self, children: Vec<CellInfo>) -> CellInfo {
        let executables = self.executables.iter().map(|(name, record)| record.info(name)).collect();
        let freeing = self.state == CellState::Freeing;
        CellInfo { spec: self.spec.clone(), freeing, frozen: false, usage: None, executables, children }
    }
}

pub(super) fn is_inside(name: &CellName, outer: &CellName) -> bool {
    name.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// The cells directly inside `parent`, each with what is inside it; takes them from the front of `cells`.
fn siblings<'a>(
    parent: Option<&CellName>,
    cells: &mut Peekable<impl Iterator<Item = &'a Cell>>,
) -> Vec<CellInfo> {
    let mut found = Vec::new();
    while let Some(cell) = cells.next_if(|cell| parent.is_none_or(|p| is_inside(&cell.spec.name, p))) {
        let children = siblings(Some(&cell.spec.name), cells);
        found.push(cell.info(children));
    }
    found
}

/// The first few names, and how many more there are.
/// A client may send back what it was told of a cell, but not ask for more.
fn check_isolation(cell: &CellName, asked: Isolation, has: Isolation) -> Result<(), Error> {
    let more = [
        ("cell.isolate_process", asked.process, has.process),
        ("cell.isolate_network", asked.network, has.network),
    ];
    match more.into_iter().find(|(_, asked, has)| *asked && !has) {
        Some((field, ..)) => Err(Error::IsolationFixed { field, cell: cell.clone() }),
        None => Ok(()),
    }
}

fn joined(names: &[CellName]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
