//! One cell, as the registry keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::cgroup::ControllerSet;
use super::super::child::Run;
use super::super::ending::RemovalNotice;
use super::super::error::Error;
use super::super::info::CellInfo;
use super::super::isolation::Namespaces;
use super::super::names::{CellName, ExecutableName};
use super::super::outcome::Completion;
use super::super::record::Record;
use super::super::spec::{CellSpec, Limits};

#[derive(Debug)]
pub(super) struct Cell {
    /// Tells this cell from an earlier one of the same name.
    pub number: u64,
    pub spec: CellSpec,
    /// The controllers that limit it or ever did.
    pub ever_limited: ControllerSet,
    /// What its limits are about to become. What starts meanwhile is put under these, too.
    pub updating: Option<Limits>,
    pub state: CellState,
    pub namespaces: Arc<Namespaces>,
    pub executables: BTreeMap<ExecutableName, Record>,
    /// Leafs that outlived their executable's record because the kernel was not done with them.
    pub stale: Vec<u64>,
    /// Of those that free it, from the first one on.
    pub removal: Option<Arc<RemovalNotice>>,
    /// One of those that free it removes its directories now. The others wait for it: a slow one must not remove the
    /// directories of the next cell of this name.
    pub removing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellState {
    Allocating,
    Allocated,
    Freeing,
}

impl Cell {
    pub fn new(number: u64, spec: CellSpec) -> Self {
        let (executables, stale) = (BTreeMap::new(), Vec::new());
        Self {
            number,
            ever_limited: ControllerSet::of(&spec.limits),
            spec,
            updating: None,
            state: CellState::Allocating,
            namespaces: Arc::default(),
            executables,
            stale,
            removal: None,
            removing: false,
        }
    }

    pub fn is_listed(&self) -> bool {
        self.state != CellState::Allocating
    }

    /// The run that each executable has or had last.
    pub fn runs(&self) -> impl Iterator<Item = (ExecutableName, Arc<Run>)> {
        self.executables.iter().filter_map(|(name, record)| Some((name.clone(), Arc::clone(record.run()?))))
    }

    /// The record of this name, if it is the one of this leaf.
    pub fn record(&mut self, name: &ExecutableName, leaf: u64) -> Option<&mut Record> {
        self.executables.get_mut(name).filter(|record| record.leaf == leaf)
    }

    /// Nothing in it is started again. Answers whom to tell.
    pub fn give_up_restarting(&mut self) -> Vec<Arc<Completion>> {
        self.executables.values_mut().for_each(Record::give_up_restarting);
        let completions = self.executables.values().map(Record::completion);
        completions.filter(|completion| completion.end().is_some()).cloned().collect()
    }

    /// Of the records that may make way, the one that was stopped first.
    pub fn oldest_stopped(&self) -> Option<(u64, &ExecutableName)> {
        self.executables.iter().filter_map(|(name, record)| Some((record.makes_way()?, name))).min()
    }

    /// The name is free, or that of an executable that has exited and is not being stopped.
    pub fn check_startable(&self, cell: &CellName, name: &ExecutableName) -> Result<(), Error> {
        match self.executables.get(name).and_then(Record::in_use) {
            None => Ok(()),
            Some(state) => {
                Err(Error::ExecutableExists { cell: cell.clone(), executable: name.clone(), state })
            }
        }
    }

    pub fn info(&self, children: Vec<CellInfo>) -> CellInfo {
        let executables = self.executables.iter().map(|(name, record)| record.info(name)).collect();
        let freeing = self.state == CellState::Freeing;
        CellInfo { spec: self.spec.clone(), freeing, frozen: false, usage: None, executables, children }
    }
}
