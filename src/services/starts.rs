//! Whose turn it is to start a process, and where nothing may be started for a moment.
//!
//! A start holds a thread of the pool until the program runs, which in a cell that has used up its cpu time takes long: so
//! one at a time in each cell, and never on all threads. A process that is born in a frozen cell never becomes its
//! program, and would hold the thread until the thaw: so none is started in a cell while that is being frozen, or one
//! around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use smol::lock::{RwLock, RwLockReadGuardArc, RwLockWriteGuardArc, Semaphore, SemaphoreGuardArc};

use crate::limits::{START_TIMEOUT, STARTS_MAX};
use crate::runtime::CellName;

pub struct Starts {
    cells: Mutex<BTreeMap<CellName, Arc<Locks>>>,
    threads: Arc<Semaphore>,
    limited: Mutex<Limited>,
}

/// Starts that must not take too long. One timer for all, which stays set when they are over: to set it for each start
/// would wake a thread.
#[derive(Default)]
struct Limited {
    under_way: Vec<UnderWay>,
    is_watched: bool,
}

/// A start that is under way until the handle that this points to is dropped.
#[derive(Clone)]
pub struct UnderWay {
    pub cell: CellName,
    late: Instant,
    handle: Weak<()>,
}

/// To be held while a process is started. The places are given back first, then their records.
pub struct Turn {
    _in_cell: SemaphoreGuardArc,
    _not_freezing: Vec<RwLockReadGuardArc<()>>,
    _thread: SemaphoreGuardArc,
    _records: Vec<Record>,
}

/// To be held while a cell is frozen: there is no start under way in it or in a cell inside it, and none begins.
pub struct Pause {
    _freezing: RwLockWriteGuardArc<()>,
    _record: Record,
}

/// Of one cell.
struct Locks {
    start: Arc<Semaphore>,
    /// Written by who freezes it, read by who starts something in it or in a cell inside it.
    freeze: Arc<RwLock<()>>,
}

/// The locks of one cell, for as long as somebody holds one or waits for one.
struct Record {
    starts: Arc<Starts>,
    cell: CellName,
    locks: Arc<Locks>,
}

impl Default for Starts {
    fn default() -> Self {
        let threads = Arc::new(Semaphore::new(STARTS_MAX));
        Self { cells: Mutex::default(), threads, limited: Mutex::default() }
    }
}

impl Starts {
    /// Waits for the turn of a start in this cell. Nobody who waits for a lock of a cell keeps a thread from others; nobody
    /// who waits for its cell's other starts keeps a cell around it from being frozen.
    pub async fn turn(self: &Arc<Self>, cell: &CellName) -> Turn {
        let own = self.record(cell);
        let in_cell = own.locks.start.acquire_arc().await;
        let mut records = vec![own];
        let mut not_freezing = Vec::new();
        let mut around = Some(cell.clone());
        while let Some(cell) = around {
            around = cell.parent();
            let record = self.record(&cell);
            not_freezing.push(record.locks.freeze.read_arc().await);
            records.push(record);
        }
        let thread = self.thread().await;
        Turn { _in_cell: in_cell, _not_freezing: not_freezing, _thread: thread, _records: records }
    }

    /// Waits for a thread of the pool alone, to be kept while something is started that is in no cell.
    pub async fn thread(&self) -> SemaphoreGuardArc {
        self.threads.acquire_arc().await
    }

    /// Waits until nothing is being started in this cell or in a cell inside it, and keeps it so.
    pub async fn pause(self: &Arc<Self>, cell: &CellName) -> Pause {
        let record = self.record(cell);
        Pause { _freezing: record.locks.freeze.write_arc().await, _record: record }
    }

    /// A start in this cell begins, and is over when the handle is dropped. True when the caller has to see to it that
    /// [`Starts::late`] is asked when [`Starts::next_late`] says, until that says never.
    pub fn limit(&self, cell: &CellName) -> (Arc<()>, bool) {
        let handle = Arc::new(());
        let under_way = UnderWay {
            cell: cell.clone(),
            late: Instant::now() + START_TIMEOUT,
            handle: Arc::downgrade(&handle),
        };
        let mut limited = self.limited();
        limited.under_way.retain(UnderWay::is_so);
        limited.under_way.push(under_way);
        (handle, !std::mem::replace(&mut limited.is_watched, true))
    }

    /// When the first of those that are under way takes too long. With none of them, the next to begin is to be watched anew.
    pub fn next_late(&self) -> Option<Instant> {
        let mut limited = self.limited();
        limited.under_way.retain(UnderWay::is_so);
        let next = limited.under_way.iter().map(|start| start.late).min();
        limited.is_watched = next.is_some();
        next
    }

    /// Those that take too long, each once.
    pub fn late(&self) -> Vec<UnderWay> {
        let now = Instant::now();
        self.limited().under_way.extract_if(.., |start| start.late <= now).collect()
    }

    fn limited(&self) -> MutexGuard<'_, Limited> {
        self.limited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(self: &Arc<Self>, cell: &CellName) -> Record {
        let locks = self.cells().entry(cell.clone()).or_default().clone();
        Record { starts: self.clone(), cell: cell.clone(), locks }
    }

    fn cells(&self) -> MutexGuard<'_, BTreeMap<CellName, Arc<Locks>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    pub fn is_so(&self) -> bool {
        self.handle.strong_count() > 0
    }
}

impl Default for Locks {
    fn default() -> Self {
        Self { start: Arc::new(Semaphore::new(1)), freeze: Arc::default() }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut cells = self.starts.cells();
        // The map's handle and this one: nobody else has a record.
        if Arc::strong_count(&self.locks) <= 2 {
            cells.remove(&self.cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};

    fn name(text: &str) -> CellName {
        CellName::parse(text).expect("valid")
    }

    /// `None` when it has to wait.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = Box::pin(future);
        block_on(poll_once(&mut future))
    }

    #[test]
    fn one_starts_in_a_cell_and_never_on_all_threads() {
        let starts = Arc::new(Starts::default());
        let first = now(starts.turn(&name("a"))).expect("it is free");
        assert!(now(starts.turn(&name("a"))).is_none());
        let others: Vec<_> = ["a/x", "a/y"].map(|cell| now(starts.turn(&name(cell))).expect("free")).into();
        assert_eq!(others.len() + 1, STARTS_MAX);
        assert!(now(starts.turn(&name("b"))).is_none(), "all places are taken");
        assert!(now(starts.thread()).is_none(), "nor for what is in no cell");
        drop((first, others));
        assert!(starts.cells().is_empty(), "what nobody waits for is forgotten");
    }

    #[test]
    fn one_watches_over_all_that_are_under_way() {
        let starts = Starts::default();
        assert!(starts.next_late().is_none());
        let (first, is_to_be_watched) = starts.limit(&name("a"));
        assert!(is_to_be_watched);
        let (_second, is_to_be_watched) = starts.limit(&name("b"));
        assert!(!is_to_be_watched);
        let late = starts.next_late().expect("two are under way");
        drop(first);
        assert!(starts.next_late().expect("one is under way") > late, "one that is over has no time");
        assert!(starts.late().is_empty(), "none has begun so long ago");

        starts.limited().under_way.iter_mut().for_each(|start| start.late = Instant::now());
        let late = starts.late();
        assert_eq!(late.iter().map(|start| start.cell.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(late.iter().all(UnderWay::is_so) && starts.late().is_empty(), "each is told once");
        assert!(starts.next_late().is_none());
        assert!(starts.limit(&name("c")).1, "nobody watches any more");
    }

    #[test]
    fn nothing_starts_where_it_freezes() {
        let starts = Arc::new(Starts::default());
        let turn = now(starts.turn(&name("a/x"))).expect("it is free");
        assert!(now(starts.pause(&name("a"))).is_none(), "something starts inside");
        let other = now(starts.pause(&name("a/y"))).expect("nothing starts inside");
        drop((turn, other));
        let pause = now(starts.pause(&name("a"))).expect("nothing starts");
        for cell in ["a", "a/x", "a/x/y"] {
            assert!(now(starts.turn(&name(cell))).is_none(), "{cell}");
        }
        now(starts.turn(&name("b"))).expect("another cell does not wait");
        drop(pause);
        now(starts.turn(&name("a/x"))).expect("it goes on");
        assert!(starts.cells().is_empty(), "what nobody waits for is forgotten");
    }
}
