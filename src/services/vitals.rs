//! Whether the daemon can do its work: asked of the machine when somebody wants to know, remembered for a moment, and
//! told to all who watch. Knows neither what is probed nor who asks.
//!
//! Nothing here runs on its own: while nobody asks, no timer is set and nothing wakes. A watcher who wants to hear of
//! changes asks from time to time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use smol::Timer;

use crate::limits::{HEALTH_CACHED_FOR, HEALTH_PROBE_TIMEOUT};

/// Asks the machine. May wait, but not block.
pub type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

pub struct Vitals {
    probe: Probe,
    /// Held by the caller that runs the probe; the others wait for what it finds.
    turn: smol::lock::Mutex<()>,
    /// Never held across a wait.
    state: Mutex<State>,
    /// Notified after each change of what [`Vitals::condition`] gives.
    changed: Event,
}

#[derive(Default)]
struct State {
    last: Option<Reading>,
    stopping: bool,
}

#[derive(Clone, Copy)]
struct Reading {
    healthy: bool,
    at: Instant,
}

/// What is known without asking the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Healthy,
    /// The last probe failed, or none was made yet.
    Unhealthy,
    /// The daemon is on its way out. Final.
    Stopping,
}

impl Vitals {
    pub fn new(probe: Probe) -> Self {
        Self { probe, turn: smol::lock::Mutex::new(()), state: Mutex::default(), changed: Event::new() }
    }

    /// Whether the daemon can do its work; the answer is at most one second old. False once it is stopping.
    pub async fn healthy(&self) -> bool {
        self.healthy_at(Instant::now()).await
    }

    /// The same for a caller whose clock shows `now`.
    pub(super) async fn healthy_at(&self, now: Instant) -> bool {
        if let Some(known) = self.known_at(now) {
            return known;
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have found out.
        if let Some(known) = self.known_at(now) {
            return known;
        }
        let healthy = within(HEALTH_PROBE_TIMEOUT, (self.probe)()).await.unwrap_or(false);
        // The time of the answer, not of the question: whoever came while a slow probe ran shares what it found,
        // instead of queueing for a probe of their own.
        self.record(Reading { healthy, at: Instant::now() });
        self.condition() == Condition::Healthy
    }

    /// What the last question found out. Asks nothing.
    pub fn condition(&self) -> Condition {
        let state = self.state();
        match state.last {
            _ if state.stopping => Condition::Stopping,
            Some(Reading { healthy: true, .. }) => Condition::Healthy,
            _ => Condition::Unhealthy,
        }
    }

    /// Becomes ready at the next change of [`Vitals::condition`]. To miss none, call this first and look second.
    pub fn changes(&self) -> EventListener {
        self.changed.listen()
    }

    /// From now on the condition is [`Condition::Stopping`], and all who watch are told.
    pub fn shut_down(&self) {
        self.state().stopping = true;
        self.changed.notify(usize::MAX);
    }

    fn known_at(&self, now: Instant) -> Option<bool> {
        let state = self.state();
        if state.stopping {
            return Some(false);
        }
        state
            .last
            .filter(|last| now.saturating_duration_since(last.at) < HEALTH_CACHED_FOR)
            .map(|last| last.healthy)
    }

    fn record(&self, reading: Reading) {
        let before = self.state().last.replace(reading);
        if before.is_none_or(|before| before.healthy != reading.healthy) {
            self.changed.notify(usize::MAX);
        }
    }

    /// A panic elsewhere leaves the state whole: every change of it is one assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `work` gives, or `None` when that takes longer than `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(limit).await;
        None
    };
    smol::future::or(async { Some(work.await) }, late).await
}

#[cfg(test)]
pub(super) mod tests {
    use std::future::{pending, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use smol::future::{block_on, poll_once, zip};

    use super::*;

    /// A machine whose health a test decides, and how often it was asked.
    #[derive(Default)]
    pub struct Patient {
        pub ill: AtomicBool,
        asked: AtomicUsize,
    }

    impl Patient {
        pub fn vitals(self: &Arc<Self>) -> Vitals {
            let patient = Arc::clone(self);
            Vitals::new(Box::new(move || {
                patient.asked.fetch_add(1, Ordering::Relaxed);
                Box::pin(ready(!patient.ill.load(Ordering::Relaxed)))
            }))
        }
    }

    #[test]
    fn an_answer_is_good_for_a_second() {
        let patient = Arc::new(Patient::default());
        let vitals = patient.vitals();
        let start = Instant::now();
        assert!(block_on(vitals.healthy_at(start)));

        patient.ill.store(true, Ordering::Relaxed);
        assert!(block_on(vitals.healthy_at(start + HEALTH_CACHED_FOR)));
        assert_eq!(patient.asked.load(Ordering::Relaxed), 1);

        assert!(!block_on(vitals.healthy_at(Instant::now() + HEALTH_CACHED_FOR)));
        assert_eq!(patient.asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn callers_at_the_same_time_share_one_probe() {
        let (open, opened) = smol::channel::bounded::<()>(1);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let vitals = Vitals::new(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let opened = opened.clone();
            Box::pin(async move { opened.recv().await.is_ok() })
        }));
        let now = Instant::now();
        block_on(async {
            let mut both = Box::pin(zip(vitals.healthy_at(now), vitals.healthy_at(now)));
            assert!(poll_once(&mut both).await.is_none());
            open.send(()).await.expect("the probe waits");
            assert_eq!(both.await, (true, true));
        });
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_a_change_is_announced() {
        let patient = Arc::new(Patient::default());
        let vitals = patient.vitals();
        block_on(vitals.healthy());

        let mut change = Box::pin(vitals.changes());
        block_on(vitals.healthy_at(Instant::now() + HEALTH_CACHED_FOR));
        assert_eq!(patient.asked.load(Ordering::Relaxed), 2);
        assert!(block_on(poll_once(&mut change)).is_none());

        patient.ill.store(true, Ordering::Relaxed);
        block_on(vitals.healthy_at(Instant::now() + HEALTH_CACHED_FOR));
        assert!(block_on(poll_once(&mut change)).is_some());
        assert_eq!(vitals.condition(), Condition::Unhealthy);
    }

    #[test]
    fn stopping_is_announced_and_final() {
        let patient = Arc::new(Patient::default());
        let vitals = patient.vitals();
        let change = vitals.changes();
        vitals.shut_down();
        block_on(change);
        assert!(!block_on(vitals.healthy()));
        assert_eq!(vitals.condition(), Condition::Stopping);
        assert_eq!(patient.asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn work_that_never_ends_is_given_up() {
        assert_eq!(block_on(within(Duration::from_millis(1), pending::<()>())), None);
        assert_eq!(block_on(within(Duration::from_secs(60), ready(7))), Some(7));
    }
}
