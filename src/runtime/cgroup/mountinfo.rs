//! Reads the cgroup mounts out of `/proc/self/mountinfo` (proc(5)). A pure function of the text.

use super::Version;
use crate::sys::mounts::unescaped;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount of a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub version: Version,
    /// The directory of the hierarchy that is mounted; not `/` in a container without a cgroup namespace.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// v1: the controllers, or `name=…`. v2: empty, as `cgroup.controllers` has them.
    pub controllers: Vec<String>,
}

/// The cgroup mounts, in the order of the text. Lines that are not understood are passed over.
pub fn cgroup_mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(cgroup_mount).collect()
}

/// `36 35 98:0 /root /point rw,noatime optional… - cgroup source rw,cpu,cpuacct`
fn cgroup_mount(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let path = |field: &str| PathBuf::from(OsString::from_vec(unescaped(field.as_bytes())));
    let (root, point) = (path(mount.next()?), path(mount.next()?));
    let mut filesystem = filesystem.split(' ');
    let version = match filesystem.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let options = filesystem.nth(1).unwrap_or_default();
    let controllers = match version {
        Version::V1 => options.split(',').filter(|option| *option != "rw" && *option != "ro").collect(),
        Version::V2 => Vec::new(),
    };
    let controllers = controllers.into_iter().map(str::to_owned).collect();
    Some(Mount { version, root, point, controllers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found() {
        let v2 = |root: &str, point: &str| Mount {
            version: Version::V2,
            root: root.into(),
            point: point.into(),
            controllers: vec![],
        };
        let v1 = |point: &str, controllers: &[&str]| Mount {
            version: Version::V1,
            root: "/".into(),
            point: point.into(),
            controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        };
        for (line, expected) in [
            (
                "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
                Some(v2("/", "/sys/fs/cgroup")),
            ),
            ("41 31 0:38 /a/b /mnt rw - cgroup2 none rw", Some(v2("/a/b", "/mnt"))),
            (
                "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw master:1 shared:9 - cgroup cgroup rw,cpu,cpuacct",
                Some(v1("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"])),
            ),
            (
                "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
                Some(v1("/sys/fs/cgroup/systemd", &["xattr", "name=systemd"])),
            ),
            ("33 31 0:30 / /with\\040space\\134 rw - cgroup2 x rw", Some(v2("/", "/with space\\"))),
            ("33 31 0:30 / /odd\\04 rw - cgroup2 x rw", Some(v2("/", "/odd\\04"))),
            ("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755", None),
            ("", None),
            (" - cgroup2", None),
            ("1 2 3 / / rw - ", None),
        ] {
            assert_eq!(cgroup_mounts(line).first(), expected.as_ref(), "{line}");
        }
    }
}
