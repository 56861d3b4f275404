//! The limit on open files: raised for the daemon, restored for what it starts.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A `RLIMIT_NOFILE` (getrlimit(2)), in descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFilesLimit {
    pub soft: u64,
    pub hard: u64,
}

/// Raises the limit on open files to `wanted`, or where that takes a privilege that we lack, as far as it goes without.
/// Answers what it was before, and how many we may have now.
///
/// Programs that use select(2) break above 1024 descriptors, so that what the daemon starts gets the former back.
pub fn raise_open_files_limit(wanted: u64) -> Result<(OpenFilesLimit, u64), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = hard.max(wanted);
    if soft < most && setrlimit(Resource::RLIMIT_NOFILE, most, most).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok((OpenFilesLimit { soft, hard }, getrlimit(Resource::RLIMIT_NOFILE)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_is_raised_where_it_can_be() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: needs root");
        }
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
        let is_privileged = setrlimit(Resource::RLIMIT_NOFILE, hard + 1, hard + 1).is_ok();
        let low = hard - 1;
        setrlimit(Resource::RLIMIT_NOFILE, low, low).expect("down is always possible");
        let before = OpenFilesLimit { soft: low, hard: low };
        // More than the kernel ever gives.
        assert_eq!(raise_open_files_limit(u64::MAX), Ok((before, low)));
        let raised = if is_privileged { hard } else { low };
        assert_eq!(raise_open_files_limit(hard), Ok((before, raised)));
    }
}
