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

mod cell;
mod displaced;
mod executables;
mod locked;
#[cfg(test)]
mod tests;

use super::cgroup::{ControllerSet, Updating};
use super::change::LimitsChange;
use super::child::{Child, Run};
use super::ending::RemovalNotice;
use super::error::Error;
use super::events::{Event, EventSink, Events, ExecutableChange};
use super::info::CellInfo;
use super::isolation::{Isolation, Namespaces};
use super::logs::Logs;
use super::names::{CellName, ExecutableName};
use super::outcome::Completion;
use super::record::Record;
use super::restart::HeldBytes;
use super::spec::CellSpec;
use crate::limits::CELLS_MAX;
use cell::{Cell, CellState};
use displaced::Displaced;
pub(super) use executables::{Aftermath, Place, Relaunch, Reservation, StoppingExecutable};
pub(super) use locked::Locked;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

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
        cell.ever_limited = cell.ever_limited.and(ControllerSet::of(&new));
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
        let of = |cell: &Cell| {
            let soon = cell.updating.as_ref().map(ControllerSet::of).unwrap_or_default();
            ControllerSet::of(&cell.spec.limits).and(soon)
        };
        self.outwards(name).map(of).fold(ControllerSet::default(), ControllerSet::and)
    }

    fn ever_limited(&self, name: &CellName) -> ControllerSet {
        self.outwards(name).map(|cell| cell.ever_limited).fold(ControllerSet::default(), ControllerSet::and)
    }

    /// The cell, the one around it, and so on.
    fn outwards(&self, name: &CellName) -> impl Iterator<Item = &Cell> {
        let names = std::iter::successors(Some(name.clone()), CellName::parent);
        names.filter_map(|name| self.cells.get(&name))
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

    /// From now on nothing is started again. Answers whom to tell.
    pub fn shut(&mut self) -> Vec<Arc<Completion>> {
        self.shut = true;
        self.cells.values_mut().flat_map(Cell::give_up_restarting).collect()
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

/// The first few names, and how many more there are.
fn joined(names: &[CellName]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
