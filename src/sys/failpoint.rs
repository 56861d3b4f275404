//! Makes one call to the kernel fail, so that a test sees what is left when it does. In the unit tests only: everywhere
//! else [`check`] is nothing.
//!
//! Every call of the runtime that changes something, or on which a change depends, asks [`check`] first. A test arms the
//! first of them, then the second, and so on until the operation gets through: no step can be forgotten.

use nix::errno::Errno;

/// What a failing call answers: an error that the kernel gives for none of them.
#[cfg(test)]
pub const INJECTED: Errno = Errno::EUCLEAN;

#[cfg(test)]
mod armed {
    use std::cell::Cell;

    thread_local! {
        /// How many calls go through before one fails; `None` when none is to. Plain and without a destructor: a child
        /// that shares our memory, between clone and exec, looks here too.
        pub static PASSES: Cell<Option<usize>> = const { Cell::new(None) };
        /// The call that failed.
        pub static FAILED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }
}

/// Fails if this is the call that a test of this thread wants to fail.
#[cfg(test)]
pub fn check(call: &'static str) -> Result<(), Errno> {
    match armed::PASSES.get() {
        None => Ok(()),
        Some(0) => {
            armed::PASSES.set(None);
            armed::FAILED.set(Some(call));
            Err(INJECTED)
        }
        Some(passes) => {
            armed::PASSES.set(Some(passes - 1));
            Ok(())
        }
    }
}

/// Nothing, outside of tests.
#[cfg(not(test))]
#[inline]
pub fn check(_: &'static str) -> Result<(), Errno> {
    Ok(())
}

/// Runs `operation` with its call number `passes`, from 0, failing. Answers which call that was; `None` when it makes
/// fewer.
#[cfg(test)]
pub fn with_failing<T>(passes: usize, operation: impl FnOnce() -> T) -> (T, Option<&'static str>) {
    armed::FAILED.set(None);
    armed::PASSES.set(Some(passes));
    let result = operation();
    armed::PASSES.set(None);
    (result, armed::FAILED.get())
}
