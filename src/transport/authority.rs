//! Makes `:authority` acceptable to h2, in place, in HPACK bytes that stream by.
//!
//! Clients on a Unix socket send the socket's path as `:authority` (`/run/x.sock`, or `run%2Fx.sock`). Neither is
//! an authority by RFC 3986, so h2 resets the stream before we see it. Nothing reads the value, so `/` and `%` in
//! it become `-`. All three are 6-bit codes in HPACK's Huffman code, so no length changes; and since the value is
//! changed before h2's decoder, the dynamic tables of both sides keep the same sizes and indices.
//!
//! Touched is a literal whose name is the static index 1, or `:authority` spelled out, as grpcio's encoder does. A
//! name taken from the dynamic table would not be recognised; no client is known to send a second value that way.

/// Follows one connection's header blocks. Malformed blocks are left for h2 to refuse.
#[derive(Debug)]
pub struct AuthorityRewriter {
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the first byte of a field representation (RFC 7541 section 6).
    Field,
    /// In the continuation bytes of an integer (section 5.1) that needs no value.
    Integer {
        then: After,
    },
    /// At the first byte of a string: its Huffman bit and length (section 5.2).
    Length {
        string: Kind,
    },
    /// In the continuation bytes of a string's length.
    LongLength {
        string: Kind,
        huffman: bool,
        length: u32,
        shift: u32,
    },
    Text {
        string: Kind,
        huffman: bool,
        left: u32,
        symbol: Symbol,
    },
    /// The block made no sense; wait for the next one.
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Field,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name {
        /// Whether it is `:authority`, as far as it has been read.
        is_authority: bool,
    },
    OtherValue,
    Authority,
}

/// The bits of a Huffman code that is not complete yet.
#[derive(Clone, Copy, Debug, Default)]
struct Symbol {
    code: u32,
    bits: u32,
}

impl AuthorityRewriter {
    pub fn new() -> Self {
        Self { state: State::Field }
    }

    /// A new header block begins.
    pub fn start_block(&mut self) {
        self.state = State::Field;
    }

    /// Reads and patches `buffer[from..to]`, part of the current block. A Huffman code may have begun in
    /// `buffer[from - 1]`; when that byte belongs to the block and may be patched too, `joined` says so.
    pub fn feed(&mut self, buffer: &mut [u8], from: usize, to: usize, joined: bool) {
        for at in from..to {
            let reach_back = at > from || joined;
            self.state = self.state.step(buffer, at, reach_back);
        }
    }

    /// Whether the last byte fed may still have to be changed.
    pub fn holds_last_byte(&self) -> bool {
        match self.state {
            State::Text { string: Kind::Authority, huffman: true, left, symbol } => {
                left > 0 && (1..SIX).contains(&symbol.bits)
            }
            _ => false,
        }
    }
}

impl State {
    fn step(self, buffer: &mut [u8], at: usize, reach_back: bool) -> State {
        let byte = buffer[at];
        match self {
            State::Field => first_byte(byte),
            State::Integer { then } if byte & 0x80 == 0 => then.state(),
            State::Length { string } => match byte & 0x7f {
                0x7f => State::LongLength { string, huffman: byte & 0x80 != 0, length: 0x7f, shift: 0 },
                length => text(string, byte & 0x80 != 0, length.into()),
            },
            State::LongLength { string, huffman, length, shift } => {
                long_length(byte, string, huffman, length, shift)
            }
            State::Text { string, huffman, left, symbol } => {
                let symbol = match (string, huffman) {
                    (Kind::Authority, true) => symbol.patch_byte(buffer, at, reach_back),
                    (Kind::Authority, false) => {
                        buffer[at] = patched(byte);
                        symbol
                    }
                    _ => symbol,
                };
                let string = string.with_byte(byte, huffman, left);
                if left == 1 {
                    string.next()
                } else {
                    State::Text { string, huffman, left: left - 1, symbol }
                }
            }
            State::Integer { .. } | State::Lost => self,
        }
    }
}

impl After {
    fn state(self) -> State {
        match self {
            After::Field => State::Field,
            After::Value => State::Length { string: Kind::OtherValue },
        }
    }
}

impl Kind {
    fn with_length(self, length: u32, huffman: bool) -> Self {
        match self {
            Kind::Name { .. } => {
                Kind::Name { is_authority: length as usize == authority_name(huffman).len() }
            }
            value => value,
        }
    }

    /// After `byte`, the one that came with `left` to go.
    fn with_byte(self, byte: u8, huffman: bool, left: u32) -> Self {
        match self {
            Kind::Name { is_authority: true } => {
                let name = authority_name(huffman);
                Kind::Name { is_authority: name[name.len() - left as usize] == byte }
            }
            other => other,
        }
    }

    fn next(self) -> State {
        match self {
            Kind::Name { is_authority: true } => State::Length { string: Kind::Authority },
            Kind::Name { is_authority: false } => State::Length { string: Kind::OtherValue },
            Kind::OtherValue | Kind::Authority => State::Field,
        }
    }
}

/// The four representations, told by their first bits (RFC 7541 sections 6.1 to 6.3).
fn first_byte(byte: u8) -> State {
    let (index, prefix_max, literal) = match byte {
        0x80.. => (byte & 0x7f, 0x7f, false),
        0x40.. => (byte & 0x3f, 0x3f, true),
        0x20.. => (byte & 0x1f, 0x1f, false),
        _ => (byte & 0x0f, 0x0f, true),
    };
    match (literal, index) {
        (false, _) if index == prefix_max => State::Integer { then: After::Field },
        (false, _) => State::Field,
        (true, 0) => State::Length { string: Kind::Name { is_authority: false } },
        (true, 1) => State::Length { string: Kind::Authority },
        (true, _) if index == prefix_max => State::Integer { then: After::Value },
        (true, _) => State::Length { string: Kind::OtherValue },
    }
}

fn long_length(byte: u8, string: Kind, huffman: bool, length: u32, shift: u32) -> State {
    // Four bytes reach 2^28, far above what any header list may hold.
    if shift > 21 {
        return State::Lost;
    }
    let length = length + (u32::from(byte & 0x7f) << shift);
    if byte & 0x80 != 0 {
        State::LongLength { string, huffman, length, shift: shift + 7 }
    } else {
        text(string, huffman, length)
    }
}

fn text(string: Kind, huffman: bool, length: u32) -> State {
    let string = string.with_length(length, huffman);
    if length == 0 {
        return string.next();
    }
    State::Text { string, huffman, left: length, symbol: Symbol::default() }
}

/// `:authority`, plain and in HPACK's Huffman code.
fn authority_name(huffman: bool) -> &'static [u8] {
    if huffman { &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f] } else { b":authority" }
}

fn patched(byte: u8) -> u8 {
    if matches!(byte, b'/' | b'%') { b'-' } else { byte }
}

/// Length of the codes of `%`, `-` and `/` (RFC 7541 appendix B).
const SIX: u32 = 6;
const PERCENT: u32 = 0b01_0101;
const DASH: u32 = 0b01_0110;
const SLASH: u32 = 0b01_1000;

impl Symbol {
    fn patch_byte(mut self, buffer: &mut [u8], at: usize, reach_back: bool) -> Symbol {
        // The buffer may change under the loop, but only in bits that have been read.
        let byte = buffer[at];
        for bit in (0..8).rev() {
            self.code = self.code << 1 | u32::from(byte >> bit & 1);
            self.bits += 1;
            if self.bits == SIX && matches!(self.code, PERCENT | SLASH) {
                flip(buffer, at, (self.code ^ DASH) << bit, reach_back);
            }
            if is_complete(self) {
                self = Symbol::default();
            }
        }
        self
    }
}

/// Flips `mask` in the 16 bits that end with `buffer[at]`, unless it reaches a byte that is out of reach (a code
/// split between two frames; h2 then resets that stream, as it would without us).
fn flip(buffer: &mut [u8], at: usize, mask: u32, reach_back: bool) {
    let [_, _, high, low] = mask.to_be_bytes();
    if high != 0 {
        if !reach_back {
            return;
        }
        buffer[at - 1] ^= high;
    }
    buffer[at] ^= low;
}

/// The longest code, and so the longest run of bits without a symbol.
const CODE_BITS_MAX: usize = 30;

/// How many codes have each length. HPACK's code is canonical, so the counts alone tell where a code ends.
const CODES_OF_LENGTH: [u32; CODE_BITS_MAX + 1] = {
    let mut counts = [0; CODE_BITS_MAX + 1];
    let pairs = [
        (5, 10),
        (6, 26),
        (7, 32),
        (8, 6),
        (10, 5),
        (11, 3),
        (12, 2),
        (13, 6),
        (14, 2),
        (15, 3),
        (19, 3),
        (20, 8),
        (21, 13),
        (22, 26),
        (23, 29),
        (24, 12),
        (25, 4),
        (26, 15),
        (27, 19),
        (28, 29),
        (30, 4),
    ];
    let mut i = 0;
    while i < pairs.len() {
        counts[pairs[i].0] = pairs[i].1;
        i += 1;
    }
    counts
};

/// For each length the first code above all codes of that length.
const CODE_END: [u32; CODE_BITS_MAX + 1] = {
    let mut ends = [0; CODE_BITS_MAX + 1];
    let mut bits = 1;
    while bits <= CODE_BITS_MAX {
        ends[bits] = (ends[bits - 1] << 1) + CODES_OF_LENGTH[bits];
        bits += 1;
    }
    // A complete prefix code uses up all the bit patterns (Kraft's equality).
    assert!(ends[CODE_BITS_MAX] == 1 << CODE_BITS_MAX);
    ends
};

fn is_complete(symbol: Symbol) -> bool {
    let bits = symbol.bits as usize;
    bits >= CODE_BITS_MAX || symbol.code < CODE_END[bits]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(block: &[u8]) -> Vec<u8> {
        let mut bytes = block.to_vec();
        let length = bytes.len();
        AuthorityRewriter::new().feed(&mut bytes, 0, length, false);
        bytes
    }

    /// The 5- and 6-bit codes that the tests need, read off RFC 7541 appendix B.
    fn huffman(text: &str) -> Vec<u8> {
        let code = |c| match c {
            'a' => (0x3, 5),
            'c' => (0x4, 5),
            'e' => (0x5, 5),
            'o' => (0x7, 5),
            's' => (0x8, 5),
            't' => (0x9, 5),
            'i' => (0x6, 5),
            '2' => (0x2, 5),
            'h' => (0x27, 6),
            ':' => (0x5c, 7),
            'y' => (0x7a, 7),
            'F' => (0x61, 7),
            'k' => (0x75, 7),
            'n' => (0x2a, 6),
            'r' => (0x2c, 6),
            'u' => (0x2d, 6),
            '.' => (0x17, 6),
            '%' => (PERCENT, 6),
            '-' => (DASH, 6),
            '/' => (SLASH, 6),
            other => panic!("no code for {other}"),
        };
        let (mut bits, mut string) = (Vec::new(), Vec::new());
        for (code, length) in text.chars().map(code) {
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        for byte in bits.chunks(8) {
            string.push(byte.iter().fold(0u8, |b, bit| b << 1 | u8::from(*bit)));
        }
        string.insert(0, 0x80 | u8::try_from(string.len()).unwrap());
        string
    }

    fn authority_huffman(text: &str) -> Vec<u8> {
        [vec![0x41], huffman(text)].concat()
    }

    #[test]
    fn plain_literals_of_all_three_forms_are_patched() {
        for form in [0x41, 0x01, 0x11] {
            let block = [&[form, 10], b"/run/x%2Fs".as_slice(), &[0x87]].concat();
            assert_eq!(rewrite(&block), [&[form, 10], b"-run-x-2Fs".as_slice(), &[0x87]].concat());
        }
    }

    #[test]
    fn huffman_literals_are_patched_at_every_bit_offset() {
        for text in ["/run/a.sock", "a/run/a.sock", "aa/%/", "run%2Fa.sock", "aaa%2Fe", "FF/F/F%"] {
            let wanted = authority_huffman(&text.replace(['/', '%'], "-"));
            assert_eq!(rewrite(&authority_huffman(text)), wanted, "{text}");
        }
    }

    #[test]
    fn cutting_the_block_changes_nothing_when_the_held_byte_is_kept() {
        let block = authority_huffman("/run/a/e%o/%");
        let wanted = rewrite(&block);
        for cut in 1..block.len() {
            let mut bytes = block.clone();
            let mut rewriter = AuthorityRewriter::new();
            rewriter.feed(&mut bytes, 0, cut, false);
            let joined = rewriter.holds_last_byte();
            if !joined {
                assert_eq!(bytes[..cut], wanted[..cut], "a byte was let go too early");
            }
            rewriter.feed(&mut bytes, cut, block.len(), joined);
            assert_eq!(bytes, wanted);
        }
    }

    /// How grpcio 1.85 sends it.
    #[test]
    fn a_name_spelled_out_is_recognised_wherever_the_block_is_cut() {
        let plain = [&[0x40, 10], b":authority".as_slice(), &[5], b"/a%2F"].concat();
        let wanted = [&plain[..13], b"-a-2F"].concat();
        let huffman_name = [vec![0x40], huffman(":authority"), vec![5], b"/a%2F".to_vec()].concat();
        let huffman_wanted = [&huffman_name[..11], b"-a-2F"].concat();
        for (block, wanted) in [(plain, wanted), (huffman_name, huffman_wanted)] {
            for cut in 0..block.len() {
                let mut bytes = block.clone();
                let mut rewriter = AuthorityRewriter::new();
                rewriter.feed(&mut bytes, 0, cut, false);
                rewriter.feed(&mut bytes, cut, block.len(), false);
                assert_eq!(bytes, wanted, "cut at {cut}");
            }
        }
    }

    #[test]
    fn other_names_of_the_same_length_are_left_alone() {
        for name in [":authoritx", "xauthority", "user-agent"] {
            let block = [&[0x40, 10], name.as_bytes(), &[1, b'/']].concat();
            assert_eq!(rewrite(&block), block, "{name}");
        }
    }

    #[test]
    fn other_fields_are_left_alone() {
        let fields: &[&[u8]] = &[
            &[0x44, 4, b'/', b'a', b'/', b'b'], // :path, indexed name
            &[0x40, 1, b'/', 1, b'%'],          // literal name and value
            &[0x3f, 0xe1, 0x1f],                // dynamic table size update
            &[0xff, 0x80, 0x01],                // long index
            &[0x7f, 0x80, 0x01, 2, b'/', b'%'], // long name index
            &[0x41, 0],                         // empty authority
        ];
        let block = fields.concat();
        assert_eq!(rewrite(&block), block);
        let after = [block.as_slice(), &[0x41, 1, b'/']].concat();
        assert_eq!(rewrite(&after).last(), Some(&b'-'), "the walk lost its place");
    }

    #[test]
    fn a_long_value_and_a_hostile_length_are_survived() {
        let long = [&[0x41, 0x7f, 0x81, 0x01], vec![b'/'; 256].as_slice()].concat();
        assert_eq!(rewrite(&long)[4..], vec![b'-'; 256]);
        let hostile = [0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'/'];
        assert_eq!(rewrite(&hostile), hostile);
    }
}
