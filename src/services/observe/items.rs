//! What a follower reads, as encoded messages. An item is encoded where it lies, without a message made of it first: one
//! reader takes a million lines a second.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use event_listener::EventListener;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use smol::Timer;
use smol::future::FutureExt;
use smol::stream::Stream;

use crate::grpc::status::{Code, Status};
use crate::limits::{BATCH_BYTES, ITEMS_PAUSE};
use crate::proto::Answers;
use crate::runtime::logs::{Follower, Item, Progress};

/// What is taken at once. Half a batch: a stream that stalls has a batch on its way, and may have this beside it.
const TAKEN_BYTES: usize = BATCH_BYTES / 2;

/// Encodes an item behind what is there. False when nobody wants it; then what it has encoded goes.
pub type Encode = Box<dyn Fn(Item<'_>, &mut BytesMut) -> bool + Send>;

/// The items of a feed, to its end. That is OK, or DATA_LOSS when the last items are missing: there is none left to say so.
pub fn answers<T: Message + 'static>(follower: Follower, encode: Encode) -> Answers<T> {
    let (batch, lengths) = (BytesMut::new(), VecDeque::new());
    Answers::encoded(Box::pin(Reading {
        follower,
        encode,
        batch,
        lengths,
        dropped: 0,
        changes: None,
        pause: None,
    }))
}

struct Reading {
    follower: Follower,
    encode: Encode,
    /// Messages, one behind the other, …
    batch: BytesMut,
    /// … and how long each is.
    lengths: VecDeque<usize>,
    /// Missing before the next that is wanted.
    dropped: u64,
    changes: Option<EventListener>,
    /// Runs after a batch that was small.
    pause: Option<Timer>,
}

impl Stream for Reading {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reading = self.get_mut();
        loop {
            if let Some(length) = reading.lengths.pop_front() {
                return Poll::Ready(Some(Ok(reading.batch.split_to(length).freeze())));
            }
            ready!(reading.poll_news(cx));
            // Before the look, so that no change comes between.
            let changes = reading.follower.feed().changes();
            if reading.is_pausing() {
                reading.changes = Some(changes);
                continue;
            }
            let progress = reading.read_batch();
            let is_empty = reading.lengths.is_empty();
            reading.changes = (is_empty && progress == Progress::Drained).then_some(changes);
            reading.pause = (!is_empty && progress == Progress::Drained).then(|| Timer::after(ITEMS_PAUSE));
            match progress {
                Progress::Ended if is_empty => return Poll::Ready(reading.end(0)),
                Progress::Lost(items) if is_empty => return Poll::Ready(reading.end(items)),
                _ => {}
            }
        }
    }
}

impl Reading {
    /// Ready when there may be something to give: at a change, at the end of a pause, and if nothing is waited for.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.pause.as_mut().is_some_and(|pause| pause.poll(cx).is_ready());
        if is_over {
            self.pause = None;
        }
        match &mut self.changes {
            Some(changes) if !is_over => changes.poll(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Whether it is too early to give a little more: what comes meanwhile travels with it. Many small frames cost both sides
    /// more, and some clients close a connection with some hundred of them unread.
    fn is_pausing(&self) -> bool {
        self.pause.is_some() && self.follower.bytes_left().is_some_and(|bytes| bytes < TAKEN_BYTES)
    }

    /// What is given when there is nothing more.
    fn end(&self, lost: u64) -> Option<Result<Bytes, Status>> {
        let lost = self.dropped + lost;
        let text = || {
            format!(
                "{lost} items at the end had to make way before they were taken; more is held with a larger log.ring_bytes of \
                 the executable or --log-memory of the daemon"
            )
        };
        (lost > 0).then(|| Err(Status::new(Code::DataLoss, text())))
    }

    /// Takes what is there, so much at most.
    fn read_batch(&mut self) -> Progress {
        let Self { follower, encode, batch, lengths, dropped, .. } = self;
        // Of the last one nothing is left.
        batch.clear();
        let mut unwanted = 0;
        follower.read(|item| {
            let before = batch.len();
            *dropped += item.dropped;
            if encode(Item { dropped: *dropped, ..item }, batch) {
                *dropped = 0;
                lengths.push_back(batch.len() - before);
            } else {
                batch.truncate(before);
                unwanted += item.bytes.len();
            }
            match batch.len() + unwanted < TAKEN_BYTES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })
    }
}

/// A field of bytes, or of text.
pub fn put_bytes(field: u32, bytes: &[u8], message: &mut impl BufMut) {
    if !bytes.is_empty() {
        encode_key(field, WireType::LengthDelimited, message);
        encode_varint(bytes.len() as u64, message);
        message.put_slice(bytes);
    }
}

/// A field of a number, other than sint or fixed.
pub fn put_number(field: u32, number: u64, message: &mut impl BufMut) {
    if number != 0 {
        encode_key(field, WireType::Varint, message);
        encode_varint(number, message);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smol::future::{FutureExt, block_on, poll_once};
    use smol::stream::StreamExt;

    use super::*;
    use crate::runtime::logs::{Channel, Feed, Logs, Range, Want};

    /// Each item is its bytes.
    fn reading(feed: &std::sync::Arc<Feed>) -> Reading {
        let follower = feed.follow(Want::Both, Range::default()).expect("it is there");
        let encode = Box::new(|item: Item<'_>, message: &mut BytesMut| {
            message.put_slice(item.bytes);
            true
        });
        let (batch, lengths) = (BytesMut::new(), VecDeque::new());
        Reading { follower, encode, batch, lengths, dropped: 0, changes: None, pause: None }
    }

    fn now(reading: &mut Reading) -> Option<Bytes> {
        block_on(poll_once(reading.next())).map(|item| item.expect("it goes on").expect("no error"))
    }

    #[test]
    fn a_little_waits_for_more_and_much_does_not() {
        let feed = Feed::new(&Logs::new(1 << 20), 64 << 10, false);
        let mut reading = reading(&feed);
        feed.write(Channel::Stdout, b"first\n");
        assert_eq!(now(&mut reading).as_deref(), Some(&b"first"[..]), "the first at once");
        // One that does not end while this looks.
        assert!(reading.pause.replace(Timer::after(Duration::from_secs(3600))).is_some(), "then it pauses");
        assert_eq!(now(&mut reading), None);
        feed.write(Channel::Stdout, b"second\n");
        assert_eq!(now(&mut reading), None, "too early");
        feed.write(Channel::Stdout, &[b'x'; TAKEN_BYTES - 1]);
        feed.write(Channel::Stdout, b"\n");
        assert_eq!(now(&mut reading).as_deref(), Some(&b"second"[..]), "enough has come");
        assert!(now(&mut reading).is_some());

        feed.write(Channel::Stdout, b"later\n");
        let never = async {
            Timer::after(Duration::from_secs(60)).await;
            None
        };
        let later = block_on(reading.next().or(never)).expect("the pause ends, also without another change");
        assert_eq!(&later.expect("no error")[..], b"later");
    }

    #[test]
    fn the_end_does_not_wait() {
        let feed = Feed::new(&Logs::new(1 << 20), 64 << 10, false);
        let mut reading = reading(&feed);
        feed.write(Channel::Stdout, b"first\n");
        assert!(now(&mut reading).is_some());
        feed.write(Channel::Stdout, b"last\n");
        feed.end();
        feed.tell();
        assert!(now(&mut reading).is_some());
        assert!(matches!(block_on(poll_once(reading.next())), Some(None)));
    }
}
