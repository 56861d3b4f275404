//! What a cell uses and whether it is frozen, as its cgroups tell: each file read once, and only those that this kernel
//! has. A cell costs some twenty system calls and no memory: files are opened relative to the cell's directory, which
//! itself is looked up below a descriptor of ours, and read into one buffer.

use super::super::error::Error;
use super::super::info::{Pressure, PressureShare, Usage};
use super::super::names::CellName;
use super::Version;
use crate::limits::USAGE_FILE_BYTES_MAX;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What the kernel says of one cell at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub usage: Usage,
    /// All of it stands still, by itself or with a cgroup around it.
    pub frozen: bool,
    /// Memory and swap space together, as cgroup v1 counts.
    memory_and_swap: Option<u64>,
}

/// The files that tell, in each hierarchy where cells are.
#[derive(Debug, Default)]
pub struct Counters {
    /// The one that tracks is the first.
    places: Vec<Place>,
}

/// Our directory in one hierarchy.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    base: OwnedFd,
    counters: Vec<&'static Counter>,
}

/// A file, and what it says.
#[derive(Debug)]
struct Counter {
    version: Version,
    file: &'static CStr,
    /// Tells what two hierarchies may both count.
    counts: Counted,
    take: fn(&str, &mut Reading),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Cpu,
    Memory,
    MemoryPeak,
    Swap,
    Pids,
    Io,
    CpuPressure,
    MemoryPressure,
    IoPressure,
    Frozen,
}

const fn v1(file: &'static CStr, counts: Counted, take: fn(&str, &mut Reading)) -> Counter {
    Counter { version: Version::V1, file, counts, take }
}

const fn v2(file: &'static CStr, counts: Counted, take: fn(&str, &mut Reading)) -> Counter {
    Counter { version: Version::V2, file, counts, take }
}

/// What is read where it is there: cgroup-v2.rst, and cgroup-v1/ with a file for each controller. The values of a cgroup
/// include those of all below it.
static COUNTERS: &[Counter] = &[
    v2(c"cpu.stat", Counted::Cpu, |text, r| r.usage.cpu_us = keyed(text, "usage_usec")),
    v2(c"memory.current", Counted::Memory, |text, r| r.usage.memory_bytes = number(text)),
    // Since Linux 5.19.
    v2(c"memory.peak", Counted::MemoryPeak, |text, r| r.usage.memory_peak_bytes = number(text)),
    v2(c"memory.swap.current", Counted::Swap, |text, r| r.usage.swap_bytes = number(text)),
    v2(c"pids.current", Counted::Pids, |text, r| r.usage.pids = number(text)),
    v2(c"io.stat", Counted::Io, |text, r| set_io(r, io_stat(text))),
    v2(c"cpu.pressure", Counted::CpuPressure, |text, r| r.usage.cpu_pressure = pressure(text)),
    v2(c"memory.pressure", Counted::MemoryPressure, |text, r| r.usage.memory_pressure = pressure(text)),
    v2(c"io.pressure", Counted::IoPressure, |text, r| r.usage.io_pressure = pressure(text)),
    v2(c"cgroup.events", Counted::Frozen, |text, r| r.frozen = keyed(text, "frozen") == Some(1)),
    v1(c"cpuacct.usage", Counted::Cpu, |text, r| r.usage.cpu_us = number(text).map(|ns| ns / 1000)),
    v1(c"memory.usage_in_bytes", Counted::Memory, |text, r| r.usage.memory_bytes = number(text)),
    v1(c"memory.max_usage_in_bytes", Counted::MemoryPeak, |text, r| r.usage.memory_peak_bytes = number(text)),
    // Only where swap space is counted at all.
    v1(c"memory.memsw.usage_in_bytes", Counted::Swap, |text, r| r.memory_and_swap = number(text)),
    v1(c"pids.current", Counted::Pids, |text, r| r.usage.pids = number(text)),
    v1(c"blkio.throttle.io_service_bytes_recursive", Counted::Io, |text, r| set_io(r, blkio(text))),
    v1(c"freezer.state", Counted::Frozen, |text, r| r.frozen = text.trim_end() == "FROZEN"),
];

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Counters {
    /// Finds out which files our directories have, and so those of the cells; the directory in the hierarchy that tracks
    /// comes first. A counter that two hierarchies have is read in the first.
    pub fn open<'a>(bases: impl Iterator<Item = (Version, &'a Path)>) -> Result<Self, Error> {
        let mut places: Vec<Place> = Vec::new();
        for (version, path) in bases {
            let base = nix::fcntl::open(path, DIRECTORY, Mode::empty());
            let base = base.map_err(|errno| Error::File { verb: "open", path: path.to_owned(), errno })?;
            let taken = |counter: &Counter| {
                let mut earlier = places.iter().flat_map(|place| &place.counters);
                earlier.any(|other| other.counts == counter.counts)
            };
            let mut buffer = [0; USAGE_FILE_BYTES_MAX];
            let counters = COUNTERS.iter().filter(|counter| counter.version == version && !taken(counter));
            // Read, and not just looked for: with psi=0 the kernel has the files, and refuses to read them.
            let counters = counters.filter(|counter| text_of(&base, counter.file, &mut buffer).is_some());
            let counters = counters.collect();
            places.push(Place { path: path.to_owned(), base, counters });
        }
        Ok(Self { places })
    }

    /// What the kernel says of this cell; `None` when it is not there any more. `enters` says of our directory in a v1
    /// hierarchy whether processes of this cell are below it: one that they don't enter would count nothing, or just what
    /// is in some inner cells.
    pub fn read(&self, cell: &CellName, enters: impl Fn(&Path) -> bool) -> Option<Reading> {
        let mut reading = Reading::default();
        let mut buffer = [0; USAGE_FILE_BYTES_MAX];
        for (number, place) in self.places.iter().enumerate() {
            let tracks = number == 0;
            if place.counters.is_empty() || !(tracks || enters(&place.path)) {
                continue;
            }
            let Ok(directory) = openat(&place.base, cell.as_str(), DIRECTORY, Mode::empty()) else {
                if tracks {
                    return None;
                }
                continue;
            };
            for counter in &place.counters {
                if let Some(text) = text_of(&directory, counter.file, &mut buffer) {
                    (counter.take)(text, &mut reading);
                }
            }
        }
        reading.settle();
        Some(reading)
    }
}

impl Reading {
    /// What follows from two files.
    fn settle(&mut self) {
        if let (Some(both), Some(memory)) = (self.memory_and_swap, self.usage.memory_bytes) {
            // They were not read at the same moment.
            self.usage.swap_bytes = Some(both.saturating_sub(memory));
        }
    }
}

/// The whole text of a file; `None` when there is none to be had, as of a cgroup that is being removed.
fn text_of<'a>(directory: &OwnedFd, file: &CStr, buffer: &'a mut [u8]) -> Option<&'a str> {
    let file = openat(directory, file, OFlag::O_RDONLY.union(OFlag::O_CLOEXEC), Mode::empty()).ok()?;
    // One read gets all that fits: the kernel makes the text of a cgroup's file as a whole (`single_open`).
    let length = read_once(&file, buffer).ok()?;
    // A text that may be cut says something else than the whole one.
    (length < buffer.len()).then(|| str::from_utf8(&buffer[..length]).ok())?
}

fn read_once(file: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match read(file.as_fd(), buffer) {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim_end();
    // `parse` takes a plus sign, too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The value in the line `key value`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).and_then(number)
}

fn set_io(reading: &mut Reading, bytes: Option<(u64, u64)>) {
    reading.usage.io_read_bytes = bytes.map(|(read, _)| read);
    reading.usage.io_written_bytes = bytes.map(|(_, written)| written);
}

/// Bytes read and written on all devices, from lines such as `8:0 rbytes=4096 wbytes=0 rios=1 …`. A device on which
/// nothing happened may stand there without values.
fn io_stat(text: &str) -> Option<(u64, u64)> {
    let (mut read, mut written) = (0_u64, 0_u64);
    for field in text.split_ascii_whitespace() {
        if let Some(bytes) = field.strip_prefix("rbytes=") {
            read = read.checked_add(number(bytes)?)?;
        } else if let Some(bytes) = field.strip_prefix("wbytes=") {
            written = written.checked_add(number(bytes)?)?;
        }
    }
    Some((read, written))
}

/// The same from lines such as `8:0 Read 4096`; the others are of kinds of access that these two include.
fn blkio(text: &str) -> Option<(u64, u64)> {
    let (mut read, mut written) = (0_u64, 0_u64);
    for line in text.lines() {
        let mut words = line.split(' ').skip(1);
        match (words.next(), words.next()) {
            (Some("Read"), bytes) => read = read.checked_add(number(bytes?)?)?,
            (Some("Write"), bytes) => written = written.checked_add(number(bytes?)?)?,
            _ => {}
        }
    }
    Some((read, written))
}

/// Up to two lines such as `some avg10=0.00 avg60=1.50 avg300=0.07 total=12345` (accounting/psi.rst).
fn pressure(text: &str) -> Option<Pressure> {
    let of = |kind: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        let mut fields = line.split(' ');
        let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(PressureShare {
            avg10: hundredths(field("avg10")?)?,
            avg60: hundredths(field("avg60")?)?,
            avg300: hundredths(field("avg300")?)?,
            total_us: number(field("total")?)?,
        })
    };
    let pressure = Pressure { some: of("some"), full: of("full") };
    (pressure != Pressure::default()).then_some(pressure)
}

/// `12.34`, as 1234.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').filter(|(_, rest)| rest.len() == 2)?;
    let (whole, rest) = (number(whole)?, number(rest)?);
    u32::try_from(whole.checked_mul(100)?.checked_add(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn numbers_are_whole_and_decimal() {
        for (text, expected) in [
            ("0\n", Some(0)),
            ("4096\n", Some(4096)),
            ("18446744073709551615\n", Some(u64::MAX)),
            ("18446744073709551616\n", None),
            ("", None),
            ("\n", None),
            ("max\n", None),
            ("+1\n", None),
            ("-1\n", None),
            ("1 2\n", None),
            ("\u{665}\n", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_key_is_a_whole_word() {
        let stat = "usage_usec_x 1\nusage_usec 1234567\nuser_usec 7\n";
        for (text, key, expected) in [
            (stat, "usage_usec", Some(1_234_567)),
            (stat, "user_usec", Some(7)),
            (stat, "nice_usec", None),
            (stat, "usage", None),
            ("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", "usage_usec", None),
            ("usage_usec", "usage_usec", None),
            ("usage_usec ", "usage_usec", None),
            ("usage_usec 99999999999999999999", "usage_usec", None),
            ("", "usage_usec", None),
        ] {
            assert_eq!(keyed(text, key), expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_summed_over_devices() {
        for (text, expected) in [
            ("", Some((0, 0))),
            ("8:0 rbytes=4096 wbytes=512 rios=1 wios=1 dbytes=0 dios=0\n", Some((4096, 512))),
            ("8:0 rbytes=1 wbytes=2\n259:0 \n8:16 rbytes=10 wbytes=20 rios=9\n", Some((11, 22))),
            ("8:0 rbytes=1 wbytes=2 cost.usage=9\n", Some((1, 2))),
            ("8:0 rbytes=x wbytes=2\n", None),
            ("8:0 rbytes= wbytes=2\n", None),
            ("8:0 rbytes=18446744073709551615\n8:1 rbytes=1\n", None),
        ] {
            assert_eq!(io_stat(text), expected, "{text:?}");
        }
        for (text, expected) in [
            ("Total 0\n", Some((0, 0))),
            ("8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:0 Total 11\n8:1 Read 1\nTotal 12\n", Some((6, 6))),
            ("8:0 Read\n", None),
            ("8:0 Read -1\n", None),
            ("8:0 Write 18446744073709551615\n8:1 Write 1\n", None),
            ("", Some((0, 0))),
        ] {
            assert_eq!(blkio(text), expected, "{text:?}");
        }
    }

    #[test]
    fn pressure_is_read_by_the_line() {
        let share = |avg10, total_us| PressureShare { avg10, avg60: 150, avg300: 7, total_us };
        let some = "some avg10=12.34 avg60=1.50 avg300=0.07 total=12345\n";
        let full = "full avg10=100.00 avg60=1.50 avg300=0.07 total=1\n";
        let (some_share, full_share) = (Some(share(1234, 12345)), Some(share(10_000, 1)));
        for (text, expected) in [
            (format!("{some}{full}"), Some(Pressure { some: some_share, full: full_share })),
            (some.to_owned(), Some(Pressure { some: some_share, full: None })),
            (some.replace("1.50", "1.5") + full, Some(Pressure { some: None, full: full_share })),
            (some.replace("avg60", "avg6"), None),
            (some.replace("12345", "18446744073709551616"), None),
            (some.replace("12.34", "42949672.96"), None),
            (some.replace("12.34", "99999999999999999999.00"), None),
            (some.replace(" total=12345", ""), None),
            (String::new(), None),
        ] {
            assert_eq!(pressure(&text), expected, "{text:?}");
        }
    }

    /// A hierarchy of plain files, in which directories hold what the test says.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("aurae-usage-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("web")).expect("mkdir");
            Self(path)
        }

        fn write(&self, files: &[(&str, &str)]) {
            for (file, text) in files {
                fs::write(self.0.join(file), "0\n").expect("write");
                fs::write(self.0.join("web").join(file), text).expect("write");
            }
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn web() -> CellName {
        CellName::parse("web").expect("valid")
    }

    #[test]
    fn each_hierarchy_tells_what_it_counts_and_the_first_is_believed() {
        let (tracking, memory) = (Fake::new("tracking"), Fake::new("memory"));
        tracking.write(&[("cpu.stat", "usage_usec 5\n"), ("cgroup.events", "populated 1\nfrozen 1\n")]);
        memory.write(&[
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.max_usage_in_bytes", "8192\n"),
            ("memory.memsw.usage_in_bytes", "5096\n"),
            ("cpuacct.usage", "9000\n"),
        ]);
        let bases = [(Version::V2, tracking.0.as_path()), (Version::V1, memory.0.as_path())];
        let counters = Counters::open(bases.into_iter()).expect("open");
        let read = |enters: bool| counters.read(&web(), |_| enters).expect("is there");
        let cpu = Usage { cpu_us: Some(5), ..Usage::default() };
        let all =
            Usage { memory_bytes: Some(4096), memory_peak_bytes: Some(8192), swap_bytes: Some(1000), ..cpu };
        assert_eq!((read(true).usage, read(true).frozen), (all, true));
        assert_eq!(read(false).usage, cpu, "its processes are not below the second");
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        let tracking = Fake::new("odd");
        let huge = "1".repeat(USAGE_FILE_BYTES_MAX);
        tracking.write(&[("pids.current", "7\n"), ("memory.current", &huge), ("cpu.stat", "\u{0}")]);
        fs::write(tracking.0.join("memory.peak"), "0\n").expect("write");
        let counters = Counters::open([(Version::V2, tracking.0.as_path())].into_iter()).expect("open");
        let reading = counters.read(&web(), |_| true).expect("is there");
        assert_eq!(reading.usage, Usage { pids: Some(7), ..Usage::default() });
        fs::remove_dir_all(tracking.0.join("web")).expect("remove");
        assert_eq!(counters.read(&web(), |_| true), None);
    }
}
