//! Ends: of an executable, of a cell with all inside it, and of all that there is. Each sends SIGTERM, waits out a grace period
//! on descriptors and timers, kills, and waits again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Async;
use smol::Timer;
use smol::future::FutureExt;

use super::{Supervisor, Work};
use crate::grpc::status::{Code, Status};
use crate::limits::{BUSY_RETRY_DELAY, EMPTY_POLL_INTERVAL, ENDS_AT_STOP, ENDS_MAX, KILL_TIMEOUT};
use crate::runtime::{CellInfo, Cells, Emptied, Ending, Error, Finish};
use crate::services::refusal::status;

impl Supervisor {
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
    pub(super) fn begin_end(
        &self,
        grace: Option<Duration>,
        begin: impl FnOnce(&Cells) -> Result<Ending, Error> + Send + 'static,
    ) -> Work<()> {
        let supervisor = self.clone();
        let begin = Box::pin(async move { supervisor.run(begin).await });
        self.see_through("an end", Box::pin(self.clone().end_in_a_place(grace, begin)))
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
