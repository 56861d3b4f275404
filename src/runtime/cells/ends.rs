//! Ends of executables and cells, in steps: SIGTERM with [`Cells::stop`] or [`Cells::free`], SIGKILL with [`Cells::kill`],
//! and [`Cells::finish`] when nothing is left. Between them the caller waits.

use super::super::cgroup::{Removal, Version};
use super::super::ending::{Ending, Finish, RemovalNotice, Target};
use super::super::error::Error;
use super::super::isolation::Namespaces;
use super::super::names::{CellName, ExecutableName};
use super::super::record::MayFinish;
use super::super::registry::{FreeingCell, MayHold, MayRemove, StoppingExecutable, is_inside};
use super::{Cells, shown_pids};
use crate::limits::FREED_IN_A_STEP;
use nix::sys::signal::Signal;
use std::sync::Arc;

impl Cells {
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

    /// For a caller that has waited long enough after [`Cells::kill`]: the error to answer. What remains stays marked as
    /// ending, so that nothing new joins it, and may be stopped or freed again.
    pub fn give_up(&self, ending: &Ending) -> Error {
        let mut pids = ending.group.processes().unwrap_or_default();
        pids.extend(ending.children.iter().filter(|child| child.reap().is_none()).map(|child| child.pid));
        Error::StillAlive { object: ending.target.to_string(), pids: shown_pids(&pids) }
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
