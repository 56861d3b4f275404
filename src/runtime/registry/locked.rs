//! The registry, for whoever holds its lock.

use super::super::events::Untold;
use super::super::record::Record;
use super::Registry;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whoever lets go of it wakes those who wait for events, if there have been some, and frees what is gone; and holds the
/// lock no longer by then.
pub(in super::super) struct Locked<'a> {
    // Fields are dropped in this order.
    registry: MutexGuard<'a, Registry>,
    untold: Untold,
    gone: Vec<Record>,
}

impl<'a> Locked<'a> {
    pub fn new(registry: &'a Mutex<Registry>) -> Self {
        // A panic in between leaves the registry whole: each method changes it at its end.
        let registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
        Self { registry, untold: Untold::default(), gone: Vec::new() }
    }
}

impl Deref for Locked<'_> {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.untold = self.registry.events.untold();
        self.gone = std::mem::take(&mut self.registry.gone);
    }
}
