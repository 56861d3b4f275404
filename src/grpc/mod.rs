//! gRPC over HTTP/2, the pure part: bytes and headers to values and back.
//!
//! Nothing here does I/O, awaits, or knows h2 or a service; so all of it can be tested and fuzzed on byte slices.
//! Reference: the "gRPC over HTTP2" protocol description (PROTOCOL-HTTP2.md), cited as "gRPC spec" below.

pub mod call;
pub mod encoding;
pub mod frame;
pub mod head;
pub mod status;
