//! Why a call is refused, as the wire has it.

use std::fmt::Display;

use crate::grpc::status::{Code, Status, Violation};
use crate::runtime;

/// What a failure of the runtime is called on the wire.
pub fn status(error: &runtime::Error) -> Status {
    use crate::runtime::ErrorKind;
    let code = match error.kind() {
        ErrorKind::Invalid(field) => {
            let text = error.to_string();
            let description =
                text.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
            let violation = Violation { field: field.to_owned(), description: description.to_owned() };
            return Status::bad_request(&[violation]);
        }
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Internal => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The bad fields of one request, all of them.
#[derive(Default)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    pub fn check<T>(&mut self, field: &str, parsed: Result<T, impl Display>) -> Option<T> {
        parsed.map_err(|why| self.add(field, &why)).ok()
    }

    /// The same for a field that may be absent.
    pub fn check_optional<T, E: Display>(&mut self, field: &str, parsed: Option<Result<T, E>>) -> Option<T> {
        self.check(field, parsed?)
    }

    pub fn add(&mut self, field: &str, why: &dyn Display) {
        self.0.push(Violation { field: field.to_owned(), description: why.to_string() });
    }

    pub fn into_status(self) -> Status {
        Status::bad_request(&self.0)
    }
}
