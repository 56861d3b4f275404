//! `aurae.observe.v0.ObserveService`: what executables and the daemon write, and what becomes of them. The streams only read
//! what [`crate::runtime::logs`] holds; a stream costs a place to read at, and a batch.

pub mod daemon_log;
mod events;
mod items;
mod output;

use std::sync::Arc;

use crate::grpc::status::{Code, Status};
use crate::proto::Answers;
use crate::proto::aurae::observe::v0::*;
use crate::runtime::logs::{Feed, Follower, NoSuchSequence, Range, Want};

use super::cells::Runtime;
pub use events::EventLog;

pub struct Observe {
    /// Of encoded [`LogItem`]s, without what the feed knows of them.
    pub daemon_log: Arc<Feed>,
    /// Of encoded [`Event`]s, the same.
    pub events: Arc<Feed>,
}

impl Observe {
    pub fn daemon_log(&self, request: GetAuraeDaemonLogStreamRequest) -> Result<Answers<LogItem>, Status> {
        daemon_log::stream(&self.daemon_log, request)
    }

    pub fn output(
        &self,
        runtime: &impl Runtime,
        request: GetSubProcessStreamRequest,
    ) -> Result<Answers<LogItem>, Status> {
        output::stream(runtime, request)
    }

    pub fn events(&self, request: ObserveServiceWatchEventsRequest) -> Result<Answers<Event>, Status> {
        events::stream(&self.events, request)
    }
}

fn follow(feed: &Arc<Feed>, want: Want, range: Range) -> Result<Follower, Status> {
    let ahead = |NoSuchSequence { asked, next }| {
        let text = format!(
            "from_sequence: there is no item {asked} yet; accepted: up to {next}, the next. Without it the stream begins \
             with what is held"
        );
        Status::new(Code::OutOfRange, text)
    };
    feed.follow(want, range).map_err(ahead)
}

/// Seconds of Unix time, as requests have them, in nanoseconds. What is beyond is as good as the last that is not.
fn since(seconds: Option<i64>) -> Option<i64> {
    seconds.map(|seconds| seconds.saturating_mul(NANOS_PER_SECOND))
}

/// Nanoseconds of Unix time as messages have them.
fn timestamp(nanoseconds: i64) -> (i64, u32) {
    let nanos = u32::try_from(nanoseconds.rem_euclid(NANOS_PER_SECOND)).unwrap_or_default();
    (nanoseconds.div_euclid(NANOS_PER_SECOND), nanos)
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
