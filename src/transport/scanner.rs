//! Watches the frames that a peer sends, below h2: what h2 hides from us (control frames, half frames, SETTINGS) is
//! counted here, and header blocks pass through [`AuthorityRewriter`]. It never decides about a stream.

use super::authority::AuthorityRewriter;

/// The client connection preface (RFC 9113 section 3.4). h2 checks its bytes.
const PREFACE_BYTES: usize = 24;
/// Frame header (RFC 9113 section 4.1): length (3), type, flags, stream identifier (4).
const HEADER_BYTES: usize = 9;
/// The priority fields of a HEADERS frame.
const PRIORITY_BYTES: usize = 5;

const TYPE_DATA: u8 = 0;
const TYPE_HEADERS: u8 = 1;
const TYPE_SETTINGS: u8 = 4;
const TYPE_CONTINUATION: u8 = 9;
const FLAG_ACK: u8 = 0x1;
const FLAG_PADDED: u8 = 0x8;
const FLAG_PRIORITY: u8 = 0x20;

/// What was seen in the bytes of one call to [`Scanner::scan`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames that cost us work and carry no call: all but HEADERS and DATA.
    pub control_frames: u32,
    /// Frames that began among these bytes.
    pub frames: u32,
    pub settings: bool,
    pub settings_ack: bool,
    /// The last byte may still be rewritten: keep it back until more has come.
    pub hold_last: bool,
}

#[derive(Debug)]
pub struct Scanner {
    state: State,
    authority: AuthorityRewriter,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Preface {
        left: usize,
    },
    Header {
        bytes: [u8; HEADER_BYTES],
        have: usize,
    },
    /// Bytes that do not matter: `skip` of them, then what follows.
    Skip {
        skip: usize,
        then: Block,
    },
    /// The length of the padding of a HEADERS frame whose payload has `left` more bytes.
    PadLength {
        left: usize,
        priority: bool,
    },
    Fragment {
        left: usize,
        padding: usize,
        joined: bool,
    },
}

/// The header block fragment that follows the bytes skipped; empty where there is none.
#[derive(Clone, Copy, Debug)]
struct Block {
    fragment: usize,
    padding: usize,
}

const NO_BLOCK: Block = Block { fragment: 0, padding: 0 };
const NEXT_FRAME: State = State::Header { bytes: [0; HEADER_BYTES], have: 0 };

impl Scanner {
    pub fn new() -> Self {
        Self { state: State::Preface { left: PREFACE_BYTES }, authority: AuthorityRewriter::new() }
    }

    /// Between two frames, where a peer may rest.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header { have: 0, .. })
    }

    /// Reads `buffer[from..]`, what has just arrived, and rewrites it where needed. `buffer[from - 1]` is the byte
    /// held back by the last call, when there was one.
    pub fn scan(&mut self, buffer: &mut [u8], from: usize) -> Seen {
        let mut seen = Seen::default();
        let mut at = from;
        while at < buffer.len() {
            at = self.step(buffer, at, &mut seen);
        }
        seen.hold_last =
            matches!(self.state, State::Fragment { joined: true, .. }) && self.authority.holds_last_byte();
        seen
    }

    /// Consumes at least one byte and says where the next one is.
    fn step(&mut self, buffer: &mut [u8], at: usize, seen: &mut Seen) -> usize {
        let available = buffer.len() - at;
        match self.state {
            State::Preface { left } => {
                let take = left.min(available);
                self.state = if take < left { State::Preface { left: left - take } } else { NEXT_FRAME };
                at + take
            }
            State::Header { mut bytes, have } => {
                seen.frames += u32::from(have == 0);
                let take = available.min(HEADER_BYTES - have);
                bytes[have..have + take].copy_from_slice(&buffer[at..at + take]);
                self.state = State::Header { bytes, have: have + take };
                if have + take == HEADER_BYTES {
                    self.state = self.start_payload(bytes, seen);
                }
                at + take
            }
            State::Skip { skip, then } => {
                let take = skip.min(available);
                self.state = after_skip(skip - take, then);
                at + take
            }
            State::PadLength { left, priority } => {
                let padding = usize::from(buffer[at]);
                let skip = if priority { PRIORITY_BYTES } else { 0 };
                self.state = block_or_skip(left - 1, skip, padding);
                at + 1
            }
            State::Fragment { left, padding, joined } => {
                let take = left.min(available);
                self.authority.feed(buffer, at, at + take, joined);
                self.state = match left - take {
                    0 => after_skip(padding, NO_BLOCK),
                    left => State::Fragment { left, padding, joined: true },
                };
                at + take
            }
        }
    }

    fn start_payload(&mut self, header: [u8; HEADER_BYTES], seen: &mut Seen) -> State {
        let [high, middle, low, kind, flags, ..] = header;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        match kind {
            TYPE_DATA => {}
            TYPE_HEADERS => {
                self.authority.start_block();
                let priority = flags & FLAG_PRIORITY != 0;
                if flags & FLAG_PADDED != 0 && length > 0 {
                    return State::PadLength { left: length, priority };
                }
                return block_or_skip(length, if priority { PRIORITY_BYTES } else { 0 }, 0);
            }
            TYPE_CONTINUATION => {
                seen.control_frames += 1;
                return block_or_skip(length, 0, 0);
            }
            TYPE_SETTINGS if flags & FLAG_ACK != 0 => seen.settings_ack = true,
            TYPE_SETTINGS => {
                seen.settings = true;
                seen.control_frames += 1;
            }
            _ => seen.control_frames += 1,
        }
        after_skip(length, NO_BLOCK)
    }
}

/// A payload of `left` bytes: `skip` that do not matter, the fragment, `padding`. One in which these do not fit is
/// malformed; h2 will say so.
fn block_or_skip(left: usize, skip: usize, padding: usize) -> State {
    match left.checked_sub(skip + padding) {
        Some(fragment) => after_skip(skip, Block { fragment, padding }),
        None => after_skip(left, NO_BLOCK),
    }
}

fn after_skip(skip: usize, then: Block) -> State {
    match (skip, then) {
        (0, Block { fragment: 0, padding: 0 }) => NEXT_FRAME,
        (0, Block { fragment: 0, padding }) => State::Skip { skip: padding, then: NO_BLOCK },
        (0, Block { fragment, padding }) => State::Fragment { left: fragment, padding, joined: false },
        (skip, then) => State::Skip { skip, then },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// What h2 gets when the bytes arrive in chunks of `size`.
    fn scan_in_chunks(bytes: &[u8], size: usize) -> (Vec<u8>, Seen) {
        let (mut scanner, mut out, mut total, mut held) = (Scanner::new(), Vec::new(), Seen::default(), None);
        for chunk in bytes.chunks(size) {
            let from = usize::from(held.is_some());
            let mut buffer: Vec<u8> = held.take().into_iter().chain(chunk.iter().copied()).collect();
            let seen = scanner.scan(&mut buffer, from);
            total.control_frames += seen.control_frames;
            total.frames += seen.frames;
            total.settings |= seen.settings;
            total.settings_ack |= seen.settings_ack;
            if seen.hold_last {
                held = buffer.pop();
            }
            out.extend(buffer);
        }
        assert!(scanner.is_between_frames() && held.is_none());
        (out, total)
    }

    #[test]
    fn frames_are_counted_and_authorities_rewritten_however_the_bytes_arrive() {
        // "/r/%" in Huffman code: 011000 101100 011000 010101, and the same with '-' (010110).
        let authority = [0x41, 0x83, 0b0110_0010, 0b1100_0110, 0b0001_0101];
        let wanted = [0x41, 0x83, 0b0101_1010, 0b1100_0101, 0b1001_0110];
        let padded = |block: &[u8]| [&[3], [0; 5].as_slice(), block, b"/%/"].concat();
        let stream = |block: &[u8]| {
            [
                PREFACE.to_vec(),
                frame(TYPE_SETTINGS, 0, &[0, 3, 0, 0, 0, 100]),
                frame(TYPE_HEADERS, FLAG_PADDED | FLAG_PRIORITY, &padded(block)),
                frame(TYPE_DATA, 0, b"\x41\x01/"),
                frame(TYPE_SETTINGS, FLAG_ACK, b""),
                frame(6, 0, &[0; 8]),
                frame(0xfa, 0, b"/"),
                frame(TYPE_HEADERS, 0, &block[..1]),
                frame(TYPE_CONTINUATION, 4, &block[1..]),
            ]
            .concat()
        };
        for size in 1..64 {
            let (out, seen) = scan_in_chunks(&stream(&authority), size);
            assert_eq!(out, stream(&wanted), "chunks of {size}");
            assert_eq!((seen.frames, seen.control_frames), (8, 4));
            assert!(seen.settings && seen.settings_ack);
        }
    }

    #[test]
    fn padding_longer_than_the_frame_is_passed_on_untouched() {
        let bytes = [PREFACE.to_vec(), frame(TYPE_HEADERS, FLAG_PADDED, &[200, 0x41, 1, b'/'])].concat();
        assert_eq!(scan_in_chunks(&bytes, 7).0, bytes);
    }
}
