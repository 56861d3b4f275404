//! The outputs of one run of an executable: two pipes, and the feed that they end up in. Reads without waiting; the caller
//! waits, on the descriptors and for room.

use super::{Channel, Feed, LogFiles, LogMode};
use crate::limits::{OUTPUT_BLOCK_READ_BYTES, OUTPUT_READ_BYTES};
use crate::sys::failpoint::check;
use crate::sys::user::User;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// What a run writes, to be read.
#[derive(Debug)]
pub struct Capture {
    pub sources: [Source; 2],
    /// To which all of it is appended, too, if it is.
    pub files: Option<LogFiles>,
    /// To be dropped when nothing is read any more.
    pub writer: CaptureGuard,
}

/// Keeps a feed from ending.
#[derive(Debug)]
pub struct CaptureGuard(Arc<Feed>);

/// One output of a run. Its descriptor is readable when there is something to [`Source::read`].
#[derive(Debug)]
pub struct Source {
    channel: Channel,
    pipe: PipeReader,
    /// That are read at once.
    read_bytes: usize,
    feed: Arc<Feed>,
}

/// What a read has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing, for now.
    Nothing,
    Bytes,
    /// Nobody has the other end open.
    End,
}

impl Capture {
    /// The pipes, and their other ends for standard output and error. `user` may open them again, as /dev/stdout.
    pub fn open(
        feed: &Arc<Feed>,
        user: User,
        mode: LogMode,
        files: Option<LogFiles>,
    ) -> Result<(Self, [PipeWriter; 2]), Errno> {
        // What waits for readers is held beside the rings.
        let read_bytes = if mode == LogMode::Block { OUTPUT_BLOCK_READ_BYTES } else { OUTPUT_READ_BYTES };
        let open = |channel| Source::open(channel, feed, user, read_bytes);
        let ((stdout, out), (stderr, err)) = (open(Channel::Stdout)?, open(Channel::Stderr)?);
        let writer = CaptureGuard::new(feed);
        Ok((Self { sources: [stdout, stderr], files, writer }, [out, err]))
    }

    /// The run has begun: its files stay.
    pub fn keep_files(&mut self) {
        self.files.iter_mut().for_each(LogFiles::stay);
    }
}

impl CaptureGuard {
    fn new(feed: &Arc<Feed>) -> Self {
        feed.add_writer();
        Self(Arc::clone(feed))
    }
}

impl Drop for CaptureGuard {
    fn drop(&mut self) {
        self.0.writer_gone();
    }
}

impl Source {
    fn open(
        channel: Channel,
        feed: &Arc<Feed>,
        user: User,
        read_bytes: usize,
    ) -> Result<(Self, PipeWriter), Errno> {
        let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        check("make a pipe for output")?;
        let (pipe, writer) = io::pipe().map_err(errno)?;
        if user.is_set() {
            check("give a pipe for output away")?;
            fchown(&writer, user.uid.map(Uid::from_raw), user.gid.map(Gid::from_raw))?;
        }
        // Of our end alone: the program's blocks, as it expects.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { channel, pipe, read_bytes, feed: Arc::clone(feed) }, writer))
    }

    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// How much is read at once, at most.
    pub fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// Reads what the pipe has, as far as the buffer, which is scratch space, has room for it, and writes it to the feed.
    /// Answers also where in the buffer lies what was not taken, and is to be written when there is room.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<(Read, Range<usize>)> {
        let most = self.read_bytes.min(buffer.len());
        match (&self.pipe).read(&mut buffer[..most]) {
            Ok(0) => Ok((Read::End, 0..0)),
            Ok(read) => Ok((Read::Bytes, self.write(&buffer[..read])..read)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok((Read::Nothing, 0..0))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what was read before. Answers how many bytes were taken; where not all were, listen to [`Feed::room`].
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.feed.write(self.channel, bytes)
    }

    /// Nothing more is read: its last line has ended.
    pub fn end(&self) {
        self.feed.end_line(self.channel);
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Logs;
    use super::*;
    use std::io::Write as _;

    #[test]
    fn little_is_read_ahead_of_those_who_are_waited_for() {
        for (mode, most) in [(LogMode::Ring, OUTPUT_READ_BYTES), (LogMode::Block, OUTPUT_BLOCK_READ_BYTES)] {
            let feed = Feed::new(&Logs::new(1 << 20), 4096, mode == LogMode::Block);
            let (capture, [mut out, _err]) =
                Capture::open(&feed, User::default(), mode, None).expect("two pipes");
            out.write_all(&[b'x'; OUTPUT_READ_BYTES]).expect("a pipe holds it");
            let mut buffer = vec![0; 2 * OUTPUT_READ_BYTES];
            let (read, rest) = capture.sources[0].read(&mut buffer).expect("a pipe is read");
            assert_eq!((read, rest), (Read::Bytes, most..most), "{mode:?}");
        }
    }
}
