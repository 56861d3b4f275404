//! Times of one thing that was done many times.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sorted.
pub struct Samples(Vec<Duration>);

impl FromIterator<Duration> for Samples {
    fn from_iter<Times: IntoIterator<Item = Duration>>(times: Times) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Samples {
    /// Times `work`, once for each number below `count`, with a pause before each that is not counted.
    pub fn timed(count: usize, pause: Duration, mut work: impl FnMut(usize)) -> Self {
        let time = |number| {
            sleep(pause);
            let began = Instant::now();
            work(number);
            began.elapsed()
        };
        (0..count).map(time).collect()
    }

    pub fn heading(unit: &str) -> String {
        format!("{unit:40} {:>9} {:>9} {:>12}", "p50", "p99", "× bare, p50")
    }

    pub fn row(&self, name: &str, bare: Option<&Self>) -> String {
        let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
        let ratio = bare.map(|bare| self.percentile(50).as_secs_f64() / bare.percentile(50).as_secs_f64());
        let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let (p50, p99) = (micros(self.percentile(50)), micros(self.percentile(99)));
        format!("{name:40} {p50:>9} {p99:>9} {ratio:>12}")
    }

    /// The smallest time that so many percent do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(index).copied().unwrap_or_default()
    }
}
