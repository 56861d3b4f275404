//! What List and Get read from the kernel: one of them at a time, so that many clients never have more threads of the pool
//! than one; and one List for all who asked before it began, so that they cost no more, either.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use smol::lock::{Mutex, MutexGuardArc};

use crate::runtime::CellInfo;

#[derive(Default)]
pub struct Readings {
    /// Held while cells are read.
    latest: Arc<Mutex<Option<Latest>>>,
    /// Those who wait for a list.
    callers: AtomicUsize,
}

/// The list that was read last, as long as somebody waits who may want it.
struct Latest {
    begun: Instant,
    cells: Arc<Vec<CellInfo>>,
}

/// What to do for a caller who asked for a list.
pub enum Turn {
    /// It was read meanwhile.
    Read(Arc<Vec<CellInfo>>),
    /// Read it.
    Reader(Reader),
}

/// To be held while cells are read.
pub struct Reader {
    begun: Instant,
    latest: MutexGuardArc<Option<Latest>>,
    readings: Arc<Readings>,
}

/// Somebody who waits for a list.
pub struct Caller(Arc<Readings>);

impl Readings {
    /// To be held until the list is there.
    pub fn caller(self: &Arc<Self>) -> Caller {
        self.callers.fetch_add(1, Ordering::Relaxed);
        Caller(self.clone())
    }

    /// Waits for the turn to read one cell.
    pub async fn turn(self: &Arc<Self>) -> Reader {
        let latest = self.latest.lock_arc().await;
        Reader { begun: Instant::now(), latest, readings: self.clone() }
    }
}

impl Caller {
    /// Waits for a list that was begun after this call was made, or for the turn to read one.
    pub async fn turn(&self) -> Turn {
        let asked = Instant::now();
        let reader = self.0.turn().await;
        match &*reader.latest {
            Some(latest) if latest.begun >= asked => Turn::Read(latest.cells.clone()),
            _ => Turn::Reader(reader),
        }
    }
}

impl Reader {
    /// Keeps the list for others who wait.
    pub fn keep(mut self, cells: &Arc<Vec<CellInfo>>) {
        let others_wait = self.readings.callers.load(Ordering::Relaxed) > 1;
        *self.latest = others_wait.then(|| Latest { begun: self.begun, cells: cells.clone() });
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let was_last = self.0.callers.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && let Some(mut latest) = self.0.latest.try_lock() {
            *latest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::{block_on, poll_once};

    #[test]
    fn who_asked_before_a_reading_began_shares_it() {
        let readings = Arc::new(Readings::default());
        let callers: Vec<_> = (0..4).map(|_| readings.caller()).collect();
        let Turn::Reader(first) = block_on(callers[0].turn()) else { panic!("nothing was read") };
        let mut waiting: Vec<_> = callers[1..].iter().map(|caller| Box::pin(caller.turn())).collect();
        assert!(waiting.iter_mut().all(|turn| block_on(poll_once(turn)).is_none()), "one at a time");
        // They asked when this one had begun, and may know of cells that are not in it.
        first.keep(&Arc::default());
        let Turn::Reader(second) = block_on(&mut waiting[0]) else { panic!("it is older than the question") };
        let cells = Arc::default();
        second.keep(&cells);
        for turn in &mut waiting[1..] {
            assert!(matches!(block_on(turn), Turn::Read(found) if Arc::ptr_eq(&found, &cells)));
        }
        drop(waiting);
        drop(callers);
        assert!(readings.latest.try_lock().expect("nobody reads").is_none(), "nothing is kept for nobody");
    }

    #[test]
    fn a_list_for_one_is_not_kept() {
        let readings = Arc::new(Readings::default());
        let caller = readings.caller();
        let Turn::Reader(reader) = block_on(caller.turn()) else { panic!("nothing was read") };
        reader.keep(&Arc::default());
        assert!(readings.latest.try_lock().expect("nobody reads").is_none());
    }
}
