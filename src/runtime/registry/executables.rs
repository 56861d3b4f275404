//! The executables of all cells: their names are held while they are being started, their runs and ends recorded.

use std::sync::Arc;
use std::time::Duration;

use super::super::cgroup::ControllerSet;
use super::super::child::Run;
use super::super::ending::RemovalNotice;
use super::super::error::Error;
use super::super::events::ExecutableChange;
use super::super::executable::ExecutableSpec;
use super::super::isolation::Namespaces;
use super::super::logs::{Feed, LogMode, LogPolicy};
use super::super::names::{CellName, ExecutableName};
use super::super::outcome::{Completion, Outcome};
use super::super::output::{Output, Whose};
use super::super::record::{MayFinish, Record};
use super::Registry;
use super::cell::CellState;

/// A name held for an executable that is being started.
#[derive(Debug)]
pub(in super::super) struct Reservation {
    pub place: Place,
    /// The leaf of the exited executable that had the name.
    pub previous: Option<u64>,
}

/// Where a process is to be.
#[derive(Clone, Debug)]
pub(in super::super) struct Place {
    pub leaf: u64,
    /// The controllers that limit the cell or one around it.
    pub limited: ControllerSet,
    /// Those that do or ever did: no others can have counted anything.
    pub ever_limited: ControllerSet,
    pub namespaces: Arc<Namespaces>,
    pub output: Arc<Feed>,
}

/// A restart that has begun.
#[derive(Debug)]
pub(in super::super) struct Relaunch {
    pub spec: Arc<ExecutableSpec>,
    /// Of the next run.
    pub place: Place,
}

/// An executable that is being stopped.
#[derive(Debug)]
pub(in super::super) struct StoppingExecutable {
    pub leaf: u64,
    pub run: Arc<Run>,
    pub removal: Arc<RemovalNotice>,
    pub completion: Arc<Completion>,
}

/// What follows from an exit, or from a restart that failed.
#[derive(Debug)]
pub(in super::super) struct Aftermath {
    /// When it is to be started again.
    pub delay: Option<Duration>,
    /// To be told, without the lock.
    pub completion: Arc<Completion>,
}

impl Registry {
    /// Holds the name for an executable that is about to be started. The name of one that has exited may be taken.
    pub fn reserve_executable(
        &mut self,
        cell_name: &CellName,
        spec: &Arc<ExecutableSpec>,
    ) -> Result<Reservation, Error> {
        let (leaf, limited) = (self.next_number(), self.limited(cell_name));
        let ever_limited = self.ever_limited(cell_name);
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
        Ok(Reservation { place: Place { leaf, limited, ever_limited, namespaces, output }, previous })
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
        let ever_limited = self.ever_limited(cell);
        if self.shut {
            return None;
        }
        let open = self.open_cell(cell).ok()?;
        let namespaces = Arc::clone(&open.namespaces);
        let record = open.record(name, leaf)?;
        let spec = record.begin_restart(next)?;
        let output = Arc::clone(&record.completion().output);
        Some(Relaunch { spec, place: Place { leaf: next, limited, ever_limited, namespaces, output } })
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
}
