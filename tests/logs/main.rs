//! What executables write, as clients get it: GetSubProcessStream of the real daemon, with real processes. What the kernel
//! says of both is asked beside it. Needs root; says so and does nothing without.

mod bytes;
mod daemon;
mod pipes;
mod range;
mod readers;
mod waiting;
mod whose;
