//! What the cells of a daemon need to know of it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::limits::LOG_MEMORY_BYTES;
use crate::sys::open_files::OpenFilesLimit;

/// What [`Cells::open`](super::Cells::open) needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellsConfig {
    /// Name of our directory in each hierarchy: see [`CellsConfig::for_runtime_dir`].
    pub slice: String,
    /// Runs commands, as `sh -c COMMAND`.
    pub shell: PathBuf,
    /// Is executed as the init of cells that isolate their processes: this very program, or one that acts on the zeroth
    /// argument as it does.
    pub init: PathBuf,
    /// The limit on open files for what is started; `None` leaves the daemon's.
    pub open_files: Option<OpenFilesLimit>,
    /// Bytes that are held of all output together.
    pub log_memory: usize,
    /// Holds the files of those whose output is to be in files.
    pub library_dir: PathBuf,
}

impl CellsConfig {
    /// The cgroups of the daemon whose runtime directory this is, by its canonical path: `aurae` for `/run/aurae`, else
    /// `aurae-` and a hash of the path, so that two daemons share nothing.
    pub fn for_runtime_dir(canonical: &Path) -> Self {
        let slice = match canonical.as_os_str().as_bytes() {
            b"/run/aurae" => "aurae".to_owned(),
            path => format!("aurae-{:08x}", fnv1a(path)),
        };
        Self {
            slice,
            shell: "/bin/sh".into(),
            init: OWN_PROGRAM.into(),
            open_files: None,
            log_memory: LOG_MEMORY_BYTES,
            library_dir: "/var/lib/aurae".into(),
        }
    }
}

/// Stays what it is when the file is replaced: proc_pid_exe(5).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// FNV-1a, 32 bits. A hash that stays the same from one release to the next, which std's doesn't promise.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_directory_has_its_own_slice() {
        let slice = |path: &str| CellsConfig::for_runtime_dir(Path::new(path)).slice;
        assert_eq!(slice("/run/aurae"), "aurae");
        assert_eq!(slice("/tmp/x"), "aurae-ff28930c");
        assert_ne!(slice("/tmp/x"), slice("/tmp/y"));
    }
}
