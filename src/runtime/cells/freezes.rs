//! Freezing: ordered with [`Cells::freeze`], looked after with [`Cells::is_at_rest`], and undone where it takes too long.

use super::super::error::Error;
use super::super::freezing::Freezing;
use super::super::names::CellName;
use super::super::registry::MayHold;
use super::{Cells, shown_pids};

impl Cells {
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
}
