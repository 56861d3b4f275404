//! gRPC calls over h2 on smol: sockets, connections, streams. Generic over one trait; it never names a service.
//!
//! A request's way, in order:
//! 1. [`listen`] accepts a socket and takes a connection permit.
//! 2. [`connection`] puts the socket under [`wire`], sets h2's limits, handshakes under a timer, then accepts streams;
//!    each becomes a task of its own.
//! 3. [`request`] checks the head and the path; a bad one is answered before the body is read.
//! 4. [`body`] finds the messages in the DATA frames and opens the window as bytes are taken.
//! 5. The [`Service`] answers with a message, a stream of them, or a status.
//! 6. [`response`] sends headers, DATA only as the peer grants capacity, and exactly one status.

mod authority;
mod body;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod listen;
mod monitor;
mod request;
mod response;
mod scanner;
mod socket;
mod wire;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smol::Executor;
use smol::channel::{self, Receiver, Sender};

use crate::grpc::call::{Answer, Input, Kind};
use crate::limits;
use crate::work::Tasks;

pub use connection::serve;
pub use socket::Socket;

/// What the transport serves: paths become methods, methods take input and give an answer.
pub trait Service: Send + Sync + 'static {
    type Method: Copy + Send + Sync + 'static;

    /// The method of an exact path, `/package.Service/Method`.
    fn method(&self, path: &str) -> Option<Self::Method>;
    fn kind(&self, method: Self::Method) -> Kind;
    /// Starts a call. The future is dropped when the caller has gone; it runs on the executor and must not block.
    fn call<'a>(&'a self, method: Self::Method, input: Input) -> Answer<'a>;
}

/// What all connections of a daemon share.
pub struct Server<S> {
    service: S,
    tasks: Tasks,
    stop: Stop,
    timeouts: Timeouts,
    connections: Counter,
    streams: Counter,
    request_bytes: Counter,
    answer_bytes: Counter,
    /// When it was last said that there are too many connections.
    crowd_told: Pace,
    /// Somebody waits to give memory back.
    settling: AtomicBool,
}

impl<S: Service> Server<S> {
    pub fn new(
        service: S,
        executor: &'static Executor<'static>,
        stop: Stop,
        timeouts: Timeouts,
    ) -> Arc<Self> {
        Arc::new(Self {
            service,
            tasks: Tasks::new(executor),
            stop,
            timeouts,
            connections: Counter::new(limits::CONNECTIONS_MAX),
            streams: Counter::new(limits::STREAMS_MAX),
            request_bytes: Counter::new(limits::REQUEST_BYTES_HELD_MAX),
            answer_bytes: Counter::new(limits::ANSWER_BYTES_HELD_MAX),
            crowd_told: Pace::new(limits::CROWD_TOLD_EVERY),
            settling: AtomicBool::new(false),
        })
    }

    pub fn service(&self) -> &S {
        &self.service
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.connections.taken()
    }
}

/// How long a peer may keep us waiting. The default is what `limits` says; tests ask for less.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub handshake: Duration,
    pub settings_ack: Duration,
    pub frame: Duration,
    /// For the next byte of a request.
    pub body_stall: Duration,
    /// For all of it.
    pub body: Duration,
    pub silence: Duration,
    pub ping: Duration,
    pub idle: Duration,
    pub stop: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: limits::HANDSHAKE_TIMEOUT,
            settings_ack: limits::SETTINGS_ACK_TIMEOUT,
            frame: limits::FRAME_TIMEOUT,
            body_stall: limits::BODY_STALL_TIMEOUT,
            body: limits::BODY_TIMEOUT,
            silence: limits::SILENCE_BEFORE_PING,
            ping: limits::PING_TIMEOUT,
            idle: limits::IDLE_TIMEOUT,
            stop: limits::STOP_TIMEOUT,
        }
    }
}

/// Tells everyone who holds it that the daemon is stopping. Nothing is ever sent: the channel closes.
#[derive(Clone)]
pub struct Stop(Receiver<std::convert::Infallible>);

/// Dropping it is the order to stop.
pub struct StopOrder(#[expect(dead_code, reason = "held for its drop")] Sender<std::convert::Infallible>);

impl Stop {
    pub fn new() -> (StopOrder, Self) {
        let (order, stop) = channel::bounded(1);
        (StopOrder(order), Self(stop))
    }

    /// Resolves when the order has been given.
    pub async fn ordered(&self) {
        let _ = self.0.recv().await;
    }
}

/// Keeps what peers can bring about as often as they like from filling the log.
struct Pace {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// True at most once per interval.
    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// A bounded count of something that is taken and given back.
#[derive(Clone)]
struct Counter(Arc<Count>);

struct Count {
    taken: AtomicUsize,
    limit: usize,
}

/// A share of a [`Counter`], given back when dropped.
struct Permit {
    count: Arc<Count>,
    amount: usize,
}

impl Counter {
    fn new(limit: usize) -> Self {
        Self(Arc::new(Count { taken: AtomicUsize::new(0), limit }))
    }

    fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// An empty share, to be grown.
    fn permit(&self) -> Permit {
        Permit { count: self.0.clone(), amount: 0 }
    }

    fn take_one(&self) -> Option<Permit> {
        let mut permit = self.permit();
        permit.grow(1).then_some(permit)
    }
}

impl Permit {
    /// Takes `amount` more; false, and nothing taken, when that would pass the limit.
    fn grow(&mut self, amount: usize) -> bool {
        let within = |taken: usize| taken.checked_add(amount).filter(|sum| *sum <= self.count.limit);
        let grown = self.count.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        self.amount += if grown { amount } else { 0 };
        grown
    }

    /// Gives back what is above `amount`.
    fn shrink_to(&mut self, amount: usize) {
        self.give_back(self.amount.saturating_sub(amount));
    }

    /// Gives back `amount`, or all that there is of it.
    fn give_back(&mut self, amount: usize) {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        self.count.taken.fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_one_through_per_interval() {
        let pace = Pace::new(Duration::from_secs(1));
        let start = Instant::now();
        let due = [0, 1, 999, 1000, 1001, 2000].map(|ms| pace.is_due_at(start + Duration::from_millis(ms)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
