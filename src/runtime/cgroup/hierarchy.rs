//! Which hierarchies this machine has, and where the daemon is in each. Reads two files of /proc; changes nothing.

use super::super::error::Error;
use super::Version;
use super::controllers::Controller;
use super::file;
use super::membership::{Membership, memberships};
use super::mountinfo::{Mount, cgroup_mounts};
use std::path::{Path, PathBuf};

/// The hierarchies that cells use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// There is a v2 mount and no v1 controller.
    pub unified: bool,
    /// The one that tells which processes are where.
    pub tracking: Place,
    /// Where the daemon is in the v1 hierarchies of controllers, for those that have one.
    pub v1: Vec<(Controller, PathBuf)>,
}

/// A hierarchy, as seen from the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub version: Version,
    /// Directory of the cgroup that the daemon is in.
    pub own: PathBuf,
}

impl Hierarchies {
    /// What is there for this process.
    pub fn detect() -> Result<Self, Error> {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| Error::file("read", "/proc/self/mountinfo", &error))?;
        let cgroup = file::read(Path::new("/proc/self/cgroup"))?;
        Self::choose(&cgroup_mounts(&mountinfo), &memberships(&cgroup), is_cgroup)
    }

    /// Chooses among mounts. `reachable` says whether a directory is there and of a cgroup filesystem: another mount may
    /// hide it.
    fn choose(
        mounts: &[Mount],
        memberships: &[Membership],
        reachable: impl Fn(&Path) -> bool,
    ) -> Result<Self, Error> {
        let own = |wanted: &dyn Fn(&Mount) -> bool, member: &dyn Fn(&Membership) -> bool| {
            let path = &memberships.iter().find(|m| member(m))?.path;
            let visible = mounts.iter().filter(|m| wanted(m)).filter_map(|m| own_directory(m, path));
            visible.into_iter().find(|directory| reachable(directory))
        };
        let v1 = |controller: &str| {
            let has = |controllers: &[String]| controllers.iter().any(|c| c == controller);
            own(&|mount| has(&mount.controllers), &|member| has(&member.controllers))
        };
        let v2 = own(&|mount| mount.version == Version::V2, &Membership::is_v2);
        let v1_controller = |m: &Mount| is_v1_controller(m) && reachable(&m.point);
        let unified = v2.is_some() && !mounts.iter().any(v1_controller);
        let tracking = match v2 {
            Some(own) => Place { version: Version::V2, own },
            None => Place { version: Version::V1, own: v1("freezer").ok_or(Error::NoTracking)? },
        };
        let limiting = |controller: Controller| Some((controller, v1(controller.name(Version::V1))?));
        Ok(Self { unified, tracking, v1: Controller::ALL.into_iter().filter_map(limiting).collect() })
    }
}

/// A v1 mount that has a controller, and not just a name.
fn is_v1_controller(mount: &Mount) -> bool {
    mount.version == Version::V1 && !mount.controllers.iter().any(|c| c.starts_with("name="))
}

/// Where the cgroup `path` is below this mount; `None` when the mount doesn't show it.
fn own_directory(mount: &Mount, path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(&mount.root).ok()?;
    // `/../x` is outside the cgroup namespace.
    let inside = below.components().all(|c| matches!(c, std::path::Component::Normal(_)));
    inside.then(|| match below.as_os_str().is_empty() {
        true => mount.point.clone(),
        false => mount.point.join(below),
    })
}

fn is_cgroup(directory: &Path) -> bool {
    use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
    let Ok(stat) = statfs(directory) else { return false };
    [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&stat.filesystem_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
";
    const V2_BESIDE: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const MEMBERSHIPS: &str =
        "9:name=systemd:/\n6:freezer:/f\n4:blkio:/\n3:cpuset:/\n1:cpu,cpuacct:/user/a:b\n0::/u\n";

    fn choose(mountinfo: &str, cgroup: &str) -> Option<Hierarchies> {
        Hierarchies::choose(&cgroup_mounts(mountinfo), &memberships(cgroup), |_| true).ok()
    }

    #[test]
    fn hybrid_tracks_on_v2_and_limits_on_v1() {
        let expected = Hierarchies {
            unified: false,
            tracking: Place { version: Version::V2, own: "/sys/fs/cgroup/unified/u".into() },
            v1: vec![
                (Controller::Cpu, "/sys/fs/cgroup/cpu,cpuacct/user/a:b".into()),
                (Controller::Cpuset, "/sys/fs/cgroup/cpuset".into()),
                (Controller::Io, "/sys/fs/cgroup/blkio".into()),
            ],
        };
        assert_eq!(choose(&format!("{HYBRID}{V2_BESIDE}"), MEMBERSHIPS), Some(expected));
    }

    #[test]
    fn without_v2_the_freezer_tracks() {
        let found = choose(HYBRID, MEMBERSHIPS).expect("found");
        assert!(!found.unified);
        let freezer = Place { version: Version::V1, own: "/sys/fs/cgroup/freezer/f".into() };
        assert_eq!(found.tracking, freezer);
        let nothing = HYBRID.replace(",freezer", "");
        assert_eq!(choose(&nothing, MEMBERSHIPS), None);
    }

    #[test]
    fn v2_alone_is_unified() {
        let found = choose("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", MEMBERSHIPS);
        let expected = Hierarchies {
            unified: true,
            tracking: Place { version: Version::V2, own: "/sys/fs/cgroup/u".into() },
            v1: Vec::new(),
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn a_named_v1_hierarchy_is_no_controller() {
        let mounts = "40 31 0:37 / /systemd rw - cgroup cgroup rw,name=systemd\n";
        let found = choose(&format!("{mounts}{V2_BESIDE}"), MEMBERSHIPS).expect("found");
        assert!(found.unified);
    }

    #[test]
    fn a_part_of_a_hierarchy_may_be_mounted() {
        let mounts = "41 31 0:38 /docker/1 /cg rw - cgroup2 cgroup2 rw\n";
        let own = |cgroup: &str| choose(mounts, cgroup).map(|found| found.tracking.own);
        assert_eq!(own("0::/docker/1"), Some("/cg".into()));
        assert_eq!(own("0::/docker/1/x"), Some("/cg/x".into()));
        assert_eq!(own("0::/docker/12"), None);
        assert_eq!(own("0::/../x"), None);
    }

    #[test]
    fn a_hidden_mount_is_not_used() {
        let (mounts, members) = (format!("{HYBRID}{V2_BESIDE}"), memberships(MEMBERSHIPS));
        let unhidden = |path: &Path| !path.starts_with("/sys/fs/cgroup/unified");
        let found = Hierarchies::choose(&cgroup_mounts(&mounts), &members, unhidden).expect("freezer");
        assert_eq!(found.tracking.version, Version::V1);
    }
}
