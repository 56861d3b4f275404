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
thread_local! {
    /// How many calls go through before one fails; `None` when none is to. Plain and without a destructor: a child
    /// that shares our memory, between clone and exec, looks here too.
    static PASSES: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
    /// The call that failed.
    static FAILED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
    /// The call that is to panic.
    static PANICS: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Fails if this is the call that a test of this thread wants to fail.
#[cfg(test)]
pub fn check(call: &'static str) -> Result<(), Errno> {
    if PANICS.get() == Some(call) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
    match PASSES.get() {
        None => Ok(()),
        Some(0) => {
            PASSES.set(None);
            FAILED.set(Some(call));
            Err(INJECTED)
        }
        Some(passes) => {
            PASSES.set(Some(passes - 1));
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
    FAILED.set(None);
    PASSES.set(Some(passes));
    let result = operation();
    PASSES.set(None);
    (result, FAILED.get())
}

/// Runs `operation` with each call of this name panicking, which must not be one of a child: it has no way to unwind.
#[cfg(test)]
pub fn with_panic<T>(call: &'static str, operation: impl FnOnce() -> T) -> T {
    PANICS.set(Some(call));
    let result = operation();
    PANICS.set(None);
    result
}
