//! As much of HPACK (RFC 7541) as it takes to write any header block and to read the server's.

pub type Fields = Vec<(String, String)>;

/// A literal field without indexing, plain.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0], plain(name).as_slice(), &plain(value)].concat()
}

/// A string literal in plain bytes.
pub fn plain(text: &str) -> Vec<u8> {
    [integer(0, 7, text.len()), text.into()].concat()
}

/// A string literal in Huffman code.
pub fn huffman(text: &str) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    for symbol in text.chars() {
        let (code, length) = code_of(symbol);
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    let bytes = bits.chunks(8).map(|byte| byte.iter().fold(0, |b, bit| b << 1 | u8::from(*bit)));
    let bytes: Vec<u8> = bytes.collect();
    [integer(0x80, 7, bytes.len()), bytes].concat()
}

/// Section 5.1: an integer behind the bits of `first`.
pub fn integer(first: u8, prefix_bits: u32, value: usize) -> Vec<u8> {
    let prefix_max = (1 << prefix_bits) - 1;
    if value < prefix_max {
        return vec![first | value as u8];
    }
    let (mut bytes, mut rest) = (vec![first | prefix_max as u8], value - prefix_max);
    while rest >= 0x80 {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Reads a block of an encoder whose dynamic table has been set to size 0.
pub fn decode(block: &[u8]) -> Fields {
    let (mut fields, mut at) = (Vec::new(), 0);
    while at < block.len() {
        let first = block[at];
        if first & 0x80 != 0 {
            fields.push(static_field(read_integer(block, &mut at, 7)));
        } else if first & 0xe0 == 0x20 {
            assert_eq!(read_integer(block, &mut at, 5), 0, "the table was to have size 0");
        } else {
            let index = read_integer(block, &mut at, if first & 0x40 != 0 { 6 } else { 4 });
            let name = if index == 0 { read_string(block, &mut at) } else { static_field(index).0 };
            fields.push((name, read_string(block, &mut at)));
        }
    }
    fields
}

/// The entries of the static table (appendix A) that a server of gRPC may use.
fn static_field(index: usize) -> (String, String) {
    let (name, value) = match index {
        8 => (":status", "200"),
        9 => (":status", "204"),
        10 => (":status", "206"),
        11 => (":status", "304"),
        12 => (":status", "400"),
        13 => (":status", "404"),
        14 => (":status", "500"),
        22 => ("allow", ""),
        28 => ("content-length", ""),
        31 => ("content-type", ""),
        other => panic!("index {other} was not expected"),
    };
    (name.to_owned(), value.to_owned())
}

fn read_integer(block: &[u8], at: &mut usize, prefix_bits: u32) -> usize {
    let prefix_max = (1 << prefix_bits) - 1;
    let mut value = usize::from(block[*at]) & prefix_max;
    *at += 1;
    if value == prefix_max {
        let mut shift = 0;
        loop {
            let byte = block[*at];
            *at += 1;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    value
}

fn read_string(block: &[u8], at: &mut usize) -> String {
    let is_huffman = block[*at] & 0x80 != 0;
    let length = read_integer(block, at, 7);
    let bytes = &block[*at..*at + length];
    *at += length;
    if is_huffman { read_huffman(bytes) } else { String::from_utf8(bytes.to_vec()).unwrap() }
}

/// Printable ASCII by the length of its codes (appendix B). The code is canonical: within a length, and from one length
/// to the next, codes count upwards in this order. (`\0` has a code among those of 13 bits.)
const SYMBOLS: [(u32, &str); 10] = [
    (5, "012aceiost"),
    (6, " %-./3456789=A_bdfghlmnpru"),
    (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, "&*,;XZ"),
    (10, "!\"()?"),
    (11, "'+|"),
    (12, "#>"),
    (13, "\0$@[]~"),
    (14, "^}"),
    (15, "<`{"),
];

fn codes() -> impl Iterator<Item = (char, u32, u32)> {
    let (mut next, mut length_before) = (0, 0);
    SYMBOLS.into_iter().flat_map(move |(length, symbols)| {
        next <<= length - length_before;
        length_before = length;
        let first = next;
        next += symbols.chars().count() as u32;
        (first..).zip(symbols.chars()).map(move |(code, symbol)| (symbol, code, length))
    })
}

fn code_of(wanted: char) -> (u32, u32) {
    let found = codes().find(|(symbol, ..)| *symbol == wanted);
    found.map(|(_, code, length)| (code, length)).expect("printable ASCII")
}

fn read_huffman(bytes: &[u8]) -> String {
    let (mut text, mut code, mut length) = (String::new(), 0u32, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
        code = code << 1 | u32::from(bit);
        length += 1;
        if let Some((symbol, ..)) = codes().find(|(_, c, l)| (*c, *l) == (code, length)) {
            text.push(symbol);
            (code, length) = (0, 0);
        }
    }
    assert!(length < 8 && code == (1 << length) - 1, "padding is not all ones: {text:?}");
    text
}
