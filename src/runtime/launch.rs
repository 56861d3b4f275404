//! From an executable to a process: its shell, its environment, and the way into its cgroups.

use super::cells::CellsConfig;
use super::cgroup::{Group, Version};
use super::error::{Error, errno_of};
use super::names::CellName;
use super::spec::ExecutableSpec;
use crate::init;
use crate::sys::namespaces::Namespaces;
use crate::sys::open_files::OpenFilesLimit;
use crate::sys::spawn::{self, Plan, SpawnError, Spawned};
use nix::errno::Errno;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where commands are looked for: Debian's default for root.
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The working directory too.
const HOME: &str = "HOME=/";

/// What every start needs, opened once.
#[derive(Debug)]
pub(super) struct Launcher {
    shell: CString,
    /// What is executed as the init of a cell.
    init: CString,
    null: OwnedFd,
    open_files: Option<OpenFilesLimit>,
    /// Processes can be born in their cgroup.
    into_cgroup: bool,
}

/// Where a process is to be.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    pub leaf: &'a Group,
    /// `cgroup.procs` files to enter, the leaf's among them unless the process is born there.
    pub join: Vec<PathBuf>,
    pub namespaces: Namespaces<'a>,
}

impl Launcher {
    /// Chooses the way to start processes on this kernel, and logs it.
    pub fn new(config: &CellsConfig, tracking: Version) -> Result<Self, Error> {
        let path = |path: &Path, what| {
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Setup(what, Errno::EINVAL))
        };
        let shell = path(&config.shell, "the shell's path")?;
        let init = path(&config.init, "the init's path")?;
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| Error::file("open", "/dev/null", &error))?;
        let null = spawn::dup_above_stdio(null.as_fd()).map_err(|e| Error::Setup("/dev/null", e))?;
        let into_cgroup = tracking == Version::V2 && spawn::into_cgroup_works(null.as_fd());
        log::info!(
            "processes {}",
            if into_cgroup { "are born in their cgroup" } else { "enter their cgroup" }
        );
        Ok(Self { shell, init, null, open_files: config.open_files, into_cgroup })
    }

    /// Whether a process is born in its leaf, and needn't enter it.
    pub fn born_in_leaf(&self) -> bool {
        self.into_cgroup
    }

    /// Starts the executable; returns when it has been executed.
    pub fn launch(
        &self,
        cell: &CellName,
        spec: &ExecutableSpec,
        destination: &Destination<'_>,
    ) -> Result<Spawned, Error> {
        let (leaf, procs) = self.open(destination)?;
        let join: Vec<_> = procs.iter().map(|file| file.as_fd()).collect();
        let arguments = [c"sh".to_owned(), c"-c".to_owned(), spec.command.as_c_string().clone()];
        let plan = Plan {
            program: &self.shell,
            arguments: &arguments,
            environment: &environment(cell, spec)?,
            into: leaf.as_ref().map(|leaf| leaf.as_fd()),
            join: &join,
            namespaces: destination.namespaces,
            null: self.null.as_fd(),
            third: None,
            open_files: self.open_files,
        };
        spawn::spawn(&plan).map_err(|failure| Error::Spawn {
            cell: cell.clone(),
            executable: spec.name.clone(),
            program: self.shell.to_string_lossy().into_owned(),
            failure,
        })
    }

    /// Starts the init of a cell in new namespaces, with `socket` to tell it the rest; returns when it has been executed.
    pub fn launch_init(
        &self,
        cell: &CellName,
        destination: &Destination<'_>,
        socket: BorrowedFd<'_>,
    ) -> Result<Spawned, Error> {
        let (leaf, procs) = self.open(destination)?;
        let join: Vec<_> = procs.iter().map(|file| file.as_fd()).collect();
        let cell_argument =
            CString::new(cell.as_str()).map_err(|_| Error::Setup("a cell's name", Errno::EINVAL))?;
        let plan = Plan {
            program: &self.init,
            // The second is for those who look at the list of processes.
            arguments: &[init::NAME.to_owned(), cell_argument],
            environment: &[],
            into: leaf.as_ref().map(|leaf| leaf.as_fd()),
            namespaces: destination.namespaces,
            join: &join,
            null: self.null.as_fd(),
            third: Some(socket),
            open_files: self.open_files,
        };
        spawn::spawn(&plan).map_err(|SpawnError { step, errno }| Error::Isolation {
            cell: cell.clone(),
            step: step.to_string(),
            errno,
        })
    }

    /// The directory in which it is born, if it can be, and the files that it enters by.
    fn open(&self, destination: &Destination<'_>) -> Result<(Option<File>, Vec<File>), Error> {
        let leaf = self.into_cgroup.then(|| open_directory(destination.leaf.path())).transpose()?;
        let procs = destination.join.iter().map(|p| open_to_write(p)).collect::<Result<Vec<_>, _>>()?;
        Ok((leaf, procs))
    }
}

/// Small and clean, and nothing of the daemon's.
fn environment(cell: &CellName, spec: &ExecutableSpec) -> Result<[CString; 4], Error> {
    // Neither name has a NUL; its type says so.
    let variable = |text: String| CString::new(text).map_err(|_| Error::Setup("environment", Errno::EINVAL));
    Ok([
        variable(SEARCH_PATH.to_owned())?,
        variable(HOME.to_owned())?,
        variable(format!("AURAE_CELL={cell}"))?,
        variable(format!("AURAE_EXECUTABLE={}", spec.name.as_str()))?,
    ])
}

fn open_directory(path: &Path) -> Result<File, Error> {
    let opened = File::options().read(true).custom_flags(nix::libc::O_DIRECTORY).open(path);
    opened.map_err(|error| Error::file("open", path, &error))
}

fn open_to_write(path: &Path) -> Result<File, Error> {
    let opened = File::options().write(true).open(path);
    opened.map_err(|error| Error::File { verb: "open", path: path.to_owned(), errno: errno_of(&error) })
}
