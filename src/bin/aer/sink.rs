//! Where items of a stream are printed: stdout and stderr, in one order, written in large pieces.

use std::io::{self, IsTerminal, Write};

/// Much more than a pipe takes at once gains nothing.
const FULL_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    Stderr,
}

/// Keeps what is printed until it is flushed, or enough. What goes to another target waits for what was printed before:
/// both may be the same terminal.
#[derive(Debug)]
pub struct Sink {
    pending: Vec<u8>,
    target: Target,
}

impl Sink {
    pub fn new() -> Self {
        Self { pending: Vec::with_capacity(2 * FULL_BYTES), target: Target::Stdout }
    }

    /// Where to append the next bytes for this target.
    pub fn to(&mut self, target: Target) -> io::Result<&mut Vec<u8>> {
        if target != self.target || self.pending.len() >= FULL_BYTES {
            self.flush()?;
            self.target = target;
        }
        Ok(&mut self.pending)
    }

    /// Writes what is there. After an error it is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = match self.target {
            Target::Stdout => write(&mut io::stdout().lock(), &self.pending),
            Target::Stderr => write(&mut io::stderr().lock(), &self.pending),
        };
        self.pending.clear();
        written
    }
}

impl Target {
    /// Whether it shows colours, and the user wants them (https://no-color.org).
    pub fn has_colours(self) -> bool {
        let is_terminal = match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        };
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        is_terminal && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb"
    }
}

fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
