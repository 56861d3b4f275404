//! Reads what executables write, for as long as somebody may write it. One task for each run, one buffer for all: it is used
//! only between two waits.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_io::Async;
use smol::Timer;
use smol::channel::{self, Receiver};
use smol::future::{self, FutureExt};

use crate::limits::{OUTPUT_LINGER, OUTPUT_LINGER_MAX, OUTPUT_READ_BYTES, OUTPUT_READS_ABANDONED_MAX};
use crate::runtime::logs::{Capture, Read, Source};

/// The buffer.
pub struct Captures(Mutex<Vec<u8>>);

impl Default for Captures {
    fn default() -> Self {
        Self(Mutex::new(vec![0; OUTPUT_READ_BYTES]))
    }
}

impl Captures {
    /// Reads both outputs to their ends. Or, when somebody else has them open, for a moment after all that was started `is_gone`,
    /// which is asked about from when `exited` is closed.
    pub async fn run<IsGone: Future<Output = bool>>(
        &self,
        capture: Capture,
        exited: Receiver<()>,
        is_gone: impl Fn() -> IsGone,
    ) {
        let Capture { sources: [stdout, stderr], writer } = capture;
        let (abandon, abandoned) = channel::bounded(1);
        let ended = async {
            future::zip(self.drain(stdout, &abandoned), self.drain(stderr, &abandoned)).await;
        };
        let lingering = async {
            // Nothing is ever sent.
            let _ = exited.recv().await;
            linger(is_gone).await;
            abandon.close();
            // What is read already is still to be written.
            std::future::pending().await
        };
        ended.or(lingering).await;
        drop(writer);
    }

    async fn drain(&self, source: Source, abandoned: &Receiver<()>) {
        match Async::new_nonblocking(source) {
            Ok(source) => {
                if let Err(error) = self.drain_to_end(&source, abandoned).await {
                    log::error!("reading output failed: {error}");
                }
                source.get_ref().end();
            }
            Err(error) => log::error!("output cannot be waited for: {error}"),
        }
    }

    async fn drain_to_end(&self, source: &Async<Source>, abandoned: &Receiver<()>) -> io::Result<()> {
        let mut reads_left = OUTPUT_READS_ABANDONED_MAX;
        while reads_left > 0 {
            let over = async {
                let _ = abandoned.recv().await;
                Ok(())
            };
            source.readable().or(over).await?;
            reads_left -= u32::from(abandoned.is_closed());
            match self.read(source.get_ref())? {
                (Read::End, _) => break,
                (Read::Nothing, _) if abandoned.is_closed() => break,
                (Read::Nothing, _) => {}
                (Read::Bytes, rest) => write_all(source.get_ref(), rest).await,
            }
        }
        Ok(())
    }

    /// Reads once. With what there was no room for, if anything.
    fn read(&self, source: &Source) -> io::Result<(Read, Vec<u8>)> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, rest) = source.read(&mut buffer)?;
        Ok((read, buffer[rest].to_vec()))
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

/// Until all is gone that was started, and a moment longer. Asked about less and less often: where nobody else has the
/// outputs open, they end by themselves.
async fn linger<IsGone: Future<Output = bool>>(is_gone: impl Fn() -> IsGone) {
    let mut pause = OUTPUT_LINGER;
    loop {
        Timer::after(pause).await;
        if is_gone().await {
            return;
        }
        pause = Duration::min(2 * pause, OUTPUT_LINGER_MAX);
    }
}
