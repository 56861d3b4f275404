//! One connection: handshake, then a loop over what can happen to it, until it ends.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Ping, PingPong, RecvStream};
use smol::Timer;
use smol::future::{self, FutureExt};
use tokio::io::{AsyncRead, AsyncWrite};

use super::monitor::{Monitor, Streams, Verdict};
use super::wire::Wire;
use super::{Permit, Server, Service, request};
use crate::limits;

/// Serves a peer on `io` until it leaves, breaks a rule, or the daemon stops. Says what ended it, for the log.
pub async fn serve<S, T>(server: Arc<Server<S>>, io: T) -> Result<(), String>
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let monitor = Arc::new(Monitor::new(Instant::now()));
    let mut h2 = shake_hands(&server, Wire::new(io, monitor.clone()), &monitor).await?;
    let pings = h2.ping_pong().expect("taken once, here");
    let mut connection = Connection {
        h2,
        pings,
        monitor,
        streams: Streams { last_open: Instant::now(), pinged: None, asked_to_leave: false },
        watch: Watch::at(Instant::now()),
        hard_stop: None,
        server: server.clone(),
    };
    let mut stop_ordered = Box::pin(async move { server.stop.ordered().await });
    poll_fn(|cx| {
        connection.monitor.begin_turn();
        connection.poll_turn(cx, stop_ordered.as_mut())
    })
    .await
}

async fn shake_hands<S: Service, T: AsyncRead + AsyncWrite + Unpin>(
    server: &Server<S>,
    wire: Wire<T>,
    monitor: &Monitor,
) -> Result<server::Connection<Wire<T>, Bytes>, String> {
    let handshake =
        async { handshake_options().handshake(wire).await.map_err(|e| format!("handshake: {e}")) };
    let late = async {
        Timer::after(server.timeouts.handshake).await;
        Err("handshake: it sent no preface in time".to_owned())
    };
    let stopped = async {
        server.stop.ordered().await;
        Err("handshake: the daemon is stopping".to_owned())
    };
    let mut shaken = pin!(future::or(handshake, future::or(late, stopped)));
    poll_fn(|cx| {
        monitor.begin_turn();
        shaken.as_mut().poll(cx)
    })
    .await
}

/// Every option, so that no default of h2 decides what a peer may cost.
fn handshake_options() -> server::Builder {
    let mut options = server::Builder::new();
    options
        .initial_window_size(limits::WINDOW_BYTES)
        .initial_connection_window_size(limits::WINDOW_BYTES)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .header_table_size(limits::HEADER_TABLE_BYTES)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX)
        .max_concurrent_reset_streams(limits::LOCAL_RESETS_REMEMBERED_MAX)
        .reset_stream_duration(limits::LOCAL_RESETS_REMEMBERED_FOR)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(limits::ERROR_RESETS_MAX))
        .max_send_buffer_size(limits::SEND_BUFFER_BYTES)
        .data_frame_budget(limits::SMALL_FRAME_BUDGET);
    options
}

struct Connection<S, T> {
    h2: server::Connection<Wire<T>, Bytes>,
    pings: PingPong,
    monitor: Arc<Monitor>,
    streams: Streams,
    /// Fires when the peer has to be judged again.
    watch: Watch,
    /// Runs once the daemon stops.
    hard_stop: Option<Timer>,
    server: Arc<Server<S>>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart as soon as it is made; a box would cost more"
)]
enum Event {
    Stream(http::Request<RecvStream>, SendResponse<Bytes>),
    StopOrdered,
    HardStop,
    Judged(Verdict),
    Ended(Result<(), String>),
}

impl<S: Service, T: AsyncRead + AsyncWrite + Unpin> Connection<S, T> {
    /// Takes what has happened, until nothing more has or the connection is over.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        mut stop: Pin<&mut (impl Future<Output = ()> + ?Sized)>,
    ) -> Poll<Result<(), String>> {
        loop {
            match ready!(self.poll_event(cx, stop.as_mut())) {
                Event::Stream(request, respond) => self.spawn(request, respond),
                Event::StopOrdered => self.start_stop(),
                Event::Judged(verdict) => self.obey(verdict)?,
                Event::HardStop => {
                    return Poll::Ready(Err("it did not end its calls in time after GOAWAY".to_owned()));
                }
                Event::Ended(result) => return Poll::Ready(result),
            }
        }
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        stop: Pin<&mut (impl Future<Output = ()> + ?Sized)>,
    ) -> Poll<Event> {
        let (stopping, event) = match &mut self.hard_stop {
            None => (stop.poll(cx), Event::StopOrdered),
            Some(timer) => (timer.poll(cx).map(drop), Event::HardStop),
        };
        if stopping.is_ready() {
            return Poll::Ready(event);
        }
        // Nothing is done with the pong: any byte from the peer shows that it lives.
        let _ = self.pings.poll_pong(cx);
        if let Poll::Ready(accepted) = self.h2.poll_accept(cx) {
            return Poll::Ready(match accepted {
                Some(Ok((request, respond))) => Event::Stream(request, respond),
                Some(Err(error)) => Event::Ended(ended(&error)),
                None => Event::Ended(Ok(())),
            });
        }
        // What the peer did last may be due before anything that was known when the timer was set: half a frame.
        self.watch.no_later_than(self.monitor.facts().due(self.streams, &self.server.timeouts));
        ready!(self.watch.timer.poll(cx));
        Poll::Ready(Event::Judged(self.judge()))
    }

    fn spawn(&mut self, request: http::Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.streams.last_open = Instant::now();
        let permit: Option<Permit> = self.server.streams.take_one();
        request::serve(&self.server, request, respond, permit, self.monitor.clone());
    }

    fn start_stop(&mut self) {
        self.h2.graceful_shutdown();
        self.hard_stop = Some(Timer::after(self.server.timeouts.stop));
    }

    fn judge(&mut self) -> Verdict {
        let now = Instant::now();
        if self.h2.has_streams() {
            self.streams.last_open = now;
        }
        self.monitor.facts().judge(self.streams, &self.server.timeouts, now)
    }

    fn obey(&mut self, verdict: Verdict) -> Result<(), String> {
        match verdict {
            Verdict::WaitUntil(_) => {}
            Verdict::Ping => {
                // An error means that an earlier ping is under way: its answer will do.
                let _ = self.pings.send_ping(Ping::opaque());
                self.streams.pinged = Some(Instant::now());
            }
            Verdict::Leave => {
                self.h2.graceful_shutdown();
                self.streams.asked_to_leave = true;
                self.streams.last_open = Instant::now();
            }
            Verdict::Cut(why) => return Err(why.to_owned()),
        }
        self.watch = Watch::at(self.monitor.facts().due(self.streams, &self.server.timeouts));
        Ok(())
    }
}

/// A timer that knows when it fires.
struct Watch {
    timer: Timer,
    until: Instant,
}

impl Watch {
    fn at(until: Instant) -> Self {
        Self { timer: Timer::at(until), until }
    }

    fn no_later_than(&mut self, due: Instant) {
        if due < self.until {
            *self = Self::at(due);
        }
    }
}

/// A peer that closes without GOAWAY is no error: most clients do.
fn ended(error: &h2::Error) -> Result<(), String> {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    match error.get_io().map(std::io::Error::kind) {
        Some(BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof) => Ok(()),
        _ => Err(error.to_string()),
    }
}
