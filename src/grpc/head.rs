//! The head of a request: what its method and headers say about the call, checked before the body is read.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};

use super::encoding::Encoding;
use super::status::{Code, Status, decode_binary};
use crate::limits::HEADER_LIST_SOFT_BYTES_MAX;

pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// RFC 9113 section 6.5.2: each field counts 32 bytes beside its name and value.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// What the transport needs to know of a call beside its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub encoding: Encoding,
    /// The encoding that the answer may use.
    pub answer_encoding: Encoding,
    /// Time that the caller gives us, from now on.
    pub timeout: Option<Duration>,
}

/// Why a request is not a gRPC call that we serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not gRPC at all: answered in plain HTTP, with the text as its body, if there is any.
    Http(StatusCode, &'static str),
    /// gRPC, but not acceptable: answered with a status in a 200.
    Grpc(Status),
}

impl Head {
    /// Reads the head. Unknown `grpc-*` headers are ignored; a missing `te: trailers` is forgiven, since all it
    /// would tell is whether a proxy on the way drops trailers.
    ///
    /// # Errors
    /// HTTP 405 and 415 for what is not gRPC (gRPC spec, "Requests"); RESOURCE_EXHAUSTED for more header bytes
    /// than [`HEADER_LIST_SOFT_BYTES_MAX`]; UNIMPLEMENTED for an unknown encoding; INVALID_ARGUMENT for a
    /// malformed timeout or `-bin` value.
    pub fn parse(parts: &request::Parts) -> Result<Self, Refusal> {
        if parts.method != Method::POST {
            // The answer to HEAD has no content (RFC 9110 section 9.3.2).
            let text = if parts.method == Method::HEAD { "" } else { "gRPC calls are POST requests\n" };
            return Err(Refusal::Http(StatusCode::METHOD_NOT_ALLOWED, text));
        }
        if !parts.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc) {
            return Err(Refusal::Http(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content-type must be application/grpc or application/grpc+proto\n",
            ));
        }
        Self::of_call(parts).map_err(Refusal::Grpc)
    }

    fn of_call(parts: &request::Parts) -> Result<Self, Status> {
        check_size(parts)?;
        check_binary_values(&parts.headers)?;
        Ok(Self {
            encoding: Encoding::of_request(&parts.headers)?,
            answer_encoding: Encoding::accepted_by_peer(&parts.headers),
            timeout: parts.headers.get(GRPC_TIMEOUT).map(parse_timeout).transpose()?,
        })
    }
}

/// `application/grpc`, `application/grpc+proto`, either with parameters (media types ignore case).
fn is_grpc(value: &HeaderValue) -> bool {
    let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    essence.eq_ignore_ascii_case(b"application/grpc")
        || essence.eq_ignore_ascii_case(b"application/grpc+proto")
}

fn check_size(parts: &request::Parts) -> Result<(), Status> {
    let path = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let size: usize = path + fields.map(|bytes| bytes + FIELD_OVERHEAD_BYTES).sum::<usize>();
    if size <= HEADER_LIST_SOFT_BYTES_MAX {
        return Ok(());
    }
    Err(Status::new(
        Code::ResourceExhausted,
        format!("request headers of {size} bytes are above the limit of {HEADER_LIST_SOFT_BYTES_MAX} bytes"),
    ))
}

/// A binary header that is not base64 is answered here, so that no service ever meets one.
fn check_binary_values(headers: &HeaderMap) -> Result<(), Status> {
    let binary = headers.iter().filter(|(name, _)| name.as_str().ends_with("-bin"));
    for (name, value) in binary {
        // Values of one name may come joined by commas (gRPC spec, "Custom-Metadata").
        let mut parts = value.as_bytes().split(|b| *b == b',');
        if parts.any(|part| decode_binary(part.trim_ascii()).is_none()) {
            return Err(Status::new(
                Code::InvalidArgument,
                format!("header {name}: value is not base64, which names ending in -bin need"),
            ));
        }
    }
    Ok(())
}

/// 1 to 8 digits and a unit (gRPC spec, "Timeout"). 99999999H is 11 400 years: nothing here overflows.
fn parse_timeout(value: &HeaderValue) -> Result<Duration, Status> {
    let malformed = || {
        let given = value.as_bytes().escape_ascii();
        Status::new(
            Code::InvalidArgument,
            format!("grpc-timeout \"{given}\" is not 1 to 8 digits and one of H M S m u n"),
        )
    };
    let (unit, digits) = value.as_bytes().split_last().ok_or_else(malformed)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let number = digits.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(number * 3600)),
        b'M' => Ok(Duration::from_secs(number * 60)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(malformed()),
    }
}

/// A timeout as a client sends it: the finest unit in which it has at most 8 digits, rounded up.
pub fn format_timeout(timeout: Duration) -> String {
    const UNITS: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    const LARGEST: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    let fitting = UNITS.iter().map(|(size, unit)| (nanos.div_ceil(*size), unit)).find(|(n, _)| *n <= LARGEST);
    let (number, unit) = fitting.unwrap_or((LARGEST, &'H'));
    format!("{number}{unit}")
}

/// Fuzz body: lines `name: value` become headers. Whatever is accepted obeys the spec's own limits.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let mut request = http::Request::post("/aurae.discovery.v0.DiscoveryService/Discover");
    for line in data.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    match Head::parse(&parts) {
        Ok(head) => {
            assert!(parts.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc));
            if let Some(timeout) = head.timeout {
                let again = parse_timeout(&HeaderValue::try_from(format_timeout(timeout)).unwrap()).unwrap();
                assert!(again >= timeout, "{timeout:?} came back shorter: {again:?}");
            }
        }
        Err(Refusal::Grpc(status)) => {
            assert_ne!(status.code, Code::Ok);
            assert!(!status.message.is_empty());
        }
        Err(Refusal::Http(code, _)) => assert!(code.is_client_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<Head, Refusal> {
        let mut request = http::Request::post("/a/b");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Head::parse(&request.body(()).unwrap().into_parts().0)
    }

    fn timeout(text: &str) -> Result<Duration, Code> {
        parse_timeout(&HeaderValue::try_from(text).unwrap()).map_err(|status| status.code)
    }

    #[test]
    fn content_types_of_grpc_are_told_from_others() {
        for good in ["application/grpc", "application/grpc+proto", "Application/gRPC;charset=x"] {
            assert!(parse(&[("content-type", good)]).is_ok(), "{good}");
        }
        for bad in ["application/grpc+json", "application/grpc-web", "application/json", "application/grpcx"]
        {
            let refusal = parse(&[("content-type", bad)]).unwrap_err();
            assert!(matches!(refusal, Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, _)), "{bad}");
        }
        assert!(matches!(parse(&[]), Err(Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, _))));
    }

    #[test]
    fn timeouts_follow_the_grammar() {
        assert_eq!(timeout("5S"), Ok(Duration::from_secs(5)));
        assert_eq!(timeout("0n"), Ok(Duration::ZERO));
        assert_eq!(timeout("99999999H"), Ok(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "5", "123456789S", "5s", "-5S", "5 S", "+5S"] {
            assert_eq!(timeout(bad), Err(Code::InvalidArgument), "{bad:?}");
        }
    }

    #[test]
    fn a_timeout_is_formatted_in_the_finest_unit_that_holds_it() {
        assert_eq!(format_timeout(Duration::from_nanos(7)), "7n");
        assert_eq!(format_timeout(Duration::from_secs(5)), "5000000u");
        assert_eq!(format_timeout(Duration::from_millis(100_000_000)), "100000S");
        assert_eq!(format_timeout(Duration::MAX), "99999999H");
    }

    #[test]
    fn encodings_and_binary_values_are_checked() {
        let call = ("content-type", "application/grpc");
        let head = parse(&[call, ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "br, gzip")]).unwrap();
        assert_eq!((head.encoding, head.answer_encoding), (Encoding::Gzip, Encoding::Gzip));
        let code = |headers: &[(&str, &str)]| match parse(headers) {
            Err(Refusal::Grpc(status)) => status.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(&[call, ("grpc-encoding", "br")]), Code::Unimplemented);
        assert_eq!(code(&[call, ("trace-bin", "*")]), Code::InvalidArgument);
        assert!(parse(&[call, ("trace-bin", "YQ, YWI="), ("grpc-unheard-of", "*")]).is_ok());
        let long = "x".repeat(HEADER_LIST_SOFT_BYTES_MAX);
        assert_eq!(code(&[call, ("long", &long)]), Code::ResourceExhausted);
    }
}
