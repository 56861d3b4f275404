//! The outputs of one source, its readers, and the budget that all sources share.
//!
//! One lock over all feeds: whoever needs room takes it from the oldest, whose ever that is. It is held for the time it
//! takes to copy what one read gives, or one batch takes.

use super::Channel;
use super::lines::{self, Sink};
use super::numbered::Numbered;
use super::ring::{Place, Record, Ring, Stamp};
use crate::limits::LOG_MEMORY_BYTES;
use crate::runtime::clock::unix_ns;
use event_listener::{Event, EventListener};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All feeds that share a budget.
#[derive(Debug)]
pub struct Logs(Mutex<Shelf>);

#[derive(Debug)]
struct Shelf {
    feeds: Numbered<Box<State>>,
    /// Blocks that there have ever been: the age of the youngest.
    age: u64,
    /// That the rings take together, and may take.
    bytes: usize,
    limit: usize,
}

/// What one source has written, the newest part of it.
#[derive(Debug)]
pub struct Feed {
    logs: Arc<Logs>,
    id: u64,
    /// There is more to read, or an end.
    changed: Event,
    /// There is room for a writer that waits.
    room: Event,
}

#[derive(Debug)]
struct State {
    rings: [Ring; 2],
    /// Whether the writer waits for readers.
    blocks: bool,
    /// Of the first item that there has ever been, and of the next.
    first: u64,
    next: u64,
    /// Nothing is written any more when there is no writer, and will not be …
    writers: usize,
    /// … because the source has ended.
    ended: bool,
    followers: Numbered<Reader>,
    /// The writer of this output waits for a follower to read.
    waits: [bool; 2],
}

/// A follower, as its feed knows it.
#[derive(Debug)]
struct Reader {
    want: Want,
    places: [Place; 2],
    /// Of both outputs: the sequence that is to come next; what is between it and the one that does is missing.
    expected: u64,
    /// Of one output: how many are missing before the next.
    dropped: u64,
    /// Ends behind so many records of each output.
    until: Option<[u64; 2]>,
}

/// The outputs that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Both,
    Only(Channel),
}

/// Which items somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// So many of those that are there.
    pub tail: Option<u32>,
    /// From then on: nanoseconds of Unix time.
    pub since: Option<i64>,
    /// From this one on.
    pub from: Option<u64>,
    /// No more than are there.
    pub no_follow: bool,
}

/// One line, or piece of a line, as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub channel: Channel,
    pub bytes: &'a [u8],
    pub partial: bool,
    pub sequence: u64,
    /// Nanoseconds of Unix time.
    pub time: i64,
    /// How many are missing before it.
    pub dropped: u64,
}

/// What [`Follower::read`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Whoever took the items has enough.
    More,
    /// All that is there has been read.
    Drained,
    /// There will be no more.
    Ended,
    /// The same, and so many are missing behind the last item that was given.
    Lost(u64),
}

/// [`Range::from`] is beyond what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no sequence {asked} yet, the next is {next}")]
pub struct NoSuchSequence {
    pub asked: u64,
    pub next: u64,
}

/// A reader of a feed. One who reads too slowly loses the oldest items, unless the feed waits for it.
#[derive(Debug)]
pub struct Follower {
    feed: Arc<Feed>,
    id: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self(Mutex::new(Shelf { feeds: Numbered::default(), age: 0, bytes: 0, limit: LOG_MEMORY_BYTES }))
    }
}

impl Logs {
    /// Feeds that take `limit` bytes together, and at most one read more.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shelf { feeds: Numbered::default(), age: 0, bytes: 0, limit })))
    }

    /// That all feeds take.
    pub fn bytes(&self) -> usize {
        self.shelf().bytes
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A panic in between leaves at worst a record that is not ended.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// One that holds `ring_bytes` of each output, and whose writer waits for readers if it `blocks`.
    pub fn new(logs: &Arc<Logs>, ring_bytes: usize, blocks: bool) -> Arc<Self> {
        // Where the clock is right, no sequence is given twice, neither to the next of the name nor by the next daemon.
        let first = u64::try_from(unix_ns() / 1000).unwrap_or_default().max(1);
        let state = State {
            rings: [Ring::new(ring_bytes), Ring::new(ring_bytes)],
            blocks,
            first,
            next: first,
            writers: 0,
            ended: false,
            followers: Numbered::default(),
            waits: [false; 2],
        };
        let id = logs.shelf().feeds.add(Box::new(state));
        Arc::new(Self { logs: Arc::clone(logs), id, changed: Event::new(), room: Event::new() })
    }

    /// Adds what an output has given, line by line. Answers how many bytes were taken: all, unless the feed blocks; then
    /// listen to [`Feed::room`].
    pub fn write(&self, channel: Channel, output: &[u8]) -> usize {
        let taken = self.with(|state, budget| {
            let time = unix_ns();
            let mut writer = Writer { state, budget, channel, time };
            lines::cut(output, &mut writer)
        });
        self.changed.notify(usize::MAX);
        taken.unwrap_or(output.len())
    }

    /// An output has come to its end, and so has its last line.
    pub fn end_line(&self, channel: Channel) {
        self.with(|state, budget| {
            let mut writer = Writer { state, budget, channel, time: unix_ns() };
            if writer.ring().is_open() {
                writer.end(false);
            }
        });
        self.changed.notify(usize::MAX);
    }

    /// Adds one item as it is, whatever bytes it has, for a source of one output. Answers its sequence.
    ///
    /// Those who follow are told by [`Feed::tell`], without any lock.
    pub fn put(&self, bytes: &[u8]) {
        self.with(|state, budget| {
            let mut writer = Writer { state, budget, channel: Channel::Stdout, time: unix_ns() };
            writer.extend(bytes);
            writer.end(false);
        });
    }

    /// Wakes those who follow.
    pub fn tell(&self) {
        self.changed.notify(usize::MAX);
    }

    /// Somebody will write, who says when that is over with [`Feed::writer_gone`].
    pub fn add_writer(&self) {
        self.with(|state, _| state.writers += 1);
    }

    pub fn writer_gone(&self) {
        self.with(|state, _| state.writers -= 1);
        self.changed.notify(usize::MAX);
    }

    /// There will be no other writer. Those who follow are told with [`Feed::tell`].
    pub fn end(&self) {
        self.with(|state, _| state.ended = true);
    }

    /// Becomes ready when there is more to read. To miss nothing, call this first and read second.
    pub fn changes(&self) -> EventListener {
        self.changed.listen()
    }

    /// Becomes ready when a writer should try again. To miss nothing, call this first and write second.
    pub fn room(&self) -> EventListener {
        self.room.listen()
    }

    /// Begins to read.
    pub fn follow(self: &Arc<Self>, want: Want, range: Range) -> Result<Follower, NoSuchSequence> {
        let add = |state: &mut State| state.reader(want, range).map(|reader| state.followers.add(reader));
        let id = self.logs.shelf().feeds.get_mut(self.id).map(|state| add(state)).transpose()?;
        Ok(Follower { feed: Arc::clone(self), id: id.unwrap_or_default() })
    }

    /// `None` when the feed is about to go, and nobody can tell the difference.
    fn with<T>(&self, change: impl FnOnce(&mut State, &mut Budget<'_>) -> T) -> Option<T> {
        let mut shelf = self.logs.shelf();
        let Shelf { feeds, age, bytes, limit, .. } = &mut *shelf;
        let result = change(feeds.get_mut(self.id)?, &mut Budget { age, bytes, limit: *limit });
        shelf.make_way();
        Some(result)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut shelf = self.logs.shelf();
        let gone = shelf.feeds.remove(self.id);
        shelf.bytes -= gone.iter().flat_map(|state| &state.rings).map(Ring::bytes).sum::<usize>();
    }
}

impl Follower {
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Gives the next items to `take`, one after the other, until it breaks: the item with which it does has been taken.
    /// It is called under the lock.
    pub fn read(&mut self, mut take: impl FnMut(Item<'_>) -> ControlFlow<()>) -> Progress {
        let mut shelf = self.feed.logs.shelf();
        let Some(state) = shelf.feeds.get_mut(self.feed.id) else { return Progress::Ended };
        let is_over = state.ended && state.writers == 0;
        let State { rings, followers, first, next, .. } = &mut **state;
        let Some(reader) = followers.get_mut(self.id) else { return Progress::Ended };
        let progress = loop {
            match reader.next(rings) {
                Some(item) if take(item).is_break() => break Progress::More,
                Some(_) => {}
                None if reader.until.is_some() || is_over => {
                    break match reader.lost(*first, *next) {
                        0 => Progress::Ended,
                        items => Progress::Lost(items),
                    };
                }
                None => break Progress::Drained,
            }
        };
        let waited_for = state.waits.contains(&true);
        drop(shelf);
        if waited_for {
            self.feed.room.notify(usize::MAX);
        }
        progress
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(state) = self.feed.logs.shelf().feeds.get_mut(self.feed.id) {
            state.followers.remove(self.id);
        }
        self.feed.room.notify(usize::MAX);
    }
}

impl Shelf {
    /// Drops the oldest blocks until all take no more than they may, but none for which a writer waits.
    fn make_way(&mut self) {
        while self.bytes > self.limit {
            let oldest = |(id, state): &(u64, Box<State>)| Some((state.oldest()?, *id));
            let Some(((_, channel), id)) =
                self.feeds.iter().filter_map(oldest).min_by_key(|((age, _), _)| *age)
            else {
                return;
            };
            let Some(state) = self.feeds.get_mut(id) else { return };
            let mut budget = Budget { age: &mut self.age, bytes: &mut self.bytes, limit: self.limit };
            let mut writer = Writer { state, budget: &mut budget, channel, time: unix_ns() };
            if writer.ring().oldest_is_open() {
                // Its line is split here, so that its bytes are an item that can be counted.
                writer.end(true);
            }
            writer.drop_oldest();
        }
    }
}

impl State {
    fn reader(&self, want: Want, range: Range) -> Result<Reader, NoSuchSequence> {
        if let Some(asked) = range.from.filter(|asked| *asked > self.next) {
            return Err(NoSuchSequence { asked, next: self.next });
        }
        let from = range.from.unwrap_or_default().max(self.first);
        let places = [self.rings[0].oldest(), self.rings[1].oldest()];
        let until = range.no_follow.then(|| self.rings.each_ref().map(|ring| ring.records().0));
        let mut reader = Reader { want: Want::Both, places, expected: from, dropped: 0, until };
        reader.skip_while(&self.rings, |item| item.sequence < from);
        let mut gone = match range.from {
            // Over both outputs, as sequences are.
            Some(_) if from > self.first => (self.next - from).saturating_sub(reader.left(&self.rings)),
            _ => want.channels().map(|channel| self.rings[channel as usize].records().1).sum(),
        };
        reader.want = want;
        let last_gone = |channel: Channel| self.rings[channel as usize].last_gone();
        let lost_since =
            |is_so: &dyn Fn(&Stamp) -> bool| want.channels().filter_map(last_gone).any(|last| is_so(&last));
        let mut is_whole = !lost_since(&|last| last.sequence >= from);
        let mut expected = from;
        if let Some(since) = range.since {
            let skipped = reader.skip_while(&self.rings, |item| item.time < since);
            let older = want.channels().filter_map(last_gone).filter(|last| last.time < since);
            let behind = older.map(|last| last.sequence + 1).max().unwrap_or_default();
            expected = expected.max(skipped).max(behind);
            is_whole |= !lost_since(&|last| last.time >= since);
        }
        if let Some(tail) = range.tail.map(u64::from) {
            let left = reader.left(&self.rings);
            let mut surplus = 0..left.saturating_sub(tail);
            let skipped = reader.skip_while(&self.rings, |_| surplus.next().is_some());
            // Of those that are missing, no more than were asked for.
            let newest = if left > tail { skipped } else { self.next.saturating_sub(tail) };
            expected = expected.max(newest);
            gone = gone.min(tail.saturating_sub(left));
        }
        reader.expected = expected;
        reader.dropped = if is_whole { 0 } else { gone };
        Ok(reader)
    }

    /// Somebody for whom the writer would wait has not read all of the oldest block of this output.
    fn is_needed(&self, channel: Channel) -> bool {
        let ring = &self.rings[channel as usize];
        let mut readers = self.followers.iter().filter(|(_, reader)| reader.want.has(channel));
        self.blocks && readers.any(|(_, reader)| ring.needs_oldest(&reader.places[channel as usize]))
    }

    /// The oldest block that can go: its age, and whose it is.
    fn oldest(&self) -> Option<(u64, Channel)> {
        let can_go = |channel: &Channel| !self.is_needed(*channel);
        let ages = Channel::BOTH.into_iter().filter(can_go);
        ages.filter_map(|channel| Some((self.rings[channel as usize].age()?, channel)))
            .min_by_key(|(age, _)| *age)
    }
}

impl Reader {
    /// Takes the next item of those wanted, in the order of their sequences.
    fn next<'a>(&mut self, rings: &'a [Ring; 2]) -> Option<Item<'a>> {
        let mut first = None;
        for channel in self.want.channels() {
            let (ring, place) = (&rings[channel as usize], &mut self.places[channel as usize]);
            let until = self.until.map_or(u64::MAX, |until| until[channel as usize]);
            let left = until.saturating_sub(place.records);
            self.dropped += ring.catch_up(place).min(left);
            if place.records >= until {
                continue;
            }
            let Some((record, behind)) = ring.record(*place) else { continue };
            if first
                .is_none_or(|(_, other, _): (_, Record<'_>, _)| record.stamp.sequence < other.stamp.sequence)
            {
                first = Some((channel, record, behind));
            }
        }
        let (channel, record, behind) = first?;
        self.places[channel as usize] = behind;
        let Record { stamp: Stamp { sequence, time }, partial, bytes } = record;
        let dropped = match self.want {
            Want::Both => sequence.saturating_sub(self.expected),
            Want::Only(_) => std::mem::take(&mut self.dropped),
        };
        self.expected = sequence + 1;
        Some(Item { channel, bytes, partial, sequence, time, dropped })
    }

    /// Skips the first items that are as said. Answers the sequence behind the last of them, if there is one, or 0.
    fn skip_while(&mut self, rings: &[Ring; 2], mut is_so: impl FnMut(&Item<'_>) -> bool) -> u64 {
        let (mut places, mut behind) = (self.places, 0);
        while let Some(item) = self.next(rings).filter(&mut is_so) {
            behind = item.sequence + 1;
            places = self.places;
        }
        self.places = places;
        behind
    }

    /// How many are missing behind the last item that was given, when there is no other.
    fn lost(&self, first: u64, next: u64) -> u64 {
        let end = self.until.map_or(next, |until| first + until.iter().sum::<u64>());
        match self.want {
            Want::Both => end.saturating_sub(self.expected),
            Want::Only(_) => self.dropped,
        }
    }

    /// How many items there are to read.
    fn left(&self, rings: &[Ring; 2]) -> u64 {
        let left =
            |channel: Channel| rings[channel as usize].records().0 - self.places[channel as usize].records;
        self.want.channels().map(left).sum()
    }
}

impl Want {
    fn channels(self) -> impl Iterator<Item = Channel> {
        Channel::BOTH.into_iter().filter(move |channel| self.has(*channel))
    }

    fn has(self, channel: Channel) -> bool {
        self == Self::Both || self == Self::Only(channel)
    }
}

/// What all feeds share, for whoever writes to one of them.
struct Budget<'a> {
    age: &'a mut u64,
    bytes: &'a mut usize,
    limit: usize,
}

/// Writes lines into one ring of a feed.
struct Writer<'a, 'b> {
    state: &'a mut State,
    budget: &'a mut Budget<'b>,
    channel: Channel,
    time: i64,
}

impl Writer<'_, '_> {
    fn ring(&mut self) -> &mut Ring {
        &mut self.state.rings[self.channel as usize]
    }

    fn drop_oldest(&mut self) {
        let free = self.ring().drop_oldest();
        *self.budget.bytes -= free;
    }
}

impl Sink for Writer<'_, '_> {
    fn open_bytes(&self) -> usize {
        self.state.rings[self.channel as usize].open_bytes()
    }

    fn extend(&mut self, bytes: &[u8]) {
        let ring = &mut self.state.rings[self.channel as usize];
        let before = ring.bytes();
        ring.extend(bytes, self.budget.age);
        *self.budget.bytes += ring.bytes() - before;
    }

    fn end(&mut self, partial: bool) {
        let stamp = Stamp { sequence: self.state.next, time: self.time };
        self.state.next += 1;
        self.ring().end(stamp, partial);
        while self.ring().is_over() && !self.state.is_needed(self.channel) {
            self.drop_oldest();
        }
    }

    fn begin(&mut self) -> ControlFlow<()> {
        let over = *self.budget.bytes >= self.budget.limit;
        let ring = self.ring();
        // Each may have a block whatever the others take, so that it goes on.
        let is_full = ring.is_full() || (over && ring.blocks() > 1);
        let waits = is_full && self.state.is_needed(self.channel);
        self.state.waits[self.channel as usize] = waits;
        if waits { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests;
