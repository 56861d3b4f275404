//! The freezing of a cell, which takes as long as its processes do to come to rest. Nothing here waits.
//!
//! 1. `freeze` orders it, and answers a [`Freezing`].
//! 2. Ask `is_at_rest` until it says so.
//! 3. Or, after a bounded wait, `undo_freeze`.

use super::cgroup::{Group, Rest};
use super::error::Error;
use super::names::CellName;

/// A cell that is to stand still.
#[derive(Debug)]
pub struct Freezing {
    pub(super) cell: CellName,
    /// Tells this cell from a later one of the same name.
    pub(super) number: u64,
    /// Its cgroup in the hierarchy that tracks.
    pub(super) group: Group,
    /// It had been told to freeze before: then an undo leaves it so.
    pub(super) was_told: bool,
}

impl Freezing {
    /// Whether all processes of the cell, and of those inside it, stand still.
    pub(super) fn is_at_rest(&self) -> Result<bool, Error> {
        match self.group.rest()? {
            Some(Rest::Frozen) => Ok(true),
            Some(Rest::Freezing) => {
                // Once more: the v1 freezer tries again only when told (cgroup-v1/freezer-subsystem.rst).
                self.group.freeze()?;
                Ok(false)
            }
            Some(Rest::Thawed) => Err(Error::CellThawed(self.cell.clone())),
            None => Err(Error::NoSuchCell(self.cell.clone())),
        }
    }
}
