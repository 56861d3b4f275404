//! Output, held for those who want to read it: of executables, of the daemon itself, and the events.
//!
//! 1. What a pipe gives is cut into lines (`lines`), which become records of a [`Ring`](ring::Ring), one ring for each
//!    output.
//! 2. The rings of one source make a [`Feed`]. Its records are numbered over both outputs.
//! 3. A [`Follower`] reads a feed at its own pace: it is a place in the rings and nothing else, so that one who never reads
//!    costs what one costs who does. What makes way before it was read is counted, exactly.
//! 4. All feeds of a [`Logs`] share a budget. When it is used up, the oldest block of any of them makes way.
//!
//! 5. Where an executable asks for it, its output is also appended to files (`file`), which are in the `library`.
//!
//! Nothing here waits, but for the disk, and nothing here logs: the daemon's own log ends up here, too.

mod capture;
mod feed;
mod file;
mod library;
mod lines;
mod numbered;
mod policy;
mod ring;

pub use capture::{Capture, CaptureGuard, Read, Source};
pub use feed::{Feed, Follower, Item, Logs, NoSuchSequence, Progress, Range, Want};
pub use file::{LogFile, News};
pub use library::{Library, LogFiles};
#[cfg(any(test, feature = "fuzzing"))]
pub use lines::fuzz;
pub use policy::{FileBounds, LogMode, LogPolicy, RingBytes};

/// One of the two outputs of an executable. What has but one uses the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Stdout,
    Stderr,
}

impl Channel {
    pub const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}
