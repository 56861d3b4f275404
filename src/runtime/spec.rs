//! What a cell and an executable are asked to be. Parsed values; no file or process is touched.

use super::cpu::CpuLimits;
use super::cpuset::CpusetLimits;
use super::isolation::Isolation;
use super::names::{CellName, ExecutableName};
use super::quote::Quoted;
use crate::limits::{COMMAND_BYTES_MAX, DESCRIPTION_BYTES_MAX};
use std::ffi::CString;
use std::fmt;
use std::sync::Arc;

/// A cell as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpec {
    pub name: CellName,
    pub cpu: CpuLimits,
    pub cpuset: CpusetLimits,
    pub isolation: Isolation,
}

/// An executable as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableSpec {
    pub name: ExecutableName,
    pub command: Command,
    pub description: Description,
}

/// What the shell is given after `-c`: 1 to 131071 bytes without NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(CString);

/// For people; has no effect. At most 1024 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(Arc<str>);

/// Why a text is no command or description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("the command is empty; accepted: 1 to {COMMAND_BYTES_MAX} bytes for the shell")]
    EmptyCommand,
    #[error(
        "the command {given} is too long; accepted: at most {COMMAND_BYTES_MAX} bytes (the kernel's limit on one argument)"
    )]
    CommandTooLong { given: String },
    #[error("the command {given} contains a NUL, which no argument can")]
    CommandNul { given: String },
    #[error("the description {given} is too long; accepted: at most {DESCRIPTION_BYTES_MAX} bytes")]
    DescriptionTooLong { given: String },
}

impl Command {
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let given = || Quoted(text).to_string();
        if text.is_empty() {
            return Err(SpecError::EmptyCommand);
        }
        if text.len() > COMMAND_BYTES_MAX {
            return Err(SpecError::CommandTooLong { given: given() });
        }
        CString::new(text).map(Self).map_err(|_| SpecError::CommandNul { given: given() })
    }

    pub fn as_c_string(&self) -> &CString {
        &self.0
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", Quoted(&self.0.to_string_lossy()))
    }
}

impl Description {
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        match text.len() {
            0..=DESCRIPTION_BYTES_MAX => Ok(Self(text.into())),
            _ => Err(SpecError::DescriptionTooLong { given: Quoted(text).to_string() }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn descriptions_are_bounded() {
        assert_eq!(Description::parse("").expect("empty").as_str(), "");
        assert!(Description::parse(&"x".repeat(1024)).is_ok());
        assert!(Description::parse(&"x".repeat(1025)).is_err());
    }
}
