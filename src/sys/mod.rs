//! Thin wrappers over the system calls that neither std nor nix offer in the form that is needed here.
//!
//! Knows nothing of cells, cgroups as a tree, or errors for people: it answers with an [`nix::errno::Errno`] and leaves
//! the story to its caller. This is the one module in which `unsafe` compiles; each block says why it is sound.

#![allow(unsafe_code)]

pub mod capabilities;
mod clone;
pub mod failpoint;

pub mod handover;
pub mod inherited;
pub mod lock;
pub mod memory;
pub mod mounts;
pub mod namespaces;
pub mod open_files;
pub mod pidfd;
pub mod rest;
pub mod rlimit;
mod signals;
pub mod socket;
pub mod spawn;
mod stack;
pub mod user;
pub mod watch;
