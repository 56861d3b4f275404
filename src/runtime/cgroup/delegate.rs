//! Turning controllers on in the v2 hierarchy, so that cgroups below have their files.
//!
//! A cgroup may have processes or give controllers to its children, not both (cgroup-v2.rst, "No Internal Process
//! Constraint"); with cpu and cpuset the kernel doesn't even refuse, but makes the children `domain threaded`. So the
//! daemon first moves into a leaf, if it is alone in its cgroup.

use super::super::error::Error;
use super::controllers::ControllerSet;
use super::{Version, file, group};
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// The leaf of the daemon's own cgroup into which it moves itself.
const DAEMON_LEAF: &str = "_daemon";

/// The cgroup below which cells are made: the daemon's own, or the one around it after it has moved into the leaf.
pub fn delegated(own: &Path) -> PathBuf {
    match own.file_name() {
        Some(name) if name == DAEMON_LEAF => own.parent().unwrap_or(own).to_owned(),
        _ => own.to_owned(),
    }
}

/// Has `directory` give its children those of `wanted` that it has itself. Answers which it gives.
///
/// None where the directory has processes: the kernel would make what is below `domain threaded` without a word.
pub fn enable(directory: &Path, wanted: ControllerSet) -> Result<ControllerSet, Error> {
    let switch = directory.join("cgroup.subtree_control");
    let given = ControllerSet::listed(&switch)?;
    let missing = wanted.without(given);
    if missing.is_empty() {
        return Ok(given);
    }
    let offered = ControllerSet::listed(&directory.join("cgroup.controllers"))?;
    for controller in missing.iter().filter(|controller| offered.contains(*controller)) {
        let name = controller.name(Version::V2);
        // One at a time: they are refused for different reasons.
        match file::write(&switch, &format!("+{name}")) {
            Ok(()) => {}
            // Processes, or threads, are where none may be (cgroup-v2.rst); or it is not there after all.
            Err(errno @ (Errno::EBUSY | Errno::EOPNOTSUPP | Errno::ENOENT)) => {
                log::warn!("cannot turn on {name} in {}: {errno}", switch.display());
            }
            Err(errno) => return Err(Error::File { verb: "write", path: switch, errno }),
        }
    }
    if is_threaded(directory)? {
        // Not before: a process that is root can enter it at any time.
        let off: Vec<String> =
            missing.iter().map(|controller| format!("-{}", controller.name(Version::V2))).collect();
        file::write(&switch, &off.join(" ")).map_err(|errno| Error::File {
            verb: "write",
            path: switch.clone(),
            errno,
        })?;
    }
    ControllerSet::listed(&switch)
}

/// Whether no process can enter the cgroups below, but for threads.
fn is_threaded(directory: &Path) -> Result<bool, Error> {
    let kind = file::read_if_there(&directory.join("cgroup.type"))?;
    Ok(kind.is_some_and(|kind| kind.trim_end() != "domain"))
}

/// Makes the daemon's own cgroup one that may give controllers to its children; or says what hinders that.
pub fn vacate(own: &Path) -> Result<Option<String>, Error> {
    // The root of a hierarchy is exempt from the rule, and is the one cgroup without this file.
    let Some(kind) = file::read_if_there(&own.join("cgroup.type"))? else { return Ok(None) };
    if matches!(kind.trim_end(), "threaded" | "domain invalid") {
        return Err(Error::NoDomain { path: own.to_owned(), why: "it is part of a threaded cgroup" });
    }
    // As text: a process that our pid namespace doesn't show stands there as 0, more than once perhaps.
    let processes = file::read(&own.join("cgroup.procs"))?;
    let this = std::process::id().to_string();
    if processes.is_empty() {
        return Ok(None);
    }
    withdraw(own)?;
    if ControllerSet::listed(&own.join("cgroup.controllers"))?.is_empty() {
        return Ok(None);
    }
    let others = processes.lines().filter(|pid| *pid != this).count();
    if others > 0 {
        let hindrance = format!(
            "{} has {others} other processes, and may not give controllers as long as it has any; start the daemon in a \
             cgroup of its own (systemd: a service or scope with Delegate=yes)",
            own.display()
        );
        log::warn!("cells get no limits: {hindrance}");
        return Ok(Some(hindrance));
    }
    if processes.lines().any(|pid| pid == this) {
        move_into_leaf(own)?;
    }
    Ok(None)
}

/// Undoes [`vacate`], at the end of a daemon: whoever starts the next one can put it into `own` only when that gives no
/// controllers. Not if it gives them to cgroups of others.
pub fn restore(own: &Path) -> Result<(), Error> {
    match own.join(DAEMON_LEAF).is_dir() && only_ours(own)? {
        true => withdraw(own),
        false => Ok(()),
    }
}

/// Has `own` give no controllers any more. An earlier run, or whoever made the cgroup, may have left them on; with
/// processes in `own` the kernel then makes it `domain threaded`, and lets no process into what is below (EOPNOTSUPP).
///
/// Cgroups that others have made would lose their limits by it, so that these stand in the way.
fn withdraw(own: &Path) -> Result<(), Error> {
    let switch = own.join("cgroup.subtree_control");
    let given = file::read(&switch)?;
    let off: Vec<String> = given.split_whitespace().map(|controller| format!("-{controller}")).collect();
    if off.is_empty() {
        return Ok(());
    }
    if !only_ours(own)? {
        let why = "it gives controllers to cgroups that others have made, and has processes itself";
        return Err(Error::NoDomain { path: own.to_owned(), why });
    }
    file::write(&switch, &off.join(" ")).map_err(|errno| Error::File { verb: "write", path: switch, errno })
}

/// Whether there is no cgroup in `own` but the daemon's leaf.
fn only_ours(own: &Path) -> Result<bool, Error> {
    let is_ours = |directory: &PathBuf| directory.file_name().is_some_and(|name| name == DAEMON_LEAF);
    Ok(group::subdirectories(own)?.iter().all(is_ours))
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
