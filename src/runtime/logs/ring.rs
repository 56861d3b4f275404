//! The newest part of one output: records in blocks, of which the oldest goes as a whole when there is no room.
//!
//! Blocks and not one buffer that wraps: a record lies in one piece, an output that says little costs little, and to make
//! way costs nothing. Pure; knows no lock and no clock.

use std::collections::VecDeque;

/// Length and the mark of a partial one, sequence, time.
const HEADER_BYTES: usize = 4 + 8 + 8;
/// In the length.
const PARTIAL: u32 = 1 << 31;
/// Of a ring of 64 KiB and more; the last block of a smaller one is an eighth of it.
const BLOCK_BYTES: usize = 8 << 10;
const BLOCKS: usize = 8;
/// Each block begins so small, and doubles: most outputs are a line or two.
const FIRST_BYTES: usize = 256;

#[derive(Debug)]
pub struct Ring {
    blocks: VecDeque<Block>,
    /// The number of the front block; that of the first ever is 0.
    front: u64,
    limit: usize,
    /// That all blocks take.
    bytes: usize,
    /// Ended records that there have ever been, …
    records: u64,
    /// … and of those the ones that are gone.
    gone: u64,
    last_gone: Option<Stamp>,
    /// Where the record begins, in the back block, that has not been ended.
    open: Option<usize>,
}

/// When, in both senses, a record was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub sequence: u64,
    /// Nanoseconds of Unix time.
    pub time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub stamp: Stamp,
    pub partial: bool,
    pub bytes: &'a [u8],
}

/// Where somebody reads: in front of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    block: u64,
    offset: usize,
    /// Records before it.
    pub records: u64,
}

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Ended ones.
    records: u64,
    last: Stamp,
    /// When it was begun, among the blocks of all rings.
    age: u64,
}

impl Ring {
    /// Of some `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            blocks: VecDeque::new(),
            front: 0,
            limit,
            bytes: 0,
            records: 0,
            gone: 0,
            last_gone: None,
            open: None,
        }
    }

    /// That it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Ended records that there have ever been, and of those the ones that are gone.
    pub fn records(&self) -> (u64, u64) {
        (self.records, self.gone)
    }

    pub fn last_gone(&self) -> Option<Stamp> {
        self.last_gone
    }

    /// The age of the oldest block.
    pub fn age(&self) -> Option<u64> {
        self.blocks.front().map(|block| block.age)
    }

    /// Its next block will take the place of the oldest.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.limit && self.blocks.len() > 1
    }

    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes of the record that has not been ended.
    pub fn open_bytes(&self) -> usize {
        let back = self.blocks.back().map_or(0, |block| block.bytes.len());
        self.open.map_or(0, |start| back - start - HEADER_BYTES)
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds to the record that has not been ended; begins one where there is none. `age` is for a block that it takes.
    pub fn extend(&mut self, bytes: &[u8], age: &mut u64) {
        if self.open.is_none() {
            self.begin(HEADER_BYTES + bytes.len(), age);
        }
        let Some(back) = self.blocks.back_mut() else { return };
        let before = back.bytes.capacity();
        back.bytes.extend_from_slice(bytes);
        self.bytes += back.bytes.capacity() - before;
    }

    fn begin(&mut self, bytes: usize, age: &mut u64) {
        let full = BLOCK_BYTES.min(self.limit / BLOCKS);
        let fits = |back: &Block| back.bytes.len() + bytes <= full;
        if !self.blocks.back().is_some_and(fits) {
            *age += 1;
            // The first is small until there is more. Whoever needs a second will need a third.
            let size = if self.blocks.is_empty() { FIRST_BYTES.min(full) } else { full };
            let block = Block {
                bytes: Vec::with_capacity(size.max(bytes)),
                records: 0,
                last: Stamp::default(),
                age: *age,
            };
            self.bytes += block.bytes.capacity();
            self.blocks.push_back(block);
        }
        let Some(back) = self.blocks.back_mut() else { return };
        self.open = Some(back.bytes.len());
        let before = back.bytes.capacity();
        back.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        self.bytes += back.bytes.capacity() - before;
    }

    /// Ends the record that has been begun, if one has.
    pub fn end(&mut self, stamp: Stamp, partial: bool) {
        let length = self.open_bytes();
        let Some((start, back)) = self.open.take().zip(self.blocks.back_mut()) else { return };
        let length = u32::try_from(length).unwrap_or(PARTIAL - 1) | if partial { PARTIAL } else { 0 };
        let header = &mut back.bytes[start..start + HEADER_BYTES];
        header[..4].copy_from_slice(&length.to_ne_bytes());
        header[4..12].copy_from_slice(&stamp.sequence.to_ne_bytes());
        header[12..].copy_from_slice(&stamp.time.to_ne_bytes());
        back.records += 1;
        back.last = stamp;
        self.records += 1;
    }

    /// Whether there are more bytes than there may be, in a block that can go.
    pub fn is_over(&self) -> bool {
        self.bytes > self.limit && self.blocks.len() > 1
    }

    /// Drops the oldest block; a record that has not been ended must not be in it. Answers how many bytes are free.
    pub fn drop_oldest(&mut self) -> usize {
        let Some(block) = self.blocks.pop_front() else { return 0 };
        self.front += 1;
        self.gone += block.records;
        if block.records > 0 {
            self.last_gone = Some(block.last);
        }
        self.bytes -= block.bytes.capacity();
        block.bytes.capacity()
    }

    /// The record that has not been ended is in the oldest block.
    pub fn oldest_is_open(&self) -> bool {
        self.open.is_some() && self.blocks.len() == 1
    }

    /// In front of the oldest record that is left.
    pub fn oldest(&self) -> Place {
        Place { block: self.front, offset: 0, records: self.gone }
    }

    /// Moves a place whose record is gone to the oldest that is left. Answers how many are between.
    pub fn catch_up(&self, place: &mut Place) -> u64 {
        if place.block >= self.front {
            return 0;
        }
        let missed = self.gone.saturating_sub(place.records);
        *place = self.oldest();
        missed
    }

    /// Whether somebody who is there has not read all of the oldest block.
    pub fn needs_oldest(&self, place: &Place) -> bool {
        place.block < self.front
            || (place.block == self.front
                && self.blocks.front().is_some_and(|block| place.offset < block.bytes.len()))
    }

    /// The place behind those records that are `before` something; they come first. With the stamp of the last of them. After
    /// [`Ring::catch_up`].
    pub fn seek(&self, mut place: Place, before: impl Fn(&Stamp) -> bool) -> (Place, Option<Stamp>) {
        let mut passed = None;
        let mut start = self.oldest();
        // Whole blocks, so that it does not take as long as there are records. The last may have one that has not ended.
        for block in self.blocks.iter().take(self.blocks.len().saturating_sub(1)) {
            if !before(&block.last) {
                break;
            }
            let end = Place { block: start.block + 1, offset: 0, records: start.records + block.records };
            if start.block >= place.block {
                (place, passed) = (end, Some(block.last));
            }
            start = end;
        }
        while let Some((record, behind)) = self.record(place).filter(|(record, _)| before(&record.stamp)) {
            (place, passed) = (behind, Some(record.stamp));
        }
        (place, passed)
    }

    /// How many bytes there are behind a place, their headers included.
    pub fn bytes_behind(&self, place: &Place) -> usize {
        let skipped = usize::try_from(place.block.saturating_sub(self.front)).unwrap_or(usize::MAX);
        let blocks: usize = self.blocks.iter().skip(skipped).map(|block| block.bytes.len()).sum();
        blocks - if place.block < self.front { 0 } else { place.offset.min(blocks) }
    }

    /// The record behind a place, and the place behind it. After [`Ring::catch_up`].
    pub fn record(&self, place: Place) -> Option<(Record<'_>, Place)> {
        let index = usize::try_from(place.block.checked_sub(self.front)?).ok()?;
        let block = self.blocks.get(index)?;
        let is_back = index + 1 == self.blocks.len();
        let end = self.open.filter(|_| is_back).unwrap_or(block.bytes.len());
        if place.offset >= end {
            let next = Place { block: place.block + 1, offset: 0, records: place.records };
            return if is_back { None } else { self.record(next) };
        }
        let (header, rest) = block.bytes[place.offset..end].split_at_checked(HEADER_BYTES)?;
        let (length, header) = header.split_first_chunk()?;
        let (sequence, header) = header.split_first_chunk()?;
        let time = header.first_chunk()?;
        let length = u32::from_ne_bytes(*length);
        let bytes = rest.get(..(length & !PARTIAL) as usize)?;
        let stamp = Stamp { sequence: u64::from_ne_bytes(*sequence), time: i64::from_ne_bytes(*time) };
        let offset = place.offset + HEADER_BYTES + bytes.len();
        let record = Record { stamp, partial: length & PARTIAL != 0, bytes };
        Some((record, Place { offset, records: place.records + 1, ..place }))
    }
}

#[cfg(test)]
mod tests;
