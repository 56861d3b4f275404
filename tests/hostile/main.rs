//! Nothing hangs, nothing stays: workloads that resist, a machine that changes behind the daemon's back, and many clients
//! at once, against the real daemon. The kernel's own view is asked. Needs root.

mod churn;
mod crowd;
mod daemon;
mod resistance;
