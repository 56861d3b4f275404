//! Lists of cpus and memory nodes, in the kernel's list syntax. Touches no file.

use super::quote::Quoted;
use crate::limits::{ID_LIST_BYTES_MAX, ID_MAX};
use std::collections::BinaryHeap;
use std::fmt;

/// The cpus and memory nodes that a cell may use. A field that is `None` is as the parent has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpusetLimits {
    pub cpus: Option<IdList>,
    pub mems: Option<IdList>,
}

/// A set of cpus or of memory nodes, not empty: `0-3,7`.
///
/// The syntax is the kernel's (cpuset(7), "List format") without its rarities (`all`, strides, spaces): numbers and
/// ranges joined by commas. Order and overlap don't matter, as for the kernel; what is shown is sorted and merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList {
    /// Sorted; neither overlapping nor touching; both ends belong to the range.
    ranges: Vec<(u32, u32)>,
}

/// Why a text is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdListError {
    #[error(
        "the list is empty; accepted: numbers and ranges such as 0-3,7, or unset for what the parent has"
    )]
    Empty,
    #[error("the list has {0} bytes; accepted: at most {ID_LIST_BYTES_MAX}")]
    TooLong(usize),
    #[error("list {given} has the item {item}; accepted: numbers and ranges such as 0-3,7")]
    Syntax { given: String, item: String },
    #[error("list {given} has the reversed range {item}; accepted: low-high")]
    Reversed { given: String, item: String },
    #[error("list {given} has {item}; accepted: 0 to {ID_MAX}")]
    TooBig { given: String, item: String },
}

impl IdList {
    /// Reads a list, strictly.
    pub fn parse(text: &str) -> Result<Self, IdListError> {
        if text.is_empty() {
            return Err(IdListError::Empty);
        }
        if text.len() > ID_LIST_BYTES_MAX {
            return Err(IdListError::TooLong(text.len()));
        }
        let ranges = text.split(',').map(|item| range(text, item)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { ranges: merged(ranges) })
    }

    /// What is in either.
    pub fn and(&self, other: &Self) -> Self {
        Self { ranges: merged(self.ranges.iter().chain(&other.ranges).copied().collect()) }
    }

    /// Whether each of `self` is in `other`.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        let within = |(low, high): &(u32, u32)| other.ranges.iter().any(|(l, h)| l <= low && high <= h);
        self.ranges.iter().all(within)
    }
}

fn range(text: &str, item: &str) -> Result<(u32, u32), IdListError> {
    let given = || Quoted(text).to_string();
    let shown = || Quoted(item).to_string();
    let (low, high) = item.split_once('-').unwrap_or((item, item));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(low) || !digits(high) {
        return Err(IdListError::Syntax { given: given(), item: shown() });
    }
    let id = |part: &str| part.parse().ok().filter(|id| *id <= ID_MAX);
    let (Some(low), Some(high)) = (id(low), id(high)) else {
        return Err(IdListError::TooBig { given: given(), item: shown() });
    };
    if low > high {
        return Err(IdListError::Reversed { given: given(), item: shown() });
    }
    Ok((low, high))
}

fn merged(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    // A heap, since a sort is 7 KB of code.
    let ranges = BinaryHeap::from(ranges).into_sorted_vec();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

impl fmt::Display for IdList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match low == high {
                true => write!(f, "{comma}{low}")?,
                false => write!(f, "{comma}{low}-{high}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_normalised() {
        for (text, shown) in [
            ("0", "0"),
            ("0-3,7", "0-3,7"),
            ("7,0-3", "0-3,7"),
            ("0-1,1-3", "0-3"),
            ("0,1,2", "0-2"),
            ("5-5", "5"),
            ("0-9,2-3", "0-9"),
            ("007", "7"),
            ("8191", "8191"),
        ] {
            assert_eq!(IdList::parse(text).expect(text).to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", "is empty"),
            (",", "the item \"\""),
            ("0,", "the item \"\""),
            ("0,,1", "the item \"\""),
            ("-1", "the item \"-1\""),
            ("1-", "the item \"1-\""),
            ("1-2-3", "the item \"1-2-3\""),
            ("+1", "the item \"+1\""),
            (" 1", "the item \" 1\""),
            ("1\n", r#"the item "1\n""#),
            ("all", "the item \"all\""),
            ("0-7:1/2", "the item \"0-7:1/2\""),
            ("0x1", "the item \"0x1\""),
            ("٣", "the item \"٣\""),
            ("3-0", "the reversed range \"3-0\""),
            ("8192", "has \"8192\"; accepted: 0 to 8191"),
            ("99999999999999999999", "accepted: 0 to 8191"),
            (&"1,".repeat(3000), "has 6000 bytes"),
        ] {
            let error = IdList::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn subsets_and_unions() {
        let list = |text| IdList::parse(text).expect("valid");
        assert!(list("1,3").is_subset_of(&list("0-3")));
        assert!(list("0-3").is_subset_of(&list("0,1,2,3")));
        assert!(!list("0-4").is_subset_of(&list("0-3")));
        assert!(!list("0-3").is_subset_of(&list("0,2-3")));
        assert_eq!(list("0,5").and(&list("1-2,5-6")), list("0-2,5-6"));
    }
}
