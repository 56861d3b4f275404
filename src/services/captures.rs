//! Reads what executables write, for as long as somebody may write it. One task for each run, one buffer for all: it is used
//! only between two waits.
//!
//! What goes to a file, too, is written there before the next read of the same output: its order is kept, and an executable
//! that writes faster than the disk waits for it at its full pipe. Only one such write is under way at a time, over all
//! executables, so that a disk that doesn't answer takes one thread of the pool, and whatever is not written to files goes
//! on. What waits for its turn is bounded, too.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Async;
use event_listener::Event;
use smol::Timer;
use smol::channel::{self, Receiver};
use smol::future::{self, FutureExt};
use smol::lock::Semaphore;

use crate::limits::{
    LOG_FILES_END_TIMEOUT, LOG_WRITES_MAX, OUTPUT_LINGER, OUTPUT_LINGER_MAX, OUTPUT_READ_BYTES,
    OUTPUT_READS_ABANDONED_MAX, OUTPUT_RETRY_DELAY, STOP_POLL,
};
use crate::runtime::logs::{Capture, LogFile, News, Read, Source};

pub struct Captures {
    /// Empty until it is needed first.
    buffer: Mutex<Vec<u8>>,
    /// Places for what has been read and is to be written to a file.
    places: Semaphore,
    /// Whose turn it is to write.
    turn: Semaphore,
    /// Runs whose output goes to files.
    to_files: AtomicUsize,
}

/// Has a thread of the pool append to a file, or close it where there is nothing to append; gives the file back that is still
/// open.
pub type Write<'a> = dyn Fn(Box<LogFile>, Vec<u8>) -> Written<'a> + Sync + 'a;
/// In a box of its own: what waits for most of its life is small.
pub type Written<'a> = Pin<Box<dyn Future<Output = (Option<Box<LogFile>>, Option<News>)> + Send + 'a>>;

impl Default for Captures {
    fn default() -> Self {
        Self {
            buffer: Mutex::default(),
            places: Semaphore::new(LOG_WRITES_MAX),
            turn: Semaphore::new(1),
            to_files: AtomicUsize::new(0),
        }
    }
}

impl Captures {
    /// Reads both outputs to their ends. Or, when somebody else has them open, for a moment after all that was started `is_gone`,
    /// which is asked about from when `exited` is closed, and when there is news that it may be `removed`.
    pub async fn run<IsGone: Future<Output = bool>>(
        &self,
        capture: Capture,
        exited: Receiver<()>,
        is_gone: impl Fn() -> IsGone,
        removed: &Event,
        write: &Write<'_>,
    ) {
        let Capture { sources: [stdout, stderr], files, writer } = capture;
        let _to_files = files.as_ref().map(|_| Counted::new(&self.to_files));
        let [out, err] = files.map_or([None, None], |files| files.keep().map(Some));
        let (abandon, abandoned) = channel::bounded(1);
        let ended = async {
            let out = self.drain(stdout, out, &abandoned, write);
            future::zip(out, self.drain(stderr, err, &abandoned, write)).await;
        };
        let lingering = async {
            // Nothing is ever sent.
            let _ = exited.recv().await;
            linger(is_gone, removed).await;
            abandon.close();
            // What is read already is still to be written.
            std::future::pending().await
        };
        ended.or(lingering).await;
        drop(writer);
    }

    /// When all runs are over: waits until what they have written is in their files, but for a disk that doesn't answer
    /// not for long.
    pub async fn end_files(&self) {
        let deadline = Instant::now() + LOG_FILES_END_TIMEOUT;
        loop {
            match self.to_files.load(Ordering::Relaxed) {
                0 => return,
                left if Instant::now() >= deadline => {
                    return log::error!(
                        "the output of {left} executables may be missing at the end of its files"
                    );
                }
                _ => Timer::after(STOP_POLL).await,
            };
        }
    }

    async fn drain(
        &self,
        source: Source,
        mut file: Option<Box<LogFile>>,
        abandoned: &Receiver<()>,
        write: &Write<'_>,
    ) {
        if let Some(watched) = watched(&source, abandoned).await
            && let Err(error) = self.drain_to_end(&watched, &mut file, abandoned, write).await
        {
            log::error!("reading output failed: {error}");
        }
        source.end();
        if let Some(file) = file {
            self.append(file, Vec::new(), write).await;
        }
    }

    async fn drain_to_end(
        &self,
        source: &Async<&Source>,
        file: &mut Option<Box<LogFile>>,
        abandoned: &Receiver<()>,
        write: &Write<'_>,
    ) -> io::Result<()> {
        let mut reads_left = OUTPUT_READS_ABANDONED_MAX;
        while reads_left > 0 {
            let over = async {
                let _ = abandoned.recv().await;
                Ok(())
            };
            source.readable().or(over).await?;
            reads_left -= u32::from(abandoned.is_closed());
            let _place = if file.is_some() { Some(self.places.acquire().await) } else { None };
            match self.read(source.get_ref(), file.is_some())? {
                (Read::End, _) => break,
                (Read::Nothing, _) if abandoned.is_closed() => break,
                (Read::Nothing, _) => {}
                (Read::Bytes, bytes) => match file.take() {
                    Some(open) => *file = self.append(open, bytes, write).await,
                    None => write_all(source.get_ref(), bytes).await,
                },
            }
        }
        Ok(())
    }

    async fn append(&self, file: Box<LogFile>, bytes: Vec<u8>, write: &Write<'_>) -> Option<Box<LogFile>> {
        let _turn = self.turn.acquire().await;
        let (file, news) = write(file, bytes).await;
        match news {
            None => {}
            Some(news @ News::Resumed(..)) => log::warn!("{news}"),
            Some(news) => log::error!("{news}"),
        }
        file
    }

    /// Reads what the pipe has, in small steps where a source reads little at once. With all of one step if that is wanted, else
    /// with what there was no room for, if anything.
    fn read(&self, source: &Source, all: bool) -> io::Result<(Read, Vec<u8>)> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.resize(OUTPUT_READ_BYTES, 0);
        let mut steps = OUTPUT_READ_BYTES.div_ceil(source.read_bytes());
        loop {
            let (read, rest) = source.read(&mut buffer)?;
            steps -= 1;
            if all || read != Read::Bytes || !rest.is_empty() || steps == 0 {
                let begin = if all { 0 } else { rest.start };
                return Ok((read, buffer[begin..rest.end].to_vec()));
            }
        }
    }
}

/// Has the reactor watch a source. Where the kernel has no memory or place for that, later: until then, whoever writes waits
/// at a full pipe, and would be ended by SIGPIPE if it were closed.
async fn watched<'a>(source: &'a Source, abandoned: &Receiver<()>) -> Option<Async<&'a Source>> {
    let mut is_told = false;
    while !abandoned.is_closed() {
        match Async::new_nonblocking(source) {
            Ok(watched) => return Some(watched),
            Err(error) if !is_told => log::error!("output is not read, and tried again: {error}"),
            Err(_) => {}
        }
        is_told = true;
        Timer::after(OUTPUT_RETRY_DELAY).await;
    }
    None
}

/// One more, for as long as there is this.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for readers to make room.
async fn write_all(source: &Source, bytes: Vec<u8>) {
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        // Before the try, so that no news comes between.
        let room = source.feed().room();
        let taken = source.write(rest);
        rest = &rest[taken..];
        if taken == 0 {
            room.await;
        }
    }
}

/// Until all is gone that was started, and no shorter than a moment. Asked about less and less often, unless there is news:
/// where nobody else has the outputs open, they end by themselves.
async fn linger<IsGone: Future<Output = bool>>(is_gone: impl Fn() -> IsGone, removed: &Event) {
    let mut pause = OUTPUT_LINGER;
    Timer::after(pause).await;
    loop {
        // Before the look, so that no news comes between.
        let news = removed.listen();
        if is_gone().await {
            return;
        }
        pause = Duration::min(2 * pause, OUTPUT_LINGER_MAX);
        let over = async {
            Timer::after(pause).await;
        };
        over.or(news).await;
    }
}
