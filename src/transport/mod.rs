//! gRPC calls over h2 on smol: sockets, connections, streams.
pub mod authority;
pub mod scanner;
