//! How an executable ended, and the news of it for all who wait. Waits for nothing itself.

use super::logs::Feed;
use super::names::CellName;
use crate::sys::pidfd::ExitReason;
use event_listener::{Event, EventListener};
use std::sync::{Arc, OnceLock};

/// How one process of an executable ended, the one that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub reason: ExitReason,
    /// Set when the kernel ended it because memory had run out.
    pub oom: Option<Oom>,
    /// When that was noticed: Unix time.
    pub exited_ms: i64,
}

/// Whose memory had run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oom {
    /// The limit of this cell was reached, the executable's own or one around it.
    Cell(CellName),
    /// No cell's limit: the machine's memory, a limit around the daemon, or one that the executable put on itself.
    Elsewhere,
}

/// The end of an executable that is not started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Of its last process.
    pub pid: i32,
    pub outcome: Outcome,
    /// How often it was started again before.
    pub restarts: u32,
}

/// The end to come of an executable. Who waits holds on to this, and needs the executable's record no longer.
#[derive(Debug)]
pub struct Completion {
    /// Set once. `None`: the start failed, and the executable never was.
    end: OnceLock<Option<Ended>>,
    told: Event,
    /// What it writes, which ends with it.
    pub output: Arc<Feed>,
}

impl Completion {
    pub(super) fn new(output: Arc<Feed>) -> Self {
        Self { end: OnceLock::new(), told: Event::new(), output }
    }

    /// What became of it, once it has ended.
    pub fn end(&self) -> Option<&Option<Ended>> {
        self.end.get()
    }

    /// Becomes ready when there is an [`Completion::end`]. To miss none, call this first and look second.
    pub fn listen(&self) -> EventListener {
        self.told.listen()
    }

    /// Settles the end; the first one counts. Those who wait are told with [`Completion::tell`], without any lock.
    pub(super) fn settle(&self, end: Option<Ended>) {
        // Already set: it has ended before.
        let _ = self.end.set(end);
        self.output.end();
    }

    /// Wakes those who wait, if there is news for them.
    pub(super) fn tell(&self) {
        if self.end.get().is_some() {
            self.told.notify(usize::MAX);
            self.output.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_end_counts_and_all_are_told() {
        let completion = Completion::new(Feed::new(&Arc::default(), 1 << 10, false));
        let listeners = [completion.listen(), completion.listen()];
        completion.tell();
        assert_eq!(completion.end(), None);
        let outcome = Outcome { reason: ExitReason::Code(3), oom: None, exited_ms: 1 };
        let ended = Ended { pid: 7, outcome, restarts: 0 };
        completion.settle(Some(ended.clone()));
        completion.settle(None);
        completion.tell();
        assert_eq!(completion.end(), Some(&Some(ended)));
        for listener in listeners {
            let told = event_listener::Listener::wait_timeout(listener, Duration::from_secs(5));
            assert!(told.is_some(), "a waiter was not told");
        }
    }
}
