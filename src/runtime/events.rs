//! What becomes of cells and executables, for whoever wants to be told.
//!
//! The registry tells of each change as it makes it, under its lock: so the order of the events is that of the changes, over
//! all cells, and nobody sees a change before its event. Of an executable that is: started or restarted, out of memory,
//! exited, and so on with each restart; removed. Of a cell: allocated, updated; and freed, behind all that was in it.
//!
//! What fails is no event.

use super::names::{CellName, ExecutableName};
use super::outcome::{Oom, Outcome};
use super::record::Record;
use crate::sys::pidfd::ExitReason;
use std::fmt;
use std::sync::Arc;

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    CellAllocated(&'a CellName),
    /// Limits of it have changed.
    CellUpdated(&'a CellName),
    CellFreed(&'a CellName),
    Executable(ExecutableEvent<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutableEvent<'a> {
    pub change: ExecutableChange<'a>,
    pub cell: &'a CellName,
    pub executable: &'a ExecutableName,
    /// Of the process that it has, or had last.
    pub pid: i32,
    /// How often it has been started again.
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutableChange<'a> {
    Started,
    Restarted,
    /// The kernel has ended its process; that it has exited comes next.
    OutOfMemory(&'a Oom),
    Exited(ExitReason),
    /// Its record is gone.
    Removed,
}

/// Whoever is told.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Keeps the next event. The registry is locked: this must be quick, and come back to no cell.
    fn put(&self, event: Event<'_>);

    /// Wakes those who wait for events. No lock is held.
    fn tell(&self);
}

/// The registry's end of the sink.
#[derive(Debug, Default)]
pub(super) struct Events {
    sink: Option<Arc<dyn EventSink>>,
    /// Something has been put, and nobody woken since.
    untold: bool,
}

/// Wakes those who wait for events when it is dropped, if there are any for them.
#[derive(Debug, Default)]
pub(super) struct Untold(Option<Arc<dyn EventSink>>);

impl Events {
    pub fn new(sink: Arc<dyn EventSink>) -> Self {
        Self { sink: Some(sink), untold: false }
    }

    pub fn put(&mut self, event: Event<'_>) {
        if let Some(sink) = &self.sink {
            sink.put(event);
            self.untold = true;
        }
    }

    /// One that has never run has no events.
    pub fn put_executable(
        &mut self,
        cell: &CellName,
        executable: &ExecutableName,
        record: &Record,
        change: ExecutableChange<'_>,
    ) {
        if let Some(run) = record.run() {
            let (pid, restarts) = (run.child.pid, record.restarts());
            self.put(Event::Executable(ExecutableEvent { change, cell, executable, pid, restarts }));
        }
    }

    pub fn put_exit(
        &mut self,
        cell: &CellName,
        executable: &ExecutableName,
        record: &Record,
        outcome: &Outcome,
    ) {
        if let Some(oom) = &outcome.oom {
            self.put_executable(cell, executable, record, ExecutableChange::OutOfMemory(oom));
        }
        self.put_executable(cell, executable, record, ExecutableChange::Exited(outcome.reason));
    }

    /// Those who are to be woken.
    pub fn untold(&mut self) -> Untold {
        let untold = std::mem::take(&mut self.untold);
        Untold(self.sink.as_ref().filter(|_| untold).cloned())
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        if let Some(sink) = &self.0 {
            sink.tell();
        }
    }
}
