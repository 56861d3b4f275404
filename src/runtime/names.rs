//! Names of cells and executables. Knows nothing of what they name.

use super::quote::Quoted;
use crate::limits::{CELL_DEPTH_MAX, CELL_LABEL_BYTES_MAX, CELL_NAME_BYTES_MAX, EXECUTABLE_NAME_BYTES_MAX};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Name of a cell: labels joined by `/`, of which each but the last names the cell around the next.
///
/// A label has 1 to 63 characters of `A-Z a-z 0-9 -` and neither starts nor ends in `-`; there are at most 8. So a label
/// is a safe name of a directory: it is never `.` or `..`, and never has the `_` or `.` of the kernel's and our own names.
///
/// The order puts a cell before the cells inside it, and these before its next sibling.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CellName(Arc<str>);

/// Why a text is no name. Says what was given, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a cell name is empty; accepted: {LABELS}")]
    EmptyCellName,
    #[error("cell name {given} has {depth} labels; accepted: at most {CELL_DEPTH_MAX}")]
    TooDeep { given: String, depth: usize },
    #[error("cell name {given} has an empty label (a leading, trailing or double slash); accepted: {LABELS}")]
    EmptyLabel { given: String },
    #[error("label {label} of a cell name has {bytes} bytes; accepted: 1 to {CELL_LABEL_BYTES_MAX}")]
    LabelTooLong { label: String, bytes: usize },
    #[error("label {label} of a cell name has the character {character:?}; accepted: A-Z a-z 0-9 -")]
    LabelCharacter { label: String, character: char },
    #[error("label {label} of a cell name starts or ends in '-'; accepted: a letter or a digit there")]
    LabelEdge { label: String },
    #[error("an executable name is empty; accepted: 1 to {EXECUTABLE_NAME_BYTES_MAX} bytes without NUL")]
    EmptyExecutableName,
    #[error(
        "executable name {given} has {bytes} bytes; accepted: 1 to {EXECUTABLE_NAME_BYTES_MAX} without NUL"
    )]
    ExecutableNameTooLong { given: String, bytes: usize },
    #[error("executable name {given} contains a NUL; accepted: any other text")]
    ExecutableNameNul { given: String },
}

const LABELS: &str =
    "one or more labels joined by '/', each 1 to 63 of A-Z a-z 0-9 -, not starting or ending in '-'";

impl CellName {
    /// Reads a name, strictly: nothing is trimmed or folded.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::EmptyCellName);
        }
        for label in text.split('/') {
            check_label(text, label)?;
        }
        let depth = text.split('/').count();
        if depth > CELL_DEPTH_MAX {
            return Err(NameError::TooDeep { given: Quoted(text).to_string(), depth });
        }
        debug_assert!(text.len() <= CELL_NAME_BYTES_MAX);
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, outermost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The cell around this one; `None` for a cell at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// What the cell is called inside its parent.
    pub fn last_label(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, label)| label)
    }

    /// Whether this cell is directly inside `other`.
    pub fn is_child_of(&self, other: &Self) -> bool {
        self.0.rsplit_once('/').is_some_and(|(parent, _)| parent == &*other.0)
    }
}

fn check_label(text: &str, label: &str) -> Result<(), NameError> {
    let shown = || Quoted(label).to_string();
    if label.is_empty() {
        return Err(NameError::EmptyLabel { given: Quoted(text).to_string() });
    }
    if let Some(character) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(NameError::LabelCharacter { label: shown(), character });
    }
    if label.len() > CELL_LABEL_BYTES_MAX {
        return Err(NameError::LabelTooLong { label: shown(), bytes: label.len() });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::LabelEdge { label: shown() });
    }
    Ok(())
}

impl Ord for CellName {
    /// By labels, not by bytes: `-` sorts before `/`, and would put `a-b` between `a` and `a/b`.
    fn cmp(&self, other: &Self) -> Ordering {
        self.labels().cmp(other.labels())
    }
}

impl PartialOrd for CellName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CellName({})", self.0)
    }
}

/// Name of an executable, unique in its cell: any text of 1 to 255 bytes without NUL, such as `sleep 4000`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutableName(Arc<str>);

impl ExecutableName {
    /// Reads a name, strictly: nothing is trimmed or folded.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let given = || Quoted(text).to_string();
        if text.is_empty() {
            return Err(NameError::EmptyExecutableName);
        }
        if text.len() > EXECUTABLE_NAME_BYTES_MAX {
            return Err(NameError::ExecutableNameTooLong { given: given(), bytes: text.len() });
        }
        if text.contains('\0') {
            return Err(NameError::ExecutableNameNul { given: given() });
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExecutableName {
    /// In quotes and escaped, as the name may be any text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(&self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CellName {
        CellName::parse(text).expect("a valid name")
    }

    #[test]
    fn cell_names_are_accepted() {
        let longest_label = "a".repeat(63);
        let longest = [&*longest_label; 8].join("/");
        for text in ["a", "A9", "a-b", "a/b", "0/1/2/3/4/5/6/7", &longest_label, &longest] {
            assert_eq!(name(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        let long_label = "a".repeat(64);
        for (text, reason) in [
            ("", "is empty"),
            ("/", "empty label"),
            ("/a", "empty label"),
            ("a/", "empty label"),
            ("a//b", "empty label"),
            ("-a", "starts or ends"),
            ("a-", "starts or ends"),
            ("a/-", "starts or ends"),
            (".", "the character '.'"),
            ("..", "the character '.'"),
            ("a/../b", "the character '.'"),
            ("_daemon", "the character '_'"),
            ("a b", "the character ' '"),
            ("ä", "the character 'ä'"),
            ("a\0", "the character '\\0'"),
            ("a\n", r#"label "a\n""#),
            (&long_label, "has 64 bytes"),
            ("0/1/2/3/4/5/6/7/8", "has 9 labels"),
        ] {
            let error = CellName::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_long_name_makes_a_short_message() {
        let error = CellName::parse(&"x/".repeat(1_000_000)).expect_err("too long").to_string();
        assert!(error.len() < 400, "{error}");
    }

    #[test]
    fn a_name_knows_its_place() {
        assert_eq!(name("a").parent(), None);
        assert_eq!(name("a/b/c").parent(), Some(name("a/b")));
        assert_eq!(name("a/b/c").last_label(), "c");
        assert!(name("a/b").is_child_of(&name("a")));
        assert!(!name("a/b/c").is_child_of(&name("a")));
        assert!(!name("ab").is_child_of(&name("a")));
    }

    #[test]
    fn the_order_keeps_a_tree_together() {
        let mut names = ["b", "a-b", "a/c", "a", "a/b/d", "a/b"].map(name);
        names.sort();
        assert_eq!(names.map(|n| n.to_string()), ["a", "a/b", "a/b/d", "a/c", "a-b", "b"]);
    }

    #[test]
    fn executable_names() {
        for text in ["sleep 4000", "ä/../\n", &"x".repeat(255)] {
            assert_eq!(ExecutableName::parse(text).expect(text).as_str(), text);
        }
        for (text, reason) in [("", "is empty"), ("a\0b", "a NUL"), (&*"x".repeat(256), "has 256 bytes")] {
            let error = ExecutableName::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
