//! Signals by name and number. Sends none.

use super::quote::Quoted;
use nix::sys::signal::Signal;
use std::str::FromStr;

/// A signal of the kernel's 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalNumber(i32);

const SIGNAL_MAX: i32 = 64;

/// The first and the last of the real-time signals, as programs count them: the kernel's 32 and 33 are the C library's
/// own (signal(7)).
const REAL_TIME_MIN: i32 = 34;
const REAL_TIME_MAX: i32 = SIGNAL_MAX;

/// Second names (signal(7)).
const ALIASES: [(&str, Signal); 3] =
    [("IOT", Signal::SIGABRT), ("CLD", Signal::SIGCHLD), ("POLL", Signal::SIGIO)];

/// Why a text is no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is no signal; accepted: 1 to {SIGNAL_MAX}, or a name of signal(7), as in \"SIGTERM\", \"HUP\", \"RTMIN+3\" or \"RTMAX-1\""
)]
pub struct SignalError {
    given: String,
}

impl SignalNumber {
    /// Reads a number, or a name, in capitals or not, with `SIG` in front or without.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = if text.starts_with(|first: char| first.is_ascii_digit()) {
            number(text)
        } else {
            named(name).or_else(|| real_time(name))
        };
        let in_range = number.filter(|number| (1..=SIGNAL_MAX).contains(number));
        in_range.map(Self).ok_or_else(|| SignalError { given: Quoted(text).to_string() })
    }

    pub fn value(self) -> i32 {
        self.0
    }
}

impl From<Signal> for SignalNumber {
    fn from(signal: Signal) -> Self {
        Self(signal as i32)
    }
}

fn named(name: &str) -> Option<i32> {
    let alias = ALIASES.into_iter().find(|(alias, _)| *alias == name).map(|(_, signal)| signal);
    alias.or_else(|| Signal::from_str(&format!("SIG{name}")).ok()).map(|signal| signal as i32)
}

fn real_time(name: &str) -> Option<i32> {
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => REAL_TIME_MIN,
        (Some(more), _) => REAL_TIME_MIN + number(more.strip_prefix('+')?)?,
        (_, Some("")) => REAL_TIME_MAX,
        (_, Some(less)) => REAL_TIME_MAX - number(less.strip_prefix('-')?)?,
        _ => return None,
    };
    (REAL_TIME_MIN..=REAL_TIME_MAX).contains(&number).then_some(number)
}

/// One or two digits: no sign, and no zero in front.
fn number(digits: &str) -> Option<i32> {
    match digits.as_bytes() {
        [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'] => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("Hup", 1),
            ("SIGIOT", 6),
            ("CLD", 17),
            ("POLL", 29),
            ("SIGSTKFLT", 16),
            ("1", 1),
            ("32", 32),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMIN+30", 64),
            ("RTMAX-1", 63),
            ("rtmax", 64),
        ] {
            assert_eq!(SignalNumber::parse(text).map(SignalNumber::value), Ok(number), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "+1",
            "05",
            "015",
            "100",
            "1x",
            "SIG",
            "SIG9",
            "SIGSIGTERM",
            "TERMINATE",
            "RTMIN-1",
            "RTMIN+31",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN3",
            "RTMIN+ 3",
            " TERM",
            "TERM\n",
            "ß",
        ] {
            let error = SignalNumber::parse(text).expect_err(text).to_string();
            assert!(error.contains("is no signal; accepted: 1 to 64"), "{error}");
        }
    }
}
