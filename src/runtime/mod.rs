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
pub mod change;
mod child;
pub mod cpu;
pub mod cpuset;
mod ending;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod info;
pub mod io;
mod launch;
pub mod memory;
pub mod names;
mod outcome;
pub mod pids;
mod quote;
mod record;
mod registry;
mod restart;
pub mod spec;

pub use cells::{Cells, CellsConfig, Restart, Restarted};
pub use change::{LimitName, LimitsChange};
pub use child::{Exit, Started};
pub use ending::{Emptied, Ending, Finish};
pub use error::{Error, ErrorKind};
pub use info::{CellInfo, ExecutableInfo, ExecutableState, ProcessInfo};
pub use names::{CellName, ExecutableName};
pub use outcome::{Completion, Ended, Oom, Outcome};
pub use quote::Quoted;
pub use restart::{RestartCondition, RestartPolicy};
pub use spec::{CellSpec, Command, Description, ExecutableSpec, Limits};

pub use crate::sys::pidfd::ExitReason;
