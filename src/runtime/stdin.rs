//! What an executable reads from its standard input: bytes, which a pipe holds before the program is there to read them.

use crate::limits::STDIN_BYTES_MAX;
use crate::sys::failpoint::check;
use crate::sys::user::User;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown, write};
use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;

/// At most 65536 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct StandardInput(Arc<[u8]>);

/// Why bytes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("standard input has {bytes} bytes; accepted: at most {STDIN_BYTES_MAX}, which a pipe holds")]
pub struct StandardInputError {
    bytes: usize,
}

impl StandardInput {
    pub fn parse(bytes: Vec<u8>) -> Result<Self, StandardInputError> {
        match bytes.len() {
            0..=STDIN_BYTES_MAX => Ok(Self(bytes.into())),
            bytes => Err(StandardInputError { bytes }),
        }
    }

    /// How many bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A pipe that holds the bytes, and nothing after them. `user` may open it again, as /dev/stdin.
    pub(super) fn pipe(&self, user: User) -> Result<PipeReader, Errno> {
        let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        check("make a pipe")?;
        let (reader, writer) = io::pipe().map_err(errno)?;
        if user.is_set() {
            check("give the pipe away")?;
            fchown(&reader, user.uid.map(Uid::from_raw), user.gid.map(Gid::from_raw))?;
        }
        make_room(&writer, self.0.len())?;
        fill(&writer, &self.0)?;
        Ok(reader)
    }
}

/// A pipe is smaller than usual for a user who has many (pipe(7), "pipe-user-pages-soft").
fn make_room(pipe: &PipeWriter, bytes: usize) -> Result<(), Errno> {
    let bytes = i32::try_from(bytes).map_err(|_| Errno::EOVERFLOW)?;
    if fcntl(pipe, FcntlArg::F_GETPIPE_SZ)? < bytes {
        fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes))?;
    }
    Ok(())
}

/// Without waiting for a reader: there is none yet.
fn fill(pipe: &PipeWriter, mut bytes: &[u8]) -> Result<(), Errno> {
    check("fill the pipe")?;
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    while !bytes.is_empty() {
        match write(pipe, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

impl fmt::Debug for StandardInput {
    /// Without the bytes, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandardInput({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_pipe_holds_all_of_it_and_ends() {
        for bytes in [0, 1, 4096, 65_535, 65_536] {
            let given: Vec<u8> = (0..bytes).map(|n| n as u8).collect();
            let input = StandardInput::parse(given.clone()).expect("it fits");
            let mut read = Vec::new();
            input.pipe(User::default()).expect("a pipe").read_to_end(&mut read).expect("read");
            assert!(read == given, "{bytes} bytes");
        }
        assert!(StandardInput::parse(vec![0; 65_537]).is_err());
    }
}
