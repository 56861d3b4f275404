//! Fuzz body of what a client may write: names of cells and executables, lists of cpus, devices, signals. Each grammar is said a second
//! time, in another way than the parser has it, and the two must agree on every text.

use std::fmt::Display;

use super::cpuset::IdList;
use super::io::Device;
use super::names::{CellName, ExecutableName};
use super::signal::SignalNumber;
use crate::limits::{CELL_NAME_BYTES_MAX, DEVICE_PATH_BYTES_MAX, ID_LIST_BYTES_MAX, ID_MAX};
use nix::sys::signal::Signal;

/// No refusal is longer: it shows a piece of what was given, escaped, once or twice.
const REFUSAL_BYTES_MAX: usize = 2 << 10;

/// Two texts, of which the first line is one and the rest the other.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    check_executable_name(text);
    for text in [first, second] {
        check_cell_name(text);
        check_id_list(text);
        check_signal(text);
        check_device(text);
    }
    check_subset(first, second);
}

fn check_cell_name(text: &str) {
    let name = match CellName::parse(text) {
        Ok(name) => name,
        Err(why) => return check_refusal(text, is_cell_name(text), &why),
    };
    assert!(is_cell_name(text), "{text:?} was accepted");
    assert!(text.len() <= CELL_NAME_BYTES_MAX);
    assert_eq!(name.to_string(), text);
    assert_eq!(name.labels().collect::<Vec<_>>().join("/"), text);
    assert_eq!(name.labels().next_back(), Some(name.last_label()));
    if let Some(parent) = name.parent() {
        assert_eq!(CellName::parse(parent.as_str()).as_ref(), Ok(&parent));
        assert_eq!(format!("{parent}/{}", name.last_label()), text);
        assert!(name.is_child_of(&parent) && !parent.is_child_of(&name));
        assert!(parent < name, "{text:?} sorts before its parent");
    }
}

/// The contract's grammar, byte by byte.
fn is_cell_name(text: &str) -> bool {
    let (mut depth, mut label, mut before) = (1, 0, b'/');
    for byte in text.bytes() {
        match byte {
            b'/' if matches!(before, b'/' | b'-') => return false,
            b'/' => (depth, label) = (depth + 1, 0),
            b'-' if before == b'/' => return false,
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => label += 1,
            _ => return false,
        }
        if depth > 8 || label > 63 {
            return false;
        }
        before = byte;
    }
    !matches!(before, b'/' | b'-')
}

fn check_executable_name(text: &str) {
    let is_name = (1..=255).contains(&text.len()) && !text.bytes().any(|b| b == 0);
    match ExecutableName::parse(text) {
        Ok(name) => {
            assert!(is_name, "{text:?} was accepted");
            assert_eq!(name.as_str(), text);
            assert!(!name.to_string().contains(char::is_control), "{text:?} is not escaped");
        }
        Err(why) => check_refusal(text, is_name, &why),
    }
}

fn check_id_list(text: &str) {
    let (list, ids) = match (IdList::parse(text), ids(text)) {
        (Ok(list), Some(ids)) => (list, ids),
        (Ok(_), None) => panic!("{text:?} was accepted"),
        (Err(why), ids) => return check_refusal(text, ids.is_some(), &why),
    };
    let shown = list.to_string();
    assert_eq!(self::ids(&shown), Some(ids), "{text:?} was read as {shown:?}");
    assert_eq!(IdList::parse(&shown), Ok(list));
}

fn check_signal(text: &str) {
    let expected =
        (1..=64).find(|number| spellings(*number).any(|spelling| spelling.eq_ignore_ascii_case(text)));
    match SignalNumber::parse(text) {
        Ok(signal) => assert_eq!(Some(signal.value()), expected, "{text:?}"),
        Err(why) => check_refusal(text, expected.is_some(), &why),
    }
}

/// All ways to write a signal.
fn spellings(number: i32) -> impl Iterator<Item = String> {
    let mut names: Vec<String> = Vec::new();
    names.extend(Signal::try_from(number).map(|signal| signal.as_str()["SIG".len()..].to_owned()));
    let others =
        [(Signal::SIGABRT as i32, "IOT"), (Signal::SIGCHLD as i32, "CLD"), (Signal::SIGIO as i32, "POLL")];
    let others = others.into_iter().chain([(34, "RTMIN"), (64, "RTMAX")]);
    names.extend(others.filter(|(other, _)| *other == number).map(|(_, name)| name.to_owned()));
    if number >= 34 {
        names.extend([format!("RTMIN+{}", number - 34), format!("RTMAX-{}", 64 - number)]);
    }
    let prefixed: Vec<String> = names.iter().map(|name| format!("SIG{name}")).collect();
    names.into_iter().chain(prefixed).chain([number.to_string()])
}

fn check_device(text: &str) {
    match Device::parse(text) {
        Err(why) => check_refusal(text, is_device(text), &why),
        Ok(device) => {
            assert!(is_device(text), "{text:?} was accepted");
            let shown = device.to_string();
            assert!(text.starts_with('/') == shown.starts_with('/') && shown.len() <= text.len());
            assert_eq!(Device::parse(&shown), Ok(device));
        }
    }
}

/// An absolute path, or two numbers of 12 and 20 bits.
fn is_device(text: &str) -> bool {
    let below = |digits: &str, end: u64| {
        let digit = |sum: u64, byte: u8| {
            Some(sum.saturating_mul(10).saturating_add((byte as char).to_digit(10)?.into()))
        };
        !digits.is_empty() && digits.bytes().try_fold(0, digit).is_some_and(|number| number < end)
    };
    match text.as_bytes() {
        [b'/', rest @ ..] => rest.len() < DEVICE_PATH_BYTES_MAX && !rest.contains(&0),
        _ => match text.split(':').collect::<Vec<_>>()[..] {
            [major, minor] => below(major, 1 << 12) && below(minor, 1 << 20),
            _ => false,
        },
    }
}

fn check_subset(first: &str, second: &str) {
    let (Ok(a), Ok(b)) = (IdList::parse(first), IdList::parse(second)) else { return };
    let (Some(ids_a), Some(ids_b)) = (ids(first), ids(second)) else { return };
    let within = ids_a.iter().zip(&ids_b).all(|(a, b)| !a || *b);
    assert_eq!(a.is_subset_of(&b), within, "{first:?} in {second:?}");
}

/// Which ids a list names; `None` when it is no list.
fn ids(text: &str) -> Option<Vec<bool>> {
    if text.len() > ID_LIST_BYTES_MAX {
        return None;
    }
    let mut ids = vec![false; ID_MAX as usize + 1];
    for item in text.split(',') {
        let mut ends = item.splitn(2, '-').map(id);
        let low = ends.next()??;
        let high = ends.next().unwrap_or(Some(low))?;
        ids.get_mut(low..=high).filter(|range| !range.is_empty())?.fill(true);
    }
    Some(ids)
}

/// Digits only; a number above all ids where it is too large to count.
fn id(text: &str) -> Option<usize> {
    let digit = |sum: usize, byte: u8| {
        Some(sum.saturating_mul(10).saturating_add((byte as char).to_digit(10)? as usize))
    };
    (!text.is_empty()).then(|| text.bytes().try_fold(0, digit))?.filter(|id| *id <= ID_MAX as usize)
}

/// What is refused is no name, and the reason says what would be one.
fn check_refusal(text: &str, is_valid: bool, why: &dyn Display) {
    let why = why.to_string();
    assert!(!is_valid, "{text:?} was refused: {why}");
    assert!(why.contains("accepted") || why.contains("NUL"), "{why}");
    assert!(why.len() <= REFUSAL_BYTES_MAX, "a reason of {} bytes", why.len());
    assert!(!why.contains(char::is_control), "{why:?} is not escaped");
}
