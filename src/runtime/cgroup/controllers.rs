//! The controllers that cells limit with: what each is called, what it limits, and why one may be missing.

use super::super::change::LimitName;
use super::super::error::Error;
use super::super::spec::Limits;
use super::{Version, file};
use std::path::Path;

/// A controller of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Cpu,
    Cpuset,
    Memory,
    Pids,
    Io,
}

/// A set of controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControllerSet(u8);

impl Controller {
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Cpuset, Self::Memory, Self::Pids, Self::Io];

    pub fn of(limit: LimitName) -> Self {
        use LimitName as Limit;
        match limit {
            Limit::CpuWeight | Limit::CpuMax => Self::Cpu,
            Limit::CpusetCpus | Limit::CpusetMems => Self::Cpuset,
            Limit::MemoryMin | Limit::MemoryLow | Limit::MemoryHigh => Self::Memory,
            Limit::MemoryMax | Limit::MemorySwapMax => Self::Memory,
            Limit::PidsMax => Self::Pids,
            Limit::IoWeight | Limit::IoMax => Self::Io,
        }
    }

    pub fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Cpu, _) => "cpu",
            (Self::Cpuset, _) => "cpuset",
            (Self::Memory, _) => "memory",
            (Self::Pids, _) => "pids",
            (Self::Io, Version::V2) => "io",
            (Self::Io, Version::V1) => "blkio",
        }
    }

    /// What cannot be limited without it.
    fn limits(self) -> &'static str {
        match self {
            Self::Cpu => "cpu time",
            Self::Cpuset => "cpus or memory nodes",
            Self::Memory => "memory",
            Self::Pids => "the number of processes",
            Self::Io => "block devices",
        }
    }

    /// The error for a limit that it would have to enforce.
    pub fn missing(self, version: Version, reason: &str) -> Error {
        let (limits, name) = (self.limits(), self.name(version));
        Error::ControllerMissing {
            limit: format!("{limits} without the cgroup controller {name}"),
            reason: reason.to_owned(),
        }
    }
}

impl ControllerSet {
    /// The controllers that these limits need.
    pub fn of(limits: &Limits) -> Self {
        let set = LimitName::ALL.into_iter().filter(|limit| limit.is_in(limits));
        set.map(Controller::of).collect()
    }

    /// Those that a file of v2 lists.
    pub fn listed(path: &Path) -> Result<Self, Error> {
        let text = file::read(path)?;
        let is_listed = |c: &Controller| text.split_whitespace().any(|word| word == c.name(Version::V2));
        Ok(Controller::ALL.into_iter().filter(is_listed).collect())
    }

    pub fn all() -> Self {
        Controller::ALL.into_iter().collect()
    }

    pub fn contains(self, controller: Controller) -> bool {
        self.0 & bit(controller) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |controller| self.contains(*controller))
    }
}

impl FromIterator<Controller> for ControllerSet {
    fn from_iter<I: IntoIterator<Item = Controller>>(controllers: I) -> Self {
        Self(controllers.into_iter().fold(0, |set, controller| set | bit(controller)))
    }
}

fn bit(controller: Controller) -> u8 {
    1 << controller as u8
}

/// Why a controller is in none of the hierarchies in which the daemon is, and what to do about it. `own` is its place in
/// the one that tracks.
pub fn missing_reason(controller: Controller, tracking: Version, own: &Path) -> String {
    let table = file::read(Path::new("/proc/cgroups")).unwrap_or_default();
    let row = row(&table, controller.name(Version::V1));
    let root = if tracking == Version::V2 { root_controllers(own) } else { None };
    let in_root = root.map(|set| set.contains(controller));
    match (row, in_root) {
        // Kernels without the v1 interface of a controller do not list it there.
        (Some(Row { enabled: false, .. }), _) | (None, Some(false)) => turned_off(controller),
        (Some(Row { mounted: true, .. }), _) => {
            "it is in a cgroup v1 hierarchy that this daemon cannot reach; mount it for the daemon".to_owned()
        }
        _ => match tracking {
            Version::V1 => "no cgroup v1 mount has it; mount it, or boot with cgroup v2".to_owned(),
            Version::V2 => not_delegated(own),
        },
    }
}

pub fn not_delegated(own: &Path) -> String {
    format!(
        "it is neither in {}/cgroup.subtree_control nor mounted as cgroup v1; \
         delegate it to this daemon (systemd: Delegate=yes)",
        own.display()
    )
}

fn turned_off(controller: Controller) -> String {
    match controller {
        Controller::Memory => {
            "the kernel has it turned off; add cgroup_enable=memory cgroup_memory=1 to the \
                               kernel's command line (Raspberry Pi OS: /boot/firmware/cmdline.txt), take \
                               cgroup_disable=memory out of it, and restart"
                .to_owned()
        }
        other => format!(
            "the kernel has it turned off or not built in; take cgroup_disable={} out of the kernel's command line, or \
             use a kernel that has it",
            other.name(Version::V2)
        ),
    }
}

/// What the root of the v2 hierarchy has; `None` when the mount doesn't show the root.
fn root_controllers(own: &Path) -> Option<ControllerSet> {
    let is_cgroup = |path: &&Path| path.join("cgroup.controllers").exists();
    let top = own.ancestors().take_while(is_cgroup).last()?;
    // The one cgroup without this file.
    let is_root = !top.join("cgroup.type").exists();
    is_root.then(|| ControllerSet::listed(&top.join("cgroup.controllers")).ok())?
}

/// A line of `/proc/cgroups` (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// In a v1 hierarchy.
    mounted: bool,
    enabled: bool,
}

fn row(table: &str, name: &str) -> Option<Row> {
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let row = table.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name))?;
    match &row[..] {
        [_, hierarchy, _, enabled] => Some(Row { mounted: hierarchy != "0", enabled: enabled == "1" }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::memory::Bytes;
    use super::*;

    #[test]
    fn sets_hold_what_limits_need() {
        let mut limits = Limits::default();
        assert!(ControllerSet::of(&limits).is_empty());
        limits.memory.swap_max = Bytes::new(0).ok();
        let memory = ControllerSet::of(&limits);
        assert_eq!(memory.iter().collect::<Vec<_>>(), [Controller::Memory]);
        let all = ControllerSet::all();
        assert_eq!(all.iter().count(), 5);
        assert!(!all.without(memory).contains(Controller::Memory));
        assert_eq!(all.without(memory).and(memory), all);
    }

    #[test]
    fn each_limit_is_of_the_controller_in_its_name() {
        for limit in LimitName::ALL {
            let name = Controller::of(limit).name(Version::V2);
            assert!(limit.to_string().starts_with(&format!("{name}.")), "{limit}");
        }
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\nmemory\t0\t55\t0\n";
        assert_eq!(row(table, "cpu"), Some(Row { mounted: true, enabled: true }));
        assert_eq!(row(table, "memory"), Some(Row { mounted: false, enabled: false }));
        assert_eq!(row(table, "pids"), None);
        assert_eq!(row("cpu", "cpu"), None);
    }

    #[test]
    fn memory_says_how_it_is_turned_on() {
        let error = Controller::Memory.missing(Version::V2, &turned_off(Controller::Memory)).to_string();
        let expected = "cannot limit memory without the cgroup controller memory: the kernel has it turned off; add \
                        cgroup_enable=memory cgroup_memory=1 to the kernel's command line";
        assert!(error.starts_with(expected), "{error}");
        let error = Controller::Io.missing(Version::V1, "no").to_string();
        assert_eq!(error, "cannot limit block devices without the cgroup controller blkio: no");
    }
}
