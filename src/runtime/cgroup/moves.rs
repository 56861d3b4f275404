//! Bringing processes that run into the v1 groups of their cell, when it gets its first limit there.

use super::super::error::Error;
use super::group::Group;
use super::{Version, file};
use crate::limits::MOVE_ROUNDS_MAX;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Where the processes of one cell belong.
#[derive(Debug)]
pub struct Move {
    /// The cell in the hierarchy that tracks.
    pub from: Group,
    /// Its directory in a hierarchy that limits.
    pub to: PathBuf,
}

/// Moves in rounds until no new process shows up: what a process forks is where it was itself at that moment. False when
/// there is no end of them.
///
/// A pid may pass to a stranger between the two looks at it only if all other pids are given out meanwhile.
pub fn settle(moves: &[Move]) -> Result<bool, Error> {
    let mut tried: Vec<BTreeSet<i32>> = vec![BTreeSet::new(); moves.len()];
    for _ in 0..MOVE_ROUNDS_MAX {
        let mut settled = true;
        for (each, tried) in moves.iter().zip(&mut tried) {
            settled &= each.round(tried)?;
        }
        if settled {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Move {
    /// Moves what is not there yet; true when there was nothing new to move.
    fn round(&self, tried: &mut BTreeSet<i32>) -> Result<bool, Error> {
        let running = self.from.own_processes()?;
        let there = Group::new(Version::V1, self.to.clone()).processes()?;
        // One that is about to end is listed still, and moves no more.
        let new: Vec<i32> = running.difference(&there).copied().filter(|pid| tried.insert(*pid)).collect();
        new.iter().try_for_each(|pid| self.take(*pid))?;
        Ok(new.is_empty())
    }

    fn take(&self, pid: i32) -> Result<(), Error> {
        let procs = self.to.join("cgroup.procs");
        match file::write(&procs, &pid.to_string()) {
            // It has ended; or its cell has, which then ends it too.
            Ok(()) | Err(Errno::ESRCH | Errno::ENOENT | Errno::ENODEV) => Ok(()),
            Err(errno) => Err(Error::File { verb: "move a process into", path: procs, errno }),
        }
    }
}
