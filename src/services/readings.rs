//! What List and Get read from the kernel: one of them at a time, so that they never have more than one thread of the
//! pool; and one List for all who asked before it began, so that many clients cost no more than one.

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
        Reader { latest: self.latest.lock_arc().await, readings: self.clone() }
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
    /// Reads a list, and keeps it for others who wait.
    pub fn read(mut self, list: impl FnOnce() -> Vec<CellInfo>) -> Arc<Vec<CellInfo>> {
        let begun = Instant::now();
        let cells = Arc::new(list());
        let others_wait = self.readings.callers.load(Ordering::Relaxed) > 1;
        *self.latest = others_wait.then(|| Latest { begun, cells: cells.clone() });
        cells
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
        // Begun before the second asked? No: it reads only now, and so is new to all of them.
        let read = first.read(Vec::new);
        for turn in &mut waiting[..2] {
            assert!(matches!(block_on(turn), Turn::Read(cells) if Arc::ptr_eq(&cells, &read)));
        }
        let late = readings.caller();
        let Turn::Reader(second) = block_on(late.turn()) else { panic!("it is older than the question") };
        let again = second.read(Vec::new);
        assert!(matches!(block_on(&mut waiting[2]), Turn::Read(cells) if Arc::ptr_eq(&cells, &again)));
        drop(waiting);
        drop((callers, late));
        assert!(readings.latest.try_lock().expect("nobody reads").is_none(), "nothing is kept for nobody");
    }

    #[test]
    fn a_list_for_one_is_not_kept() {
        let readings = Arc::new(Readings::default());
        let caller = readings.caller();
        let Turn::Reader(reader) = block_on(caller.turn()) else { panic!("nothing was read") };
        reader.read(Vec::new);
        assert!(readings.latest.try_lock().expect("nobody reads").is_none());
    }
}
