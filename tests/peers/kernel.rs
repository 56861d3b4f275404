//! The kernel's own view of processes and cgroups, read without any of the daemon's code.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the kernel may take to forget a process that has been waited for.
const REAPED_MAX: Duration = Duration::from_secs(60);

/// A mounted cgroup hierarchy.
struct Hierarchy {
    /// What of the hierarchy is mounted: `/`, or a group below it in a container.
    root: PathBuf,
    mount_point: PathBuf,
    /// v1's controllers; none for v2.
    controllers: Vec<String>,
    is_v2: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct CpuLimits {
    pub max: u64,
    pub period: u64,
    /// v2's weight, also where the kernel has v1's shares.
    pub weight: u64,
}

/// Whether cells can only be on cgroup v2: no v1 hierarchy has the cpu controller.
pub fn is_unified() -> bool {
    !hierarchies().iter().any(|hierarchy| hierarchy.controllers.iter().any(|controller| controller == "cpu"))
}

/// The cpu limits of the cell that holds the process. Panics when the process is not in a group of that name.
pub fn cpu_limits(pid: u32, cell: &str) -> CpuLimits {
    let group = cell_group(pid, cell);
    let number = |name: &str| read(&group.join(name)).trim().parse::<u64>().expect("a number");
    if is_unified() {
        let limit = read(&group.join("cpu.max"));
        let (max, period) = limit.trim().split_once(' ').expect("cpu.max has two fields");
        let (max, period) = (max.parse().expect("a limit"), period.parse().expect("a period"));
        return CpuLimits { max, period, weight: number("cpu.weight") };
    }
    CpuLimits {
        max: number("cpu.cfs_quota_us"),
        period: number("cpu.cfs_period_us"),
        // The kernel takes 100 of weight for 1024 of shares.
        weight: number("cpu.shares") * 100 / 1024,
    }
}

/// The folder of the cell in the hierarchy with the cpu controller, above or at the process's own group.
fn cell_group(pid: u32, cell: &str) -> PathBuf {
    let memberships = read(Path::new(&format!("/proc/{pid}/cgroup")));
    let hierarchies = hierarchies();
    let hierarchy = hierarchies.iter().find(|hierarchy| {
        if is_unified() { hierarchy.is_v2 } else { hierarchy.controllers.iter().any(|name| name == "cpu") }
    });
    let hierarchy = hierarchy.expect("a hierarchy with the cpu controller is mounted");
    let path = memberships.lines().find_map(|line| hierarchy.membership(line));
    let path = path.unwrap_or_else(|| panic!("process {pid} is in no group of cpu:\n{memberships}"));
    let below = path.strip_prefix(&hierarchy.root).unwrap_or(path.as_path());
    let group = hierarchy.mount_point.join(below.strip_prefix("/").unwrap_or(below));
    // The outermost match is the cell; the group of the executable is inside it.
    let cells = group.ancestors().filter(|folder| is_named(folder, cell));
    cells
        .last()
        .unwrap_or_else(|| panic!("process {pid} is in {}, not in {cell}: {}", group.display(), state(pid)))
        .to_owned()
}

/// All groups, in all hierarchies, whose name contains this one, and all below them; outer before inner.
pub fn groups_named(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        collect_groups(&hierarchy.mount_point, name, false, &mut found);
    }
    found
}

fn collect_groups(folder: &Path, name: &str, is_inside: bool, found: &mut Vec<PathBuf>) {
    // A group may be removed while we look.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let is_of_cell = is_inside || is_named(&entry.path(), name);
            if is_of_cell {
                found.push(entry.path());
            }
            collect_groups(&entry.path(), name, is_of_cell, found);
        }
    }
}

fn is_named(folder: &Path, name: &str) -> bool {
    folder.file_name().is_some_and(|file| file.to_string_lossy().contains(name))
}

/// Asserts that the process has ended and has been waited for.
pub fn assert_gone(pid: u32) {
    let began = Instant::now();
    let status = PathBuf::from(format!("/proc/{pid}/status"));
    while let Ok(text) = fs::read_to_string(&status) {
        let state = state_line(&text);
        assert!(state.contains('Z') || state.contains('X'), "process {pid} is still there, {state}");
        let waited = began.elapsed() < REAPED_MAX;
        assert!(waited, "process {pid} has ended but nobody has waited for it");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A process that has ended is in the root group: that is worth knowing when it is not where it should be.
fn state(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.map_or_else(|error| error.to_string(), |text| state_line(&text).to_owned())
}

fn state_line(status: &str) -> &str {
    status.lines().find(|line| line.starts_with("State:")).unwrap_or_default()
}

fn hierarchies() -> Vec<Hierarchy> {
    read(Path::new("/proc/self/mountinfo")).lines().filter_map(hierarchy).collect()
}

/// `ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAG…] - TYPE SOURCE SUPER-OPTIONS` (proc(5)).
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (mount, kind) = line.split_once(" - ")?;
    let mount: Vec<&str> = mount.split(' ').collect();
    let kind: Vec<&str> = kind.split(' ').collect();
    let is_v2 = kind[0] == "cgroup2";
    if !is_v2 && kind[0] != "cgroup" {
        return None;
    }
    let options = if is_v2 { Vec::new() } else { kind[2].split(',').map(str::to_owned).collect() };
    Some(Hierarchy { root: mount[3].into(), mount_point: mount[4].into(), controllers: options, is_v2 })
}

impl Hierarchy {
    /// The path in a line `ID:CONTROLLERS:PATH` of /proc/PID/cgroup, when the line is of this hierarchy.
    fn membership(&self, line: &str) -> Option<PathBuf> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = if self.is_v2 {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|name| self.controllers.iter().any(|own| own == name))
        };
        ours.then(|| PathBuf::from(path))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}
