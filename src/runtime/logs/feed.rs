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
    /// Of that, the rings of feeds that block.
    blocking: usize,
    /// No sequence that was ever given is as large.
    next: u64,
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
    /// Those who follow are not to wait for more.
    hurried: bool,
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
        Self::of(LOG_MEMORY_BYTES)
    }
}

impl Logs {
    /// Feeds that take `limit` bytes together. Beyond that, each whose writer waits for a reader may have two blocks.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self::of(limit))
    }

    fn of(limit: usize) -> Self {
        let feeds = Numbered::default();
        Self(Mutex::new(Shelf { feeds, age: 0, bytes: 0, limit, blocking: 0, next: 0 }))
    }

    /// That all feeds take.
    #[cfg(test)]
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
        let mut shelf = logs.shelf();
        // No sequence is given twice: not to the next of the name, and where the clock is right, not by the next daemon.
        let first = u64::try_from(unix_ns() / 1000).unwrap_or_default().max(1).max(shelf.next);
        let state = State {
            rings: [Ring::new(ring_bytes), Ring::new(ring_bytes)],
            blocks,
            first,
            next: first,
            writers: 0,
            ended: false,
            hurried: false,
            followers: Numbered::default(),
            waits: [false; 2],
        };
        let id = shelf.feeds.add(Box::new(state));
        drop(shelf);
        Arc::new(Self { logs: Arc::clone(logs), id, changed: Event::new(), room: Event::new() })
    }

    /// Adds what an output has given, line by line. Answers how many bytes were taken: all, unless the feed blocks; then
    /// listen to [`Feed::room`].
    pub fn write(&self, channel: Channel, output: &[u8]) -> usize {
        let taken = self.with_writer(channel, |writer| lines::cut(output, writer));
        self.changed.notify(usize::MAX);
        taken.unwrap_or(output.len())
    }

    /// An output has come to its end, and so has its last line.
    pub fn end_line(&self, channel: Channel) {
        self.with_writer(channel, |writer| {
            if writer.ring().is_open() {
                writer.end(false);
            }
        });
        self.changed.notify(usize::MAX);
    }

    /// Adds one item as it is, whatever bytes it has, for a source of one output.
    ///
    /// Those who follow are told by [`Feed::tell`], without any lock.
    pub fn put(&self, bytes: &[u8]) {
        self.with_writer(Channel::Stdout, |writer| {
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
        self.with(|state| state.writers += 1);
    }

    pub fn writer_gone(&self) {
        self.with(|state| state.writers -= 1);
        self.changed.notify(usize::MAX);
    }

    /// There will be no other writer. Those who follow are told with [`Feed::tell`].
    pub fn end(&self) {
        self.with(|state| state.ended = true);
    }

    /// From now on, those who follow give what there is at once: their streams are about to be cut.
    pub fn hurry(&self) {
        self.with(|state| state.hurried = true);
        self.tell();
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
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.logs.shelf().feeds.get_mut(self.id).map(|state| change(state))
    }

    fn with_writer<T>(&self, channel: Channel, write: impl FnOnce(&mut Writer<'_>) -> T) -> Option<T> {
        let mut shelf = self.logs.shelf();
        let result = write(&mut shelf.writer(self.id, channel)?);
        shelf.make_way();
        Some(result)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut shelf = self.logs.shelf();
        let Some(gone) = shelf.feeds.remove(self.id) else { return };
        let bytes: usize = gone.rings.iter().map(Ring::bytes).sum();
        shelf.bytes -= bytes;
        shelf.blocking -= if gone.blocks { bytes } else { 0 };
        // It may be megabytes that are freed next.
        drop(shelf);
    }
}

impl Follower {
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// How many bytes there are to read, about; or `None` when they should not wait for more.
    pub fn bytes_left(&self) -> Option<usize> {
        let mut shelf = self.feed.logs.shelf();
        let state = shelf.feeds.get_mut(self.feed.id)?;
        if state.hurried || (state.ended && state.writers == 0) {
            return None;
        }
        let State { rings, followers, .. } = &mut **state;
        let reader = followers.get_mut(self.id)?;
        let bytes = |channel: Channel| rings[channel as usize].bytes_behind(&reader.places[channel as usize]);
        Some(reader.want.channels().map(bytes).sum())
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
    fn writer(&mut self, id: u64, channel: Channel) -> Option<Writer<'_>> {
        let Self { feeds, age, bytes, limit, blocking, next } = self;
        let budget = Budget { age, bytes, blocking, next, limit: *limit };
        Some(Writer { state: feeds.get_mut(id)?, budget, channel, time: unix_ns() })
    }

    /// Drops the oldest blocks until all take no more than they may, but none for which a writer waits.
    fn make_way(&mut self) {
        while self.bytes > self.limit {
            let oldest = |(id, state): &(u64, Box<State>)| Some((state.oldest()?, *id));
            let oldest = self.feeds.iter().filter_map(oldest).min_by_key(|((age, _), _)| *age);
            let Some(((_, channel), id)) = oldest else { return };
            let Some(mut writer) = self.writer(id, channel) else { return };
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
        let mut expected = from;
        let mut places = self.rings.each_ref().map(Ring::oldest);
        self.seek(Want::Both, &mut places, |stamp| stamp.sequence < from);
        let mut gone = match range.from {
            // Over both outputs, as sequences are.
            Some(_) if from > self.first => (self.next - from).saturating_sub(self.left(Want::Both, &places)),
            _ => want.channels().map(|channel| self.rings[channel as usize].records().1).sum(),
        };
        let last_gone = |channel: Channel| self.rings[channel as usize].last_gone();
        let lost_since =
            |is_so: &dyn Fn(&Stamp) -> bool| want.channels().filter_map(last_gone).any(|last| is_so(&last));
        let mut is_whole = !lost_since(&|last| last.sequence >= from);
        if let Some(since) = range.since {
            let passed = self.seek(want, &mut places, |stamp| stamp.time < since);
            let older = want.channels().filter_map(last_gone).filter(|last| last.time < since);
            let before = older.map(|last| last.sequence + 1).max().unwrap_or_default();
            expected = expected.max(passed).max(before);
            is_whole |= !lost_since(&|last| last.time >= since);
        }
        if let Some(tail) = range.tail.map(u64::from) {
            let left = self.left(want, &places);
            let cut = self.newest(want, &places, from, tail);
            self.seek(want, &mut places, |stamp| stamp.sequence < cut);
            // Of those that are missing, no more than were asked for.
            expected = expected.max(cut).max(self.next.saturating_sub(tail));
            gone = gone.min(tail.saturating_sub(left));
        }
        let until = range.no_follow.then(|| self.rings.each_ref().map(|ring| ring.records().0));
        let dropped = if is_whole { 0 } else { gone };
        Ok(Reader { want, places, expected, dropped, until })
    }

    /// Moves the places behind all items that are `before` something. Answers the sequence behind the last of them, if there
    /// is one, or 0.
    fn seek(&self, want: Want, places: &mut [Place; 2], before: impl Fn(&Stamp) -> bool) -> u64 {
        let mut behind = 0;
        for channel in want.channels() {
            let (place, passed) = self.rings[channel as usize].seek(places[channel as usize], &before);
            places[channel as usize] = place;
            behind = behind.max(passed.map_or(0, |stamp| stamp.sequence + 1));
        }
        behind
    }

    /// The smallest sequence, not before `from`, from which on there are no more than `tail` items.
    fn newest(&self, want: Want, places: &[Place; 2], from: u64, tail: u64) -> u64 {
        let (mut low, mut high) = (from, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut places = *places;
            self.seek(want, &mut places, |stamp| stamp.sequence < middle);
            if self.left(want, &places) <= tail {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// How many items there are to read.
    fn left(&self, want: Want, places: &[Place; 2]) -> u64 {
        let left =
            |channel: Channel| self.rings[channel as usize].records().0 - places[channel as usize].records;
        want.channels().map(left).sum()
    }

    /// Somebody for whom the writer would wait has not read all of the oldest block of this output. Nobody waits for those
    /// who only want what is there.
    fn is_needed(&self, channel: Channel) -> bool {
        let ring = &self.rings[channel as usize];
        let follows = |reader: &Reader| reader.want.has(channel) && reader.until.is_none();
        let mut readers = self.followers.iter().filter(|(_, reader)| follows(reader));
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
        self.expected = self.expected.max(sequence + 1);
        Some(Item { channel, bytes, partial, sequence, time, dropped })
    }

    /// How many are missing behind the last item that was given, when there is no other.
    fn lost(&self, first: u64, next: u64) -> u64 {
        let end = self.until.map_or(next, |until| first + until.iter().sum::<u64>());
        match self.want {
            Want::Both => end.saturating_sub(self.expected),
            Want::Only(_) => self.dropped,
        }
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
    blocking: &'a mut usize,
    next: &'a mut u64,
    limit: usize,
}

/// Writes lines into one ring of a feed.
struct Writer<'a> {
    state: &'a mut State,
    budget: Budget<'a>,
    channel: Channel,
    time: i64,
}

impl Writer<'_> {
    fn ring(&mut self) -> &mut Ring {
        &mut self.state.rings[self.channel as usize]
    }

    fn drop_oldest(&mut self) {
        let free = self.ring().drop_oldest();
        *self.budget.bytes -= free;
        *self.budget.blocking -= if self.state.blocks { free } else { 0 };
    }
}

impl Sink for Writer<'_> {
    fn open_bytes(&self) -> usize {
        self.state.rings[self.channel as usize].open_bytes()
    }

    fn extend(&mut self, bytes: &[u8]) {
        let ring = &mut self.state.rings[self.channel as usize];
        let before = ring.bytes();
        ring.extend(bytes, self.budget.age);
        let more = ring.bytes() - before;
        *self.budget.bytes += more;
        *self.budget.blocking += if self.state.blocks { more } else { 0 };
    }

    fn end(&mut self, partial: bool) {
        let stamp = Stamp { sequence: self.state.next, time: self.time };
        self.state.next += 1;
        *self.budget.next = self.state.next.max(*self.budget.next);
        self.ring().end(stamp, partial);
        while self.ring().is_over() && !self.state.is_needed(self.channel) {
            self.drop_oldest();
        }
    }

    fn begin(&mut self) -> ControlFlow<()> {
        // At most half of the budget is kept from all others. Each may have a block whatever the others take, so that it goes
        // on.
        let over = *self.budget.blocking >= self.budget.limit / 2;
        let ring = self.ring();
        let is_full = ring.is_full() || (over && ring.blocks() > 1);
        let waits = is_full && self.state.is_needed(self.channel);
        self.state.waits[self.channel as usize] = waits;
        if waits { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests;
