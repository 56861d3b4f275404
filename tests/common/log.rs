//! What the program logs at the level that it has by default, for tests to count.

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

struct Memory(Mutex<Vec<String>>);

static MEMORY: Memory = Memory(Mutex::new(Vec::new()));

/// From now on lines are kept, those of tests that run at the same time among them.
pub fn start() {
    // Fails only when another test has done it.
    let _ = log::set_logger(&MEMORY);
    log::set_max_level(LevelFilter::Info);
}

/// Lines that contain `text`.
pub fn count(text: &str) -> usize {
    MEMORY.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
}

impl Log for Memory {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}
