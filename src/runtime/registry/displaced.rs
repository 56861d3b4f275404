//! Records that have made way for an executable that is being started: the one that had its name, or one whose place was
//! needed. They come back when the start fails, and are gone for good when it succeeds; or before that, when something
//! comes that they must not outlive: the end of their cell, or another executable of their name.

use super::super::error::Error;
use super::super::events::ExecutableChange;
use super::super::names::{CellName, ExecutableName};
use super::super::record::Record;
use super::Registry;
use crate::limits::{EXECUTABLES_MAX, EXECUTABLES_PER_CELL_MAX};

#[derive(Debug)]
pub(super) struct Displaced {
    /// The leaf of the start that it has made way for.
    by: u64,
    cell: CellName,
    name: ExecutableName,
    record: Record,
}

impl Registry {
    /// Room for an executable of this name, which will have the leaf `by`. One that has exited leaves it its name; the leaf
    /// of that one is answered. Where there is no other room, the record that was stopped first makes way: in the cell if
    /// that is full, else in any. Those that ended by themselves stay until somebody has stopped them.
    pub(super) fn make_room(
        &mut self,
        by: u64,
        cell_name: &CellName,
        name: &ExecutableName,
    ) -> Result<Option<u64>, Error> {
        let total = self.executables;
        let cell = self.open_cell(cell_name)?;
        if let Some(previous) = cell.executables.get(name).map(|record| record.leaf) {
            self.displace(by, cell_name.clone(), name.clone());
            return Ok(Some(previous));
        }
        let cell_is_full = cell.executables.len() + cell.stale.len() >= EXECUTABLES_PER_CELL_MAX;
        if !cell_is_full && total < EXECUTABLES_MAX {
            return Ok(None);
        }
        let oldest = self
            .cells
            .iter()
            .filter(|(other, _)| !cell_is_full || *other == cell_name)
            .flat_map(|(other, cell)| cell.oldest_stopped().map(|(order, name)| (order, other, name)))
            .min_by_key(|(order, ..)| *order);
        let Some((_, other, name)) = oldest else {
            return Err(match cell_is_full {
                true => Error::TooManyExecutablesInCell(cell_name.clone()),
                false => Error::TooManyExecutables,
            });
        };
        let (cell, name) = (other.clone(), name.clone());
        self.displace(by, cell, name);
        Ok(None)
    }

    fn displace(&mut self, by: u64, cell: CellName, name: ExecutableName) {
        let record = self.cells.get_mut(&cell).and_then(|found| found.executables.remove(&name));
        let Some(record) = record else { return };
        self.executables -= 1;
        self.displaced.push(Displaced { by, cell, name, record });
    }

    /// Brings back what has made way for a start that has failed, unless its place is taken by now.
    pub(super) fn restore(&mut self, by: u64) {
        let displaced: Vec<_> = self.displaced.extract_if(.., |displaced| displaced.by == by).collect();
        for displaced in displaced {
            let Displaced { cell, name, record, .. } = displaced;
            let total = self.executables;
            let Some(found) = self.cells.get_mut(&cell) else { continue };
            let has_room = found.executables.len() < EXECUTABLES_PER_CELL_MAX && total < EXECUTABLES_MAX;
            if has_room && !found.executables.contains_key(&name) {
                found.executables.insert(name, record);
                self.executables += 1;
            } else {
                self.events.put_executable(&cell, &name, &record, ExecutableChange::Removed);
                self.gone.push(record);
            }
        }
    }

    /// An executable runs in this leaf: what has made way for it is gone, and whatever else had its name.
    pub(super) fn forget_displaced_by(&mut self, cell: &CellName, name: &ExecutableName, leaf: u64) {
        self.forget_displaced(|it| it.by == leaf || (it.cell == *cell && it.name == *name));
    }

    /// A cell goes, and with it what was in it.
    pub(super) fn forget_displaced_of(&mut self, cell: &CellName) {
        self.forget_displaced(|it| it.cell == *cell);
    }

    fn forget_displaced(&mut self, is_gone: impl Fn(&Displaced) -> bool) {
        for gone in self.displaced.extract_if(.., |displaced| is_gone(displaced)) {
            let Displaced { cell, name, record, .. } = gone;
            self.events.put_executable(&cell, &name, &record, ExecutableChange::Removed);
            self.gone.push(record);
        }
    }
}
