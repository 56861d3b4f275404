//! Cells and what runs in them, on Linux: names, limits, cgroups, processes.
//!
//! Synchronous throughout, and nothing here sleeps or waits for a process: what takes time is handed out as a value
//! ([`Exit`], [`Ending`], [`Emptied`]) with a descriptor on which the caller waits. Takes parsed types, never a client's
//! string. Knows neither gRPC, nor protobuf, nor async.
//!
//! 1. A request is parsed into a [`CellSpec`], an [`ExecutableSpec`], a [`CellName`].
//! 2. [`Cells`] reserves the name in its `registry`, under the lock.
//! 3. Outside the lock it works on the `cgroup` tree, or has `launch` start a process.
//! 4. It commits the outcome to the registry, or undoes the work in reverse.

mod cells;
mod cgroup;
mod child;
pub mod cpu;
pub mod cpuset;
mod ending;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod info;
mod isolation;
mod launch;
pub mod names;
mod quote;
mod registry;
pub mod spec;

pub use cells::{Cells, CellsConfig};
pub use child::{Exit, Started};
pub use ending::{Emptied, Ending, Finish};
pub use error::{Error, ErrorKind};
pub use info::{CellInfo, ExecutableInfo, ProcessState};
pub use isolation::Isolation;
pub use names::{CellName, ExecutableName};
pub use quote::Quoted;
pub use spec::{CellSpec, Command, Description, ExecutableSpec};

pub use crate::sys::pidfd::ExitReason;
