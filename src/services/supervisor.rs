//! Drives the synchronous runtime from the executor: what touches the kernel is a job for the pool; what only waits (a
//! grace period, an exit, a cgroup to empty) waits here, on descriptors and timers, and holds no thread.
//!
//! An end (Stop, Free) that has begun is seen through to its end even when its caller has gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Async;
use smol::Timer;
use smol::channel;
use smol::future::FutureExt;

use super::cells::{Runtime, status};
use crate::grpc::status::{Code, Status};
use crate::limits::{
    BUSY_RETRIES, BUSY_RETRY_DELAY, EMPTY_POLL_INTERVAL, KILL_TIMEOUT, POOL_QUEUE_MAX, QUEUE_RETRY_DELAY,
};
use crate::runtime::{
    CellInfo, CellName, CellSpec, Cells, Emptied, Ending, Error, ExecutableName, ExecutableSpec, Exit, Finish,
};
use crate::work::{Pool, Rejected, Tasks};

/// A handle; clones drive the same cells.
#[derive(Clone)]
pub struct Supervisor {
    cells: Arc<Cells>,
    pool: Pool,
    tasks: Tasks,
    grace: Duration,
}

impl Supervisor {
    /// `grace` is between SIGTERM and SIGKILL where a request does not say.
    pub fn new(cells: Arc<Cells>, pool: Pool, tasks: Tasks, grace: Duration) -> Self {
        Self { cells, pool, tasks, grace }
    }

    /// Whether the pool takes jobs and the cgroups can be used.
    pub async fn is_healthy(&self) -> bool {
        let cells = self.cells.clone();
        match self.pool.run(move || cells.probe()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                log::warn!("cgroups cannot be used: {error}");
                false
            }
            Err(rejected) => {
                log::warn!("the pool does not answer: {rejected:?}");
                false
            }
        }
    }

    /// Ends everything, inner cells first, and removes it with our own directories; for the daemon's own end.
    pub async fn close(&self) {
        let mut levels = BTreeMap::new();
        collect_levels(self.cells.list(), 0, &mut levels);
        for level in levels.into_values().rev() {
            let ends: Vec<_> =
                level.into_iter().map(|cell| (cell.clone(), self.begin_free(cell, None))).collect();
            for (cell, end) in ends {
                if let Err(status) = end.await {
                    log::error!("cell {cell} stays behind: {status}");
                }
            }
        }
        if let Err(status) = self.run(|cells| cells.close()).await {
            log::error!("the daemon's own cgroups stay behind: {status}");
        }
    }

    /// Starts to free a cell, at once; the future only waits for the outcome.
    fn begin_free(
        &self,
        cell: CellName,
        grace: Option<Duration>,
    ) -> impl Future<Output = Result<(), Status>> + Send + use<> {
        let supervisor = self.clone();
        self.see_through(async move {
            let ending = supervisor.run(move |cells| cells.free(&cell)).await?;
            let grace = grace.unwrap_or(supervisor.grace);
            supervisor.end(ending, grace).await
        })
    }

    /// A job that nothing else depends on: refused when the pool is full.
    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Cells) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Status> {
        let cells = self.cells.clone();
        let result = self.pool.run(move || job(&cells)).await.map_err(rejected)?;
        result.map_err(|error| status(&error))
    }

    /// A step of something that has begun: waits for its turn when the pool is full.
    async fn run_step<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Cells) -> T + Clone + Send + 'static,
    ) -> Result<T, Status> {
        loop {
            let (cells, step) = (self.cells.clone(), step.clone());
            match self.pool.run(move || step(&cells)).await {
                Ok(result) => return Ok(result),
                Err(Rejected::QueueFull) => Timer::after(QUEUE_RETRY_DELAY).await,
                Err(Rejected::Panicked) => return Err(rejected(Rejected::Panicked)),
            };
        }
    }

    /// Waits for a process to exit, then has it reaped.
    async fn watch(self, exit: Exit) {
        let exit = match Async::new_nonblocking(exit) {
            Ok(exit) => exit,
            Err(error) => return log::error!("an exit cannot be waited for: {error}"),
        };
        if let Err(error) = exit.readable().await {
            log::error!("waiting for an exit failed: {error}");
        }
        let reaped = match exit.into_inner().map(Arc::new) {
            Ok(exit) => self.run_step(move |cells| cells.exited(&exit)).await,
            Err(error) => return log::error!("an exit cannot be taken from the reactor: {error}"),
        };
        if let Err(status) = reaped {
            log::error!("reaping failed: {status}");
        }
    }

    /// Runs `work` to its end, whether or not the caller stays to hear of it.
    fn see_through<Work>(&self, work: Work) -> impl Future<Output = Result<(), Status>> + Send + use<Work>
    where
        Work: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (result, done) = channel::bounded(1);
        self.tasks.spawn("an end", async move {
            // The caller may have gone.
            let _ = result.try_send(work.await);
        });
        async move { done.recv().await.unwrap_or_else(|_| Err(rejected(Rejected::Panicked))) }
    }

    /// From SIGTERM, which has been sent, to nothing left.
    async fn end(self, ending: Ending, grace: Duration) -> Result<(), Status> {
        let ending = Arc::new(ending);
        let outcome = self.empty(&ending, grace).await;
        let outcome = match outcome {
            Ok(true) => self.finish(&ending).await,
            Ok(false) => Ok(false),
            Err(status) => Err(status),
        };
        if let Ok(true) = outcome {
            return Ok(());
        }
        let error = self.run_step(move |cells| cells.give_up(&ending)).await?;
        Err(outcome.err().unwrap_or_else(|| status(&error)))
    }

    /// Waits out the grace period, then kills. False when processes are left even so.
    async fn empty(&self, ending: &Arc<Ending>, grace: Duration) -> Result<bool, Status> {
        if self.wait_empty(ending, grace).await? {
            return Ok(true);
        }
        let killed = ending.clone();
        self.run_step(move |cells| cells.kill(&killed)).await?.map_err(|error| status(&error))?;
        self.wait_empty(ending, KILL_TIMEOUT).await
    }

    async fn wait_empty(&self, ending: &Arc<Ending>, timeout: Duration) -> Result<bool, Status> {
        let deadline = Instant::now() + timeout;
        let watched = ending.clone();
        let emptied = self.run_step(move |_| watched.watch()).await?.map_err(|error| status(&error))?;
        while !emptied.is_empty().map_err(|error| status(&error))? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            next_look(&emptied, deadline).await?;
        }
        Ok(true)
    }

    /// Removes what is empty. The kernel may need a moment after the last exit before it lets go of a cgroup.
    async fn finish(&self, ending: &Arc<Ending>) -> Result<bool, Status> {
        for _ in 0..BUSY_RETRIES {
            let finished = ending.clone();
            match self
                .run_step(move |cells| cells.finish(&finished))
                .await?
                .map_err(|error| status(&error))?
            {
                Finish::Done => return Ok(true),
                Finish::Busy => Timer::after(BUSY_RETRY_DELAY).await,
            };
        }
        Ok(false)
    }
}

/// Sleeps until it is worth asking again.
async fn next_look(emptied: &Emptied, deadline: Instant) -> Result<(), Status> {
    let failed = |error| Status::new(Code::Internal, format!("cannot wait for a cgroup to empty: {error}"));
    match emptied.readiness() {
        Some(events) => {
            let events = Async::new_nonblocking(events).map_err(failed)?;
            let late = async {
                Timer::at(deadline).await;
                Ok(())
            };
            events.readable().or(late).await.map_err(failed)
        }
        None => {
            Timer::at(deadline.min(Instant::now() + EMPTY_POLL_INTERVAL)).await;
            Ok(())
        }
    }
}

fn rejected(why: Rejected) -> Status {
    match why {
        Rejected::QueueFull => Status::new(
            Code::ResourceExhausted,
            format!("{POOL_QUEUE_MAX} calls wait for their turn, the limit; try again later"),
        ),
        Rejected::Panicked => {
            Status::new(Code::Internal, "the call failed inside the daemon; its log says more")
        }
    }
}

/// The names of all cells, by how deep they are.
fn collect_levels(cells: Vec<CellInfo>, depth: usize, levels: &mut BTreeMap<usize, Vec<CellName>>) {
    for cell in cells {
        levels.entry(depth).or_default().push(cell.spec.name);
        collect_levels(cell.children, depth + 1, levels);
    }
}

impl Runtime for Supervisor {
    fn cgroup_v2(&self) -> bool {
        self.cells.cgroup_v2()
    }

    async fn allocate(&self, spec: CellSpec) -> Result<(), Status> {
        self.run(move |cells| cells.allocate(spec)).await
    }

    async fn start(&self, cell: CellName, spec: ExecutableSpec) -> Result<i32, Status> {
        let supervisor = self.clone();
        self.run(move |cells| {
            let started = cells.start(&cell, spec)?;
            // On this side of the pool, so that no caller who has gone leaves a process unwatched.
            supervisor.tasks.spawn("the watch for an exit", supervisor.clone().watch(started.exit));
            Ok(started.pid)
        })
        .await
    }

    async fn stop(
        &self,
        cell: CellName,
        executable: ExecutableName,
        grace: Option<Duration>,
    ) -> Result<(), Status> {
        let supervisor = self.clone();
        self.see_through(async move {
            let ending = supervisor.run(move |cells| cells.stop(&cell, &executable)).await?;
            let grace = grace.unwrap_or(supervisor.grace);
            supervisor.end(ending, grace).await
        })
        .await
    }

    async fn free(&self, cell: CellName, grace: Option<Duration>) -> Result<(), Status> {
        self.begin_free(cell, grace).await
    }

    fn list(&self) -> Vec<CellInfo> {
        self.cells.list()
    }
}
