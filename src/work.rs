//! Where work runs: futures on the executor, and calls that may block in the kernel on the pool, a fixed number of
//! threads with a bounded queue before them. A panic ends one task or one job, never a thread.
//!
//! Threads live as long as the pool, because children die with the thread that made them when PR_SET_PDEATHSIG is
//! set (prctl(2)).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smol::Executor;
use smol::channel::{self, Receiver, Sender, TrySendError};
use smol::future::FutureExt;

use crate::limits::{POOL_QUEUE_MAX, POOL_THREADS};

/// Starts tasks: futures that nobody waits for.
#[derive(Clone, Copy)]
pub struct Tasks(&'static Executor<'static>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tasks {
    pub fn new(executor: &'static Executor<'static>) -> Self {
        Self(executor)
    }

    /// Runs `task` to its end; `what` names it in the log if it panics.
    pub fn spawn(self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        // Boxed, so that the executor's code is there once and not for each kind of future.
        self.spawn_boxed(what, Box::pin(task));
    }

    fn spawn_boxed(self, what: &'static str, task: Task) {
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                log::error!("{what} panicked: {}", panic_text(&*panic));
            }
        };
        self.0.spawn(guarded).detach();
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Hands jobs to the threads. The threads end when the last handle is dropped and the queue is empty.
#[derive(Clone)]
pub struct Pool {
    queue: Sender<Job>,
}

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The queue holds [`POOL_QUEUE_MAX`] jobs; the job was not taken.
    QueueFull,
    /// The job panicked; the panic is in the log.
    Panicked,
}

impl Pool {
    /// Starts [`POOL_THREADS`] threads.
    ///
    /// # Errors
    /// Those of pthread_create(3).
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = channel::bounded(POOL_QUEUE_MAX);
        for number in 0..POOL_THREADS {
            let jobs = jobs.clone();
            std::thread::Builder::new().name(format!("pool-{number}")).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Runs `job` on a thread and gives its result. A job whose caller has gone (deadline, reset) before a thread
    /// took it is dropped; one that has begun always runs to its end.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejected> {
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        self.run_boxed(Box::new(move || *locked(&place) = Some(job()))).await?;
        let result = locked(&result).take();
        // There is none when the job has panicked.
        result.ok_or(Rejected::Panicked)
    }

    /// Apart, so that the code is there once and not for each kind of job.
    fn run_boxed(&self, job: Job) -> Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send + '_>> {
        Box::pin(async move {
            let (notice, done) = channel::bounded::<()>(1);
            self.enqueue(Box::new(move || {
                if !notice.is_closed() {
                    job();
                    // The caller may have gone meanwhile; then nobody wants the result.
                    let _ = notice.try_send(());
                }
            }))?;
            // Without a notice when the job has panicked.
            let _ = done.recv().await;
            Ok(())
        })
    }

    fn enqueue(&self, job: Job) -> Result<(), Rejected> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Rejected::QueueFull,
            TrySendError::Closed(_) => Rejected::Panicked,
        })
    }
}

fn locked<T>(result: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    result.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv_blocking() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
            log::error!("a job panicked: {}", panic_text(&*panic));
        }
    }
}

/// The text of a caught panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use smol::future::{block_on, poll_once};

    use super::*;

    /// Fills every thread; the returned sender releases them when dropped.
    fn block_all_threads(pool: &Pool) -> (mpsc::Sender<()>, Vec<impl Future<Output = Result<(), Rejected>>>) {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let (started, wait_started) = mpsc::channel();
        let mut calls = Vec::new();
        for _ in 0..POOL_THREADS {
            let (gate, started) = (gate.clone(), started.clone());
            let pool = pool.clone();
            let mut call = Box::pin(async move {
                pool.run(move || {
                    started.send(()).unwrap();
                    let _ = gate.lock().unwrap().recv();
                })
                .await
            });
            assert!(block_on(poll_once(&mut call)).is_none());
            calls.push(call);
        }
        for _ in 0..POOL_THREADS {
            wait_started.recv().unwrap();
        }
        (release, calls)
    }

    #[test]
    fn a_panic_answers_its_caller_and_the_threads_go_on() {
        let pool = Pool::start().unwrap();
        for _ in 0..2 * POOL_THREADS {
            assert_eq!(block_on(pool.run(|| panic!("on purpose"))), Err::<(), _>(Rejected::Panicked));
        }
        assert_eq!(block_on(pool.run(|| 7)), Ok(7));
    }

    #[test]
    fn a_full_queue_rejects_and_drops_jobs_whose_caller_has_gone() {
        let pool = Pool::start().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let (release, blocked) = block_all_threads(&pool);
        let mut queued = Vec::new();
        for _ in 0..POOL_QUEUE_MAX {
            let (pool, ran) = (pool.clone(), ran.clone());
            let mut call =
                Box::pin(async move { pool.run(move || ran.fetch_add(1, Ordering::SeqCst)).await });
            assert!(block_on(poll_once(&mut call)).is_none());
            queued.push(call);
        }
        assert_eq!(block_on(pool.run(|| ())), Err(Rejected::QueueFull));
        drop(queued.split_off(1));
        drop(release);
        for call in blocked {
            assert_eq!(block_on(call), Ok(()));
        }
        assert!(block_on(queued.remove(0)).is_ok());
        block_on(pool.run(|| ())).unwrap();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }
}
