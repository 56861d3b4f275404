//! Reads a stream of the daemon to its end, over as many connections as that takes, and prints each item once.
//!
//! 1. It connects, and asks for the stream: first as the user wants it, later from the item behind the last printed.
//! 2. It prints what comes. Nothing lies unwritten while it waits for more.
//! 3. When the connection is lost, it tries again, with growing pauses, until its patience ends.
//! 4. When the stream has ended, whoever is followed may have a last question, as for an exit code.

use std::io;
use std::time::{Duration, Instant};

use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::proto::{Channel as _, Method};
use auraed::transport::listen::Address;
use prost::{Message, Name};
use smol::future::{FutureExt, poll_once};
use smol::stream::StreamExt;
use smol::{Executor, Timer};

use crate::SILENT_FOR;
use crate::output::{self, Form};
use crate::sink::Sink;

/// A daemon that takes the connection, but does not begin to answer, is given up after that.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// A daemon that is told a deadline answers in time, or it is not there any more.
const ANSWER_DELAY: Duration = Duration::from_millis(500);

/// Between two attempts to reach a daemon that is lost: at first, and at most. The first is short, as a proxy that has
/// cut a connection takes another one at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How to reach the daemon.
pub struct Daemon<'a> {
    pub address: &'a Address,
    /// For the whole call.
    pub timeout: Option<Duration>,
    pub executor: &'a Executor<'static>,
}

impl Daemon<'_> {
    pub async fn connect(&self) -> Result<Channel, Status> {
        Channel::connect(self.address, self.timeout, self.executor).await
    }
}

/// What there is to follow: a method, what to ask it for, and how to show its items.
pub trait Followed {
    type Item: Message + Name + Default;

    /// What items are called.
    const ITEMS: &'static str;

    fn method(&self) -> Method;

    /// What their sequences are counted in; `None` where not all of them are asked for.
    fn counted_in(&self) -> Option<&'static str>;

    /// An encoded request: `from` a sequence if some have been printed; `again` if there has been a stream before.
    fn request(&self, from: Option<u64>, again: bool) -> Vec<u8>;

    /// The sequence of an item, and how many are missing before it.
    fn place(item: &Self::Item) -> (u64, u64);

    fn print(&mut self, item: &Self::Item, sink: &mut Sink) -> io::Result<()>;

    /// What comes next does not continue what was printed, or nothing comes next.
    fn interrupt(&mut self, sink: &mut Sink) -> io::Result<()>;

    /// What to exit with, once the stream has ended.
    async fn exit_code(&self, channel: &Channel, form: Form) -> Result<u8, Status>;
}

/// Why there is nothing more to print.
#[derive(Debug)]
pub enum Failure {
    Call(Status),
    /// stdout, or stderr, takes no more.
    Output(io::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(status)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Follows to the end. Answers what to exit with.
pub async fn follow<F: Followed>(
    followed: F,
    daemon: &Daemon<'_>,
    form: Form,
    patience: Duration,
) -> Result<u8, Failure> {
    let deadline = daemon.timeout.map(|timeout| Instant::now() + timeout);
    let progress = Progress {
        followed,
        form,
        deadline,
        retry: Retry::new(patience),
        sink: Sink::new(),
        item: F::Item::default(),
        next: None,
        has_begun: false,
        goes_on: false,
        has_ended: false,
    };
    let expiry = async {
        match daemon.timeout {
            Some(timeout) => Timer::after(timeout.saturating_add(ANSWER_DELAY)).await,
            None => Timer::never().await,
        };
        Err(expired().into())
    };
    progress.run(daemon).or(expiry).await
}

struct Progress<F: Followed> {
    followed: F,
    form: Form,
    deadline: Option<Instant>,
    retry: Retry,
    sink: Sink,
    /// The last; kept for its memory.
    item: F::Item,
    /// Behind the last that was printed.
    next: Option<u64>,
    /// The daemon has answered once.
    has_begun: bool,
    /// What comes next is the first of another connection.
    goes_on: bool,
    /// The stream has been read to its end.
    has_ended: bool,
}

impl<F: Followed> Progress<F> {
    async fn run(mut self, daemon: &Daemon<'_>) -> Result<u8, Failure> {
        loop {
            let status = match self.attempt(daemon).await {
                Err(Failure::Call(status)) => status,
                ended => return ended,
            };
            self.sink.flush()?;
            match (status.code, self.next) {
                (Code::Unavailable, _) if self.has_begun => self.retry.pause(status, self.form).await?,
                (Code::OutOfRange, Some(1..)) => self.begin_anew()?,
                (Code::NotFound, Some(_)) => return Err(gone(status).into()),
                _ => return Err(status.into()),
            }
        }
    }

    /// Goes on over one connection.
    async fn attempt(&mut self, daemon: &Daemon<'_>) -> Result<u8, Failure> {
        let timeout = self.time_left()?;
        let channel = Daemon { timeout, ..*daemon };
        let channel = opened(daemon.address, channel.connect()).await?;
        if !self.has_ended {
            self.read_to_end(daemon.address, &channel).await?;
            self.followed.interrupt(&mut self.sink)?;
            self.sink.flush()?;
            self.has_ended = true;
        }
        Ok(self.followed.exit_code(&channel, self.form).await?)
    }

    /// As with those before others, that the last ones are missing is told, and no failure.
    async fn read_to_end(&mut self, address: &Address, channel: &Channel) -> Result<(), Failure> {
        match self.read(address, channel).await {
            Err(Failure::Call(status)) if status.code == Code::DataLoss => {
                self.followed.interrupt(&mut self.sink)?;
                self.sink.flush()?;
                output::error(&status, self.form);
                Ok(())
            }
            ended => ended,
        }
    }

    async fn read(&mut self, address: &Address, channel: &Channel) -> Result<(), Failure> {
        let request = self.followed.request(self.next, self.has_begun).into();
        let messages = channel.server_streaming(self.followed.method().path(), request);
        let mut messages = opened(address, messages).await?;
        self.goes_on = self.has_begun;
        self.has_begun = true;
        self.retry.connected(self.form);
        loop {
            let message = match poll_once(messages.next()).await {
                Some(message) => message,
                None => {
                    self.sink.flush()?;
                    messages.next().await
                }
            };
            let Some(message) = message else { return Ok(()) };
            // Merging keeps the memory of its texts.
            self.item.clear();
            self.item.merge(message?).map_err(unreadable::<F::Item>)?;
            self.take()?;
        }
    }

    fn take(&mut self) -> io::Result<()> {
        let (sequence, dropped) = F::place(&self.item);
        if self.next.is_some_and(|next| sequence < next) {
            // What has been printed is not printed again, whatever the daemon does.
            return Ok(());
        }
        let next = self.next.filter(|next| std::mem::take(&mut self.goes_on) && *next > 0);
        if let Some(source) = self.followed.counted_in()
            && next.is_some_and(|next| next.saturating_add(dropped) != sequence)
        {
            self.tell(&format!("what was followed has ended, and another {source} goes on"))?;
        }
        if dropped > 0 {
            self.tell(&format!("{dropped} {} are missing here: {WHY_MISSING}", F::ITEMS))?;
        }
        self.next = Some(sequence.saturating_add(1));
        self.retry.has_progress = true;
        self.followed.print(&self.item, &mut self.sink)
    }

    /// The clock was set back, and a daemon, or an executable, that was started later counts from before.
    fn begin_anew(&mut self) -> io::Result<()> {
        let what = "what was followed has been started anew, and the clock set back";
        self.tell(&format!("{what}: all {} that the daemon holds follow", F::ITEMS))?;
        // From the oldest on, whatever was asked for at first.
        self.next = Some(0);
        Ok(())
    }

    /// Between what has been printed and what comes next.
    fn tell(&mut self, news: &str) -> io::Result<()> {
        if self.form == Form::Text {
            self.followed.interrupt(&mut self.sink)?;
            self.sink.flush()?;
            output::notice(news, self.form);
        }
        Ok(())
    }

    fn time_left(&self) -> Result<Option<Duration>, Status> {
        match self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => Err(expired()),
            left => Ok(left),
        }
    }
}

const WHY_MISSING: &str = "the daemon holds only the newest";

/// When to try again.
struct Retry {
    patience: Duration,
    lost_at: Option<Instant>,
    connected_at: Option<Instant>,
    /// Something has been printed since it was lost.
    has_progress: bool,
    pause: Duration,
    is_told: bool,
}

impl Retry {
    fn new(patience: Duration) -> Self {
        let (lost_at, connected_at) = (None, None);
        Self { patience, lost_at, connected_at, has_progress: false, pause: FIRST_PAUSE, is_told: false }
    }

    fn connected(&mut self, form: Form) {
        self.connected_at = Some(Instant::now());
        if std::mem::take(&mut self.is_told) {
            output::notice("connected again", form);
        }
    }

    /// Waits before the next attempt, or says why there is none.
    async fn pause(&mut self, lost: Status, form: Form) -> Result<(), Status> {
        // A connection that is lost soon after it was made, and has given nothing, is no end of the trouble.
        let has_held = self.connected_at.take().is_some_and(|at| at.elapsed() > LONGEST_PAUSE);
        if std::mem::take(&mut self.has_progress) || has_held {
            (self.lost_at, self.pause) = (None, FIRST_PAUSE);
        }
        let elapsed = self.lost_at.get_or_insert_with(Instant::now).elapsed();
        let left = self.patience.saturating_sub(elapsed);
        if left.is_zero() {
            let gave_up = format!("{}; given up after {} ms (--retry-ms)", lost.message, elapsed.as_millis());
            return Err(Status::new(lost.code, gave_up));
        }
        let pause = self.pause.min(left);
        let silence = SILENT_FOR.saturating_sub(elapsed).min(pause);
        Timer::after(silence).await;
        if elapsed + silence >= SILENT_FOR && !self.is_told {
            self.is_told = true;
            let left = self.patience.saturating_sub(SILENT_FOR).as_secs();
            output::notice(&format!("trying again for {left} s: {}", lost.message), form);
        }
        Timer::after(pause - silence).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Waits for a daemon to begin an answer.
async fn opened<T>(address: &Address, opening: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let silent = async {
        Timer::after(OPEN_TIMEOUT).await;
        let seconds = OPEN_TIMEOUT.as_secs();
        Err(Status::new(Code::Unavailable, format!("{address} has not answered within {seconds} s")))
    };
    opening.or(silent).await
}

fn expired() -> Status {
    Status::new(Code::DeadlineExceeded, "the time of --timeout-ms is over")
}

fn gone(status: Status) -> Status {
    let text = format!("{}; it was there before the connection was lost", status.message);
    Status::new(status.code, text)
}

fn unreadable<M: Name>(error: prost::DecodeError) -> Status {
    Status::new(Code::Internal, format!("failed to parse {}: {error}", M::full_name()))
}
