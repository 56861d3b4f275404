//! The real daemon on a machine of its own: cgroup v2 alone, every controller, nobody else. Each step is asked back from
//! the kernel. `scripts/guest.sh` runs this inside the guest, and says there why it refuses to run elsewhere.
//!
//! A test of `disabled` needs a kernel that was started for it; all others share one boot, side by side, each with a
//! daemon of its own (`machine`).

mod controllers;
mod disabled;
mod limits;
mod machine;
mod oom;
mod place;
mod sweep;
mod usage;
mod workload;
