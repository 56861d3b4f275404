//! From bytes to lines. Pure, and without memory of its own but for the length of the line that has begun: its bytes lie
//! in whatever it is cut into.
//!
//! A newline ends a line and is not part of it. A line of more than [`LINE_BYTES_MAX`] bytes is cut, at that length or up
//! to three bytes later, so that no character of UTF-8 is; the last piece is what the newline ends. How the bytes arrive
//! makes no difference.

use crate::limits::LINE_BYTES_MAX;
use std::ops::ControlFlow;

/// Bytes of a character of UTF-8 behind its first (RFC 3629, section 3).
const CONTINUATIONS_MAX: usize = 3;

/// Where lines go to.
pub trait Sink {
    /// A line begins, or goes on: how many bytes of it are there already.
    fn open_bytes(&self) -> usize;
    /// Adds to the line; makes one, if none has begun.
    fn extend(&mut self, bytes: &[u8]);
    /// The line ends here. Or, if it is `partial`, this piece of it does.
    fn end(&mut self, partial: bool);
    /// Asked before each line, and each piece: with `Break` nothing more is taken.
    fn begin(&mut self) -> ControlFlow<()>;
}

/// Cuts `chunk`, which follows what was cut before, into `sink`. Answers how many bytes were taken: all, unless the sink
/// has enough.
pub fn cut(chunk: &[u8], sink: &mut impl Sink) -> usize {
    let mut rest = chunk;
    while !rest.is_empty() {
        let open = sink.open_bytes();
        if open == 0 && sink.begin().is_break() {
            break;
        }
        let piece = Piece::first_of(rest, open);
        sink.extend(&rest[..piece.bytes]);
        if let Some(partial) = piece.ends {
            sink.end(partial);
        }
        rest = &rest[piece.bytes + usize::from(piece.newline)..];
    }
    chunk.len() - rest.len()
}

/// What `rest` begins with, where so many bytes of the line are there already.
struct Piece {
    bytes: usize,
    /// A newline follows, which is taken with it.
    newline: bool,
    /// The line, or (true) a piece of it, ends behind these bytes.
    ends: Option<bool>,
}

impl Piece {
    fn first_of(rest: &[u8], open: usize) -> Self {
        let room = LINE_BYTES_MAX.saturating_sub(open);
        let window = &rest[..rest.len().min(room + 1)];
        if let Some(bytes) = memchr::memchr(b'\n', window) {
            return Self { bytes, newline: true, ends: Some(false) };
        }
        if window.len() <= room {
            return Self { bytes: window.len(), newline: false, ends: None };
        }
        // Full, and the next byte is known: the line goes on, with what may be the rest of a character.
        let may_follow = CONTINUATIONS_MAX.saturating_sub(open.saturating_sub(LINE_BYTES_MAX));
        let follow = rest[room..].iter().take(may_follow).take_while(|byte| is_continuation(**byte)).count();
        let bytes = room + follow;
        match rest.get(bytes) {
            Some(b'\n') => Self { bytes, newline: true, ends: Some(false) },
            Some(_) => Self { bytes, newline: false, ends: Some(true) },
            None => Self { bytes, newline: false, ends: None },
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Fuzz body: byte 0 is the size of the chunks, the rest is output. The lines are those that a simple reading of the rules
/// gives, however they arrive, and no byte but the newlines is lost.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let [size, output @ ..] = data else { return };
    // Long lines from short inputs: each byte that is set in the lowest way stands for many.
    let output: Vec<u8> = output.iter().flat_map(|byte| expanded(*byte)).collect();
    let whole = Lines::of([output.as_slice()]);
    assert_eq!(whole, Lines::of(output.chunks(usize::from(*size).max(1))), "chunking changed the lines");
    assert_eq!(whole, Lines::of(output.chunks(LINE_BYTES_MAX - usize::from(*size))), "large chunks, too");
    let newlines = output.iter().filter(|byte| **byte == b'\n').count();
    let bytes: usize = whole.0.iter().map(|(line, _)| line.len()).sum();
    assert_eq!(bytes + newlines, output.len(), "bytes were lost");
    let unended = usize::from(!output.is_empty() && output.last() != Some(&b'\n'));
    assert_eq!(whole.0.iter().filter(|(_, partial)| !partial).count(), newlines + unended);
    for (line, partial) in &whole.0 {
        assert!(line.len() <= LINE_BYTES_MAX + CONTINUATIONS_MAX && !line.contains(&b'\n'));
        assert!(!partial || line.len() >= LINE_BYTES_MAX, "a line was split for no reason");
    }
    let joined = joined(&whole);
    assert!(joined.iter().map(Vec::as_slice).eq(split(&output)), "other lines than there are");
    // What is UTF-8 in one piece stays so in several.
    let is_text = |line: &[u8]| std::str::from_utf8(line).is_ok();
    assert!(!joined.iter().all(|line| is_text(line)) || whole.0.iter().all(|(line, _)| is_text(line)));
}

#[cfg(any(test, feature = "fuzzing"))]
fn expanded(byte: u8) -> Vec<u8> {
    match byte {
        0xf8 => vec![b'x'; LINE_BYTES_MAX - 2],
        0xf9 => "\u{20ac}".repeat(LINE_BYTES_MAX / 3).into_bytes(),
        0xfa => vec![0x80; 5],
        byte => vec![byte],
    }
}

#[cfg(any(test, feature = "fuzzing"))]
fn split(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut lines: Vec<&[u8]> = output.split(|byte| *byte == b'\n').collect();
    // Behind the last newline there is no line, unless there is something.
    lines.pop_if(|last| last.is_empty());
    lines.into_iter()
}

#[cfg(any(test, feature = "fuzzing"))]
fn joined(lines: &Lines) -> Vec<Vec<u8>> {
    let (mut joined, mut line) = (Vec::new(), Vec::new());
    for (piece, partial) in &lines.0 {
        line.extend_from_slice(piece);
        if !partial {
            joined.push(std::mem::take(&mut line));
        }
    }
    joined
}

/// All lines, with whether they are partial.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines(Vec<(Vec<u8>, bool)>, Option<Vec<u8>>);

#[cfg(any(test, feature = "fuzzing"))]
impl Lines {
    fn of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut lines = Self::default();
        for chunk in chunks {
            assert_eq!(cut(chunk, &mut lines), chunk.len());
        }
        if lines.1.is_some() {
            lines.end(false);
        }
        lines
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Sink for Lines {
    fn open_bytes(&self) -> usize {
        self.1.as_ref().map_or(0, Vec::len)
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.1.get_or_insert_default().extend_from_slice(bytes);
    }

    fn end(&mut self, partial: bool) {
        let line = self.1.take().unwrap_or_default();
        self.0.push((line, partial));
    }

    fn begin(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(output: &[u8]) -> Vec<(Vec<u8>, bool)> {
        Lines::of([output]).0
    }

    #[test]
    fn a_newline_ends_a_line_and_so_does_the_end() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\n"), [(vec![], false), (vec![], false)]);
        assert_eq!(lines(b"a\nb"), [(b"a".to_vec(), false), (b"b".to_vec(), false)]);
        assert_eq!(lines(b"\0\xff\r\n"), [(b"\0\xff\r".to_vec(), false)]);
    }

    #[test]
    fn a_long_line_is_split_and_not_cut() {
        let full = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines(&full), [(full.clone(), false)]);
        assert_eq!(lines(&[&full[..], b"\n"].concat()), [(full.clone(), false)]);
        assert_eq!(
            lines(&[&full[..], b"y\nz"].concat()),
            [(full.clone(), true), (b"y".to_vec(), false), (b"z".to_vec(), false)]
        );
    }

    #[test]
    fn a_character_is_not_split() {
        let text = "\u{1f980}".repeat(LINE_BYTES_MAX / 2);
        let shifted = ["", "a", "ab", "abc"].map(|start| start.to_owned() + &text);
        for text in shifted {
            for (piece, _) in lines(text.as_bytes()) {
                assert!(std::str::from_utf8(&piece).is_ok());
            }
        }
    }

    #[test]
    fn any_bytes_in_any_chunks_are_the_same_lines() {
        for data in [
            &b"\x01a\nb\n"[..],
            b"\x03\xf8\xf9\xfa\n\xf9",
            b"\xff\xf8xx\n\xf8xxx",
            b"\x02\xf9\xfa\xfa\xfa\xfax",
        ] {
            fuzz(data);
        }
    }
}
