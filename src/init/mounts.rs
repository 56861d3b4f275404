//! The mounts of an isolated cell: the host's, without what shows more than the cell, and with what shows the cell.

use super::{Failure, Orders, errno_of};
use crate::sys::mounts::{attach, detached, unescaped};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

const NONE: Option<&str> = None;

/// What no program, device or set-user-ID file is ever run or used from.
const INERT: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Nothing that is mounted here shows on the host. Slaves and not private: what the host unmounts goes here too, where it
/// would be kept busy otherwise, and what it mounts comes.
pub fn stop_propagation() -> Result<(), Failure> {
    let all_slaves = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(NONE, "/", NONE, all_slaves, NONE).map_err(|errno| ("make / a slave mount", errno))
}

/// Replaces /proc and /sys/fs/cgroup, and /sys where the network is the cell's own (/sys/class/net shows the network of
/// whoever mounted it).
pub fn show_the_cell(orders: &Orders) -> Result<(), Failure> {
    let cgroup = CString::new(orders.cgroup.as_os_str().as_bytes())
        .map_err(|_| ("take the cell's cgroup", Errno::EINVAL))?;
    // Before all mounts go that show it.
    let cgroup = detached(&cgroup).map_err(|errno| ("take the cell's cgroup", errno))?;
    let mounts =
        fs::read("/proc/self/mountinfo").map_err(|error| ("read /proc/self/mountinfo", errno_of(&error)))?;
    for point in revealing(&mounts, orders.network).iter().rev() {
        unmount(point)?;
    }
    mount(Some("proc"), "/proc", Some("proc"), INERT, NONE).map_err(|errno| ("mount /proc", errno))?;
    if orders.network {
        mount(Some("sysfs"), "/sys", Some("sysfs"), INERT | MsFlags::MS_RDONLY, NONE)
            .map_err(|errno| ("mount /sys", errno))?;
    }
    attach(cgroup.as_fd(), c"/sys/fs/cgroup").map_err(|errno| ("mount /sys/fs/cgroup", errno))?;
    let read_only = INERT | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, "/sys/fs/cgroup", NONE, read_only, NONE)
        .map_err(|errno| ("make /sys/fs/cgroup read-only", errno))
}

/// With all that is mounted below it. What lies hidden below another mount cannot be named, nor seen.
fn unmount(point: &OsStr) -> Result<(), Failure> {
    match umount2(point, MntFlags::MNT_DETACH.union(MntFlags::UMOUNT_NOFOLLOW)) {
        // Gone with the one that it was mounted on, or hidden.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        Err(errno) => Err(("unmount what shows the host", errno)),
    }
}

/// The mount points in the text of mountinfo (proc_pid_mountinfo(5)) of all that shows processes or cgroups of the host,
/// and of /sys with all below it where that shows another network. In the order of the text.
fn revealing(mountinfo: &[u8], network: bool) -> Vec<OsString> {
    let line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let (point, kind) = (unescaped(fields.get(4)?), *fields.get(dash + 1)?);
        let is_at = |place: &str| {
            point.strip_prefix(place.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let reveals = matches!(kind, b"proc" | b"cgroup" | b"cgroup2") || is_at("/sys/fs/cgroup");
        (reveals || is_at("/proc") || (network && (kind == b"sysfs" || is_at("/sys")))).then_some(point)
    };
    mountinfo.split(|byte| *byte == b'\n').filter_map(line).map(OsString::from_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
21 1 0:20 / / rw - ext4 /dev/vda rw
22 21 0:21 / /proc rw,nosuid shared:1 - proc proc rw
23 21 0:22 / /sys rw - sysfs sysfs rw
24 23 0:23 / /sys/fs/cgroup rw - tmpfs tmpfs rw
25 24 0:24 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
26 21 0:25 / /mnt/a\\040b rw - cgroup2 cgroup2 rw
27 22 0:26 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw
28 23 0:27 / /sys/kernel/debug rw - debugfs none rw
29 21 0:28 / /system rw - ext4 /dev/vdb rw
";

    #[test]
    fn what_shows_the_host_is_found() {
        let cell = ["/proc", "/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/mnt/a b", "/proc/sys/fs/binfmt_misc"];
        assert_eq!(revealing(MOUNTS, false), cell);
        let mut with_network = cell.to_vec();
        with_network.insert(1, "/sys");
        with_network.push("/sys/kernel/debug");
        assert_eq!(revealing(MOUNTS, true), with_network);
    }
}
