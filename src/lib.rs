//! `auraed`: a node daemon that runs workloads in cells and answers the Aurae runtime API over gRPC.
//!
//! ARCHITECTURE.md draws the house; each module says in its first lines what it does and what it does not know.
//!
//! `unsafe` is allowed in [`sys`] alone (system calls, and the child between clone and exec); everywhere else it
//! does not compile.

#![deny(unsafe_code)]

pub mod client;
pub mod config;
pub mod daemon;
pub mod daemon_log;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod grpc;
pub mod init;
pub mod limits;
pub mod proto;
pub mod runtime;
pub mod services;
pub mod sys;
pub mod transport;
pub mod work;
