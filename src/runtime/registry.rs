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

use super::cgroup::{ControllerSet, Updating};
use super::change::LimitsChange;
use super::child::{Child, Run};
use super::ending::RemovalNotice;
use super::error::Error;
use super::executable::ExecutableSpec;
use super::info::CellInfo;
use super::isolation::{Isolation, Namespaces};
use super::names::{CellName, ExecutableName};
use super::outcome::{Completion, Outcome};
use super::record::{MayFinish, Record};
use super::restart::HeldBytes;
use super::spec::{CellSpec, Limits};
use crate::limits::{CELLS_MAX, EXECUTABLES_MAX, EXECUTABLES_PER_CELL_MAX};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// In the order of [`CellName`]: a cell, then all that is inside it, then its next sibling.
    cells: BTreeMap<CellName, Cell>,
    /// Records of executables in all cells.
    executables: usize,
    /// The number that was given last; numbers are never given twice.
    last_number: u64,
    /// For restarts.
    held: HeldBytes,
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
    pub leaf: u64,
    /// The controllers that limit the cell or one around it.
    pub limited: ControllerSet,
    /// The exited executable that had the name; comes back when the start fails.
    pub previous: Option<Record>,
    /// The stopped executable that had to make way; comes back when the start fails.
    pub evicted: Option<Evicted>,
    /// Those that it is to be in.
    pub namespaces: Arc<Namespaces>,
}

/// A restart that has begun.
#[derive(Debug)]
pub(super) struct Relaunch {
    /// Of the next run.
    pub leaf: u64,
    pub spec: Arc<ExecutableSpec>,
    pub limited: ControllerSet,
    pub namespaces: Arc<Namespaces>,
}

/// A record whose place was needed.
#[derive(Debug)]
pub(super) struct Evicted {
    cell: CellName,
    cell_number: u64,
    name: ExecutableName,
    record: Record,
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
        let Some(cell) = self.cells.remove(name) else { return Vec::new() };
        self.executables -= cell.executables.len();
        let stopping = cell.executables.values().filter_map(|record| record.notice().cloned());
        stopping.chain(cell.removal).collect()
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
        let evicted = self.make_room(cell_name, &spec.name)?;
        let cell = self.open_cell(cell_name)?;
        let previous = cell.executables.insert(spec.name.clone(), Record::new(leaf, spec, again));
        let namespaces = Arc::clone(&cell.namespaces);
        self.executables += usize::from(previous.is_none());
        Ok(Reservation { leaf, limited, namespaces, previous, evicted })
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
        let Some(cell) = self.cells.get_mut(cell) else { return true };
        let freeing = cell.state == CellState::Freeing;
        let Some(record) = cell.record(name, run.leaf) else { return freeing };
        record.started(run);
        freeing || record.is_closed()
    }

    /// Takes a reservation back, and restores what it replaced. Answers whom to tell.
    pub fn cancel_executable(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        reservation: Reservation,
    ) -> Option<Arc<Completion>> {
        let record = self.remove_executable(cell, name, reservation.leaf);
        if let (Some(previous), Some(cell)) = (reservation.previous, self.cells.get_mut(cell)) {
            cell.executables.insert(name.clone(), previous);
            self.executables += 1;
        }
        reservation.evicted.into_iter().for_each(|evicted| self.restore(evicted));
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
        let shut = self.shut;
        let cell = self.cells.get_mut(cell)?;
        let closed = shut || cell.state == CellState::Freeing;
        let record = cell.record(name, leaf)?;
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
        let spec = open.record(name, leaf)?.begin_restart(next)?;
        Some(Relaunch { leaf: next, spec, limited, namespaces })
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
        if is_this_stop && record.finish_stop(order) {
            self.remove_executable(cell, name, leaf);
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

    /// Room for an executable of this name. Where there is none, the record that was stopped first makes way: in the cell if
    /// that is full, else in any. Those that ended by themselves stay until somebody has stopped them.
    fn make_room(&mut self, cell_name: &CellName, name: &ExecutableName) -> Result<Option<Evicted>, Error> {
        let total = self.executables;
        let cell = self.open_cell(cell_name)?;
        let replaces = cell.executables.contains_key(name);
        let cell_is_full = cell.executables.len() + cell.stale.len() >= EXECUTABLES_PER_CELL_MAX;
        if replaces || (!cell_is_full && total < EXECUTABLES_MAX) {
            return Ok(None);
        }
        let oldest = self
            .cells
            .iter()
            .filter(|(other, _)| !cell_is_full || *other == cell_name)
            .flat_map(|(other, cell)| {
                cell.oldest_stopped().map(|(order, name)| (order, other, cell.number, name))
            })
            .min_by_key(|(order, ..)| *order);
        let Some((_, other, cell_number, name)) = oldest else {
            return Err(match cell_is_full {
                true => Error::TooManyExecutablesInCell(cell_name.clone()),
                false => Error::TooManyExecutables,
            });
        };
        let (cell, name) = (other.clone(), name.clone());
        let record = self.cells.get_mut(&cell).and_then(|found| found.executables.remove(&name));
        self.executables -= usize::from(record.is_some());
        Ok(record.map(|record| Evicted { cell, cell_number, name, record }))
    }

    /// Brings a record back that had made way for nothing, unless its place is taken by now.
    fn restore(&mut self, evicted: Evicted) {
        let Evicted { cell, cell_number, name, record } = evicted;
        let total = self.executables;
        let Some(cell) = self.numbered(&cell, cell_number) else { return };
        let has_room = cell.executables.len() < EXECUTABLES_PER_CELL_MAX && total < EXECUTABLES_MAX;
        if has_room && !cell.executables.contains_key(&name) {
            cell.executables.insert(name, record);
            self.executables += 1;
        }
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
    /// other. A cell that is being allocated gets its parent's lists on v1.
    fn check_not_updating(&self, name: &CellName) -> Result<(), Error> {
        let around = std::iter::successors(Some(name.clone()), CellName::parent);
        let around = around.filter_map(|name| self.cells.get(&name));
        if let Some(cell) = around.chain(self.inside(name)).find(|cell| cell.updating.is_some()) {
            return Err(Error::CellUpdating(cell.spec.name.clone()));
        }
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

#[cfg(test)]
mod tests {
    use super::super::cgroup::MemoryCounts;
    use super::super::child::Child;
    use super::super::error::ErrorKind;
    use super::super::executable::{Command, Program};
    use super::super::pids::PidsMax;
    use super::super::restart::{RestartCondition, RestartPolicy};
    use super::*;
    use crate::sys::pidfd::ExitReason;

    fn spec(name: &str) -> CellSpec {
        let name = CellName::parse(name).expect("valid");
        CellSpec { name, limits: Limits::default(), isolation: Isolation::default() }
    }

    fn executable(name: &str, condition: RestartCondition) -> Arc<ExecutableSpec> {
        let name = ExecutableName::parse(name).expect("valid");
        let program = Program::Shell(Command::parse("true").expect("valid"));
        let restart = RestartPolicy { condition, max_restarts: None };
        Arc::new(ExecutableSpec { restart, ..ExecutableSpec::new(name, program) })
    }

    /// A run without a process; nothing here looks at one.
    fn run(leaf: u64) -> Arc<Run> {
        Arc::new(Run::new(leaf, Child::ended(), MemoryCounts::default()))
    }

    fn outcome(code: i32) -> Outcome {
        Outcome { reason: ExitReason::Code(code), oom: None, exited_ms: 1 }
    }

    /// A registry with one cell, in which an executable runs.
    struct Running {
        registry: Registry,
        cell: CellName,
        name: ExecutableName,
        leaf: u64,
        completion: Arc<Completion>,
    }

    impl Running {
        fn new(condition: RestartCondition) -> Self {
            let (mut registry, cell) = (registry(&["a"]), spec("a").name);
            let spec = executable("job", condition);
            let leaf = start(&mut registry, "a", &spec).expect("free");
            let completion = registry.completion(&cell, &spec.name).expect("there");
            Self { registry, cell, name: spec.name.clone(), leaf, completion }
        }

        fn exit(&mut self, code: i32) -> Option<Duration> {
            let aftermath = self.registry.record_exit(&self.cell, &self.name, self.leaf, outcome(code));
            aftermath.expect("the run is known").delay
        }

        fn begin_restart(&mut self) -> Option<u64> {
            self.registry.begin_restart(&self.cell, &self.name, self.leaf).map(|relaunch| relaunch.leaf)
        }

        /// Until nothing is left; whether the record has gone, too.
        fn stop(&mut self) -> bool {
            let stopping = self.registry.stop_executable(&self.cell, &self.name, notice()).expect("there");
            self.finish(&stopping);
            self.registry.completion(&self.cell, &self.name).is_err()
        }

        fn finish(&mut self, stopping: &StoppingExecutable) {
            self.registry.finish_stop(&self.cell, &self.name, stopping.leaf, &stopping.removal);
        }

        fn has_ended(&self) -> bool {
            self.completion.end().is_some()
        }
    }

    fn start(registry: &mut Registry, cell: &str, spec: &Arc<ExecutableSpec>) -> Result<u64, Error> {
        let cell = self::spec(cell).name;
        let leaf = registry.reserve_executable(&cell, spec)?.leaf;
        registry.commit_executable(&cell, &spec.name, run(leaf));
        Ok(leaf)
    }

    fn registry(cells: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for cell in cells {
            let number = registry.reserve_cell(&spec(cell)).expect(cell);
            registry.commit_cell(&spec(cell).name, number, Namespaces::Ours);
        }
        registry
    }

    fn notice() -> Arc<RemovalNotice> {
        RemovalNotice::new().expect("eventfd")
    }

    fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn cells_are_listed_as_a_tree() {
        let registry = registry(&["b", "a", "a/x", "a-b", "a/x/y", "a/z"]);
        fn shape(cells: &[CellInfo]) -> String {
            let shown = |c: &CellInfo| format!("{}({})", c.spec.name.last_label(), shape(&c.children));
            cells.iter().map(shown).collect()
        }
        assert_eq!(shape(&registry.list()), "a(x(y())z())a-b()b()");
        let get = |name: &str| registry.get(&spec(name).name).map(|cell| shape(&[cell]));
        for (name, expected) in [("a", "a(x(y())z())"), ("a/x", "x(y())"), ("a/x/y", "y()"), ("b", "b()")] {
            assert_eq!(get(name).expect("is there"), expected);
        }
        for name in ["c", "a/y", "a/x/y/z"] {
            assert_eq!(kind(get(name)), Some(ErrorKind::NotFound), "{name}");
        }
    }

    #[test]
    fn a_name_is_taken_from_its_reservation_on() {
        let mut registry = Registry::default();
        let number = registry.reserve_cell(&spec("a")).expect("free");
        assert_eq!(kind(registry.reserve_cell(&spec("a"))), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(registry.reserve_cell(&spec("a/b"))), Some(ErrorKind::FailedPrecondition));
        assert_eq!(registry.list(), []);
        assert_eq!(kind(registry.get(&spec("a").name)), Some(ErrorKind::NotFound));
        registry.cancel_cell(&spec("a").name, number);
        assert_eq!(kind(registry.reserve_cell(&spec("a"))), None);
    }

    #[test]
    fn a_cell_needs_its_parent_and_its_parent_it() {
        let mut registry = registry(&["a", "a/b", "ab"]);
        assert_eq!(kind(registry.reserve_cell(&spec("c/d"))), Some(ErrorKind::NotFound));
        let error =
            registry.free_cell(&spec("a").name, false, notice()).expect_err("has a child").to_string();
        assert!(error.contains("the cells \"a/b\";"), "{error}");
        registry.free_cell(&spec("ab").name, false, notice()).expect("has none");
        registry.free_cell(&spec("ab").name, false, notice()).expect("and again");
        assert_eq!(kind(registry.reserve_cell(&spec("ab/c"))), Some(ErrorKind::FailedPrecondition));
    }

    #[test]
    fn a_late_end_does_not_hit_a_later_cell_of_the_same_name() {
        let mut registry = registry(&["a"]);
        let first = registry.free_cell(&spec("a").name, false, notice()).expect("free").number;
        registry.remove_cell(&spec("a").name, first);
        let second = registry.reserve_cell(&spec("a")).expect("free again");
        registry.remove_cell(&spec("a").name, first);
        assert!(matches!(registry.begin_removal(&spec("a").name, first), MayRemove::Gone));
        assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Now(..)));
        assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Later));
    }

    #[test]
    fn an_update_holds_its_cell_and_all_that_depend_on_it() {
        let mut registry = registry(&["a", "a/b", "a/b/c", "a/d", "e"]);
        let name = |text| spec(text).name;
        let mut change = LimitsChange::default();
        change.set.pids.max = PidsMax::new(5).ok();
        let (number, updating) = registry.begin_update(&name("a/b"), &change).expect("nobody is at it");
        assert_eq!((updating.old.clone(), updating.new.clone()), (Limits::default(), change.set.clone()));
        assert_eq!(updating.inside, [spec("a/b/c")]);
        for cell in ["a", "a/b", "a/b/c"] {
            let refused = registry.begin_update(&name(cell), &change).expect_err(cell);
            assert!(matches!(refused, Error::CellUpdating(cell) if cell == name("a/b")));
        }
        assert!(matches!(registry.reserve_cell(&spec("a/b/x")), Err(Error::CellUpdating(_))));
        for cell in ["a/d", "e"] {
            let (number, _) = registry.begin_update(&name(cell), &change).expect("apart from it");
            registry.cancel_update(&name(cell), number);
            assert!(registry.limited(&name(cell)).is_empty());
        }
        // What starts now is under it already.
        let pids = ControllerSet::of(&change.set);
        assert_eq!(
            [registry.limited(&name("a")), registry.limited(&name("a/b/c"))],
            [Default::default(), pids]
        );
        assert_eq!(registry.commit_update(updating, number).limits, change.set);

        let (number, _) = registry.begin_update(&name("e"), &change).expect("nobody is at it");
        let freeing = registry.free_cell(&name("e"), false, notice()).expect("at any time").number;
        assert!(matches!(registry.begin_removal(&name("e"), freeing), MayRemove::Later));
        registry.cancel_update(&name("e"), number);
        assert!(matches!(registry.begin_removal(&name("e"), freeing), MayRemove::Now(..)));
        let refused = registry.begin_update(&name("e"), &change).expect_err("it is on its way out");
        assert!(matches!(refused, Error::CellFreeing(_)));
    }

    #[test]
    fn executables_are_bounded_per_cell_and_in_all() {
        let mut registry = registry(&["a", "b", "c", "d", "e"]);
        let start = |registry: &mut Registry, cell: &str, number: usize| {
            start(registry, cell, &executable(&number.to_string(), RestartCondition::Never))
        };
        for cell in ["a", "b", "c", "d"] {
            for number in 0..EXECUTABLES_PER_CELL_MAX {
                start(&mut registry, cell, number).expect("below the limit");
            }
        }
        let error = start(&mut registry, "a", 9999).expect_err("cell is full");
        assert!(matches!(error, Error::TooManyExecutablesInCell(_)));
        assert!(matches!(start(&mut registry, "e", 0), Err(Error::TooManyExecutables)));
        let number = registry.free_cell(&spec("a").name, false, notice()).expect("free").number;
        registry.remove_cell(&spec("a").name, number);
        start(&mut registry, "e", 0).expect("there is room again");
    }

    #[test]
    fn cells_are_bounded() {
        let mut registry = Registry::default();
        for number in 0..CELLS_MAX {
            registry.reserve_cell(&spec(&number.to_string())).expect("below the limit");
        }
        assert_eq!(kind(registry.reserve_cell(&spec("more"))), Some(ErrorKind::ResourceExhausted));
    }

    #[test]
    fn a_failed_start_leaves_the_name_as_it_was() {
        let mut registry = registry(&["a"]);
        let (cell, spec) = (spec("a").name, executable("job", RestartCondition::Always));
        let reserved = registry.reserve_executable(&cell, &spec).expect("free");
        let completion = registry.completion(&cell, &spec.name).expect("it is awaited from the start");
        assert_eq!(kind(registry.reserve_executable(&cell, &spec)), Some(ErrorKind::AlreadyExists));
        assert_eq!(
            kind(registry.stop_executable(&cell, &spec.name, notice())),
            Some(ErrorKind::FailedPrecondition)
        );
        registry.cancel_executable(&cell, &spec.name, reserved);
        assert_eq!(completion.end(), Some(&None), "who waits is told that it never was");
        assert_eq!(kind(registry.stop_executable(&cell, &spec.name, notice())), Some(ErrorKind::NotFound));
        assert_eq!(registry.executables, 0);
    }

    #[test]
    fn a_stopped_executable_stays_until_it_is_stopped_again() {
        let mut job = Running::new(RestartCondition::Never);
        let stop = |job: &mut Running| job.registry.stop_executable(&job.cell, &job.name, notice());
        let (first, joined) = (stop(&mut job).expect("runs"), stop(&mut job).expect("at the same time"));
        assert!(Arc::ptr_eq(&first.removal, &joined.removal));
        job.exit(0);
        job.finish(&first);
        assert!(job.has_ended());
        job.finish(&joined);
        assert!(job.registry.completion(&job.cell, &job.name).is_ok(), "the other Stop finds it done");
        assert!(job.stop(), "it had exited");
        assert_eq!(kind(stop(&mut job)), Some(ErrorKind::NotFound));
        assert_eq!(job.registry.executables, 0);
    }

    #[test]
    fn an_executable_that_ended_by_itself_is_stopped_once() {
        let mut job = Running::new(RestartCondition::OnFailure);
        assert_eq!(job.exit(0), None);
        assert!(job.has_ended());
        assert!(job.stop());
    }

    #[test]
    fn a_restart_keeps_the_record_and_nobody_hears_of_an_end() {
        let mut job = Running::new(RestartCondition::Always);
        assert!(job.exit(0).is_some());
        assert_eq!(job.exit(0), None, "an exit is told once");
        let next = job.begin_restart().expect("nothing is in the way");
        assert_eq!(job.begin_restart(), None, "and restarted once");
        assert!(!job.registry.commit_executable(&job.cell, &job.name, run(next)));
        job.leaf = next;
        assert!(!job.has_ended());
        let listed = job.registry.list().remove(0).executables.remove(0);
        assert_eq!((listed.restarts, listed.outcome), (1, None));
        assert!(job.exit(1).is_some());
    }

    /// Whatever comes between an exit and the restart that would follow: afterwards none does.
    #[test]
    fn no_restart_slips_in_behind_an_end() {
        type End = fn(&mut Running);
        let ends: [(&str, End); 3] = [
            ("stop", |job| {
                job.registry.stop_executable(&job.cell, &job.name, notice()).expect("there");
            }),
            ("free", |job| {
                job.registry.free_cell(&job.cell, false, notice()).expect("there");
            }),
            ("the daemon's end", |job| {
                job.registry.shut();
            }),
        ];
        for (what, end) in ends {
            let mut job = Running::new(RestartCondition::Always);
            assert!(job.exit(1).is_some());
            end(&mut job);
            assert!(job.has_ended(), "{what}");
            assert_eq!(job.begin_restart(), None, "{what}");

            let mut job = Running::new(RestartCondition::Always);
            end(&mut job);
            assert_eq!(job.exit(1), None, "{what} came first");
            assert!(job.has_ended(), "{what} came first");
        }
        let mut job = Running::new(RestartCondition::Always);
        assert!(job.exit(1).is_some());
        assert!(!job.stop(), "it had not ended, so that its record stays");
        assert_eq!(job.begin_restart(), None, "and a Stop that has answered is as good");
    }

    #[test]
    fn a_restart_that_is_under_way_when_it_is_stopped_ends_with_it() {
        for fails in [false, true] {
            let mut job = Running::new(RestartCondition::Always);
            assert!(job.exit(1).is_some());
            let next = job.begin_restart().expect("nothing is in the way");
            let stopping = job.registry.stop_executable(&job.cell, &job.name, notice()).expect("there");
            assert_eq!(stopping.leaf, next);
            let may = job.registry.may_finish_stop(&job.cell, &job.name, next, &stopping.removal);
            assert!(matches!(may, MayFinish::Later));
            job.leaf = next;
            if fails {
                let aftermath = job.registry.restart_failed(&job.cell, &job.name, next, false);
                assert_eq!(aftermath.expect("it is known").delay, None);
            } else {
                assert!(job.registry.commit_executable(&job.cell, &job.name, run(next)), "it is to end");
                assert_eq!(job.exit(9), None);
            }
            assert!(job.has_ended());
            let may = job.registry.may_finish_stop(&job.cell, &job.name, next, &stopping.removal);
            assert!(matches!(may, MayFinish::Now(_)));
        }
    }

    #[test]
    fn the_record_that_was_stopped_first_makes_way_and_no_other() {
        let mut job = Running::new(RestartCondition::Never);
        job.exit(0);
        let named = |number: usize| executable(&format!("{number:04}"), RestartCondition::Never);
        for number in 1..EXECUTABLES_PER_CELL_MAX {
            let leaf = start(&mut job.registry, "a", &named(number)).expect("below the limit");
            job.registry.record_exit(&job.cell, &named(number).name, leaf, outcome(0));
        }
        let full = start(&mut job.registry, "a", &named(9999));
        assert!(matches!(full, Err(Error::TooManyExecutablesInCell(_))), "all ended by themselves");

        // 7 is stopped before 3 is; both ran.
        let mut replaced = Vec::new();
        for number in [7, 3] {
            let spec = named(number);
            let leaf = start(&mut job.registry, "a", &spec).expect("the name may be used again");
            let stopping = job.registry.stop_executable(&job.cell, &spec.name, notice()).expect("runs");
            job.registry.record_exit(&job.cell, &spec.name, leaf, outcome(0));
            job.registry.finish_stop(&job.cell, &spec.name, leaf, &stopping.removal);
            replaced.push(spec.name.clone());
        }
        let is_there =
            |registry: &Registry, name: &ExecutableName| registry.completion(&spec("a").name, name).is_ok();
        let failed = job.registry.reserve_executable(&job.cell, &named(9999)).expect("7 makes way");
        assert_eq!(
            replaced.iter().map(|name| is_there(&job.registry, name)).collect::<Vec<_>>(),
            [false, true]
        );
        job.registry.cancel_executable(&job.cell, &named(9999).name, failed);
        assert!(is_there(&job.registry, &replaced[0]), "a call that fails changes nothing");

        start(&mut job.registry, "a", &named(9998)).expect("7 makes way");
        start(&mut job.registry, "a", &named(9997)).expect("3 makes way");
        assert!(replaced.iter().all(|name| !is_there(&job.registry, name)));
        assert!(start(&mut job.registry, "a", &named(9996)).is_err(), "no other does");
        assert_eq!(job.registry.executables, EXECUTABLES_PER_CELL_MAX);
    }

    #[test]
    fn one_at_a_time_is_at_a_cell_that_goes() {
        let mut registry = registry(&["a"]);
        let name = spec("a").name;
        let number = registry.free_cell(&name, false, notice()).expect("allocated").number;
        assert!(matches!(registry.begin_removal(&name, number), MayRemove::Now(..)));
        assert_eq!(registry.hold(&name, number), MayHold::Later, "it is not gone yet");
        registry.cancel_removal(&name, number);
        assert_eq!(registry.hold(&name, number), MayHold::Now);
        assert!(matches!(registry.begin_removal(&name, number), MayRemove::Later));
        assert_eq!(registry.hold(&name, number), MayHold::Later);
        registry.remove_cell(&name, number);
        assert_eq!(registry.hold(&name, number), MayHold::Gone);
    }

    #[test]
    fn a_tree_is_freed_from_its_leafs() {
        let mut registry = registry(&["a", "a/x", "a/x/y", "a/z", "b"]);
        let name = |text: &str| spec(text).name;
        let young = registry.reserve_cell(&spec("a/young")).expect("free");
        let refused = registry.free_cell(&name("a"), true, notice());
        assert_eq!(kind(refused), Some(ErrorKind::FailedPrecondition), "a/young is being allocated");
        registry.cancel_cell(&name("a/young"), young);
        assert_eq!(kind(registry.reserve_cell(&spec("a/x/new"))), None, "a refusal closes nothing");

        let number = registry.free_cell(&name("a/x"), true, notice());
        assert_eq!(kind(number), Some(ErrorKind::FailedPrecondition), "a/x/new is being allocated");
        let new = registry.cells.get(&name("a/x/new")).expect("there").number;
        registry.commit_cell(&name("a/x/new"), new, Namespaces::Ours);
        let number = registry.free_cell(&name("a"), true, notice()).expect("allocated").number;
        assert_eq!(kind(registry.reserve_cell(&spec("a/x/y/late"))), Some(ErrorKind::FailedPrecondition));
        let next = |registry: &mut Registry, at_most| {
            let next = registry.innermost(&name("a"), number, at_most).unwrap_or_default();
            next.into_iter().map(|(cell, _)| cell.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(next(&mut registry, 9), ["a/z", "a/x/y", "a/x/new", "a/x", "a"]);
        assert_eq!(next(&mut registry, 2), ["a/z", "a/x/y"]);
        for (cell, number) in registry.innermost(&name("a"), number, 9).expect("there") {
            registry.remove_cell(&cell, number);
        }
        assert!(registry.innermost(&name("a"), number, 9).is_none());
        assert_eq!(registry.list().len(), 1);
    }
}
