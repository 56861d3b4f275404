//! What reaches the user: answers on stdout, errors on stderr, both as text or as JSON.
//!
//! The text is the same on a terminal and in a pipe, and has no colours but those of [`crate::logs`]. Only what is said
//! while one waits is for terminals alone.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use auraed::grpc::status::{Code, Status, Violation};
use serde_json::{Value, json};

use crate::arguments::UsageError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// What the daemon answered, in both forms.
#[derive(Debug)]
pub struct Answer {
    pub json: Value,
    /// Whole lines.
    pub text: String,
    /// What to say to people on stderr beside it: nothing, or whole lines. The JSON form has all of it.
    pub remark: String,
    /// To exit with, once it is printed; 0 when it is what the user hoped for.
    pub exit_code: u8,
}

impl Answer {
    pub fn new(json: Value, text: String) -> Self {
        Self { json, text, remark: String::new(), exit_code: 0 }
    }
}

/// Prints an answer; the exit code is its own, if it could be printed.
pub fn answer(answer: &Answer, form: Form) -> ExitCode {
    let printed = match form {
        Form::Text => print(&answer.text),
        Form::Json => print(&format!("{:#}\n", answer.json)),
    };
    if form == Form::Text {
        complain(&answer.remark);
    }
    if answer.exit_code == 0 { printed } else { ExitCode::from(answer.exit_code) }
}

/// Prints to stdout.
pub fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) => unprinted(&error),
        Ok(()) => ExitCode::SUCCESS,
    }
}

/// What to exit with when stdout takes no more. A reader that has seen enough, as `head`, is no failure.
pub fn unprinted(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    complain(&format!("aer: failed to write the answer to stdout: {error}\n"));
    ExitCode::FAILURE
}

/// Says on stderr why there is no answer.
pub fn error(status: &Status, form: Form) {
    complain(&match form {
        Form::Text => error_text(status),
        Form::Json => error_json(status.code, &status.message, &status.violations()),
    });
}

/// Says on stderr why nothing was asked.
pub fn usage_error(usage: &UsageError) {
    complain(&match usage.form {
        Form::Text => format!("aer: {}\n", usage.message),
        Form::Json => error_json(Code::InvalidArgument, &usage.message, &[]),
    });
}

/// Says on stderr, to people, what is to be known about what stands on stdout. The JSON form has all of it, or needs it
/// not.
pub fn notice(text: &str, form: Form) {
    if form == Form::Text {
        complain(&format!("aer: {}\n", printable(text)));
    }
}

/// Where the cells of a column line up.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Left,
    Right,
}

/// Says on stderr what is waited for, to a person who watches.
pub fn progress(text: &str, form: Form) {
    if form == Form::Text && io::stderr().is_terminal() {
        complain(text);
    }
}

/// Rows of cells as lines of aligned columns, two spaces apart.
pub fn columns<const N: usize>(rows: &[[String; N]], sides: [Side; N]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).zip(sides).map(|((cell, width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A text from elsewhere on one line of a terminal, which it cannot steer: control characters are escaped.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

fn error_text(status: &Status) -> String {
    let (code, violations) = (status.code.name(), status.violations());
    if !violations.is_empty() {
        // The message says the same in one long line.
        let line =
            |v: &Violation| format!("aer: {code}: {}: {}\n", printable(&v.field), printable(&v.description));
        return violations.iter().map(line).collect();
    }
    let hint = match status.code {
        Code::DeadlineExceeded => "the daemon may still do it; --timeout-ms waits longer\n",
        _ => "",
    };
    format!("aer: {code}: {}\n{hint}", printable(&status.message))
}

/// On one line, to be found among other lines of a log.
fn error_json(code: Code, message: &str, violations: &[Violation]) -> String {
    let violation = |v: &Violation| json!({ "field": v.field, "description": v.description });
    let violations: Vec<Value> = violations.iter().map(violation).collect();
    format!("{}\n", json!({ "code": code.name(), "message": message, "violations": violations }))
}

/// Where stderr is closed, nobody is left to be told.
pub fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [["a", "ü", "x"], ["bbb", "", ""], ["", "22", "y"]].map(|row| row.map(str::to_owned));
        let sides = [Side::Left, Side::Right, Side::Left];
        assert_eq!(columns(&rows, sides), "a     ü  x\nbbb\n     22  y\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("grün\x1b[2J\n\u{9b}"), r"grün\u{1b}[2J\n\u{9b}");
    }

    #[test]
    fn errors_start_with_their_code() {
        assert_eq!(error_text(&Status::new(Code::NotFound, "no \"x\"")), "aer: NOT_FOUND: no \"x\"\n");
        let late = error_text(&Status::new(Code::DeadlineExceeded, "too late"));
        assert!(
            late.starts_with("aer: DEADLINE_EXCEEDED: too late\n") && late.contains("--timeout-ms"),
            "{late}"
        );
    }

    #[test]
    fn each_violation_has_a_line() {
        let violation =
            |field: &str, why: &str| Violation { field: field.to_owned(), description: why.to_owned() };
        let violations = [violation("cell.name", "\"-\""), violation("cell.cpu.weight", "0")];
        let expected = "aer: INVALID_ARGUMENT: cell.name: \"-\"\naer: INVALID_ARGUMENT: cell.cpu.weight: 0\n";
        assert_eq!(error_text(&Status::bad_request(&violations)), expected);
        assert_eq!(
            error_json(Code::InvalidArgument, "two", &violations[..1]),
            "{\"code\":\"INVALID_ARGUMENT\",\"message\":\"two\",\
             \"violations\":[{\"field\":\"cell.name\",\"description\":\"\\\"-\\\"\"}]}\n"
        );
    }
}
