//! The variables that an executable begins with: a few of ours, and those that were asked for. Touches nothing.

use super::names::{CellName, ExecutableName};
use super::quote::Quoted;
use crate::limits::{ENVIRONMENT_BYTES_MAX, ENVIRONMENT_MAX, SEARCH_PATH_DIRECTORIES_MAX};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;

/// Where programs are looked for: Debian's default for root.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names that tell an executable where it is; they are always ours.
const CELL: &str = "AURAE_CELL";
const EXECUTABLE: &str = "AURAE_EXECUTABLE";

/// Variables that were asked for: at most 1024, and 128 KiB in all. A name has neither `=` nor NUL, a value no NUL.
///
/// One text, of `NAME=value` and a NUL for each: a map would take many times the memory of the request.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(Box<str>);

/// Why variables are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    #[error("there are {count} variables; accepted: at most {ENVIRONMENT_MAX}")]
    TooMany { count: usize },
    #[error(
        "the variables have {bytes} bytes with '=' and NUL; accepted: at most {ENVIRONMENT_BYTES_MAX} in all"
    )]
    TooLong { bytes: usize },
    #[error("the name {given} is no variable's; accepted: 1 or more characters without '=' and NUL")]
    Name { given: String },
    #[error("the value of {name} contains a NUL, which no variable can")]
    ValueNul { name: String },
    #[error("{0} tells the executable where it is; accepted: any other name")]
    Ours(String),
    #[error("PATH has {count} directories; accepted: at most {SEARCH_PATH_DIRECTORIES_MAX}")]
    SearchPath { count: usize },
}

impl Environment {
    pub fn parse(variables: BTreeMap<String, String>) -> Result<Self, EnvironmentError> {
        if variables.len() > ENVIRONMENT_MAX {
            return Err(EnvironmentError::TooMany { count: variables.len() });
        }
        let bytes = variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        if bytes > ENVIRONMENT_BYTES_MAX {
            return Err(EnvironmentError::TooLong { bytes });
        }
        variables.iter().try_for_each(|(name, value)| check_variable(name, value))?;
        let mut joined = String::with_capacity(bytes);
        variables.iter().for_each(|(name, value)| joined.extend([name.as_str(), "=", value.as_str(), "\0"]));
        Ok(Self(joined.into()))
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split_terminator('\0').filter_map(|variable| variable.split_once('='))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All that an executable begins with, as `NAME=value`.
    pub fn variables(&self, cell: &CellName, executable: &ExecutableName) -> Vec<CString> {
        // The working directory is "/" too, unless another is asked for.
        let ours =
            [("PATH", SEARCH_PATH), ("HOME", "/"), (CELL, cell.as_str()), (EXECUTABLE, executable.as_str())];
        let ours = ours.into_iter().filter(|(name, _)| self.get(name).is_none());
        // Nothing is left out here: the types of both names, and `parse`, keep NULs away.
        ours.chain(self.iter())
            .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
            .collect()
    }

    /// What it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The PATH among them.
    pub fn search_path(&self) -> &str {
        self.get("PATH").unwrap_or(SEARCH_PATH)
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), EnvironmentError> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(EnvironmentError::Name { given: Quoted(name).to_string() });
    }
    if value.contains('\0') {
        return Err(EnvironmentError::ValueNul { name: Quoted(name).to_string() });
    }
    if [CELL, EXECUTABLE].contains(&name) {
        return Err(EnvironmentError::Ours(name.to_owned()));
    }
    let count = value.split(':').count();
    if name == "PATH" && count > SEARCH_PATH_DIRECTORIES_MAX {
        return Err(EnvironmentError::SearchPath { count });
    }
    Ok(())
}

impl fmt::Debug for Environment {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        Environment::parse(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn variables(environment: &Environment) -> String {
        let cell = CellName::parse("web").expect("valid");
        let executable = ExecutableName::parse("a b").expect("valid");
        let variables = environment.variables(&cell, &executable);
        variables.iter().map(|v| v.to_string_lossy()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn what_is_asked_for_replaces_the_defaults() {
        assert_eq!(
            variables(&Environment::default()),
            format!("PATH={SEARCH_PATH}|HOME=/|AURAE_CELL=web|AURAE_EXECUTABLE=a b")
        );
        let environment = parse(&[("PATH", "/x"), ("A.b", "=1=\n"), ("E", "")]).expect("valid");
        assert_eq!(environment.search_path(), "/x");
        assert_eq!(
            variables(&environment),
            "HOME=/|AURAE_CELL=web|AURAE_EXECUTABLE=a b|A.b==1=\n|E=|PATH=/x"
        );
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (name, value, reason) in [
            ("", "x", r#"the name """#),
            ("a=b", "x", r#"the name "a=b""#),
            ("a\0", "x", r#"the name "a\0""#),
            ("a", "x\0", r#"the value of "a" contains a NUL"#),
            ("AURAE_CELL", "x", "AURAE_CELL tells"),
            ("AURAE_EXECUTABLE", "x", "AURAE_EXECUTABLE tells"),
            ("PATH", &":".repeat(256), "PATH has 257 directories"),
            ("a", &"x".repeat((128 << 10) - 2), "have 131073 bytes"),
        ] {
            let error = parse(&[(name, value)]).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
        let many =
            |count: usize| Environment::parse((0..count).map(|n| (n.to_string(), String::new())).collect());
        assert!(many(1024).is_ok() && many(1025).is_err());
        assert!(parse(&[("a", &"x".repeat((128 << 10) - 3)), ("PATH", &":".repeat(0))]).is_err());
        assert!(parse(&[("a", &"x".repeat((128 << 10) - 3))]).is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let environment = parse(&[("TOKEN", "hunter2")]).expect("valid");
        assert_eq!(format!("{environment:?}"), r#"{"TOKEN"}"#);
    }
}
