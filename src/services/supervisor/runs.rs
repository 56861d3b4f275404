//! The runs of executables: each is watched until it exits and read until its outputs end, started again if that is to be,
//! and no start takes for ever.

use std::sync::{Arc, Mutex};

use async_io::Async;
use event_listener::Event;
use smol::Timer;
use smol::channel;
use smol::future::FutureExt;

use super::{Supervisor, ended, locked};
use crate::grpc::status::Status;
use crate::limits::RESTART_HINDERED_DELAY;
use crate::runtime::logs::{Capture, LogFile, News};
use crate::runtime::{CellName, Exit, Leaf, Restart, Restarted, Started};
use crate::services::captures::Written;
use crate::services::starts::Turn;

impl Supervisor {
    /// Begins to wait for a process to exit, and to read what it writes.
    pub(super) fn begin_watch(&self, started: Started) {
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
    pub(super) fn limit_start(&self, cell: &CellName) -> Arc<()> {
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
}
