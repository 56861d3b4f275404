//! The tree of cgroups in which cells live, in whatever hierarchies this machine has mounted.
//!
//! One hierarchy *tracks*: there each cell is a directory and each executable a leaf of its own, `exec_17`, which says
//! what runs and can be killed as a whole. It is the v2 mount if there is one, else the v1 freezer. A cell that isolates
//! its processes has a leaf for its init beside the cells, `init_4`. The controllers that limit are in that same hierarchy
//! (unified), or in v1 hierarchies, where the processes sit in the cell's directory: those of a cell that has a limit there,
//! or is inside one. To join one costs milliseconds.
//!
//! Everything is below one directory of our own in each hierarchy, itself below the daemon's own cgroup. Knows neither
//! which cells there are, nor who may do what: that is the registry's.

mod claim;
mod controllers;
mod delegate;
mod file;
mod group;
mod hierarchy;
mod membership;
mod mountinfo;
mod moves;
mod oom;
mod setting;
mod settings;
mod sweep;
mod tree;
mod usage;

pub use controllers::ControllerSet;
pub use group::{Changes, Group, Removal, Rest};
pub use hierarchy::Hierarchies;
pub use oom::MemoryCounts;
pub use tree::{Tree, Updating};

/// Which interface a cgroup directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}
