//! Drives the synchronous runtime from the executor: what touches the kernel is a job for the pool; what only waits (a
//! grace period, an exit, a cgroup to empty) waits here, on descriptors and timers, and holds no thread.
//!
//! An end (Stop, Free) that has begun is seen through to its end even when its caller has gone.

mod ends;
mod freezes;
mod runs;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smol::Timer;
use smol::channel;
use smol::future::{self, FutureExt};
use smol::lock::Semaphore;

use super::captures::Captures;
use super::cells::Runtime;
use super::readings::{self, Reader, Readings};
use super::refusal::status;
use super::starts::Starts;
use crate::grpc::status::{Code, Status};
use crate::limits::{ENDS_MAX, POOL_QUEUE_MAX, QUEUE_RETRY_DELAY};
use crate::runtime::{
    CellInfo, CellName, CellSpec, Cells, Completion, Ended, Error, ExecutableName, ExecutableSpec,
    LimitsChange, Output, SignalNumber, Whose,
};
use crate::work::{Pool, Rejected, Tasks};

/// Boxed: as a type of its own, each kind would have a copy of all that it waits for.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

/// A handle; clones drive the same cells.
#[derive(Clone)]
pub struct Supervisor {
    cells: Arc<Cells>,
    pool: Pool,
    tasks: Tasks,
    grace: Duration,
    /// Places for ends under way.
    ends: Arc<Semaphore>,
    starts: Arc<Starts>,
    readings: Arc<Readings>,
    captures: Arc<Captures>,
    /// Closed when the daemon begins to stop.
    open: (channel::Sender<()>, channel::Receiver<()>),
}

impl Supervisor {
    /// `grace` is between SIGTERM and SIGKILL where a request does not say.
    pub fn new(cells: Arc<Cells>, pool: Pool, tasks: Tasks, grace: Duration) -> Self {
        let ends = Arc::new(Semaphore::new(ENDS_MAX));
        let (starts, readings, captures) = Default::default();
        Self { cells, pool, tasks, grace, ends, starts, readings, captures, open: channel::bounded(1) }
    }

    /// The daemon begins to stop: nothing is started again, and those who wait for an end are sent away.
    pub fn shut_down(&self) {
        self.open.0.close();
        self.cells.shut();
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

    /// Has `work` done to its end, from now on and whether or not the caller stays to hear of it.
    fn see_through(&self, what: &'static str, work: Work<()>) -> Work<()> {
        let (result, done) = channel::bounded(1);
        self.tasks.spawn(what, async move {
            // The caller may have gone.
            let _ = result.try_send(work.await);
        });
        Box::pin(async move { done.recv().await.unwrap_or_else(|_| Err(rejected(Rejected::Panicked))) })
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
        step: impl Fn(&Cells) -> T + Send + Sync + 'static,
    ) -> Result<T, Status> {
        let result = Arc::new(Mutex::new(None));
        let (place, cells) = (result.clone(), self.cells.clone());
        self.run_when_possible(Arc::new(move || *locked(&place) = Some(step(&cells)))).await?;
        let result = locked(&result).take();
        result.ok_or_else(|| rejected(Rejected::Panicked))
    }

    /// Apart, so that the code is there once and not for each kind of step.
    fn run_when_possible(&self, step: Arc<dyn Fn() + Send + Sync>) -> Work<()> {
        let pool = self.pool.clone();
        Box::pin(async move {
            loop {
                let step = step.clone();
                match pool.run(move || step()).await {
                    Err(Rejected::QueueFull) => Timer::after(QUEUE_RETRY_DELAY).await,
                    result => return result.map_err(rejected),
                };
            }
        })
    }

    /// Reads all cells, in two jobs: where there are two processors, it takes half as long.
    async fn read_all(&self, reader: Reader) -> Result<Arc<Vec<CellInfo>>, Status> {
        // Both hold it, so that a caller who goes leaves no job behind that another one is added to.
        let reader = Arc::new(reader);
        let mut front = self.cells.outline();
        let back = front.split_off(front.len() / 2);
        let look = |mut part: Vec<CellInfo>| {
            let reader = reader.clone();
            self.run(move |cells| {
                let _reader = reader;
                part.iter_mut().for_each(|cell| cells.look(cell));
                Ok(part)
            })
        };
        let (front, back) = future::zip(look(front), look(back)).await;
        let mut cells = front?;
        cells.extend(back?);
        let cells = Arc::new(cells);
        if let Some(reader) = Arc::into_inner(reader) {
            reader.keep(&cells);
        }
        Ok(cells)
    }
}

fn locked<T>(place: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Waits for an executable to end.
async fn ended(completion: &Completion) -> Option<Ended> {
    loop {
        let told = completion.listen();
        if let Some(end) = completion.end() {
            return end.clone();
        }
        told.await;
    }
}

impl Runtime for Supervisor {
    fn cgroup_v2(&self) -> bool {
        self.cells.cgroup_v2()
    }

    async fn allocate(&self, spec: CellSpec) -> Result<(), Status> {
        // An init is a process that is started.
        let thread = if spec.isolation.process { Some(self.starts.thread().await) } else { None };
        self.run(move |cells| {
            let _thread = thread;
            cells.allocate(spec)
        })
        .await
    }

    async fn start(&self, cell: CellName, spec: ExecutableSpec) -> Result<i32, Status> {
        let turn = self.starts.turn(&cell).await;
        let (supervisor, under_way) = (self.clone(), self.limit_start(&cell));
        self.run(move |cells| {
            let (_turn, _under_way) = (turn, under_way);
            let started = cells.start(&cell, spec)?;
            // On this side of the pool, so that no caller who has gone leaves a process unwatched.
            let pid = started.pid;
            supervisor.begin_watch(started);
            Ok(pid)
        })
        .await
    }

    async fn stop(
        &self,
        cell: CellName,
        executable: ExecutableName,
        grace: Option<Duration>,
    ) -> Result<(), Status> {
        self.begin_end(grace, move |cells| cells.stop(&cell, &executable)).await
    }

    async fn free(&self, cell: CellName, force: bool, grace: Option<Duration>) -> Result<(), Status> {
        self.begin_end(grace, move |cells| cells.free(&cell, force)).await
    }

    async fn wait(&self, cell: CellName, executable: ExecutableName) -> Result<Ended, Status> {
        let completion = self.cells.completion(&cell, &executable).map_err(|error| status(&error))?;
        let end = async { Ok(ended(&completion).await) };
        let stopping = async {
            // Nothing is ever sent.
            let _ = self.open.1.recv().await;
            Err(Status::new(Code::Unavailable, "the daemon is stopping"))
        };
        let never = || status(&Error::NoSuchExecutable { cell, executable });
        end.or(stopping).await?.ok_or_else(never)
    }

    fn output(&self, whose: &Whose) -> Result<Output, Status> {
        self.cells.output(whose).map_err(|error| status(&error))
    }

    async fn signal(
        &self,
        cell: CellName,
        executable: ExecutableName,
        signal: SignalNumber,
        all: bool,
    ) -> Result<(), Status> {
        self.run(move |cells| cells.signal(&cell, &executable, signal, all)).await
    }

    async fn list(&self) -> Result<Arc<Vec<CellInfo>>, Status> {
        let caller = self.readings.caller();
        match caller.turn().await {
            readings::Turn::Read(cells) => Ok(cells),
            readings::Turn::Reader(reader) => self.read_all(reader).await,
        }
    }

    async fn get(&self, cell: CellName) -> Result<CellInfo, Status> {
        let reader = self.readings.turn().await;
        self.run(move |cells| {
            let _reader = reader;
            cells.get(&cell)
        })
        .await
    }

    async fn freeze(&self, cell: CellName) -> Result<(), Status> {
        let pause = self.starts.pause(&cell).await;
        let supervisor = self.clone();
        let frozen = async move {
            let outcome = supervisor.freeze_or_undo(cell).await;
            drop(pause);
            outcome
        };
        self.see_through("a freeze", Box::pin(frozen)).await
    }

    /// Waits for no start: it is what helps one that stands still.
    async fn thaw(&self, cell: CellName) -> Result<(), Status> {
        self.run(move |cells| cells.thaw(&cell)).await
    }

    async fn update(&self, cell: CellName, change: LimitsChange) -> Result<CellSpec, Status> {
        self.run(move |cells| cells.update(&cell, change)).await
    }
}
