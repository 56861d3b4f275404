//! Whose the cgroups of a slice are. The lock of the runtime directory says the same, but goes with that: where somebody has
//! removed it, the next daemon of the path would take what the one before runs for what a dead one has left. So the directory of
//! the cgroups has a lock of its own, which can't be had without it.

use super::super::error::{Error, errno_of};
use super::Version;
use super::group::Group;
use crate::limits::{LOCK_RETRY_DELAY, LOCK_TIMEOUT};
use crate::sys::lock::{Lock, LockError};
use nix::errno::Errno;
use std::fs::File;

/// Locks the slice for this process. `None` where there is no such directory.
pub fn claim(base: &Group) -> Result<Option<Lock>, Error> {
    let path = base.path().join(locked_file(base.version()));
    let file = match File::options().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if errno_of(&error) == Errno::ENOENT => return Ok(None),
        Err(error) => return Err(Error::file("open", path, &error)),
    };
    Lock::take(file, LOCK_TIMEOUT, LOCK_RETRY_DELAY).map(Some).map_err(|error| match error {
        LockError::Held(holder) => Error::SliceInUse { path: base.path().to_owned(), holder },
        LockError::Failed(errno) => Error::File { verb: "lock", path, errno },
    })
}

/// One that nobody opens in the slice itself: to close it would give the lock up.
fn locked_file(version: Version) -> &'static str {
    match version {
        Version::V1 => "notify_on_release",
        Version::V2 => "cgroup.max.depth",
    }
}
