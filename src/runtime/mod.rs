//! Cells and what runs in them, on Linux: names, limits, cgroups, processes.
//!
//! Synchronous throughout, and nothing here sleeps or waits for a process: what takes time is handed out as a value
//! ([`Exit`], [`Ending`], [`Emptied`], [`Freezing`]), most with a descriptor on which the caller waits. Takes parsed types, never a client's
//! string. Knows neither gRPC, nor protobuf, nor async.
//!
//! 1. A request is parsed into a [`CellSpec`], an [`ExecutableSpec`], a [`CellName`].
//! 2. [`Cells`] reserves the name in its `registry`, under the lock.
//! 3. Outside the lock it works on the `cgroup` tree, or has `launch` start a process.
//! 4. It commits the outcome to the registry, or undoes the work in reverse.

mod capability;
mod cells;
mod cgroup;
pub mod change;
mod child;
mod clock;
pub mod cpu;
pub mod cpuset;
mod ending;
mod environment;
mod error;
mod events;
mod executable;
mod freezing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod info;
pub mod io;
mod isolation;
mod launch;
pub mod logs;
pub mod memory;
pub mod names;
mod outcome;
mod output;
pub mod pids;
mod quote;
mod record;
mod registry;
mod restart;
mod rlimit;
mod signal;
pub mod spec;
mod stdin;

pub use capability::CapabilitySet;
pub use cells::{Cells, CellsConfig, Restart, Restarted};
pub use change::{LimitName, LimitsChange};
pub use child::{Exit, Leaf, Started};
pub use ending::{Emptied, Ending, Finish};
pub use environment::Environment;
pub use error::{Error, ErrorKind};
pub use events::{Event, EventSink, ExecutableChange, ExecutableEvent};
pub use executable::{
    Arguments, Command, Description, ExecutableSpec, Identity, Program, WorkingDirectory, parse_id,
};
pub use freezing::Freezing;
pub use info::{CellInfo, ExecutableInfo, ExecutableState, Pressure, PressureShare, ProcessInfo, Usage};
pub use isolation::Isolation;
pub use logs::{FileBounds, LogMode, LogPolicy, RingBytes};
pub use names::{CellName, ExecutableName};
pub use outcome::{Completion, Ended, Oom, Outcome};
pub use output::{Output, Whose};
pub use quote::Quoted;
pub use restart::{RestartCondition, RestartPolicy};
pub use rlimit::ResourceLimits;
pub use signal::SignalNumber;
pub use spec::{CellSpec, Limits};
pub use stdin::StandardInput;

pub use crate::sys::pidfd::ExitReason;
pub use crate::sys::user::User;
