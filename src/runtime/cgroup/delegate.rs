//! Turning controllers on in the v2 hierarchy, so that cgroups below have their files.
//!
//! A cgroup may have processes or give controllers to its children, not both (cgroup-v2.rst, "No Internal Process
//! Constraint"); with cpu and cpuset the kernel doesn't even refuse, but makes the children `domain threaded`. So the
//! daemon first moves into a leaf, if it is alone in its cgroup.

use super::super::error::Error;
use super::{file, group};
use std::path::{Path, PathBuf};

/// The leaf of the daemon's own cgroup into which it moves itself.
const DAEMON_LEAF: &str = "_daemon";

/// The v2 controllers that cells limit with.
pub const CONTROLLERS: [&str; 2] = ["cpu", "cpuset"];

/// The cgroup below which cells are made: the daemon's own, or the one around it after it has moved into the leaf.
pub fn delegated(own: &Path) -> PathBuf {
    match own.file_name() {
        Some(name) if name == DAEMON_LEAF => own.parent().unwrap_or(own).to_owned(),
        _ => own.to_owned(),
    }
}

/// Has `directory` give its children those of [`CONTROLLERS`] that it has itself. Answers which these are.
pub fn enable(directory: &Path) -> Result<Vec<&'static str>, Error> {
    let offered = listed(&directory.join("cgroup.controllers"))?;
    let switch = directory.join("cgroup.subtree_control");
    let mut enabled = listed(&switch)?;
    for controller in offered.iter().filter(|c| !enabled.contains(c)) {
        // One at a time: they are refused for different reasons.
        match file::write(&switch, &format!("+{controller}")) {
            Ok(()) => {}
            Err(errno) => log::warn!("cannot turn on {controller} in {}: {errno}", switch.display()),
        }
    }
    enabled = listed(&switch)?;
    Ok(enabled)
}

/// Makes the daemon's own cgroup one that may give controllers to its children. `false` when it has to stay as it is.
pub fn vacate(own: &Path) -> Result<bool, Error> {
    // The root of a hierarchy is exempt from the rule, and is the one cgroup without this file.
    let is_root = !own.join("cgroup.type").exists();
    if is_root || listed(&own.join("cgroup.controllers"))?.is_empty() {
        return Ok(true);
    }
    let processes = group::processes_in(own)?;
    let this = i32::try_from(std::process::id()).unwrap_or_default();
    if processes.iter().any(|pid| *pid != this) {
        log::warn!(
            "{} has {} other processes: cells get no limits; start the daemon in a cgroup of its own",
            own.display(),
            processes.len() - usize::from(processes.contains(&this)),
        );
        return Ok(false);
    }
    if processes.contains(&this) {
        move_into_leaf(own)?;
    }
    Ok(true)
}

fn move_into_leaf(own: &Path) -> Result<(), Error> {
    let leaf = own.join(DAEMON_LEAF);
    match group::create(&leaf) {
        // From an earlier run.
        Ok(()) | Err(Error::PathTaken { .. }) => {}
        Err(error) => return Err(error),
    }
    let procs = leaf.join("cgroup.procs");
    file::write(&procs, "0").map_err(|errno| Error::File {
        verb: "move this daemon into",
        path: procs,
        errno,
    })?;
    log::info!("moved into {}, so that cells can have limits", leaf.display());
    Ok(())
}

/// Those of [`CONTROLLERS`] that a file of controllers lists.
fn listed(path: &Path) -> Result<Vec<&'static str>, Error> {
    let text = file::read(path)?;
    Ok(CONTROLLERS.into_iter().filter(|c| text.split_whitespace().any(|word| word == *c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_leaf_is_not_below_itself() {
        assert_eq!(delegated(Path::new("/c/x.service/_daemon")), Path::new("/c/x.service"));
        assert_eq!(delegated(Path::new("/c/x.service")), Path::new("/c/x.service"));
        assert_eq!(delegated(Path::new("/")), Path::new("/"));
    }
}
