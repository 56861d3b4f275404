//! From an executable to a process: its program, its limits and its user, and the way into its cgroups.

use super::cells::CellsConfig;
use super::cgroup::{Group, Version};
use super::error::{Error, errno_of};
use super::executable::{Arguments, ExecutableSpec, Program};
use super::names::CellName;
use super::quote::Quoted;
use super::rlimit;
use crate::init;
use crate::sys::capabilities;
use crate::sys::failpoint::check;
use crate::sys::inherited::Inherited;
use crate::sys::namespaces::Namespaces;
use crate::sys::open_files::OpenFilesLimit;
use crate::sys::rlimit::ResourceLimit;
use crate::sys::spawn::{self, BoundingSet, Plan, SpawnError, Spawned, Step};
use crate::sys::user::User;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::PipeWriter;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What every start needs, opened once.
#[derive(Debug)]
pub(super) struct Launcher {
    shell: CString,
    /// What is executed as the init of a cell.
    init: CString,
    null: OwnedFd,
    /// What a program gets where it does not ask for a limit.
    open_files: Option<ResourceLimit>,
    /// What a program would have of ours.
    inherited: Inherited,
    /// The log knows what could not be left behind.
    told: AtomicBool,
    last_capability: u32,
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
        let null = spawn::above_stdio(null).map_err(|e| Error::Setup("/dev/null", e))?;
        let open_files = config.open_files.map(|OpenFilesLimit { soft, hard }| ResourceLimit {
            resource: rlimit::OPEN_FILES,
            soft,
            hard,
        });
        let (inherited, last_capability) = (Inherited::of_this_thread(), capabilities::last());
        let into_cgroup = tracking == Version::V2 && spawn::into_cgroup_works(null.as_fd());
        log::info!(
            "processes {}",
            if into_cgroup { "are born in their cgroup" } else { "enter their cgroup" }
        );
        let told = AtomicBool::new(false);
        Ok(Self { shell, init, null, open_files, inherited, told, last_capability, into_cgroup })
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
        [out, err]: [PipeWriter; 2],
    ) -> Result<Spawned, Error> {
        let (leaf, procs) = self.open(destination)?;
        let join: Vec<_> = procs.iter().map(|file| file.as_fd()).collect();
        let stdin = self.stdin(spec)?;
        let above_stdio = |pipe| spawn::above_stdio(pipe).map_err(|e| Error::Setup("a pipe for output", e));
        let (out, err) = (above_stdio(out)?, above_stdio(err)?);
        let (programs, arguments) = self.program(spec);
        let limits = self.limits(spec);
        let plan = Plan {
            programs: &programs,
            arguments: &arguments,
            environment: &spec.environment.variables(cell, &spec.name),
            into: leaf.as_ref().map(|leaf| leaf.as_fd()),
            join: &join,
            stdin: stdin.as_ref().unwrap_or(&self.null).as_fd(),
            output: [out.as_fd(), err.as_fd()],
            inherited: self.inherited,
            limits: &limits,
            bounding: self.bounding_set(spec)?,
            user: spec.user,
            directory: spec.directory.as_c_str(),
            no_new_privileges: spec.no_new_privileges,
            namespaces: destination.namespaces,
            third: None,
        };
        let spawned = spawn::spawn(&plan).map_err(|failure| Error::Spawn {
            cell: cell.clone(),
            executable: spec.name.clone(),
            object: object(&failure, &plan, spec),
            failure,
        })?;
        self.tell_once(spawned.kept);
        Ok(spawned)
    }

    fn stdin(&self, spec: &ExecutableSpec) -> Result<Option<OwnedFd>, Error> {
        let Some(stdin) = &spec.stdin else { return Ok(None) };
        let pipe = stdin.pipe(spec.user).and_then(spawn::above_stdio);
        pipe.map(Some).map_err(|errno| Error::Setup("a pipe for standard input", errno))
    }

    /// The paths of the program, and its arguments.
    fn program(&self, spec: &ExecutableSpec) -> (Vec<CString>, Vec<CString>) {
        match &spec.program {
            Program::Shell(command) => {
                let arguments = vec![c"sh".to_owned(), c"-c".to_owned(), command.as_c_str().to_owned()];
                (vec![self.shell.clone()], arguments)
            }
            Program::Direct(arguments) => {
                let programs = arguments.candidates(spec.environment.search_path().as_bytes());
                (programs, arguments.iter().map(CStr::to_owned).collect())
            }
        }
    }

    fn limits(&self, spec: &ExecutableSpec) -> Vec<ResourceLimit> {
        let asked = spec.limits.as_slice();
        let is_asked = asked.iter().any(|limit| limit.resource == rlimit::OPEN_FILES);
        asked.iter().copied().chain(self.open_files.filter(|_| !is_asked)).collect()
    }

    fn bounding_set(&self, spec: &ExecutableSpec) -> Result<Option<BoundingSet>, Error> {
        let Some(set) = spec.capabilities else { return Ok(None) };
        match set.unknown_to(self.last_capability)[..] {
            [] => Ok(Some(BoundingSet { kept: set.bits(), last: self.last_capability })),
            [first, ..] => Err(Error::CapabilityMissing(first)),
        }
    }

    /// That a start goes on without it is worth a line in the log, but not one for each start.
    fn tell_once(&self, kept: Inherited) {
        if !kept.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            let names = kept.names().join(", ");
            log::warn!("what is started keeps {names} of this daemon: it lacks the privilege to reset that");
        }
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
            programs: std::slice::from_ref(&self.init),
            // The second is for those who look at the list of processes.
            arguments: &[init::NAME.to_owned(), cell_argument],
            environment: &[],
            into: leaf.as_ref().map(|leaf| leaf.as_fd()),
            namespaces: destination.namespaces,
            join: &join,
            stdin: self.null.as_fd(),
            output: [self.null.as_fd(); 2],
            third: Some(socket),
            inherited: self.inherited,
            limits: self.open_files.as_slice(),
            bounding: None,
            user: User::default(),
            directory: c"/",
            no_new_privileges: false,
        };
        spawn::spawn(&plan).map_err(|SpawnError { step, errno, .. }| Error::Isolation {
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

/// What the failed step was about, in words; empty where the step says it all.
fn object(failure: &SpawnError, plan: &Plan<'_>, spec: &ExecutableSpec) -> String {
    match failure.step {
        Step::ResourceLimits => {
            let limit = failure.item.and_then(|item| plan.limits.get(item));
            limit.map_or_else(String::new, |limit| {
                format!("{} ({})", rlimit::name(limit.resource), range(limit))
            })
        }
        Step::BecomeUser => {
            let id = |id: Option<u32>| id.map_or_else(|| "unchanged".to_owned(), |id| id.to_string());
            format!("user {}, group {}", id(plan.user.uid), id(plan.user.gid))
        }
        Step::ChangeDirectory => shown_path(plan.directory),
        Step::Execute => match (failure.item.and_then(|item| plan.programs.get(item)), &spec.program) {
            (Some(path), _) => shown_path(path),
            (None, Program::Direct(arguments)) => searched(arguments),
            (None, Program::Shell(_)) => "the shell".to_owned(),
        },
        _ => String::new(),
    }
}

/// Not in quotes, as all paths in our messages, but escaped and cut.
fn shown_path(path: &CStr) -> String {
    Quoted(&path.to_string_lossy()).to_string().replace('"', "")
}

fn searched(arguments: &Arguments) -> String {
    format!("{}, looked for in PATH", Quoted(&arguments.program().to_string_lossy()))
}

fn range(limit: &ResourceLimit) -> String {
    let shown = |value: u64| if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() };
    format!("soft {}, hard {}", shown(limit.soft), shown(limit.hard))
}

fn open_directory(path: &Path) -> Result<File, Error> {
    check("open a cgroup").map_err(|errno| Error::File { verb: "open", path: path.to_owned(), errno })?;
    let opened = File::options().read(true).custom_flags(nix::libc::O_DIRECTORY).open(path);
    opened.map_err(|error| Error::file("open", path, &error))
}

fn open_to_write(path: &Path) -> Result<File, Error> {
    check("open cgroup.procs").map_err(|errno| Error::File { verb: "open", path: path.to_owned(), errno })?;
    let opened = File::options().write(true).open(path);
    opened.map_err(|error| Error::File { verb: "open", path: path.to_owned(), errno: errno_of(&error) })
}
