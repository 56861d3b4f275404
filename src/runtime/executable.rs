//! What an executable is asked to be. Parsed values; no file or process is touched.

use super::capability::CapabilitySet;
use super::environment::Environment;
use super::logs::LogPolicy;
use super::names::ExecutableName;
use super::quote::Quoted;
use super::restart::RestartPolicy;
use super::rlimit::ResourceLimits;
use super::stdin::StandardInput;
use crate::limits::{
    ARGUMENTS_BYTES_MAX, ARGUMENTS_MAX, COMMAND_BYTES_MAX, DESCRIPTION_BYTES_MAX, FILE_NAME_BYTES_MAX,
    PATH_BYTES_MAX,
};
use crate::sys::user::User;
use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;

/// An executable as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableSpec {
    pub name: ExecutableName,
    pub program: Program,
    pub description: Description,
    pub environment: Environment,
    pub directory: WorkingDirectory,
    pub limits: ResourceLimits,
    pub user: User,
    /// What it can have at most; `None` is what the daemon can.
    pub capabilities: Option<CapabilitySet>,
    pub no_new_privileges: bool,
    /// `None` is `/dev/null`.
    pub stdin: Option<StandardInput>,
    pub restart: RestartPolicy,
    pub log: LogPolicy,
}

/// Whom an executable runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    Shell(Command),
    Direct(Arguments),
}

/// What the shell is given after `-c`: 1 to 131071 bytes without NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(CString);

/// A program and its arguments, run without a shell.
///
/// 1 to 4096 of them without NUL, at most 128 KiB in all. The first is a path, which has a `/`, or the name of a file.
///
/// One text, in which each ends in a NUL: as many of its own would take many times the memory of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments(Box<str>);

/// An absolute path, for the executable's user to resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingDirectory(CString);

/// For people; has no effect. At most 1024 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(Arc<str>);

/// Why a text is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutableError {
    #[error(
        "the command is empty; accepted: 1 to {COMMAND_BYTES_MAX} bytes for the shell, or args in its place"
    )]
    EmptyCommand,
    #[error(
        "the command {given} is too long; accepted: at most {COMMAND_BYTES_MAX} bytes (the kernel's limit on one argument)"
    )]
    CommandTooLong { given: String },
    #[error("the command {given} contains a NUL, which no argument can")]
    CommandNul { given: String },
    #[error("there are {count} arguments; accepted: 1 to {ARGUMENTS_MAX}")]
    ArgumentCount { count: usize },
    #[error(
        "the arguments have {bytes} bytes with their NULs; accepted: at most {ARGUMENTS_BYTES_MAX} in all"
    )]
    ArgumentsTooLong { bytes: usize },
    #[error("argument {number} ({given}) contains a NUL, which no argument can")]
    ArgumentNul { number: usize, given: String },
    #[error("the first argument is empty; accepted: the program's path, or its name in PATH")]
    NoProgram,
    #[error(
        "the first argument {given} has no '/' and is too long for the name of a file; accepted: at most {FILE_NAME_BYTES_MAX} bytes"
    )]
    ProgramNameTooLong { given: String },
    #[error("the working directory {given} is not absolute; accepted: a path that starts with '/'")]
    DirectoryNotAbsolute { given: String },
    #[error("the working directory {given} is too long; accepted: at most {PATH_BYTES_MAX} bytes")]
    DirectoryTooLong { given: String },
    #[error("the working directory {given} contains a NUL, which no path can")]
    DirectoryNul { given: String },
    #[error("the description {given} is too long; accepted: at most {DESCRIPTION_BYTES_MAX} bytes")]
    DescriptionTooLong { given: String },
    #[error("{0} stands for no user or group; accepted: 0 to 4294967294")]
    NoId(u32),
}

impl ExecutableSpec {
    /// With nothing but what is needed; all else as it is when it isn't asked for.
    pub fn new(name: ExecutableName, program: Program) -> Self {
        Self {
            name,
            program,
            description: Description::default(),
            environment: Environment::default(),
            directory: WorkingDirectory::default(),
            limits: ResourceLimits::default(),
            user: User::default(),
            capabilities: None,
            no_new_privileges: false,
            stdin: None,
            restart: RestartPolicy::default(),
            log: LogPolicy::default(),
        }
    }

    /// What it takes to keep it, about: whatever a peer may make long is counted.
    pub(super) fn bytes(&self) -> usize {
        let program = match &self.program {
            Program::Shell(command) => command.0.count_bytes(),
            Program::Direct(arguments) => arguments.0.len(),
        };
        size_of::<Self>()
            + self.name.as_str().len()
            + self.description.as_str().len()
            + program
            + self.environment.bytes()
            + self.directory.0.count_bytes()
            + self.stdin.as_ref().map_or(0, StandardInput::len)
    }

    /// Whom it runs as once it has been started.
    pub fn identity(&self) -> Identity {
        Identity {
            uid: self.user.uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw()),
            gid: self.user.gid.unwrap_or_else(|| nix::unistd::getegid().as_raw()),
        }
    }
}

/// Reads the id of a user or group: all but the one that means "none" to the kernel (setresuid(2)).
pub fn parse_id(id: u32) -> Result<u32, ExecutableError> {
    if id == u32::MAX { Err(ExecutableError::NoId(id)) } else { Ok(id) }
}

impl Command {
    pub fn parse(text: &str) -> Result<Self, ExecutableError> {
        let given = || Quoted(text).to_string();
        if text.is_empty() {
            return Err(ExecutableError::EmptyCommand);
        }
        if text.len() > COMMAND_BYTES_MAX {
            return Err(ExecutableError::CommandTooLong { given: given() });
        }
        CString::new(text).map(Self).map_err(|_| ExecutableError::CommandNul { given: given() })
    }

    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", Quoted(&self.0.to_string_lossy()))
    }
}

impl Arguments {
    pub fn parse(texts: Vec<String>) -> Result<Self, ExecutableError> {
        let (count, bytes) = (texts.len(), texts.iter().map(|text| text.len() + 1).sum());
        if !(1..=ARGUMENTS_MAX).contains(&count) {
            return Err(ExecutableError::ArgumentCount { count });
        }
        if bytes > ARGUMENTS_BYTES_MAX {
            return Err(ExecutableError::ArgumentsTooLong { bytes });
        }
        let program = &texts[0];
        if program.is_empty() {
            return Err(ExecutableError::NoProgram);
        }
        if !program.contains('/') && program.len() > FILE_NAME_BYTES_MAX {
            return Err(ExecutableError::ProgramNameTooLong { given: Quoted(program).to_string() });
        }
        if let Some(index) = texts.iter().position(|text| text.contains('\0')) {
            let given = Quoted(&texts[index]).to_string();
            return Err(ExecutableError::ArgumentNul { number: index + 1, given });
        }
        let mut joined = String::with_capacity(bytes);
        texts.iter().for_each(|text| joined.extend([text.as_str(), "\0"]));
        Ok(Self(joined.into()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        let ended = self.0.split_inclusive('\0');
        // Nothing is left out: each has its NUL, and no other.
        ended.filter_map(|argument| CStr::from_bytes_with_nul(argument.as_bytes()).ok())
    }

    /// As it was given.
    pub fn program(&self) -> &CStr {
        self.iter().next().unwrap_or_default()
    }

    /// The paths to try, as execvp(3) has it: without a `/`, one in each directory of `search_path`, of which an empty one
    /// is the working directory.
    pub fn candidates(&self, search_path: &[u8]) -> Vec<CString> {
        let program = self.program();
        if program.to_bytes().contains(&b'/') {
            return vec![program.to_owned()];
        }
        let path = |directory: &[u8]| {
            let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            CString::new([directory, slash, program.to_bytes()].concat()).ok()
        };
        search_path.split(|byte| *byte == b':').filter_map(path).collect()
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Arguments({} and {} more)",
            Quoted(&self.program().to_string_lossy()),
            self.iter().count() - 1
        )
    }
}

impl WorkingDirectory {
    pub fn parse(text: &str) -> Result<Self, ExecutableError> {
        let given = || Quoted(text).to_string();
        if !text.starts_with('/') {
            return Err(ExecutableError::DirectoryNotAbsolute { given: given() });
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(ExecutableError::DirectoryTooLong { given: given() });
        }
        CString::new(text).map(Self).map_err(|_| ExecutableError::DirectoryNul { given: given() })
    }

    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

impl Default for WorkingDirectory {
    fn default() -> Self {
        Self(c"/".to_owned())
    }
}

impl Description {
    pub fn parse(text: &str) -> Result<Self, ExecutableError> {
        match text.len() {
            0..=DESCRIPTION_BYTES_MAX => Ok(Self(text.into())),
            _ => Err(ExecutableError::DescriptionTooLong { given: Quoted(text).to_string() }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(texts: &[&str]) -> Result<Arguments, ExecutableError> {
        Arguments::parse(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn commands_have_the_kernels_bounds() {
        assert!(Command::parse("exec sleep 1").is_ok());
        assert!(Command::parse(&"x".repeat(131_071)).is_ok());
        for (text, reason) in
            [("", "is empty"), ("a\0b", "a NUL"), (&*"x".repeat(131_072), "(131072 bytes) is too long")]
        {
            let error = Command::parse(text).expect_err("refused").to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn arguments_are_bounded_in_number_and_in_all() {
        for texts in
            [&["sh"][..], &["/bin/x", "", "a b"], &["sh", &"x".repeat((128 << 10) - 4)], &["x"; 4096]]
        {
            assert!(arguments(texts).is_ok());
        }
        for (texts, reason) in [
            (&[][..], "there are 0 arguments; accepted: 1 to 4096"),
            (&["x"; 4097], "there are 4097"),
            (&["sh", &"x".repeat((128 << 10) - 3)], "have 131073 bytes"),
            (&["", "x"], "first argument is empty"),
            (&[&*"x".repeat(256)], "too long for the name of a file"),
            (&["sh", "a\0b"], r#"argument 2 ("a\0b") contains a NUL"#),
        ] {
            let error = arguments(texts).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_name_is_looked_for_in_each_directory() {
        let candidates = |program: &str, path: &str| {
            let candidates = arguments(&[program]).expect("valid").candidates(path.as_bytes());
            candidates
                .into_iter()
                .map(|path| path.into_string().expect("UTF-8"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(candidates("ls", "/usr/bin:/bin"), "/usr/bin/ls /bin/ls");
        assert_eq!(candidates("ls", ""), "ls");
        assert_eq!(candidates("ls", ":bin:"), "ls bin/ls ls");
        assert_eq!(candidates("/bin/ls", "/usr/bin"), "/bin/ls");
        assert_eq!(candidates("./ls", "/usr/bin"), "./ls");
    }

    #[test]
    fn working_directories_are_absolute() {
        assert_eq!(WorkingDirectory::default(), WorkingDirectory::parse("/").expect("valid"));
        assert!(WorkingDirectory::parse(&"/".repeat(4095)).is_ok());
        for (text, reason) in [
            ("", "is not absolute"),
            ("tmp", "is not absolute"),
            ("/a\0", "a NUL"),
            (&*"/".repeat(4096), "too long"),
        ] {
            let error = WorkingDirectory::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn descriptions_are_bounded() {
        assert_eq!(Description::parse("").expect("empty").as_str(), "");
        assert!(Description::parse(&"x".repeat(1024)).is_ok());
        assert!(Description::parse(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn no_user_is_no_user() {
        assert_eq!(parse_id(u32::MAX - 1), Ok(u32::MAX - 1));
        assert!(parse_id(u32::MAX).is_err());
    }
}
