//! The directories of cells and executables in all hierarchies in use: made, limited and removed together.

use super::super::change::LimitName;
use super::super::cpuset::IdList;
use super::super::error::Error;
use super::super::names::CellName;
use super::super::spec::{CellSpec, Limits};
use super::claim::claim;
use super::controllers::{Controller, ControllerSet, missing_reason, not_delegated};
use super::delegate;
use super::group::{self, Group, Removal};
use super::hierarchy::Hierarchies;
use super::moves::{self, Move};
use super::oom::MemoryPlace;
use super::setting::{self, Format, Setting};
use super::settings::{self, Directory, settings};
use super::usage::{Counters, Reading};
use super::{Version, sweep};
use crate::sys::lock::{Holder, Lock};
use std::path::{Path, PathBuf};

/// Our subtree of each hierarchy.
#[derive(Debug)]
pub struct Tree {
    unified: bool,
    tracking: Group,
    /// Of each controller, in the order of [`Controller::ALL`].
    places: [Place; Controller::ALL.len()],
    counters: Counters,
    #[expect(dead_code, reason = "held for its drop")]
    claim: Lock,
}

/// Where a controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In a v1 hierarchy, below this directory of ours.
    V1(PathBuf),
    /// In the v2 hierarchy that tracks.
    V2,
    /// Nowhere, for this reason.
    Missing(String),
}

/// A cell whose limits are to change.
#[derive(Debug)]
pub struct Updating {
    pub name: CellName,
    pub old: Limits,
    pub new: Limits,
    /// All cells inside it, a parent before its children.
    pub inside: Vec<CellSpec>,
}

impl Tree {
    /// Sweeps what an earlier run left under `slice`, and makes our directories anew.
    pub fn open(hierarchies: &Hierarchies, slice: &str) -> Result<Self, Error> {
        let tracked = &hierarchies.tracking;
        let own = match tracked.version {
            Version::V1 => tracked.own.clone(),
            Version::V2 => delegate::delegated(&tracked.own),
        };
        let tracking = Group::new(tracked.version, own.join(slice));
        let v1: Vec<(Controller, PathBuf)> =
            hierarchies.v1.iter().map(|(controller, own)| (*controller, own.join(slice))).collect();
        let limiting: Vec<&Path> = v1.iter().map(|(_, base)| base.as_path()).collect();
        let left = claim(&tracking)?;
        sweep::sweep(&tracking, &limiting)?;
        drop(left);

        let mut made = Made::default();
        let (on_v2, hindrance) = match tracked.version {
            Version::V1 => {
                made.create(tracking.path())?;
                (ControllerSet::default(), None)
            }
            Version::V2 => open_v2(&mut made, &own, tracking.path())?,
        };
        let place = |controller: Controller| match v1.iter().find(|(of, _)| *of == controller) {
            Some((_, base)) => Place::V1(base.clone()),
            None if on_v2.contains(controller) => Place::V2,
            None => Place::Missing(
                hindrance.clone().unwrap_or_else(|| missing_reason(controller, tracked.version, &own)),
            ),
        };
        let places = Controller::ALL.map(place);
        let counters = Counters::default();
        let Some(claim) = claim(&tracking)? else {
            // Another daemon has swept it away meanwhile.
            return Err(Error::SliceInUse { path: tracking.path().to_owned(), holder: Holder::UNKNOWN });
        };
        let mut tree = Self { unified: hierarchies.unified, tracking, places, counters, claim };
        tree.make_v1(&mut made, Path::new(""))?;
        tree.fill_cpuset()?;
        tree.counters = tree.find_counters()?;
        made.keep();
        Ok(tree)
    }

    /// Removes our directories unless something is in them, and lets the daemon's own cgroup take processes again.
    pub fn close(&self) -> Result<(), Error> {
        self.bases().into_iter().try_for_each(|base| group::remove_one(base).map(drop))?;
        match self.tracking.path().parent() {
            Some(own) if self.tracking.version() == Version::V2 => delegate::restore(own),
            _ => Ok(()),
        }
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
        [self.tracking.path()].into_iter().chain(self.v1_bases(ControllerSet::all())).collect()
    }

    /// Makes the cell's directories and puts its limits on them; all of it, or nothing.
    pub fn create_cell(&self, spec: &CellSpec) -> Result<(), Error> {
        let needed = ControllerSet::of(&spec.limits);
        self.check_controllers(needed)?;
        let mut made = Made::default();
        self.delegate_to(&spec.name, needed)?;
        let tracked = self.cell(&spec.name);
        made.create(tracked.path())?;
        self.make_v1(&mut made, Path::new(spec.name.as_str()))?;
        self.delegate_to_leafs(&tracked)?;
        // On v1 a process can enter no cpuset without its lists.
        let is_due = |limit: &LimitName| {
            let fills = Controller::of(*limit) == Controller::Cpuset
                && matches!(self.place(Controller::Cpuset), Place::V1(_));
            fills || limit.is_in(&spec.limits)
        };
        let mut due = Vec::new();
        for limit in LimitName::ALL.into_iter().filter(is_due) {
            due.extend(self.settings(limit, &spec.name, &Limits::default(), &spec.limits)?);
        }
        setting::apply(&due)?.keep();
        made.keep();
        Ok(())
    }

    /// Brings a cell to its new limits, and its processes under them; all of it, or nothing.
    pub fn update_cell(&self, cell: &Updating) -> Result<(), Error> {
        let needed = ControllerSet::of(&cell.new);
        self.check_controllers(needed)?;
        self.delegate_to(&cell.name, needed)?;
        let mut due = Vec::new();
        for limit in LimitName::ALL.into_iter().filter(|limit| limit.differs(&cell.old, &cell.new)) {
            due.extend(match (limit, self.place(Controller::of(limit))) {
                (LimitName::CpusetCpus | LimitName::CpusetMems, Place::V1(base)) => {
                    inherited_list(limit, base, cell)?
                }
                _ => self.settings(limit, &cell.name, &cell.old, &cell.new)?,
            });
        }
        let written = setting::apply(&due)?;
        let cells = [&cell.name].into_iter().chain(cell.inside.iter().map(|inner| &inner.name));
        self.enroll(cells, needed)?;
        written.keep();
        Ok(())
    }

    /// Moves what runs in these cells into their groups in the v1 hierarchies of these controllers.
    pub fn enroll<'a>(
        &self,
        cells: impl Iterator<Item = &'a CellName>,
        controllers: ControllerSet,
    ) -> Result<(), Error> {
        let bases = self.v1_bases(controllers);
        let moves_of = |cell: &'a CellName| {
            let to = |base: &&Path| Move { from: self.cell(cell), to: base.join(cell.as_str()) };
            bases.iter().map(to).collect::<Vec<_>>()
        };
        let mut cells = cells.peekable();
        let Some(first) = cells.peek().map(|cell| (*cell).clone()) else { return Ok(()) };
        let moves: Vec<Move> = cells.flat_map(moves_of).collect();
        if moves::settle(&moves)? { Ok(()) } else { Err(Error::NotSettled { cell: first }) }
    }

    /// Removes the cell's directories and its leafs. What is gone is no error, so that it may be called until all is.
    pub fn remove_cell(&self, name: &CellName) -> Result<Removal, Error> {
        let mut removal = self.cell(name).remove()?;
        for base in self.v1_bases(ControllerSet::all()) {
            if group::remove(&base.join(name.as_str()))? == Removal::Busy {
                removal = Removal::Busy;
            }
        }
        Ok(removal)
    }

    /// The cell's groups in the v1 hierarchies that limit.
    pub fn limiting(&self, name: &CellName) -> Vec<Group> {
        let paths = self.v1_bases(ControllerSet::all()).into_iter().map(|base| base.join(name.as_str()));
        paths.map(|path| Group::new(Version::V1, path)).collect()
    }

    /// Where memory is counted, if anywhere.
    pub fn memory_place(&self) -> Option<MemoryPlace<'_>> {
        match self.place(Controller::Memory) {
            Place::V1(base) => Some(MemoryPlace { version: Version::V1, base }),
            Place::V2 => Some(MemoryPlace { version: Version::V2, base: self.tracking.path() }),
            Place::Missing(_) => None,
        }
    }

    /// The `cgroup.procs` files that a process of this cell enters by itself; with `leaf` when it is not born there.
    ///
    /// To enter one costs milliseconds, so that it enters only those of `limited`: the controllers that limit the cell or
    /// one around it.
    pub fn procs_to_join(
        &self,
        cell: &CellName,
        leaf: Option<&Group>,
        limited: ControllerSet,
    ) -> Vec<PathBuf> {
        let v1 = self.v1_bases(limited).into_iter().map(|base| base.join(cell.as_str()));
        leaf.map(|leaf| leaf.path().to_owned())
            .into_iter()
            .chain(v1)
            .map(|d| d.join("cgroup.procs"))
            .collect()
    }

    /// Whether the cell is frozen, or is about to be: by itself, or with a cell around it.
    ///
    /// Not by `cgroup.events` alone: on v2 a frozen process that gets a signal leaves that state for a moment.
    pub fn is_frozen(&self, cell: &CellName) -> Result<bool, Error> {
        let mut around = cell.parent();
        while let Some(cell) = around {
            if self.cell(&cell).is_told_to_freeze()? {
                return Ok(true);
            }
            around = cell.parent();
        }
        self.cell(cell).is_frozen()
    }

    /// What the kernel says that the cell uses, and whether it is frozen; `None` when it is gone.
    /// `limited` are the controllers that limit the cell or one around it: the v1 groups of no others have its processes.
    pub fn read(&self, cell: &CellName, limited: ControllerSet) -> Option<Reading> {
        let entered = self.v1_bases(limited);
        self.counters.read(cell, |base| entered.contains(&base))
    }

    fn find_counters(&self) -> Result<Counters, Error> {
        let tracking = (self.tracking.version(), self.tracking.path());
        let v1 = self.v1_bases(ControllerSet::all()).into_iter().map(|base| (Version::V1, base));
        Counters::open([tracking].into_iter().chain(v1))
    }

    fn place(&self, controller: Controller) -> &Place {
        &self.places[controller as usize]
    }

    fn settings(
        &self,
        limit: LimitName,
        name: &CellName,
        from: &Limits,
        to: &Limits,
    ) -> Result<Vec<Setting>, Error> {
        let (base, version) = match self.place(Controller::of(limit)) {
            Place::V1(base) => (base.as_path(), Version::V1),
            Place::V2 => (self.tracking.path(), Version::V2),
            // Nothing can have been limited by it, and nothing will be.
            Place::Missing(_) => return Ok(Vec::new()),
        };
        let directory = base.join(name.as_str());
        settings(limit, Directory { path: &directory, version }, from, to)
    }

    /// Has the parent give the v2 controllers to its children, for each cell and change anew: systemd takes back what it did
    /// not delegate.
    fn delegate_to(&self, name: &CellName, needed: ControllerSet) -> Result<(), Error> {
        let on_v2 = self.on_v2();
        if on_v2.is_empty() {
            return Ok(());
        }
        let parent = name.parent().map_or_else(|| self.tracking.clone(), |parent| self.cell(&parent));
        let given = delegate::enable(parent.path(), on_v2)?;
        match on_v2.iter().find(|controller| needed.contains(*controller) && !given.contains(*controller)) {
            Some(missing) => Err(missing.missing(Version::V2, &withheld_reason(parent.path())?)),
            None => Ok(()),
        }
    }

    /// Has the cell give memory to its leafs, each of which then has `memory.events` of its own: they tell whose process
    /// the kernel has killed. Nothing else is given, as each controller costs memory for each leaf.
    fn delegate_to_leafs(&self, cell: &Group) -> Result<(), Error> {
        let memory: ControllerSet =
            [Controller::Memory].into_iter().filter(|c| self.on_v2().contains(*c)).collect();
        if memory.is_empty() {
            return Ok(());
        }
        delegate::enable(cell.path(), memory).map(drop)
    }

    /// A limit without its controller is refused before anything is made.
    fn check_controllers(&self, needed: ControllerSet) -> Result<(), Error> {
        for controller in needed.iter() {
            if let Place::Missing(reason) = self.place(controller) {
                let version = if self.unified { Version::V2 } else { Version::V1 };
                return Err(controller.missing(version, reason));
            }
        }
        Ok(())
    }

    fn on_v2(&self) -> ControllerSet {
        Controller::ALL.into_iter().filter(|controller| *self.place(*controller) == Place::V2).collect()
    }

    /// Our directories in the v1 hierarchies of these controllers; one for two that share a hierarchy.
    fn v1_bases(&self, controllers: ControllerSet) -> Vec<&Path> {
        let mut bases = Vec::new();
        for controller in controllers.iter() {
            if let Place::V1(base) = self.place(controller)
                && !bases.contains(&base.as_path())
            {
                bases.push(base.as_path());
            }
        }
        bases
    }

    fn make_v1(&self, made: &mut Made, below: &Path) -> Result<(), Error> {
        let bases = self.v1_bases(ControllerSet::all());
        bases.into_iter().try_for_each(|base| made.create(&base.join(below)))
    }

    /// Gives our own directory in the v1 hierarchy of cpuset, if there is one, all that the daemon may use.
    fn fill_cpuset(&self) -> Result<(), Error> {
        let Place::V1(base) = self.place(Controller::Cpuset) else { return Ok(()) };
        let directory = Directory { path: base, version: Version::V1 };
        for limit in [LimitName::CpusetCpus, LimitName::CpusetMems] {
            setting::apply(&settings(limit, directory, &Limits::default(), &Limits::default())?)?.keep();
        }
        Ok(())
    }
}

/// What to write to give a cell of v1 another list. Cells inside that have no list of their own have a copy of it, and at
/// each moment a cell must have all that is in the lists inside it: so first all of these grow, from the outermost on,
/// and then shrink, from the innermost on.
fn inherited_list(limit: LimitName, base: &Path, cell: &Updating) -> Result<Vec<Setting>, Error> {
    let file = if limit == LimitName::CpusetMems { "cpuset.mems" } else { "cpuset.cpus" };
    let own = base.join(cell.name.as_str());
    let new = Directory { path: &own, version: Version::V1 }.own_list(limit, file, &cell.new)?;
    let grown = new.and(&settings::read_list(&own.join(file))?);
    let heirs = heirs(limit, cell, &new)?.into_iter().map(|heir| base.join(heir.as_str()));
    // One may be on its way out.
    let all: Vec<PathBuf> = [own].into_iter().chain(heirs).filter(|directory| directory.exists()).collect();
    let set = |path: &PathBuf, list: &IdList| {
        let directory = Directory { path, version: Version::V1 };
        directory.setting(limit, file, list.to_string(), Format::List)
    };
    let growing = all.iter().map(|path| set(path, &grown));
    Ok(growing.chain(all.iter().rev().map(|path| set(path, &new))).collect())
}

/// The cells inside that have the list of this one, the outermost first. One with a list of its own must stay within.
fn heirs<'a>(limit: LimitName, cell: &'a Updating, new: &IdList) -> Result<Vec<&'a CellName>, Error> {
    let (mut heirs, mut beyond) = (vec![&cell.name], Vec::new());
    for inner in &cell.inside {
        let inherits = inner.name.parent().is_some_and(|parent| heirs.contains(&&parent));
        match settings::list_in(limit, &inner.limits) {
            None if inherits => heirs.push(&inner.name),
            Some(list) if inherits && !list.is_subset_of(new) => beyond.push(format!("\"{}\"", inner.name)),
            _ => {}
        }
    }
    if beyond.is_empty() {
        return Ok(heirs.split_off(1));
    }
    let (field, given, cells) = (limit.field(), new.to_string(), beyond.join(", "));
    Err(Error::NeededByChildren { field, given, cells })
}

/// Makes our directory in the v2 hierarchy and answers the controllers that cells have there, or what hinders that.
fn open_v2(made: &mut Made, own: &Path, base: &Path) -> Result<(ControllerSet, Option<String>), Error> {
    let hindrance = delegate::vacate(own)?;
    if hindrance.is_none() {
        delegate::enable(own, ControllerSet::all())?;
    }
    made.create(base)?;
    let given = match hindrance {
        None => delegate::enable(base, ControllerSet::all())?,
        Some(_) => ControllerSet::default(),
    };
    Ok((given, hindrance))
}

/// Why a cell does not give a controller that it has, or ours does not.
fn withheld_reason(directory: &Path) -> Result<String, Error> {
    if group::processes_in(directory)?.is_empty() {
        return Ok(not_delegated(directory));
    }
    // Only root can have moved them there.
    let directory = directory.display();
    Ok(format!("{directory} has processes itself, and may not give it as long as it has any; end them first"))
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
