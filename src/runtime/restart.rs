//! When an executable is started again after it has exited, and how long after. Decides; knows neither processes nor
//! timers.

use super::executable::ExecutableSpec;
use crate::limits::{RESTART_BYTES_HELD_MAX, RESTART_DELAY_MAX, RESTART_DELAY_MIN, RESTART_GOOD_RUN};
use crate::sys::pidfd::ExitReason;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What to do when an executable exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    pub condition: RestartCondition,
    /// How often it is started again without a good run in between. `None`: without end.
    pub max_restarts: Option<u32>,
}

/// The exits after which it is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartCondition {
    #[default]
    Never,
    /// A signal, or a code other than 0.
    OnFailure,
    Always,
}

/// The restarts of one executable.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    /// Since the last run that was long enough, those that failed to start included.
    in_a_row: u32,
    kept: Kept,
}

/// What to start again. Counted for as long as it is held, since a peer chooses its size.
#[derive(Debug)]
struct Kept {
    spec: Arc<ExecutableSpec>,
    bytes: usize,
    held: Arc<AtomicUsize>,
}

/// The bytes that all executables together hold in order to be started again.
#[derive(Debug, Default)]
pub(super) struct HeldBytes(Arc<AtomicUsize>);

impl RestartPolicy {
    fn wants(self, reason: ExitReason) -> bool {
        match self.condition {
            RestartCondition::Never => false,
            RestartCondition::OnFailure => reason != ExitReason::Code(0),
            RestartCondition::Always => true,
        }
    }
}

impl HeldBytes {
    /// What an executable of this kind needs in order to be started again; `Ok(None)` when it never is, `Err` when too
    /// much is held.
    ///
    /// Callers hold the registry's lock, so that two do not both take the last bytes.
    pub fn keep(&self, spec: &Arc<ExecutableSpec>) -> Result<Option<Restarts>, ()> {
        if spec.restart.condition == RestartCondition::Never {
            return Ok(None);
        }
        let bytes = spec.bytes();
        if self.0.load(Ordering::Relaxed) + bytes > RESTART_BYTES_HELD_MAX {
            return Err(());
        }
        self.0.fetch_add(bytes, Ordering::Relaxed);
        let kept = Kept { spec: Arc::clone(spec), bytes, held: Arc::clone(&self.0) };
        Ok(Some(Restarts { policy: spec.restart, in_a_row: 0, kept }))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Restarts {
    pub fn spec(&self) -> Arc<ExecutableSpec> {
        Arc::clone(&self.kept.spec)
    }

    /// After a run that lasted so long: when to start again, or not at all.
    pub fn after_run(&mut self, reason: ExitReason, lasted: Duration) -> Option<Duration> {
        if lasted >= RESTART_GOOD_RUN {
            self.in_a_row = 0;
        }
        if self.policy.wants(reason) { self.next_delay() } else { None }
    }

    /// After a restart that failed: when to try again, or not at all.
    pub fn after_failed_start(&mut self) -> Option<Duration> {
        self.next_delay()
    }

    fn next_delay(&mut self) -> Option<Duration> {
        if self.policy.max_restarts.is_some_and(|max| self.in_a_row >= max) {
            return None;
        }
        let factor = 2_u32.checked_pow(self.in_a_row).unwrap_or(u32::MAX);
        self.in_a_row = self.in_a_row.saturating_add(1);
        Some(RESTART_DELAY_MIN.saturating_mul(factor).min(RESTART_DELAY_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::executable::{Command, Program};
    use super::super::names::ExecutableName;
    use super::*;

    const FAILURE: ExitReason = ExitReason::Signal(9);
    const SHORT: Duration = Duration::from_secs(9);

    fn spec(condition: RestartCondition, max_restarts: Option<u32>) -> Arc<ExecutableSpec> {
        let name = ExecutableName::parse("job").expect("valid");
        let program = Program::Shell(Command::parse(&"x".repeat(100_000)).expect("valid"));
        let restart = RestartPolicy { condition, max_restarts };
        Arc::new(ExecutableSpec { restart, ..ExecutableSpec::new(name, program) })
    }

    fn restarts(condition: RestartCondition, max_restarts: Option<u32>) -> Restarts {
        let kept = HeldBytes::default().keep(&spec(condition, max_restarts));
        kept.expect("nothing else is held").expect("it restarts")
    }

    #[test]
    fn the_condition_decides_by_how_it_ended() {
        use RestartCondition::{Always, Never, OnFailure};
        for (condition, reason, wanted) in [
            (Never, FAILURE, false),
            (OnFailure, ExitReason::Code(0), false),
            (OnFailure, ExitReason::Code(1), true),
            (OnFailure, FAILURE, true),
            (OnFailure, ExitReason::Unknown, true),
            (Always, ExitReason::Code(0), true),
        ] {
            let policy = RestartPolicy { condition, max_restarts: None };
            assert_eq!(policy.wants(reason), wanted, "{condition:?} after {reason:?}");
        }
    }

    #[test]
    fn the_delay_doubles_up_to_a_bound_and_a_good_run_starts_anew() {
        let mut restarts = restarts(RestartCondition::OnFailure, None);
        let delays: Vec<u128> =
            (0..40).filter_map(|_| restarts.after_run(FAILURE, SHORT)).map(|d| d.as_millis()).collect();
        assert_eq!(delays[..10], [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!((delays.len(), delays[39]), (40, 30_000));
        assert_eq!(restarts.after_run(FAILURE, RESTART_GOOD_RUN), Some(RESTART_DELAY_MIN));
        assert_eq!(restarts.after_run(ExitReason::Code(0), SHORT), None);
    }

    #[test]
    fn restarts_without_a_good_run_are_bounded() {
        let mut restarts = restarts(RestartCondition::Always, Some(2));
        assert!(restarts.after_run(FAILURE, SHORT).is_some());
        assert!(restarts.after_failed_start().is_some());
        assert_eq!(restarts.after_run(FAILURE, SHORT), None);
        assert_eq!(restarts.after_failed_start(), None);
        assert!(restarts.after_run(FAILURE, RESTART_GOOD_RUN).is_some());
    }

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let (held, spec) = (HeldBytes::default(), spec(RestartCondition::Always, None));
        let mut kept: Vec<Restarts> = (0..).map_while(|_| held.keep(&spec).ok().flatten()).collect();
        assert_eq!(kept.len(), RESTART_BYTES_HELD_MAX / spec.bytes());
        kept.pop();
        assert!(held.keep(&spec).is_ok(), "there is room for one again");
        drop(kept);
        assert_eq!(held.0.load(Ordering::Relaxed), 0);
    }
}
