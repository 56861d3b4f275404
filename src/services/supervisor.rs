//! Drives the synchronous runtime from the executor: what touches the kernel is a job for the pool; what only waits (a
//! grace period, an exit, a cgroup to empty) waits here, on descriptors and timers, and holds no thread.
//!
//! An end (Stop, Free) that has begun is seen through to its end even when its caller has gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Async;
use event_listener::Event;
use smol::Timer;
use smol::channel;
use smol::future::{self, FutureExt};
use smol::lock::Semaphore;

use super::captures::{Captures, Written};
use super::cells::Runtime;
use super::readings::{self, Reader, Readings};
use super::refusal::status;
use super::starts::{Starts, Turn};
use crate::grpc::status::{Code, Status};
use crate::limits::{
    BUSY_RETRY_DELAY, EMPTY_POLL_INTERVAL, ENDS_AT_STOP, ENDS_MAX, FREEZE_POLL_MAX, FREEZE_POLL_MIN,
    FREEZE_TIMEOUT, KILL_TIMEOUT, POOL_QUEUE_MAX, QUEUE_RETRY_DELAY, RESTART_HINDERED_DELAY,
};
use crate::runtime::logs::{Capture, LogFile, News};
use crate::runtime::{
    CellInfo, CellName, CellSpec, Cells, Completion, Emptied, Ended, Ending, Error, ExecutableName,
    ExecutableSpec, Exit, Finish, Freezing, Leaf, LimitsChange, Output, Restart, Restarted, SignalNumber,
    Started, Whose,
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

    /// Kills everything, and waits for nothing.
    pub async fn kill_all(&self) {
        if let Err(status) = self.run(|cells| cells.kill_all()).await {
            log::error!("what runs in cells stays behind: {status}");
        }
    }

    /// Ends everything, inner cells first, and removes it with our own directories; for the daemon's own end. Says how
    /// many cells stay behind, those inside them not counted.
    pub async fn close(&self) -> usize {
        let mut left = 0;
        for batch in self.cells.outline().chunks(ENDS_AT_STOP) {
            let begin = |cell: &CellInfo| {
                let name = cell.spec.name.clone();
                // Without a place among the ends: clients may hold them all, for hours.
                let supervisor = self.clone();
                let begin =
                    Box::pin(async move { supervisor.run(move |cells| cells.free(&name, true)).await });
                self.see_through("an end", Box::pin(self.clone().begin_and_end(None, begin)))
            };
            let ends: Vec<_> = batch.iter().map(|cell| (&cell.spec.name, begin(cell))).collect();
            for (cell, end) in ends {
                if let Err(status) = end.await {
                    log::error!("cell {cell} stays behind: {status}");
                    left += 1;
                }
            }
        }
        self.captures.end_files().await;
        if let Err(status) = self.run(|cells| cells.close()).await {
            log::error!("the daemon's own cgroups stay behind: {status}");
        }
        left
    }

    /// Begins an end with `begin` and sees it through, whether or not the caller stays to hear of it.
    fn begin_end(
        &self,
        grace: Option<Duration>,
        begin: impl FnOnce(&Cells) -> Result<Ending, Error> + Send + 'static,
    ) -> Work<()> {
        let supervisor = self.clone();
        let begin = Box::pin(async move { supervisor.run(begin).await });
        self.see_through("an end", Box::pin(self.clone().end_in_a_place(grace, begin)))
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

    async fn end_in_a_place(self, grace: Option<Duration>, begin: Work<Ending>) -> Result<(), Status> {
        let place = self.ends.try_acquire_arc().ok_or_else(|| {
            let text =
                format!("{ENDS_MAX} executables and cells are being ended, the limit; try again later");
            Status::new(Code::ResourceExhausted, text)
        })?;
        let ended = self.begin_and_end(grace, begin).await;
        drop(place);
        ended
    }

    async fn begin_and_end(self, grace: Option<Duration>, begin: Work<Ending>) -> Result<(), Status> {
        let ending = begin.await?;
        let grace = if ending.is_frozen() { Duration::ZERO } else { grace.unwrap_or(self.grace) };
        self.end(ending, grace).await
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

    /// From the order to freeze to all of the cell standing still, or to its going on as before.
    async fn freeze_or_undo(self, cell: CellName) -> Result<(), Status> {
        let freezing = Arc::new(self.run(move |cells| cells.freeze(&cell)).await?);
        let rested = self.rests_within(FREEZE_TIMEOUT, &freezing).await;
        if rested == Ok(true) {
            return Ok(());
        }
        let error = self.run_step(move |cells| cells.undo_freeze(&freezing)).await?;
        rested.and(Err(status(&error)))
    }

    async fn rests_within(&self, timeout: Duration, freezing: &Arc<Freezing>) -> Result<bool, Status> {
        let deadline = Instant::now() + timeout;
        let mut pause = FREEZE_POLL_MIN;
        loop {
            let looked = freezing.clone();
            let at_rest = self
                .run_step(move |cells| cells.is_at_rest(&looked))
                .await?
                .map_err(|error| status(&error))?;
            if at_rest || Instant::now() >= deadline {
                return Ok(at_rest);
            }
            // The kernel tells of it on cgroup v2 alone, and at most every 10 ms.
            Timer::after(pause).await;
            pause = FREEZE_POLL_MAX.min(2 * pause);
        }
    }

    /// Begins to wait for a process to exit, and to read what it writes.
    fn begin_watch(&self, started: Started) {
        let Started { exit, capture, .. } = started;
        let (running, exited) = channel::bounded(1);
        let (reading, read) = channel::bounded(1);
        let capture = self.clone().capture(capture, exited, exit.leaf(), exit.removed());
        self.tasks.spawn("a capture", async move {
            capture.await;
            drop(reading);
        });
        let watch = self.clone().watch(exit, read);
        self.tasks.spawn("the watch for an exit", async move {
            watch.await;
            drop(running);
        });
    }

    async fn capture(self, capture: Capture, exited: channel::Receiver<()>, leaf: Leaf, removed: Arc<Event>) {
        let is_gone = || {
            let leaf = leaf.clone();
            async { self.run_step(move |cells| cells.is_gone(&leaf)).await.unwrap_or(true) }
        };
        let write = |file, bytes| -> Written<'_> { Box::pin(self.write_or_end(file, bytes)) };
        self.captures.run(capture, exited, is_gone, &removed, &write).await;
    }

    async fn write_or_end(&self, file: Box<LogFile>, bytes: Vec<u8>) -> (Option<Box<LogFile>>, Option<News>) {
        // So that starts and a dead disk together leave a thread.
        let _thread = self.starts.thread().await;
        let once = Mutex::new(Some((file, bytes)));
        let written = self.run_step(move |_| {
            let (file, bytes) = locked(&once).take()?;
            Some(file.write_or_end(&bytes))
        });
        match written.await {
            Ok(outcome) => outcome.unwrap_or_default(),
            Err(status) => {
                log::error!("output is not written to its file any more: {status}");
                (None, None)
            }
        }
    }

    /// Waits for a process to exit, then has it reaped, and started again if it is to be, when it has been `read`.
    async fn watch(self, exit: Exit, read: channel::Receiver<()>) {
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
        match reaped {
            Ok(None) => {}
            // On its own: what waits for most of its life is small.
            Ok(Some(restart)) => self.tasks.spawn("a restart", self.clone().start_again(restart, read)),
            Err(status) => log::error!("reaping failed: {status}"),
        }
    }

    /// Sees a restart through, until it runs or is not to be any more. `read` is closed when nothing is read any more of the
    /// last run: two that are read at once would mix their lines.
    async fn start_again(self, mut restart: Restart, read: channel::Receiver<()>) {
        loop {
            let completion = Arc::clone(&restart.completion);
            let over = async {
                ended(&completion).await;
                None
            };
            let due = async {
                Timer::after(restart.delay).await;
                self.last_is_read(restart.last(), &read).await;
                Some(self.starts.turn(restart.cell()).await)
            };
            let Some(turn) = over.or(due).await else { return };
            match self.restart(restart, turn).await {
                Ok(Some(later)) => restart = later,
                Ok(None) => return,
                Err(status) => return log::error!("a restart failed: {status}"),
            }
        }
    }

    /// Waits until nothing is read any more of the run of this leaf, for as long as those who follow hold that up.
    async fn last_is_read(&self, last: Leaf, read: &channel::Receiver<()>) {
        while !read.is_closed() {
            let leaf = last.clone();
            // What is left of it may write on, until it is gone.
            if self.run_step(move |cells| cells.clear(&leaf)).await.unwrap_or(true) {
                // Nothing is ever sent.
                let _ = read.recv().await;
            } else {
                Timer::after(RESTART_HINDERED_DELAY).await;
            }
        }
    }

    /// Has the start in this cell whose turn it is fail when it takes too long, whoever still waits for it. What it answers
    /// is to be dropped when the start is over, and before the turn.
    fn limit_start(&self, cell: &CellName) -> Arc<()> {
        let (under_way, is_to_be_watched) = self.starts.limit(cell);
        if is_to_be_watched {
            self.tasks.spawn("the limit on starts", self.clone().give_up_late());
        }
        under_way
    }

    async fn give_up_late(self) {
        while let Some(late) = self.starts.next_late() {
            Timer::at(late).await;
            for start in self.starts.late() {
                let given_up = self.run_step(move |cells| {
                    // Asked in this order: a start that is not over by now is the one that was found.
                    let found = cells.launching(&start.cell).filter(|_| start.is_so());
                    found.into_iter().for_each(|number| cells.give_up_start(&start.cell, number));
                });
                if let Err(status) = given_up.await {
                    log::error!("a start that takes too long goes on: {status}");
                }
            }
        }
    }

    /// One try, in the way of a start. What to do later, if anything.
    async fn restart(&self, restart: Restart, turn: Turn) -> Result<Option<Restart>, Status> {
        let supervisor = self.clone();
        // Steps are asked for again when the pool is full; this one can be taken once.
        let under_way = self.limit_start(restart.cell());
        let once = Arc::new(Mutex::new(Some((restart, turn, under_way))));
        self.run_step(move |cells| {
            let (restart, _turn, _under_way) = locked(&once).take()?;
            match cells.restart(restart) {
                Restarted::Running(started) => {
                    supervisor.begin_watch(started);
                    None
                }
                Restarted::Later(restart) => Some(restart),
                Restarted::Over => None,
            }
        })
        .await
    }

    /// From SIGTERM, which has been sent, to nothing left: waits out the grace period, kills, waits again.
    async fn end(self, ending: Ending, grace: Duration) -> Result<(), Status> {
        let ending = Arc::new(ending);
        match self.ended_by(Instant::now() + grace, &ending).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // Whatever kept us from waiting must not keep us from ending.
            Err(status) => log::warn!("killing without a grace period: {status}"),
        }
        self.kill(&ending).await?;
        if self.ended_by(Instant::now() + KILL_TIMEOUT, &ending).await? {
            return Ok(());
        }
        let error = self.run_step(move |cells| cells.give_up(&ending)).await?;
        Err(status(&error))
    }

    /// Orders SIGKILL. Another caller that ends the same thing and is at it at this moment may be one that still waits out its
    /// own grace period.
    async fn kill(&self, ending: &Arc<Ending>) -> Result<(), Status> {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            let killed = ending.clone();
            let ordered = self.run_step(move |cells| cells.kill(&killed)).await?;
            if ordered.map_err(|error| status(&error))? == Finish::Done || Instant::now() >= deadline {
                return Ok(());
            }
            Timer::after(BUSY_RETRY_DELAY).await;
        }
    }

    /// Waits until nothing runs, and removes it. False when the deadline came first.
    async fn ended_by(&self, deadline: Instant, ending: &Arc<Ending>) -> Result<bool, Status> {
        let watched = ending.clone();
        let emptied = self.run_step(move |_| watched.watch()).await?.map_err(|error| status(&error))?;
        let emptied = Arc::new(emptied);
        loop {
            // First of all: another caller may have finished it, and the path be that of the next cell of the name.
            let finished = ending.clone();
            let outcome = self.run_step(move |cells| cells.finish(&finished)).await?;
            match outcome.map_err(|error| status(&error))? {
                Finish::Done => return Ok(true),
                // Each time some less is left, so that this ends.
                Finish::Partly => continue,
                Finish::Busy => {}
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            if self.is_empty(&emptied).await? {
                // The kernel needs a moment after the last exit; or a process has left its cgroup and still runs.
                Timer::after(BUSY_RETRY_DELAY).await;
            } else {
                next_look(&emptied, deadline).await?;
            }
        }
    }

    /// One small read where the kernel keeps the answer; a walk through directories, for the pool, where it does not.
    async fn is_empty(&self, emptied: &Arc<Emptied>) -> Result<bool, Status> {
        let looked = match emptied.readiness() {
            Some(_) => emptied.is_empty(),
            None => {
                let emptied = emptied.clone();
                self.run_step(move |_| emptied.is_empty()).await?
            }
        };
        looked.map_err(|error| status(&error))
    }
}

fn locked<T>(place: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
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
