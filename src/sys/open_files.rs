//! The limit on open files: raised for the daemon, restored for what it starts.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A `RLIMIT_NOFILE` (getrlimit(2)), in descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFilesLimit {
    pub soft: u64,
    pub hard: u64,
}

/// Raises the soft limit on open files to the hard limit, which takes no privilege, and answers what it was before.
///
/// Programs that use select(2) break above 1024 descriptors, so that what the daemon starts gets the answer back
/// (see [`super::spawn::Plan::open_files`]).
pub fn raise_open_files_limit() -> Result<OpenFilesLimit, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(OpenFilesLimit { soft, hard })
}
