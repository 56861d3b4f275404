//! The record of one executable, from the moment that its name is taken: which process it has, how that ended, and what
//! comes next. Pure bookkeeping, as the registry that holds it.
//!
//! ```text
//!                    ┌───────failed, and may not try again───────┐
//! Starting ──started──▶ Running ──exited──▶ Exited ◀─────────────┤
//!    │ failed              ▲ │                ▲ stop, free, shut  │
//!    ▼                     │ └──exited, and   │                   │
//!  (none)                  │    may restart   │                   │
//!                          │         └──▶ Restarting ◀──failed──┐ │
//!                          │                  │ begin_restart   │ │
//!                          └────started── Relaunching ──────────┴─┘
//! ```
//!
//! A record that is [`Record::is_closed`], by a Stop or with its cell, goes to Exited where it might go to Restarting. An
//! exited record goes when its name is used again, when it is stopped (once more, if it was a Stop that ended it), or with
//! its cell; one that a Stop ended also when its place is needed.

use super::child::Run;
use super::ending::RemovalNotice;
use super::events::ExecutableChange;
use super::executable::{Description, ExecutableSpec, Identity};
use super::info::{ExecutableInfo, ExecutableState, ProcessInfo};
use super::logs::Feed;
use super::names::ExecutableName;
use super::outcome::{Completion, Ended, Outcome};
use super::restart::Restarts;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Record {
    /// Names the leaf cgroup of the run that there is or was last, and tells this record from others of its name. Another
    /// one with each restart.
    pub leaf: u64,
    description: Description,
    identity: Identity,
    phase: Phase,
    /// How often it was started again.
    restarts: u32,
    /// `None` when it is not started again, never or no more.
    again: Option<Restarts>,
    completion: Arc<Completion>,
    /// Its first run, by whose pid clients know it.
    first: Option<FirstRun>,
    stopping: Option<Stopping>,
    /// Its process takes too long to come to be, and is killed.
    overdue: bool,
    /// Set when a Stop has ended it: the place of this Stop among all.
    pub stopped: Option<u64>,
}

#[derive(Debug)]
enum Phase {
    /// Its first process is being made; nobody has heard of it.
    Starting,
    Running(Arc<Run>),
    /// Its next process is to be made in a while.
    Restarting(Arc<Run>, Outcome),
    /// Its next process is being made.
    Relaunching(Arc<Run>, Outcome),
    Exited(Arc<Run>, Outcome),
}

#[derive(Debug)]
struct FirstRun {
    pid: i32,
    leaf: u64,
}

/// Stops that are under way; all that come while one is share it.
#[derive(Debug)]
struct Stopping {
    notice: Arc<RemovalNotice>,
    /// The executable had exited when the first of them came: the record goes with it.
    releases: bool,
}

/// Whether what a stopped executable has left may be removed.
pub(super) enum MayFinish {
    /// Somebody has finished before.
    Gone,
    /// A process is being made.
    Later,
    /// When this run's process has been reaped.
    Now(Arc<Run>),
}

impl Record {
    pub fn new(leaf: u64, spec: &ExecutableSpec, again: Option<Restarts>, output: Arc<Feed>) -> Self {
        Self {
            leaf,
            description: spec.description.clone(),
            identity: spec.identity(),
            phase: Phase::Starting,
            restarts: 0,
            again,
            completion: Arc::new(Completion::new(output)),
            first: None,
            stopping: None,
            overdue: false,
            stopped: None,
        }
    }

    pub fn completion(&self) -> &Arc<Completion> {
        &self.completion
    }

    /// The run that there is or was last.
    pub fn run(&self) -> Option<&Arc<Run>> {
        match &self.phase {
            Phase::Starting => None,
            Phase::Running(run)
            | Phase::Restarting(run, _)
            | Phase::Relaunching(run, _)
            | Phase::Exited(run, _) => Some(run),
        }
    }

    /// A process is being made at this moment.
    pub fn is_being_launched(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Relaunching(..))
    }

    /// The process that is being made is not to come to be: it takes too long. False when there is none.
    pub fn give_up_launch(&mut self) -> bool {
        self.overdue = self.is_being_launched();
        self.overdue
    }

    /// Whether [`Record::give_up_launch`] has been said of the process that is being made.
    pub fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// It is being stopped: not started again, and its name not given away.
    pub fn is_closed(&self) -> bool {
        self.stopping.is_some()
    }

    /// What keeps its name from being used again.
    pub fn in_use(&self) -> Option<&'static str> {
        match self.phase {
            Phase::Starting => Some("being started"),
            _ if self.stopping.is_some() => Some("being stopped"),
            Phase::Running(_) => Some("running"),
            Phase::Restarting(..) | Phase::Relaunching(..) => Some("being restarted"),
            Phase::Exited(..) => None,
        }
    }

    /// When a Stop ended it, if it may make way for another executable since.
    pub fn makes_way(&self) -> Option<u64> {
        self.stopped.filter(|_| self.in_use().is_none())
    }

    /// The process that was being made runs. Answers what has happened with that.
    pub fn started(&mut self, run: Arc<Run>) -> ExecutableChange<'static> {
        let again = matches!(self.phase, Phase::Relaunching(..));
        self.restarts = self.restarts.saturating_add(u32::from(again));
        self.first.get_or_insert(FirstRun { pid: run.child.pid, leaf: run.leaf });
        self.phase = Phase::Running(run);
        if again { ExecutableChange::Restarted } else { ExecutableChange::Started }
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether its process runs, as far as is known.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// The leaf of the run that has, or had, this process: of the last one, or of its first.
    pub fn leaf_of(&self, pid: i32) -> Option<u64> {
        let last = self.run().filter(|run| run.child.pid == pid).map(|run| run.leaf);
        last.or_else(|| self.first.as_ref().filter(|first| first.pid == pid).map(|first| first.leaf))
    }

    /// Whether it runs as this process.
    pub fn runs_as(&self, pid: i32) -> bool {
        matches!(&self.phase, Phase::Running(run) if run.child.pid == pid)
    }

    /// Its process has ended. When it is to be started again, or not at all; said once, and nothing to whoever comes
    /// with it later.
    pub fn exited(&mut self, outcome: Outcome, closed: bool) -> Option<Duration> {
        let Phase::Running(run) = &self.phase else { return None };
        let run = Arc::clone(run);
        let again = self.again.as_mut().filter(|_| !closed && self.stopping.is_none());
        let delay = again.and_then(|again| again.after_run(outcome.reason, run.started.elapsed()));
        self.come_to_rest(run, outcome, delay);
        delay
    }

    /// The restart is to happen now, in this leaf. What to start; `None` when it is not to be started any more.
    pub fn begin_restart(&mut self, leaf: u64) -> Option<Arc<ExecutableSpec>> {
        let Phase::Restarting(run, outcome) = &self.phase else { return None };
        let spec = self.again.as_ref()?.spec();
        self.phase = Phase::Relaunching(Arc::clone(run), outcome.clone());
        self.overdue = false;
        self.leaf = leaf;
        Some(spec)
    }

    /// The process that was being made did not come to be. When to try again, or not at all.
    pub fn restart_failed(&mut self, closed: bool) -> Option<Duration> {
        let Phase::Relaunching(run, outcome) = &self.phase else { return None };
        let (run, outcome) = (Arc::clone(run), outcome.clone());
        let again = self.again.as_mut().filter(|_| !closed && self.stopping.is_none());
        let delay = again.and_then(Restarts::after_failed_start);
        self.come_to_rest(run, outcome, delay);
        delay
    }

    /// It is not started again: if it waits for that, it has ended.
    pub fn give_up_restarting(&mut self) {
        if let Phase::Restarting(run, outcome) = &self.phase {
            let (run, outcome) = (Arc::clone(run), outcome.clone());
            self.come_to_rest(run, outcome, None);
        }
    }

    /// It was never there.
    pub fn never_started(&self) {
        self.completion.settle(None);
    }

    /// Closes it to restarts. The notice is that of the Stop that came first. `None` while it is being started for the
    /// first time.
    pub fn stop(&mut self, notice: Arc<RemovalNotice>) -> Option<(Arc<Run>, Arc<RemovalNotice>)> {
        let run = Arc::clone(self.run()?);
        let releases = matches!(self.phase, Phase::Exited(..));
        self.give_up_restarting();
        let stopping = self.stopping.get_or_insert(Stopping { notice, releases });
        Some((run, Arc::clone(&stopping.notice)))
    }

    /// Of the Stops that are under way.
    pub fn notice(&self) -> Option<&Arc<RemovalNotice>> {
        self.stopping.as_ref().map(|stopping| &stopping.notice)
    }

    /// For a Stop that has this notice.
    pub fn may_finish(&self, notice: &Arc<RemovalNotice>) -> MayFinish {
        match self.run() {
            _ if !self.notice().is_some_and(|own| Arc::ptr_eq(own, notice)) => MayFinish::Gone,
            Some(run) if !self.is_being_launched() => MayFinish::Now(Arc::clone(run)),
            _ => MayFinish::Later,
        }
    }

    /// All that it started is gone; `order` is the place of this Stop among all. True when the record goes, too.
    pub fn finish_stop(&mut self, order: u64) -> bool {
        let releases = self.stopping.take().is_some_and(|stopping| stopping.releases);
        self.stopped = Some(order);
        releases
    }

    pub fn info(&self, name: &ExecutableName) -> ExecutableInfo {
        let (state, outcome) = match &self.phase {
            Phase::Starting => (ExecutableState::Starting, None),
            Phase::Running(_) => (ExecutableState::Running, None),
            Phase::Restarting(_, outcome) | Phase::Relaunching(_, outcome) => {
                (ExecutableState::Restarting, Some(outcome))
            }
            Phase::Exited(_, outcome) => (ExecutableState::Exited, Some(outcome)),
        };
        let process = |run: &Arc<Run>| ProcessInfo { pid: run.child.pid, started_ms: run.started_ms };
        ExecutableInfo {
            name: name.clone(),
            description: self.description.clone(),
            identity: self.identity,
            state,
            process: self.run().map(process),
            outcome: outcome.cloned(),
            restarts: self.restarts,
            stopping: self.stopping.is_some(),
        }
    }

    fn come_to_rest(&mut self, run: Arc<Run>, outcome: Outcome, delay: Option<Duration>) {
        if delay.is_some() {
            self.phase = Phase::Restarting(run, outcome);
            return;
        }
        let ended = Ended { pid: run.child.pid, outcome: outcome.clone(), restarts: self.restarts };
        self.completion.settle(Some(ended));
        // What it takes to start it again is needed no more.
        self.again = None;
        self.phase = Phase::Exited(run, outcome);
    }
}
