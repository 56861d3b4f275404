//! What is known of a connection's peer, and what follows from it: ask whether it lives, send it away, cut it off.
//!
//! The wire notes facts; the connection asks for a verdict whenever its one timer fires. Judging is pure.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Counter, Timeouts};
use crate::limits::{
    CONNECTION_REQUEST_BYTES_MAX, CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_FRAME_SENT,
    CONTROL_FRAMES_PER_SECOND, FRAMES_IN_A_ROW, READS_IN_A_ROW,
};

const FRAME_EARNED_EVERY: Duration = Duration::from_micros(1_000_000 / CONTROL_FRAMES_PER_SECOND as u64);

/// Shared by the wire, the connection and its streams.
pub struct Monitor {
    /// They run on one thread: the lock is never contended.
    facts: Mutex<Facts>,
    /// What its requests make us hold.
    pub(super) request_bytes: Counter,
}

#[derive(Clone, Debug)]
pub struct Facts {
    opened: Instant,
    pub last_byte: Instant,
    /// When the frame began that is not complete yet.
    pub frame_began: Option<Instant>,
    pub settings_seen: bool,
    pub settings_acked: bool,
    pub turn: Turn,
    credit: Credit,
}

/// What the connection has read since the executor last gave it its turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    pub reads: u32,
    pub frames: u32,
}

/// A token bucket for control frames.
#[derive(Clone, Debug)]
struct Credit {
    frames: u32,
    counted_at: Instant,
}

/// What to do about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing until then.
    WaitUntil(Instant),
    /// It has been silent: ask with a PING.
    Ping,
    /// It has made no call for long: GOAWAY.
    Leave,
    /// It broke a deadline: cut the connection. Says which.
    Cut(&'static str),
}

/// What the connection itself knows and the judgement needs.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// When the last stream was accepted or was still open.
    pub last_open: Instant,
    /// When a PING was sent that the peer's silence called for.
    pub pinged: Option<Instant>,
    /// GOAWAY has been sent because no stream was open for long.
    pub asked_to_leave: bool,
}

impl Monitor {
    pub fn new(now: Instant) -> Self {
        let facts = Facts {
            opened: now,
            last_byte: now,
            frame_began: None,
            settings_seen: false,
            settings_acked: false,
            turn: Turn::default(),
            credit: Credit { frames: CONTROL_FRAMES_BURST, counted_at: now },
        };
        Self { facts: Mutex::new(facts), request_bytes: Counter::new(CONNECTION_REQUEST_BYTES_MAX) }
    }

    /// The facts hold whatever happened to another holder, so a poisoned lock is taken all the same.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The executor has given the connection's task its turn. Without a turn the wire reads only so much.
    pub fn begin_turn(&self) {
        self.facts().turn = Turn::default();
    }

    /// What h2 said to a frame of a call. One that was sent may be answered by control frames; one that failed, because
    /// the stream has been reset, earns the peer nothing.
    pub fn note_sent<T>(&self, sent: Result<T, h2::Error>) -> Option<T> {
        let sent = sent.ok()?;
        self.frame_sent();
        Some(sent)
    }

    fn frame_sent(&self) {
        let mut facts = self.facts();
        let frames = facts.credit.frames.saturating_add(CONTROL_FRAMES_PER_FRAME_SENT);
        facts.credit.frames = frames.min(CONTROL_FRAMES_BURST);
    }
}

impl Turn {
    pub fn is_over(self) -> bool {
        self.reads >= READS_IN_A_ROW || self.frames >= FRAMES_IN_A_ROW
    }
}

impl Facts {
    /// Charges the peer for control frames; false when it has sent too many.
    pub fn charge(&mut self, frames: u32, now: Instant) -> bool {
        let passed = now.duration_since(self.credit.counted_at);
        let earned =
            (passed.as_nanos() / FRAME_EARNED_EVERY.as_nanos()).min(CONTROL_FRAMES_BURST.into()) as u32;
        self.credit.frames = self.credit.frames.saturating_add(earned).min(CONTROL_FRAMES_BURST);
        // What has passed of the next frame's time counts for that frame.
        self.credit.counted_at = match earned {
            CONTROL_FRAMES_BURST => now,
            earned => self.credit.counted_at + FRAME_EARNED_EVERY * earned,
        };
        let left = self.credit.frames.checked_sub(frames);
        self.credit.frames = left.unwrap_or(0);
        left.is_some()
    }

    /// When the peer has to be judged again, if nothing happens until then.
    pub fn due(&self, streams: Streams, timeouts: &Timeouts) -> Instant {
        self.nearest_deadline(streams, timeouts).0
    }

    pub fn judge(&self, streams: Streams, timeouts: &Timeouts, now: Instant) -> Verdict {
        let (deadline, verdict) = self.nearest_deadline(streams, timeouts);
        if now < deadline { Verdict::WaitUntil(deadline) } else { verdict }
    }

    /// The deadline that comes first, and what its passing means.
    fn nearest_deadline(&self, streams: Streams, timeouts: &Timeouts) -> (Instant, Verdict) {
        let settings = (!self.settings_seen)
            .then(|| (self.opened + timeouts.handshake, Verdict::Cut("it sent no SETTINGS")));
        let ack = (!self.settings_acked).then(|| {
            (self.opened + timeouts.settings_ack, Verdict::Cut("it did not acknowledge our SETTINGS"))
        });
        let frame = self
            .frame_began
            .map(|began| (began + timeouts.frame, Verdict::Cut("it did not complete a frame")));
        let alive = match streams.pinged.filter(|at| self.last_byte < *at) {
            Some(at) => (at + timeouts.ping, Verdict::Cut("it did not answer a PING")),
            None => (self.last_byte + timeouts.silence, Verdict::Ping),
        };
        let idle = match streams.asked_to_leave {
            false => (streams.last_open + timeouts.idle, Verdict::Leave),
            // h2 closes once the peer has answered the PING that follows GOAWAY, which it need not ever do.
            true => (streams.last_open + timeouts.ping, Verdict::Cut("it did not leave after GOAWAY")),
        };
        let all = [settings, ack, frame, Some(alive), Some(idle)];
        let nearest = all.into_iter().flatten().min_by_key(|(deadline, _)| *deadline);
        nearest.unwrap_or((self.opened + Duration::from_secs(1), Verdict::Ping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn facts(opened: Instant) -> Facts {
        let mut facts = Monitor::new(opened).facts().clone();
        facts.settings_seen = true;
        facts.settings_acked = true;
        facts
    }

    #[test]
    fn each_deadline_gives_its_verdict() {
        let start = Instant::now();
        let timeouts = Timeouts::default();
        let quiet = Streams { last_open: start, pinged: None, asked_to_leave: false };
        let judge = |facts: &Facts, streams, after: Duration| facts.judge(streams, &timeouts, start + after);

        let fresh = Monitor::new(start).facts().clone();
        assert_eq!(judge(&fresh, quiet, timeouts.handshake), Verdict::Cut("it sent no SETTINGS"));
        let unacked = Facts { settings_seen: true, ..fresh };
        assert!(matches!(judge(&unacked, quiet, timeouts.settings_ack), Verdict::Cut(_)));

        let idle = facts(start);
        assert_eq!(judge(&idle, quiet, SECOND), Verdict::WaitUntil(start + timeouts.silence));
        assert_eq!(judge(&idle, quiet, timeouts.silence), Verdict::Ping);
        let pinged = Streams { pinged: Some(start + timeouts.silence), ..quiet };
        assert!(matches!(judge(&idle, pinged, timeouts.silence + timeouts.ping), Verdict::Cut(_)));
        let alive = Facts { last_byte: start + timeouts.idle, ..idle.clone() };
        assert_eq!(judge(&alive, pinged, timeouts.idle), Verdict::Leave);
        let asked = Streams { last_open: start + timeouts.idle, asked_to_leave: true, ..quiet };
        let after = timeouts.idle + timeouts.ping;
        assert_eq!(judge(&alive, asked, after), Verdict::Cut("it did not leave after GOAWAY"));
        let half = Facts { frame_began: Some(start), last_byte: start + timeouts.frame, ..idle };
        assert_eq!(judge(&half, quiet, timeouts.frame), Verdict::Cut("it did not complete a frame"));
    }

    #[test]
    fn control_frames_are_paid_from_burst_rate_and_sent_frames() {
        let start = Instant::now();
        let monitor = Monitor::new(start);
        assert!(monitor.facts().charge(CONTROL_FRAMES_BURST, start));
        assert!(!monitor.facts().charge(1, start));
        assert!(monitor.facts().charge(CONTROL_FRAMES_PER_SECOND, start + SECOND));
        assert!(!monitor.facts().charge(1, start + SECOND));
        monitor.frame_sent();
        assert!(monitor.facts().charge(CONTROL_FRAMES_PER_FRAME_SENT, start + SECOND));
        assert!(!monitor.facts().charge(1, start + SECOND));
        assert!(monitor.facts().charge(CONTROL_FRAMES_BURST, start + 1000 * SECOND));
        assert!(!monitor.facts().charge(1, start + 1000 * SECOND));
    }

    #[test]
    fn the_rate_does_not_depend_on_how_often_it_is_charged() {
        let start = Instant::now();
        let monitor = Monitor::new(start);
        assert!(monitor.facts().charge(CONTROL_FRAMES_BURST, start));
        // A frame is earned every 10 ms; this peer sends all that it has earned every 15 ms.
        for turn in 1..=100 {
            let earned = 15 * turn / 10 - 15 * (turn - 1) / 10;
            assert!(monitor.facts().charge(earned, start + Duration::from_millis(15 * u64::from(turn))));
        }
    }
}
