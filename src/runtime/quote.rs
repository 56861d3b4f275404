//! What a client gave, as an error message may show it: escaped, and short.

use std::fmt;

/// Characters of a given value that a message shows.
const SHOWN_CHARACTERS: usize = 64;

/// Displays a text in quotes, with control characters escaped, and cut when it is long.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((cut, _)) = self.0.char_indices().nth(SHOWN_CHARACTERS) else {
            return write!(f, "\"{}\"", self.0.escape_debug());
        };
        write!(f, "\"{}…\" ({} bytes)", self.0[..cut].escape_debug(), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_cut() {
        assert_eq!(Quoted("a\nb").to_string(), r#""a\nb""#);
        assert_eq!(Quoted(&"ä".repeat(64)).to_string(), format!("\"{}\"", "ä".repeat(64)));
        assert_eq!(Quoted(&"ä".repeat(65)).to_string(), format!("\"{}…\" (130 bytes)", "ä".repeat(64)));
    }
}
