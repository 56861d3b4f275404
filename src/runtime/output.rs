//! What an executable writes, for those who ask for it.

use super::logs::Feed;
use super::names::{CellName, ExecutableName};
use std::sync::Arc;

/// Whose output is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of the executable that has this process, or had it.
    Process(i64),
    Executable(CellName, ExecutableName),
}

/// Of one executable, over all of its runs.
#[derive(Clone, Debug)]
pub struct Output {
    pub executable: ExecutableName,
    pub feed: Arc<Feed>,
}
