//! Every bound of the program, each with its reason. Relations between bounds are asserted at compile time.

// gRPC messages and headers

/// One request message: gRPC's customary 4 MiB. Decided on the declared length, and again after inflating.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// All request bytes that wait for their message to be whole, over all streams. A message of the largest size
/// always fits a few times; more is refused with RESOURCE_EXHAUSTED instead of growing.
pub const REQUEST_BYTES_HELD_MAX: usize = 16 << 20;
/// Headers of a request, counted as RFC 9113 does. Above it a call is answered with RESOURCE_EXHAUSTED.
pub const HEADER_LIST_SOFT_BYTES_MAX: usize = 8 << 10;
/// What SETTINGS_MAX_HEADER_LIST_SIZE advertises; above it h2 answers 431 or resets.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
/// Below it gzip's own 18 bytes and the CPU cost more than they save.
pub const GZIP_WORTH_TRYING_BYTES: usize = 1 << 10;
/// Inflated between two yields of the executor; takes a fraction of a millisecond.
pub const INFLATE_STEP_BYTES: usize = 64 << 10;

const _: () = assert!(REQUEST_BYTES_HELD_MAX >= 2 * REQUEST_BYTES_MAX);
const _: () = assert!(HEADER_LIST_SOFT_BYTES_MAX < HEADER_LIST_BYTES_MAX as usize);
