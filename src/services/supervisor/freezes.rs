//! Freezing takes its time: the kernel is asked until all of a cell stands still, or else it goes on as before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;

use super::Supervisor;
use crate::grpc::status::Status;
use crate::limits::{FREEZE_POLL_MAX, FREEZE_POLL_MIN, FREEZE_TIMEOUT};
use crate::runtime::{CellName, Freezing};
use crate::services::refusal::status;

impl Supervisor {
    /// From the order to freeze to all of the cell standing still, or to its going on as before.
    pub(super) async fn freeze_or_undo(self, cell: CellName) -> Result<(), Status> {
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
}
