//! What a follower reads, as the items of a stream.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use event_listener::EventListener;
use smol::future::FutureExt;
use smol::stream::Stream;

use crate::grpc::status::{Code, Status};
use crate::limits::BATCH_BYTES;
use crate::proto::Items;
use crate::runtime::logs::{Follower, Item, Progress};

/// What an item takes, about, beside itself and its text: each text has an allocation of its own.
const ITEM_BYTES: usize = 64;
/// What is taken at once, beside the batch that is made of it: so much less than that that the two, and what they have grown by,
/// stay within what a stream may cost.
const TAKEN_BYTES: usize = BATCH_BYTES / 4;

/// The items that `convert` makes something of. Ends with OK when the feed does, or with DATA_LOSS when the last items are
/// missing: there is none left to say so.
pub fn items<T: Send + Unpin + 'static>(
    follower: Follower,
    convert: impl Fn(Item<'_>) -> Option<T> + Send + Unpin + 'static,
) -> Items<T> {
    Box::pin(Reading { follower, convert, ready: VecDeque::new(), changes: None })
}

fn lost(items: u64) -> Status {
    let text = format!(
        "{items} items at the end had to make way before they were taken; more is held with a larger log.ring_bytes of the \
         executable or --log-memory of the daemon"
    );
    Status::new(Code::DataLoss, text)
}

struct Reading<T, Convert> {
    follower: Follower,
    convert: Convert,
    /// One batch.
    ready: VecDeque<T>,
    changes: Option<EventListener>,
}

impl<T: Unpin, Convert: Fn(Item<'_>) -> Option<T> + Unpin> Stream for Reading<T, Convert> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reading = self.get_mut();
        loop {
            if let Some(item) = reading.ready.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if let Some(changes) = &mut reading.changes {
                std::task::ready!(changes.poll(cx));
            }
            // Before the look, so that no change comes between.
            let changes = reading.follower.feed().changes();
            let progress = reading.read_batch();
            let is_drained = progress == Progress::Drained;
            reading.changes = (is_drained && reading.ready.is_empty()).then_some(changes);
            match progress {
                Progress::Ended if reading.ready.is_empty() => return Poll::Ready(None),
                Progress::Lost(items) if reading.ready.is_empty() => {
                    return Poll::Ready(Some(Err(lost(items))));
                }
                _ => {}
            }
        }
    }
}

impl<T, Convert: Fn(Item<'_>) -> Option<T>> Reading<T, Convert> {
    /// Takes what is there, one batch at most.
    fn read_batch(&mut self) -> Progress {
        let Self { follower, convert, ready, .. } = self;
        let mut bytes = 0;
        follower.read(|item| {
            bytes += ITEM_BYTES + size_of::<T>() + item.bytes.len();
            ready.extend(convert(item));
            if bytes < TAKEN_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }
}
