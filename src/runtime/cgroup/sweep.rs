//! Removing what a daemon that died has left: its processes and its cgroups. Done once, before anything is served; the
//! one place in the runtime that waits, for at most [`SWEEP_MS_MAX`].

use super::super::error::Error;
use super::group::{self, Group, Removal};
use super::{Version, file};
use crate::limits::SWEEP_MS_MAX;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at what is dying. rmdir answers EBUSY for some milliseconds after the last exit.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills what runs below `base` and removes all of it, if it is there. `v1` are the directories of the same daemon in the
/// hierarchies that only limit.
///
/// The caller must know that no daemon lives that uses these (a lock on its runtime directory).
pub fn sweep(base: &Group, v1: &[&Path]) -> Result<(), Error> {
    let all = || [base.path()].into_iter().chain(v1.iter().copied());
    if !all().any(Path::exists) {
        return Ok(());
    }
    let processes = base.processes()?;
    log::warn!(
        "removing what an earlier run left in {}: {} processes {processes:?}",
        base.path().display(),
        processes.len(),
    );
    let deadline = Instant::now() + Duration::from_millis(SWEEP_MS_MAX);
    for path in all() {
        remove_when_empty(path, deadline)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "nothing is served yet, so there is nobody to block")]
fn remove_when_empty(path: &Path, deadline: Instant) -> Result<(), Error> {
    loop {
        // Also in a v1 hierarchy that only limits: what left the one that tracks may still be there.
        Group::new(version_of(path), path.to_owned()).kill()?;
        if group::remove(path)? == Removal::Gone {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::SweepFailed { path: path.to_owned() });
        }
        sleep(PAUSE);
    }
}

/// v2 directories have `cgroup.type`, except the root, which is never ours.
fn version_of(path: &Path) -> Version {
    match file::read_if_there(&path.join("cgroup.type")) {
        Ok(Some(_)) => Version::V2,
        _ => Version::V1,
    }
}
