//! One value for one file of a controller: written, read back, and written back to what it was when a later one fails.
//! Here the crate `cgroups-rs` writes what it has a setter for; its types for whole cgroups ignore errors, and reach
//! outside the directory given.

use super::super::change::LimitName;
use super::super::cpuset::IdList;
use super::super::error::{Error, errno_of};
use super::file;
use cgroups_rs::MaxValue;
use cgroups_rs::cpu::CpuController;
use cgroups_rs::cpuset::CpuSetController;
use cgroups_rs::pid::PidController;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};
use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

/// What to write, and where. The kernel takes some values without using them, so that each is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub limit: LimitName,
    pub directory: PathBuf,
    pub file: &'static str,
    pub value: String,
    pub format: Format,
}

/// How a file reads when it has taken a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One of its lines is the value.
    Line,
    /// It is the same list, in another order perhaps.
    List,
    /// The kernel keeps whole pages, and a number of its own for no limit.
    Bytes,
    /// One line is of this device, and has each word of the value. No line, when the value is `unlimited`.
    Device { device: String, unlimited: String },
}

/// What has been written, in order; written back in reverse unless it is kept.
#[derive(Debug, Default)]
pub struct Written(Vec<(PathBuf, String)>);

/// Writes them in order; all of them, or none.
pub fn apply(settings: &[Setting]) -> Result<Written, Error> {
    let mut written = Written::default();
    settings.iter().try_for_each(|setting| setting.apply(&mut written))?;
    Ok(written)
}

impl Written {
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for (path, before) in self.0.iter().rev() {
            match restore(path, before) {
                Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => {}
                Err(errno) => log::warn!("cannot write {before:?} back to {}: {errno}", path.display()),
            }
        }
    }
}

/// A list of v2 that was empty, which says the parent's, cannot be so again where processes are (ENOSPC): then it is what the
/// parent has.
fn restore(path: &Path, before: &str) -> Result<(), Errno> {
    match file::write(path, before) {
        Err(Errno::ENOSPC) if before.trim_end().is_empty() => {
            let parents = path.parent().and_then(Path::parent).zip(path.file_name()).ok_or(Errno::ENOSPC)?;
            let parents = parents.0.join(format!("{}.effective", parents.1.display()));
            file::write(path, &file::read(&parents).map_err(|_| Errno::ENOSPC)?)
        }
        other => other,
    }
}

impl Setting {
    fn apply(&self, written: &mut Written) -> Result<(), Error> {
        let path = self.path();
        let before = file::read_if_there(&path)?.ok_or_else(|| self.absent())?;
        if self.is_taken(&before) {
            return Ok(());
        }
        self.write().map_err(|errno| self.refused(errno))?;
        written.0.push((path, self.restoring(&before)));
        let after = file::read(&self.path())?;
        match self.is_taken(&after) {
            true => Ok(()),
            false => Err(self.not_taken(&after)),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.file)
    }

    fn write(&self) -> Result<(), Errno> {
        let (directory, value) = (|| self.directory.clone(), self.value.as_str());
        let number = |value: &str| value.parse().map_err(|_| Errno::EINVAL);
        // For these files the crate does the same on either version.
        let written = match self.file {
            "cpu.shares" => CpuController::new(directory(), false).set_shares(number(value)?),
            "cpu.weight" => CpuController::new(directory(), true).set_shares(number(value)?),
            "cpuset.cpus" => CpuSetController::new(directory(), true).set_cpus(value),
            "cpuset.mems" => CpuSetController::new(directory(), true).set_mems(value),
            "pids.max" => PidController::new(directory(), true).set_pid_max(match value {
                "max" => MaxValue::Max,
                max => MaxValue::Value(max.parse().map_err(|_| Errno::EINVAL)?),
            }),
            _ => return file::write(&self.path(), value),
        };
        let errno = |error: &cgroups_rs::error::Error| {
            error.source().and_then(|e| e.downcast_ref::<io::Error>()).map_or(Errno::EIO, errno_of)
        };
        written.map_err(|error| errno(&error))
    }

    /// Whether a file that reads like this has the value.
    fn is_taken(&self, text: &str) -> bool {
        let value = self.value.trim_end();
        match &self.format {
            Format::Line => text.lines().any(|line| line == value),
            Format::List => match (IdList::parse(text.trim_end()), IdList::parse(value)) {
                (Ok(got), Ok(asked)) => got == asked,
                _ => text.trim_end() == value,
            },
            Format::Bytes => pages(text.trim_end()) == pages(value),
            Format::Device { device, unlimited } => match line_of(device, text) {
                None => value == unlimited,
                Some(line) => {
                    value != unlimited && value.split(' ').all(|word| line.split(' ').any(|w| w == word))
                }
            },
        }
    }

    /// What to write to a file that reads `before`, to have it read so again.
    fn restoring(&self, before: &str) -> String {
        match &self.format {
            Format::Line => before.lines().next().unwrap_or_default().to_owned(),
            Format::Bytes => before.trim_end().to_owned(),
            // No bytes at all would be no write.
            Format::List => format!("{}\n", before.trim_end()),
            Format::Device { device, unlimited } => line_of(device, before).unwrap_or(unlimited).to_owned(),
        }
    }

    fn absent(&self) -> Error {
        if !self.directory.exists() {
            return Error::File { verb: "open", path: self.path(), errno: Errno::ENOENT };
        }
        let reason = match self.limit {
            LimitName::MemorySwapMax => {
                "this kernel does not count swap space; add swapaccount=1 to its command line, and restart"
            }
            LimitName::IoWeight => {
                "block devices have no weights here; they need the I/O scheduler bfq (modprobe bfq), or a kernel with \
                 CONFIG_BLK_CGROUP_IOCOST"
            }
            LimitName::IoMax => "this kernel cannot do it; it needs CONFIG_BLK_DEV_THROTTLING",
            LimitName::CpuMax => "this kernel cannot do it; it needs CONFIG_CFS_BANDWIDTH",
            _ => "the kernel is too old for it, or the controller has been taken from this cgroup",
        };
        let reason = format!("{reason} (there is no {})", self.path().display());
        Error::LimitUnavailable { field: self.limit.field(), reason }
    }

    fn refused(&self, errno: Errno) -> Error {
        // kernel/cgroup, `blkg_conf_open_bdev`: no such device, or a partition.
        if let (Format::Device { device, .. }, Errno::ENODEV) = (&self.format, errno) {
            let device = device.clone();
            return Error::NoBlockDevice { device, why: "the kernel has no whole disk with these numbers" };
        }
        let advice = match (self.file, errno) {
            ("cpu.cfs_quota_us", _) => {
                "on cgroup v1 a cell's max must not be above the share of a period that its parent has, nor below that \
                 of a cell inside"
            }
            ("memory.limit_in_bytes" | "memory.memsw.limit_in_bytes", Errno::EBUSY) => {
                "the cell uses more than that, and the kernel finds nothing to reclaim; end something in it first"
            }
            _ => "the kernel's log may say why",
        };
        let (field, value) = (self.limit.field(), self.value.trim_end().to_owned());
        Error::LimitRefused { field, value, file: self.path(), errno, advice }
    }

    fn not_taken(&self, got: &str) -> Error {
        let (field, got) = (self.limit.field(), got.trim_end().to_owned());
        Error::LimitNotTaken { field, asked: self.value.trim_end().to_owned(), file: self.path(), got }
    }
}

/// The line of this device, without its end.
fn line_of<'a>(device: &str, text: &'a str) -> Option<&'a str> {
    text.lines().find(|line| line.split(' ').next() == Some(device))
}

/// How many bytes the kernel makes of a number of them; `u64::MAX` stands for no limit.
fn pages(text: &str) -> Option<u64> {
    let page = page_bytes();
    match text {
        "max" | "-1" => Some(u64::MAX),
        // The largest whole number of pages in 63 bits is how v1 shows that there is no limit (`PAGE_COUNTER_MAX`).
        _ => match text.parse::<u64>().ok()? {
            no_limit if no_limit > i64::MAX as u64 - page => Some(u64::MAX),
            bytes => Some(bytes - bytes % page),
        },
    }
}

fn page_bytes() -> u64 {
    let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    asked.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn setting(file: &'static str, value: &str, format: Format) -> Setting {
        let (limit, directory) = (LimitName::IoMax, PathBuf::from("/nonexistent"));
        Setting { limit, directory, file, value: value.to_owned(), format }
    }

    fn device(unlimited: &str) -> Format {
        Format::Device { device: "8:0".to_owned(), unlimited: unlimited.to_owned() }
    }

    #[test]
    fn each_format_knows_its_own_value() {
        let none = "8:0 rbps=max wbps=max riops=max wiops=max";
        let all = "8:0 rbps=1 wbps=max riops=max wiops=max";
        for (value, format, text, taken) in [
            ("100", Format::Line, "100\n", true),
            ("100", Format::Line, "1000\n", false),
            ("default 50", Format::Line, "default 50\n8:0 70\n", true),
            ("max 100000", Format::Line, "max 100000\n", true),
            ("0-1", Format::List, "0,1\n", true),
            ("0-1", Format::List, "0-2\n", false),
            ("\n", Format::List, "\n", true),
            ("\n", Format::List, "0\n", false),
            ("5000", Format::Bytes, "4096\n", true),
            ("4096", Format::Bytes, "8192\n", false),
            ("4095", Format::Bytes, "0\n", true),
            ("max", Format::Bytes, "max\n", true),
            ("-1", Format::Bytes, "9223372036854771712\n", true),
            ("-1", Format::Bytes, "4096\n", false),
            ("1152921504606846976", Format::Bytes, "1152921504606846976\n", true),
            (all, device(none), "8:0 rbps=1 wbps=max riops=max wiops=max\n", true),
            (all, device(none), "8:16 rbps=1 wbps=max riops=max wiops=max\n", false),
            (all, device(none), "8:0 rbps=11 wbps=max riops=max wiops=max\n", false),
            (none, device(none), "8:16 rbps=1 wbps=max riops=max wiops=max\n", true),
            (none, device(none), "8:0 rbps=1 wbps=max riops=max wiops=max\n", false),
            ("8:0 7", device("8:0 0"), "8:0 7\n", true),
            ("8:0 0", device("8:0 0"), "", true),
        ] {
            assert_eq!(setting("f", value, format).is_taken(text), taken, "{value:?} in {text:?}");
        }
    }

    #[test]
    fn each_format_knows_how_to_go_back() {
        for (format, before, back) in [
            (Format::Line, "default 100\n8:0 70\n", "default 100"),
            (Format::Line, "max 100000\n", "max 100000"),
            (Format::List, "\n", "\n"),
            (Format::List, "0-1\n", "0-1\n"),
            (Format::Bytes, "9223372036854771712\n", "9223372036854771712"),
            (device("8:0 0"), "8:16 5\n8:0 7\n", "8:0 7"),
            (device("8:0 0"), "8:16 5\n", "8:0 0"),
        ] {
            assert_eq!(setting("f", "", format).restoring(before), back, "{before:?}");
        }
    }

    /// A directory that stands for a cgroup: its files keep what is written, as the kernel's do.
    fn scratch(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("aurae-setting-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("scratch directory");
        for (file, contents) in files {
            fs::write(path.join(file), contents).expect("scratch file");
        }
        path
    }

    fn line(directory: &Path, limit: LimitName, file: &'static str, value: &str) -> Setting {
        let (directory, value) = (directory.to_owned(), value.to_owned());
        Setting { limit, directory, file, value, format: Format::Line }
    }

    #[test]
    fn what_was_written_is_taken_back_when_a_later_one_fails() {
        let path = scratch("undo", &[("cpu.weight", "100\n"), ("pids.max", "max\n")]);
        let settings = [
            line(&path, LimitName::CpuWeight, "cpu.weight", "200"),
            line(&path, LimitName::PidsMax, "pids.max", "7"),
            line(&path, LimitName::IoWeight, "io.weight", "default 50"),
        ];
        let error = apply(&settings).expect_err("there is no io.weight");
        assert!(matches!(error, Error::LimitUnavailable { field: "cell.io.weight", .. }), "{error:?}");
        assert!(error.to_string().contains("modprobe bfq"), "{error}");
        let read = |file: &str| fs::read_to_string(path.join(file)).expect("written");
        assert_eq!((read("cpu.weight"), read("pids.max")), ("100".into(), "max".into()));

        apply(&settings[..2]).expect("these are there").keep();
        assert_eq!((read("cpu.weight"), read("pids.max")), ("200".into(), "7".into()));
        fs::remove_dir_all(path).expect("remove");
    }

    #[test]
    fn a_cgroup_that_is_gone_is_no_missing_limit() {
        let error = apply(&[setting("io.max", "x", Format::Line)]).expect_err("gone");
        assert!(matches!(error, Error::File { errno: Errno::ENOENT, .. }), "{error:?}");
    }
}
