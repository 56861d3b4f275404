//! How a call ended: a code, a message for people, and details for programs; and their form in trailers.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use prost::Message;

use crate::limits::STATUS_BYTES_MAX;

pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The canonical codes (gRPC spec, "Status codes and their use in gRPC").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// All codes, at the index of their number.
    pub const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code in its usual spelling, `NOT_FOUND`.
    pub fn name(self) -> &'static str {
        match self {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// The outcome of a call that did not succeed (or, with [`Code::Ok`], the end of one that did).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    /// For people. Names the object, what was given and what is accepted.
    pub message: String,
    /// An encoded `google.rpc.Status` for programs; empty when there is nothing to add.
    pub details: Bytes,
}

/// One bad field of a request, as `google.rpc.BadRequest.FieldViolation` carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, `cell.cpu.weight`.
    pub field: String,
    /// What was given and what is accepted.
    pub description: String,
}

impl Status {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Bytes::new() }
    }

    pub fn ok() -> Self {
        Self::new(Code::Ok, "")
    }

    /// `INVALID_ARGUMENT` that names every bad field, in the message and as `google.rpc.BadRequest`.
    pub fn bad_request(violations: &[Violation]) -> Self {
        let listed: Vec<String> =
            violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect();
        let message = listed.join("; ");
        let bad_request = rpc::BadRequest {
            field_violations: violations
                .iter()
                .map(|v| rpc::FieldViolation { field: v.field.clone(), description: v.description.clone() })
                .collect(),
        };
        let details = rpc::Status {
            code: Code::InvalidArgument as i32,
            message: message.clone(),
            details: vec![rpc::Any {
                type_url: rpc::BAD_REQUEST_TYPE.to_owned(),
                value: bad_request.encode_to_vec(),
            }],
        };
        Self { code: Code::InvalidArgument, message, details: details.encode_to_vec().into() }
    }

    /// The violations that [`Status::bad_request`] put into the details; empty when there are none.
    pub fn violations(&self) -> Vec<Violation> {
        let Ok(status) = rpc::Status::decode(self.details.clone()) else { return Vec::new() };
        let bad_requests = status.details.iter().filter(|any| any.type_url == rpc::BAD_REQUEST_TYPE);
        bad_requests
            .filter_map(|any| rpc::BadRequest::decode(any.value.as_slice()).ok())
            .flat_map(|bad| bad.field_violations)
            .map(|v| Violation { field: v.field, description: v.description })
            .collect()
    }

    /// The trailers that end a stream with this status. A message or details above [`STATUS_BYTES_MAX`] are cut.
    pub fn to_trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(3);
        trailers.insert(GRPC_STATUS, HeaderValue::from(self.code as u16));
        if !self.message.is_empty() {
            trailers.insert(GRPC_MESSAGE, encode_message(&self.message));
        }
        // Details that clients would refuse are worth less than none: the message tells people the same.
        if (1..=STATUS_BYTES_MAX / 4 * 3).contains(&self.details.len()) {
            trailers.insert(GRPC_STATUS_DETAILS, encode_binary(&self.details));
        }
        trailers
    }

    /// Reads a status as a client does. `None` when the trailers hold no `grpc-status`; an unknown or
    /// malformed code is `UNKNOWN` (gRPC spec, "Responses").
    pub fn from_trailers(trailers: &HeaderMap) -> Option<Self> {
        let code = decode_code(trailers.get(GRPC_STATUS)?).unwrap_or(Code::Unknown);
        let message = trailers.get(GRPC_MESSAGE).map(decode_message).unwrap_or_default();
        let details = trailers.get(GRPC_STATUS_DETAILS).and_then(|v| decode_binary(v.as_bytes()));
        Some(Self { code, message, details: details.unwrap_or_default().into() })
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Status {}

/// Digits only (gRPC spec, "Status"): `parse` alone would take a `+`.
fn decode_code(value: &HeaderValue) -> Option<Code> {
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    Code::ALL.get(digits.parse::<usize>().ok()?).copied()
}

/// Everything but printable ASCII, and the escape character itself (gRPC spec, "Percent-Encoded").
const MESSAGE_ESCAPES: &AsciiSet = &CONTROLS.add(b'%');

/// What stands for the rest of a message that is too long: "…".
const CUT: &str = "%E2%80%A6";

fn encode_message(message: &str) -> HeaderValue {
    let mut encoded = encode_as_much_as_fits(message);
    // A field's value must not begin or end with a blank (RFC 9113 section 8.2.1).
    if encoded.ends_with(' ') {
        encoded.replace_range(encoded.len() - 1.., "%20");
    }
    if encoded.starts_with(' ') {
        encoded.replace_range(..1, "%20");
    }
    HeaderValue::try_from(encoded).expect("percent-encoding leaves only printable ASCII")
}

fn encode_as_much_as_fits(message: &str) -> String {
    let (mut encoded, mut kept) = (String::new(), 0);
    for symbol in message.chars() {
        encoded.extend(utf8_percent_encode(symbol.encode_utf8(&mut [0; 4]), MESSAGE_ESCAPES));
        if encoded.len() <= STATUS_BYTES_MAX - CUT.len() {
            kept = encoded.len();
        }
        if encoded.len() > STATUS_BYTES_MAX {
            encoded.truncate(kept);
            encoded.push_str(CUT);
            break;
        }
    }
    encoded
}

/// Invalid escapes are kept as they are and invalid UTF-8 becomes U+FFFD: a message is never a reason to fail.
fn decode_message(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// Sends without padding, accepts both (gRPC spec: "implementations MUST accept padded and un-padded values
/// and should emit un-padded values").
const BINARY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn encode_binary(bytes: &[u8]) -> HeaderValue {
    HeaderValue::try_from(BINARY.encode(bytes)).expect("base64 is printable ASCII")
}

/// The bytes of a `-bin` header's value; `None` when it is not base64.
pub fn decode_binary(value: &[u8]) -> Option<Vec<u8>> {
    BINARY.decode(value).ok()
}

/// The three messages of `google/rpc` that details are made of.
mod rpc {
    pub const BAD_REQUEST_TYPE: &str = "type.googleapis.com/google.rpc.BadRequest";

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Status {
        #[prost(int32, tag = "1")]
        pub code: i32,
        #[prost(string, tag = "2")]
        pub message: String,
        #[prost(message, repeated, tag = "3")]
        pub details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Any {
        #[prost(string, tag = "1")]
        pub type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BadRequest {
        #[prost(message, repeated, tag = "1")]
        pub field_violations: Vec<FieldViolation>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct FieldViolation {
        #[prost(string, tag = "1")]
        pub field: String,
        #[prost(string, tag = "2")]
        pub description: String,
    }
}

/// Fuzz body: a code, a length, a message of that length and details survive the trailers, as far as these may hold
/// them; and so does what a client makes of any bytes in their place.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let [number, length, bytes @ ..] = data else { return };
    let code = Code::ALL[usize::from(*number) % Code::ALL.len()];
    let (message, details) = bytes.split_at(bytes.len().min(usize::from(*length)));
    let text = String::from_utf8_lossy(message);
    let status = Status { code, message: text.to_string(), details: Bytes::copy_from_slice(details) };
    let trailers = status.to_trailers();
    let read = Status::from_trailers(&trailers).expect("there is a status");
    match read.message.strip_suffix('…').filter(|_| read.message != text) {
        Some(start) => assert!(text.starts_with(start), "{text:?} was cut to {:?}", read.message),
        None => assert_eq!(read.message, text),
    }
    assert_eq!(read.code, code);
    assert!(read.details == details || details.len() > STATUS_BYTES_MAX / 4 * 3);
    let size: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(size <= crate::limits::HEADER_LIST_SOFT_BYTES_MAX, "trailers of {size} bytes");
    for value in trailers.values() {
        assert!(
            value.as_bytes().iter().all(|b| matches!(b, b' '..=b'~')),
            "{value:?} is not printable ASCII"
        );
    }
    let violations = vec![Violation { field: text.to_string(), description: text.to_string() }; 2];
    assert_eq!(Status::bad_request(&violations).violations(), violations);
    fuzz_foreign(&bytes[..bytes.len().min(usize::from(*number))], message, details);
}

/// Any trailers decode, to a status that no second coding changes.
#[cfg(any(test, feature = "fuzzing"))]
fn fuzz_foreign(code: &[u8], message: &[u8], details: &[u8]) {
    let mut trailers = HeaderMap::new();
    let fields = [(GRPC_STATUS, code), (GRPC_MESSAGE, message), (GRPC_STATUS_DETAILS, details)];
    for (name, bytes) in fields {
        if let Ok(value) = HeaderValue::from_bytes(bytes) {
            trailers.insert(name, value);
        }
    }
    let Some(status) = Status::from_trailers(&trailers) else { return };
    assert!(status.code == Code::Unknown || code.iter().all(u8::is_ascii_digit), "{code:?} is no number");
    let _ = status.violations();
    let again = Status::from_trailers(&status.to_trailers()).expect("there is a status");
    assert_eq!(Status::from_trailers(&again.to_trailers()), Some(again));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_at_its_number() {
        for (number, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, number);
        }
    }

    #[test]
    fn a_message_with_newline_percent_and_umlaut_survives_the_trailers() {
        let status = Status::new(Code::NotFound, "50% of \"zelle-ä\"\nare gone");
        let trailers = status.to_trailers();
        assert_eq!(trailers[GRPC_MESSAGE], "50%25 of \"zelle-%C3%A4\"%0Aare gone");
        assert_eq!(Status::from_trailers(&trailers), Some(status));
    }

    #[test]
    fn blanks_at_the_ends_are_escaped() {
        for (message, encoded) in [(" ", "%20"), ("  ", "%20%20"), (" a b ", "%20a b%20"), ("a ", "a%20")] {
            assert_eq!(encode_message(message), encoded);
            assert_eq!(decode_message(&encode_message(message)), message);
        }
    }

    #[test]
    fn what_is_longer_than_clients_take_is_cut_between_two_characters() {
        let whole = "ä".repeat(STATUS_BYTES_MAX / 6);
        assert_eq!(decode_message(&encode_message(&whole)), whole);
        let cut = encode_message(&format!("{whole}ä"));
        assert!(cut.len() <= STATUS_BYTES_MAX);
        assert!(decode_message(&cut).trim_start_matches('ä') == "…");

        let violation = Violation { field: "f".into(), description: "d".repeat(STATUS_BYTES_MAX) };
        let trailers = Status::bad_request(&[violation]).to_trailers();
        assert!(trailers.contains_key(GRPC_MESSAGE) && !trailers.contains_key(GRPC_STATUS_DETAILS));
    }

    #[test]
    fn violations_survive_the_trailers() {
        let violations = vec![
            Violation { field: "cell.name".into(), description: "\"-a\" starts with '-'".into() },
            Violation { field: "cell.cpu.weight".into(), description: "0 is not in 1..=10000".into() },
        ];
        let read = Status::from_trailers(&Status::bad_request(&violations).to_trailers()).unwrap();
        assert_eq!(read.code, Code::InvalidArgument);
        assert_eq!(read.violations(), violations);
    }

    #[test]
    fn binary_values_are_read_padded_and_not() {
        assert_eq!(decode_binary(b"YQ"), Some(b"a".to_vec()));
        assert_eq!(decode_binary(b"YQ=="), Some(b"a".to_vec()));
        assert_eq!(decode_binary(b"Y*"), None);
    }

    #[test]
    fn an_unknown_code_reads_as_unknown() {
        let mut trailers = HeaderMap::new();
        assert_eq!(Status::from_trailers(&trailers), None);
        for malformed in ["99", "+5", "", "5 ", "NOT_FOUND"] {
            trailers.insert(GRPC_STATUS, HeaderValue::from_static(malformed));
            assert_eq!(Status::from_trailers(&trailers).unwrap().code, Code::Unknown, "{malformed:?}");
        }
    }
}
