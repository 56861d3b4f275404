//! The transport as its peers meet it, over a socket; one file per topic.

#[path = "../common/mod.rs"]
mod common;

mod authority;
mod bodies;
mod cancel;
mod connections;
mod dispatch;
mod flood;
mod flow;
mod frames;
mod gzip;
mod head;
mod listening;
mod status;
mod stop;
mod timeout;
