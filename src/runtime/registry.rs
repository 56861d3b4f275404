//! Which cells and executables there are, and in which state. Pure bookkeeping: makes no system call, so that its lock
//! is held for microseconds.
//!
//! A name is reserved first, the work is done without the lock, and then the reservation is committed or taken back:
//!
//! ```text
//! cell         (none) ──reserve_cell──▶ Allocating ──commit_cell──▶ Allocated ──free──▶ Freeing ──remove_cell──▶ (none)
//!                 ▲                         │                                            ▲   │
//!                 └───────cancel_cell───────┘                                            └───┘ free, again
//!
//! executable   (none) ──reserve_executable──▶ Starting ──commit_executable──▶ Started ──┐ stop: stopping, and again
//!                 ▲                              │                              │  │  ◀─┘
//!                 ├──────cancel_executable───────┘                              │  │
//!                 └────────────────remove_executable────────────────────────────┘  └─reserve (exited, leaf empty)─▶ Starting
//! ```
//!
//! A started executable runs or has exited; its [`Child`] says which. A cell that could not be emptied stays Freeing, an
//! executable stopping: Free and Stop may be tried again, and nothing new gets in.

use super::child::Child;
use super::ending::RemovalNotice;
use super::error::Error;
use super::info::{CellInfo, ExecutableInfo, ProcessState};
use super::isolation::Namespaces;
use super::names::{CellName, ExecutableName};
use super::spec::{CellSpec, Description};
use crate::limits::{CELLS_MAX, EXECUTABLES_MAX, EXECUTABLES_PER_CELL_MAX};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// In the order of [`CellName`]: a cell, then all that is inside it, then its next sibling.
    cells: BTreeMap<CellName, Cell>,
    /// Records of executables in all cells.
    executables: usize,
    /// The number that was given last; numbers are never given twice.
    last_number: u64,
}

#[derive(Debug)]
struct Cell {
    /// Tells this cell from an earlier one of the same name.
    number: u64,
    spec: CellSpec,
    state: CellState,
    namespaces: Arc<Namespaces>,
    executables: BTreeMap<ExecutableName, Executable>,
    /// Leafs that outlived their executable's record because the kernel was not done with them.
    stale: Vec<u64>,
    /// Of those that free it, from the first one on.
    removal: Option<Arc<RemovalNotice>>,
    /// One of those that free it removes its directories now. The others wait for it: a slow one must not remove the
    /// directories of the next cell of this name.
    removing: bool,
}

/// Whether the directories of a cell that is being freed may be removed; see [`Registry::begin_removal`].
pub enum MayRemove {
    /// Somebody has finished before.
    Gone,
    /// An executable is still being started, or somebody else is at it.
    Later,
    /// By the caller, who says how it went with [`Registry::remove_cell`] or [`Registry::cancel_removal`]. These are the
    /// processes that have to be reaped before, and the namespaces that end next.
    Now(Vec<Arc<Child>>, Arc<Namespaces>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellState {
    Allocating,
    Allocated,
    Freeing,
}

#[derive(Clone, Debug)]
pub(super) struct Executable {
    /// Names the leaf cgroup, and tells this executable from an earlier one of the same name.
    pub leaf: u64,
    pub description: Description,
    /// `None` while it is being started.
    pub child: Option<Arc<Child>>,
    /// Of those that stop it, from the first one on: while it is there, the executable is being stopped.
    removal: Option<Arc<RemovalNotice>>,
}

/// A name held for an executable that is being started.
#[derive(Debug)]
pub(super) struct Reservation {
    pub leaf: u64,
    /// The exited executable that had the name; comes back when the start fails.
    pub previous: Option<Executable>,
    /// Those that it is to be in.
    pub namespaces: Arc<Namespaces>,
    /// Leafs to remove at this opportunity.
    pub stale: Vec<u64>,
}

/// A cell that is being freed.
#[derive(Debug)]
pub(super) struct FreeingCell {
    pub number: u64,
    pub children: Vec<Arc<Child>>,
    pub removal: Arc<RemovalNotice>,
}

/// An executable that is being stopped.
#[derive(Debug)]
pub(super) struct StoppingExecutable {
    pub leaf: u64,
    pub child: Arc<Child>,
    pub removal: Arc<RemovalNotice>,
}

impl Registry {
    /// Holds the name for a cell that is about to be made.
    pub fn reserve_cell(&mut self, spec: &CellSpec) -> Result<u64, Error> {
        if self.cells.contains_key(&spec.name) {
            return Err(Error::CellExists(spec.name.clone()));
        }
        if let Some(parent) = spec.name.parent() {
            self.open_cell(&parent)?;
        }
        if self.cells.len() >= CELLS_MAX {
            return Err(Error::TooManyCells);
        }
        let number = self.next_number();
        self.cells.insert(spec.name.clone(), Cell::new(number, spec.clone()));
        Ok(number)
    }

    pub fn commit_cell(&mut self, name: &CellName, number: u64, namespaces: Namespaces) {
        if let Some(cell) = self.numbered(name, number) {
            cell.namespaces = Arc::new(namespaces);
            cell.state = CellState::Allocated;
        }
    }

    pub fn cancel_cell(&mut self, name: &CellName, number: u64) {
        self.remove_cell(name, number);
    }

    /// Closes the cell to all that is new, and answers what is in it. A cell that is being freed already is no error;
    /// its notice is answered in place of `removal`.
    pub fn free_cell(&mut self, name: &CellName, removal: Arc<RemovalNotice>) -> Result<FreeingCell, Error> {
        let children = self.children_of(name);
        let cell = self.cells.get_mut(name).ok_or_else(|| Error::NoSuchCell(name.clone()))?;
        if cell.state == CellState::Allocating {
            return Err(Error::CellAllocating(name.clone()));
        }
        if !children.is_empty() {
            return Err(Error::CellHasChildren { cell: name.clone(), children: joined(&children) });
        }
        cell.state = CellState::Freeing;
        let removal = Arc::clone(cell.removal.get_or_insert(removal));
        Ok(FreeingCell { number: cell.number, children: cell.processes(), removal })
    }

    pub fn begin_removal(&mut self, name: &CellName, number: u64) -> MayRemove {
        let Some(cell) = self.numbered(name, number) else { return MayRemove::Gone };
        // Asked anew each time: a start that had begun before the Free may have added one.
        if cell.removing || cell.executables.values().any(|e| e.child.is_none()) {
            return MayRemove::Later;
        }
        cell.removing = true;
        MayRemove::Now(cell.children(), Arc::clone(&cell.namespaces))
    }

    /// Keeps a cell that is being freed from going, until [`Registry::cancel_removal`]. False when it has gone or somebody
    /// is at it.
    pub fn hold(&mut self, name: &CellName, number: u64) -> bool {
        let cell = self.numbered(name, number).filter(|cell| !cell.removing);
        cell.map(|cell| cell.removing = true).is_some()
    }

    pub fn cancel_removal(&mut self, name: &CellName, number: u64) {
        if let Some(cell) = self.numbered(name, number) {
            cell.removing = false;
        }
    }

    /// Answers the notices to give, of the cell and of what was being stopped in it.
    pub fn remove_cell(&mut self, name: &CellName, number: u64) -> Vec<Arc<RemovalNotice>> {
        if self.numbered(name, number).is_none() {
            return Vec::new();
        }
        let Some(cell) = self.cells.remove(name) else { return Vec::new() };
        self.executables -= cell.executables.len();
        cell.executables.into_values().filter_map(|e| e.removal).chain(cell.removal).collect()
    }

    /// Holds the name for an executable that is about to be started. The name of one that has exited may be taken.
    pub fn reserve_executable(
        &mut self,
        cell_name: &CellName,
        name: &ExecutableName,
        description: &Description,
    ) -> Result<Reservation, Error> {
        let (total, leaf) = (self.executables, self.next_number());
        let cell = self.open_cell(cell_name)?;
        cell.check_startable(cell_name, name)?;
        let replaces = cell.executables.contains_key(name);
        if !replaces && cell.executables.len() + cell.stale.len() >= EXECUTABLES_PER_CELL_MAX {
            return Err(Error::TooManyExecutablesInCell(cell_name.clone()));
        }
        if !replaces && total >= EXECUTABLES_MAX {
            return Err(Error::TooManyExecutables);
        }
        let starting = Executable { leaf, description: description.clone(), child: None, removal: None };
        let previous = cell.executables.insert(name.clone(), starting);
        let stale = std::mem::take(&mut cell.stale);
        let namespaces = Arc::clone(&cell.namespaces);
        self.executables += usize::from(!replaces);
        Ok(Reservation { leaf, previous, namespaces, stale })
    }

    /// Records the process. Answers whether it is to end at once, as its cell has begun to be freed meanwhile.
    pub fn commit_executable(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        child: Arc<Child>,
    ) -> bool {
        let Some(cell) = self.cells.get_mut(cell) else { return true };
        if let Some(executable) = cell.executables.get_mut(name).filter(|e| e.leaf == leaf) {
            executable.child = Some(child);
        }
        cell.state == CellState::Freeing
    }

    /// Takes a reservation back, and restores what it replaced.
    pub fn cancel_executable(
        &mut self,
        cell: &CellName,
        name: &ExecutableName,
        leaf: u64,
        previous: Option<Executable>,
    ) {
        self.remove_executable(cell, name, leaf);
        if let (Some(previous), Some(cell)) = (previous, self.cells.get_mut(cell)) {
            cell.executables.insert(name.clone(), previous);
            self.executables += 1;
        }
    }

    /// Keeps leafs that could not be removed yet, for the next start in this cell or for its end.
    pub fn keep_stale(&mut self, cell: &CellName, leafs: Vec<u64>) {
        if let Some(cell) = self.cells.get_mut(cell) {
            cell.stale.extend(leafs);
        }
    }

    /// Marks the executable as being stopped. One that is being stopped already is no error; its notice is answered in
    /// place of `removal`.
    pub fn stop_executable(
        &mut self,
        cell_name: &CellName,
        name: &ExecutableName,
        removal: Arc<RemovalNotice>,
    ) -> Result<StoppingExecutable, Error> {
        let cell = self.cells.get_mut(cell_name).ok_or_else(|| Error::NoSuchCell(cell_name.clone()))?;
        let (cell_of, executable_of) = (|| cell_name.clone(), || name.clone());
        let executable = cell
            .executables
            .get_mut(name)
            .ok_or_else(|| Error::NoSuchExecutable { cell: cell_of(), executable: executable_of() })?;
        let child = executable
            .child
            .clone()
            .ok_or_else(|| Error::ExecutableStarting { cell: cell_of(), executable: executable_of() })?;
        let removal = Arc::clone(executable.removal.get_or_insert(removal));
        Ok(StoppingExecutable { leaf: executable.leaf, child, removal })
    }

    /// The notice to give when this leaf is gone, if its executable is being stopped.
    pub fn leaf_notice(&self, cell: &CellName, leaf: u64) -> Option<Arc<RemovalNotice>> {
        let executables = &self.cells.get(cell)?.executables;
        executables.values().find(|e| e.leaf == leaf)?.removal.clone()
    }

    pub fn remove_executable(&mut self, cell: &CellName, name: &ExecutableName, leaf: u64) {
        let Some(cell) = self.cells.get_mut(cell) else { return };
        if cell.executables.get(name).is_some_and(|e| e.leaf == leaf) {
            cell.executables.remove(name);
            self.executables -= 1;
        }
    }

    /// All cells as a tree. One that is still being allocated is not there yet.
    pub fn list(&self) -> Vec<CellInfo> {
        let allocated = self.cells.values().filter(|cell| cell.state != CellState::Allocating);
        siblings(None, &mut allocated.peekable())
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn numbered(&mut self, name: &CellName, number: u64) -> Option<&mut Cell> {
        self.cells.get_mut(name).filter(|cell| cell.number == number)
    }

    /// A cell into which something can be put.
    fn open_cell(&mut self, name: &CellName) -> Result<&mut Cell, Error> {
        let cell = self.cells.get_mut(name).ok_or_else(|| Error::NoSuchCell(name.clone()))?;
        match cell.state {
            CellState::Allocating => Err(Error::CellAllocating(name.clone())),
            CellState::Freeing => Err(Error::CellFreeing(name.clone())),
            CellState::Allocated => Ok(cell),
        }
    }

    /// The cells directly inside, being allocated or not.
    fn children_of(&self, name: &CellName) -> Vec<CellName> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.cells.range((Excluded(name), Unbounded)).map(|(other, _)| other);
        let inside = after.take_while(|other| is_inside(other, name));
        inside.filter(|other| other.is_child_of(name)).cloned().collect()
    }
}

impl Cell {
    fn new(number: u64, spec: CellSpec) -> Self {
        let (executables, stale) = (BTreeMap::new(), Vec::new());
        Self {
            number,
            spec,
            state: CellState::Allocating,
            namespaces: Arc::default(),
            executables,
            stale,
            removal: None,
            removing: false,
        }
    }

    fn children(&self) -> Vec<Arc<Child>> {
        self.executables.values().filter_map(|e| e.child.clone()).collect()
    }

    /// All that we started for it.
    fn processes(&self) -> Vec<Arc<Child>> {
        self.children().into_iter().chain(self.namespaces.init()).collect()
    }

    /// The name is free, or that of an executable that has exited and is not being stopped.
    fn check_startable(&self, cell: &CellName, name: &ExecutableName) -> Result<(), Error> {
        let Some(executable) = self.executables.get(name) else { return Ok(()) };
        let state = match &executable.child {
            None => "being started",
            Some(_) if executable.removal.is_some() => "being stopped",
            Some(child) if child.reason().is_none() => "running",
            Some(_) => return Ok(()),
        };
        Err(Error::ExecutableExists { cell: cell.clone(), executable: name.clone(), state })
    }

    fn info(&self, children: Vec<CellInfo>) -> CellInfo {
        let executables = self.executables.iter().map(|(name, executable)| executable.info(name)).collect();
        CellInfo { spec: self.spec.clone(), freeing: self.state == CellState::Freeing, executables, children }
    }
}

impl Executable {
    fn info(&self, name: &ExecutableName) -> ExecutableInfo {
        let process = match &self.child {
            None => ProcessState::Starting,
            Some(child) => match child.reason() {
                None => ProcessState::Running { pid: child.pid },
                Some(reason) => ProcessState::Exited { pid: child.pid, reason },
            },
        };
        let (name, description) = (name.clone(), self.description.clone());
        ExecutableInfo { name, description, process, stopping: self.removal.is_some() }
    }
}

fn is_inside(name: &CellName, outer: &CellName) -> bool {
    name.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// The cells directly inside `parent`, each with what is inside it; takes them from the front of `cells`.
fn siblings<'a>(
    parent: Option<&CellName>,
    cells: &mut Peekable<impl Iterator<Item = &'a Cell>>,
) -> Vec<CellInfo> {
    let mut found = Vec::new();
    while let Some(cell) = cells.next_if(|cell| parent.is_none_or(|p| is_inside(&cell.spec.name, p))) {
        let children = siblings(Some(&cell.spec.name), cells);
        found.push(cell.info(children));
    }
    found
}

/// The first few names, and how many more there are.
fn joined(names: &[CellName]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ErrorKind;
    use super::*;

    fn spec(name: &str) -> CellSpec {
        let name = CellName::parse(name).expect("valid");
        CellSpec { name, cpu: Default::default(), cpuset: Default::default(), isolation: Default::default() }
    }

    fn registry(cells: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for cell in cells {
            let number = registry.reserve_cell(&spec(cell)).expect(cell);
            registry.commit_cell(&spec(cell).name, number, Namespaces::Ours);
        }
        registry
    }

    fn notice() -> Arc<RemovalNotice> {
        RemovalNotice::new().expect("eventfd")
    }

    fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn cells_are_listed_as_a_tree() {
        let registry = registry(&["b", "a", "a/x", "a-b", "a/x/y", "a/z"]);
        fn shape(cells: &[CellInfo]) -> String {
            let shown = |c: &CellInfo| format!("{}({})", c.spec.name.last_label(), shape(&c.children));
            cells.iter().map(shown).collect()
        }
        assert_eq!(shape(&registry.list()), "a(x(y())z())a-b()b()");
    }

    #[test]
    fn a_name_is_taken_from_its_reservation_on() {
        let mut registry = Registry::default();
        let number = registry.reserve_cell(&spec("a")).expect("free");
        assert_eq!(kind(registry.reserve_cell(&spec("a"))), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(registry.reserve_cell(&spec("a/b"))), Some(ErrorKind::FailedPrecondition));
        assert_eq!(registry.list(), []);
        registry.cancel_cell(&spec("a").name, number);
        assert_eq!(kind(registry.reserve_cell(&spec("a"))), None);
    }

    #[test]
    fn a_cell_needs_its_parent_and_its_parent_it() {
        let mut registry = registry(&["a", "a/b", "ab"]);
        assert_eq!(kind(registry.reserve_cell(&spec("c/d"))), Some(ErrorKind::NotFound));
        let error = registry.free_cell(&spec("a").name, notice()).expect_err("has a child").to_string();
        assert!(error.contains("the cells \"a/b\";"), "{error}");
        registry.free_cell(&spec("ab").name, notice()).expect("has none");
        registry.free_cell(&spec("ab").name, notice()).expect("and again");
        assert_eq!(kind(registry.reserve_cell(&spec("ab/c"))), Some(ErrorKind::FailedPrecondition));
    }

    #[test]
    fn a_late_end_does_not_hit_a_later_cell_of_the_same_name() {
        let mut registry = registry(&["a"]);
        let first = registry.free_cell(&spec("a").name, notice()).expect("free").number;
        registry.remove_cell(&spec("a").name, first);
        let second = registry.reserve_cell(&spec("a")).expect("free again");
        registry.remove_cell(&spec("a").name, first);
        assert!(matches!(registry.begin_removal(&spec("a").name, first), MayRemove::Gone));
        assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Now(..)));
        assert!(matches!(registry.begin_removal(&spec("a").name, second), MayRemove::Later));
    }

    #[test]
    fn executables_are_bounded_per_cell_and_in_all() {
        let mut registry = registry(&["a", "b", "c", "d", "e"]);
        let start = |registry: &mut Registry, cell: &str, number: usize| {
            let name = ExecutableName::parse(&number.to_string()).expect("valid");
            registry.reserve_executable(&spec(cell).name, &name, &Description::default()).map(|r| r.leaf)
        };
        for cell in ["a", "b", "c", "d"] {
            for number in 0..EXECUTABLES_PER_CELL_MAX {
                start(&mut registry, cell, number).expect("below the limit");
            }
        }
        let error = start(&mut registry, "a", 9999).expect_err("cell is full");
        assert!(matches!(error, Error::TooManyExecutablesInCell(_)));
        assert!(matches!(start(&mut registry, "e", 0), Err(Error::TooManyExecutables)));
        let number = registry.free_cell(&spec("a").name, notice()).expect("free").number;
        registry.remove_cell(&spec("a").name, number);
        start(&mut registry, "e", 0).expect("there is room again");
    }

    #[test]
    fn cells_are_bounded() {
        let mut registry = Registry::default();
        for number in 0..CELLS_MAX {
            registry.reserve_cell(&spec(&number.to_string())).expect("below the limit");
        }
        assert_eq!(kind(registry.reserve_cell(&spec("more"))), Some(ErrorKind::ResourceExhausted));
    }

    #[test]
    fn a_failed_start_leaves_the_name_as_it_was() {
        let mut registry = registry(&["a"]);
        let (cell, name) = (spec("a").name, ExecutableName::parse("job").expect("valid"));
        let reserved = registry.reserve_executable(&cell, &name, &Description::default()).expect("free");
        let taken = registry.reserve_executable(&cell, &name, &Description::default());
        assert_eq!(kind(taken), Some(ErrorKind::AlreadyExists));
        assert_eq!(
            kind(registry.stop_executable(&cell, &name, notice())),
            Some(ErrorKind::FailedPrecondition)
        );
        registry.cancel_executable(&cell, &name, reserved.leaf, reserved.previous);
        assert_eq!(kind(registry.stop_executable(&cell, &name, notice())), Some(ErrorKind::NotFound));
        assert_eq!(registry.executables, 0);
    }
}
