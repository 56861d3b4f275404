//! Thin wrappers of system calls and of the C library. The only module with `unsafe`; each block says why it holds.
#![allow(unsafe_code)]

pub mod heap;
pub mod socket;
