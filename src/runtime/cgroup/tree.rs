//! The directories of cells and executables in all hierarchies in use: made, limited and removed together.

use super::super::cpu::CpuLimits;
use super::super::cpuset::CpusetLimits;
use super::super::error::Error;
use super::super::names::CellName;
use super::super::spec::CellSpec;
use super::delegate;
use super::group::{self, Group, Removal};
use super::hierarchy::Hierarchies;
use super::usage::{Counters, Reading};
use super::{Version, controllers, sweep};
use std::path::{Path, PathBuf};

/// Our subtree of each hierarchy.
#[derive(Debug)]
pub struct Tree {
    unified: bool,
    tracking: Group,
    cpu: Controller,
    cpuset: Controller,
    counters: Counters,
}

/// Where a controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Controller {
    /// In a v1 hierarchy, below this directory of ours.
    V1(PathBuf),
    /// In the v2 hierarchy that tracks.
    V2,
    /// Nowhere, for this reason.
    Missing(String),
}

/// What cannot be limited when a controller is missing.
const CPU_LIMIT: &str = "cpu time without the cgroup controller cpu";
const CPUSET_LIMIT: &str = "cpus or memory nodes without the cgroup controller cpuset";

impl Tree {
    /// Sweeps what an earlier run left under `slice`, and makes our directories anew.
    pub fn open(hierarchies: &Hierarchies, slice: &str) -> Result<Self, Error> {
        let tracked = &hierarchies.tracking;
        let own = match tracked.version {
            Version::V1 => tracked.own.clone(),
            Version::V2 => delegate::delegated(&tracked.own),
        };
        let tracking = Group::new(tracked.version, own.join(slice));
        let v1 = |place: &Option<PathBuf>| place.as_ref().map(|own| own.join(slice));
        let (cpu, cpuset) = (v1(&hierarchies.cpu), v1(&hierarchies.cpuset));
        let limiting: Vec<&Path> = [&cpu, &cpuset].into_iter().flatten().map(PathBuf::as_path).collect();
        sweep::sweep(&tracking, &limiting)?;

        let mut made = Made::default();
        let (on_v2, hindrance) = match tracked.version {
            Version::V1 => {
                made.create(tracking.path())?;
                (Vec::new(), None)
            }
            Version::V2 => open_v2(&mut made, &own, tracking.path())?,
        };
        let missing = || hindrance.clone().unwrap_or_else(|| missing_reason(tracked.version, &own));
        let controller = |v1: Option<PathBuf>, name: &str| match v1 {
            Some(base) => Controller::V1(base),
            None if on_v2.contains(&name) => Controller::V2,
            None => Controller::Missing(missing()),
        };
        let mut tree = Self {
            unified: hierarchies.unified,
            tracking,
            cpu: controller(cpu, "cpu"),
            cpuset: controller(cpuset, "cpuset"),
            counters: Counters::default(),
        };
        tree.make_v1(&mut made, Path::new(""))?;
        if let (Controller::V1(base), Some(own)) = (&tree.cpuset, &hierarchies.cpuset) {
            controllers::limit_cpuset(base, own, Version::V1, &CpusetLimits::default())?;
        }
        tree.counters = tree.find_counters()?;
        made.keep();
        Ok(tree)
    }

    /// Removes our directories unless something is in them.
    pub fn close(&self) -> Result<(), Error> {
        self.bases().into_iter().try_for_each(|base| group::remove_one(base).map(drop))
    }

    /// Whether the machine has the unified hierarchy (v2) and no other.
    pub fn is_unified(&self) -> bool {
        self.unified
    }

    /// Our subtree in the hierarchy that tracks.
    pub fn base(&self) -> &Group {
        &self.tracking
    }

    /// The cell's directory in the hierarchy that tracks.
    pub fn cell(&self, name: &CellName) -> Group {
        self.tracking.child(name.as_str())
    }

    /// Our directories, one for each hierarchy.
    pub fn bases(&self) -> Vec<&Path> {
        [self.tracking.path()].into_iter().chain(self.v1_bases()).collect()
    }

    /// Makes the cell's directories and puts its limits on them; all of it, or nothing.
    pub fn create_cell(&self, spec: &CellSpec) -> Result<(), Error> {
        self.check_controllers(spec)?;
        let mut made = Made::default();
        self.delegate_to(spec)?;
        let tracked = self.cell(&spec.name);
        made.create(tracked.path())?;
        self.make_v1(&mut made, Path::new(spec.name.as_str()))?;
        self.limit(spec)?;
        made.keep();
        Ok(())
    }

    /// Removes the cell's directories and its leafs. What is gone is no error, so that it may be called until all is.
    pub fn remove_cell(&self, name: &CellName) -> Result<Removal, Error> {
        let mut removal = self.cell(name).remove()?;
        for base in self.v1_bases() {
            if group::remove(&base.join(name.as_str()))? == Removal::Busy {
                removal = Removal::Busy;
            }
        }
        Ok(removal)
    }

    /// The cell's groups in the v1 hierarchies that limit.
    pub fn limiting(&self, name: &CellName) -> Vec<Group> {
        let paths = self.v1_bases().into_iter().map(|base| base.join(name.as_str()));
        paths.map(|path| Group::new(Version::V1, path)).collect()
    }

    /// The `cgroup.procs` files that a process of this cell enters by itself; with `leaf` when it is not born there.
    pub fn procs_to_join(&self, cell: &CellName, leaf: Option<&Group>) -> Vec<PathBuf> {
        let v1 = self.entered(cell).into_iter().map(|base| base.join(cell.as_str()));
        leaf.map(|leaf| leaf.path().to_owned())
            .into_iter()
            .chain(v1)
            .map(|d| d.join("cgroup.procs"))
            .collect()
    }

    /// What the kernel says that the cell uses, and whether it is frozen; `None` when it is gone.
    pub fn read(&self, cell: &CellName) -> Option<Reading> {
        let entered = self.entered(cell);
        self.counters.read(cell, |base| entered.contains(&base))
    }

    fn find_counters(&self) -> Result<Counters, Error> {
        let tracking = (self.tracking.version(), self.tracking.path());
        let v1 = self.v1_bases().into_iter().map(|base| (Version::V1, base));
        Counters::open([tracking].into_iter().chain(v1))
    }

    /// Our directories in the v1 hierarchies below which the processes of this cell are, beside the one that tracks.
    fn entered(&self, _cell: &CellName) -> Vec<&Path> {
        self.v1_bases()
    }

    fn limit(&self, spec: &CellSpec) -> Result<(), Error> {
        let name = spec.name.as_str();
        let on_v2 = self.tracking.path().join(name);
        match &self.cpu {
            Controller::V1(base) => controllers::limit_cpu(&base.join(name), Version::V1, &spec.cpu)?,
            Controller::V2 => controllers::limit_cpu(&on_v2, Version::V2, &spec.cpu)?,
            Controller::Missing(_) => {}
        }
        let limit_cpuset = |directory: &Path, version| {
            let parent = directory.parent().unwrap_or(directory);
            controllers::limit_cpuset(directory, parent, version, &spec.cpuset)
        };
        match &self.cpuset {
            Controller::V1(base) => limit_cpuset(&base.join(name), Version::V1),
            Controller::V2 => limit_cpuset(&on_v2, Version::V2),
            Controller::Missing(_) => Ok(()),
        }
    }

    /// Has the parent give the v2 controllers to its children, for each cell anew: systemd takes back what it did not
    /// delegate.
    fn delegate_to(&self, spec: &CellSpec) -> Result<(), Error> {
        if !self.has_v2_controller() {
            return Ok(());
        }
        let parent = spec.name.parent().map_or_else(|| self.tracking.clone(), |parent| self.cell(&parent));
        let given = delegate::enable(parent.path())?;
        let check = |wanted: bool, controller: &Controller, name, limit| {
            if !wanted || *controller != Controller::V2 || given.contains(&name) {
                return Ok(());
            }
            let reason = withheld_reason(parent.path())?;
            Err(Error::ControllerMissing { limit, reason })
        };
        check(spec.cpu != CpuLimits::default(), &self.cpu, "cpu", CPU_LIMIT)?;
        check(spec.cpuset != CpusetLimits::default(), &self.cpuset, "cpuset", CPUSET_LIMIT)
    }

    /// A limit without its controller is refused before anything is made.
    fn check_controllers(&self, spec: &CellSpec) -> Result<(), Error> {
        let check = |wanted: bool, controller: &Controller, limit| match controller {
            Controller::Missing(reason) if wanted => {
                Err(Error::ControllerMissing { limit, reason: reason.clone() })
            }
            _ => Ok(()),
        };
        check(spec.cpu != CpuLimits::default(), &self.cpu, CPU_LIMIT)?;
        check(spec.cpuset != CpusetLimits::default(), &self.cpuset, CPUSET_LIMIT)
    }

    fn has_v2_controller(&self) -> bool {
        [&self.cpu, &self.cpuset].contains(&&Controller::V2)
    }

    /// Our directories in the v1 hierarchies that limit; one for two controllers that share a hierarchy.
    fn v1_bases(&self) -> Vec<&Path> {
        let mut bases = Vec::new();
        for controller in [&self.cpu, &self.cpuset] {
            if let Controller::V1(base) = controller
                && !bases.contains(&base.as_path())
            {
                bases.push(base.as_path());
            }
        }
        bases
    }

    fn make_v1(&self, made: &mut Made, below: &Path) -> Result<(), Error> {
        self.v1_bases().into_iter().try_for_each(|base| made.create(&base.join(below)))
    }
}

/// Makes our directory in the v2 hierarchy and answers the controllers that cells have there, or what hinders that.
fn open_v2(made: &mut Made, own: &Path, base: &Path) -> Result<(Vec<&'static str>, Option<String>), Error> {
    let hindrance = delegate::vacate(own)?;
    if hindrance.is_none() {
        delegate::enable(own)?;
    }
    made.create(base)?;
    let given = if hindrance.is_none() { delegate::enable(base)? } else { Vec::new() };
    Ok((given, hindrance))
}

/// Why a cell does not give a controller that it has, or ours does not.
fn withheld_reason(directory: &Path) -> Result<String, Error> {
    if group::processes_in(directory)?.is_empty() {
        return Ok(missing_reason(Version::V2, directory));
    }
    // Only root can have moved them there.
    let directory = directory.display();
    Ok(format!("{directory} has processes itself, and may not give it as long as it has any; end them first"))
}

fn missing_reason(tracking: Version, own: &Path) -> String {
    let own = own.display();
    match tracking {
        Version::V1 => "no cgroup v1 mount has it; mount it, or boot with cgroup v2".to_owned(),
        Version::V2 => format!(
            "it is neither in {own}/cgroup.subtree_control nor mounted as cgroup v1; \
             delegate it to this daemon (systemd: Delegate=yes), or check the kernel's command line and configuration"
        ),
    }
}

/// Directories made by an operation that is not complete: removed in reverse unless it says that it is.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn create(&mut self, path: &Path) -> Result<(), Error> {
        group::create(path)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // Nothing has run in it, so that the kernel has no reason to refuse.
            if let Err(error) = group::remove(path) {
                log::warn!("while undoing: {error}");
            }
        }
    }
}
