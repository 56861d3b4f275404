//! The table of limits: which files say each of them, in each version's own numbers.

use super::super::change::LimitName;
use super::super::cpu::{CpuMax, CpuWeight};
use super::super::cpuset::IdList;
use super::super::error::Error;
use super::super::io::{Device, IoMax, Rate};
use super::super::memory::{Bytes, MemoryLimits};
use super::super::pids::PidsMax;
use super::super::spec::Limits;
use super::group::Group;
use super::setting::{Format, Setting};
use super::{Version, file};
use nix::errno::Errno;
use std::path::Path;

/// The directory of a cell in the hierarchy of a limit's controller.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    pub path: &'a Path,
    pub version: Version,
}

/// What to write, in this order, to bring a cell from one limit to another. Valid at each step.
///
/// A limit that is not set is the kernel's default; a list that is not set, on v1, the parent's.
pub fn settings(
    limit: LimitName,
    directory: Directory<'_>,
    from: &Limits,
    to: &Limits,
) -> Result<Vec<Setting>, Error> {
    use LimitName as Limit;
    use Version::{V1, V2};
    let set = |file, value: String, format| directory.setting(limit, file, value, format);
    let line = |file, value: String| vec![set(file, value, Format::Line)];
    let bytes = |file, value: Option<Bytes>, default| vec![set(file, or(value, default), Format::Bytes)];
    let memory = &to.memory;
    Ok(match (limit, directory.version) {
        (Limit::CpuWeight, V1) => line("cpu.shares", or(to.cpu.weight.map(CpuWeight::shares), "1024")),
        (Limit::CpuWeight, V2) => line("cpu.weight", or(to.cpu.weight.map(CpuWeight::value), "100")),
        (Limit::CpuMax, V1) => cpu_max_v1(directory, to.cpu.max),
        (Limit::CpuMax, V2) => line("cpu.max", quota_and_period(to.cpu.max)),
        (Limit::CpusetCpus, _) => vec![directory.list(limit, "cpuset.cpus", to)?],
        (Limit::CpusetMems, _) => vec![directory.list(limit, "cpuset.mems", to)?],
        (Limit::MemoryMin, V2) => bytes("memory.min", memory.min, "0"),
        (Limit::MemoryLow, V2) => bytes("memory.low", memory.low, "0"),
        (Limit::MemoryHigh, V2) => bytes("memory.high", memory.high, "max"),
        (Limit::MemoryMax, V2) => bytes("memory.max", memory.max, "max"),
        (Limit::MemorySwapMax, V2) => bytes("memory.swap.max", memory.swap_max, "max"),
        (Limit::MemoryMin | Limit::MemoryLow | Limit::MemoryHigh, V1) => {
            unavailable_on_v1(limit, limit.is_in(to))?
        }
        (Limit::MemoryMax | Limit::MemorySwapMax, V1) => memory_v1(directory, &from.memory, memory)?,
        (Limit::PidsMax, _) => line("pids.max", or(to.pids.max.map(PidsMax::value), "max")),
        (Limit::IoWeight, _) => vec![io_weight(directory, to)],
        (Limit::IoMax, _) => io_max(directory, from, to),
    })
}

fn or(value: Option<impl ToString>, default: &str) -> String {
    value.map_or_else(|| default.to_owned(), |value| value.to_string())
}

fn quota_and_period(max: Option<CpuMax>) -> String {
    let words = max.map(|max| format!("{} {}", max.quota_us(), max.period_us()));
    words.unwrap_or_else(|| "max 100000".to_owned())
}

/// v1 compares the quota's share of the period with the parent's and the children's at each write. So: no quota, which is
/// always within, while the period changes.
fn cpu_max_v1(directory: Directory<'_>, max: Option<CpuMax>) -> Vec<Setting> {
    let line = |file, value: String| directory.setting(LimitName::CpuMax, file, value, Format::Line);
    let period = or(max.map(CpuMax::period_us), "100000");
    vec![
        line("cpu.cfs_quota_us", "-1".to_owned()),
        line("cpu.cfs_period_us", period),
        line("cpu.cfs_quota_us", or(max.map(CpuMax::quota_us), "-1")),
    ]
}

fn unavailable_on_v1(limit: LimitName, is_set: bool) -> Result<Vec<Setting>, Error> {
    if !is_set {
        return Ok(Vec::new());
    }
    let reason = "cgroup v1 has no such limit; boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or use memory.max";
    Err(Error::LimitUnavailable { field: limit.field(), reason: reason.to_owned() })
}

/// v1 limits memory, and memory and swap together, of which the second must never be below the first.
fn memory_v1(
    directory: Directory<'_>,
    from: &MemoryLimits,
    to: &MemoryLimits,
) -> Result<Vec<Setting>, Error> {
    if to.swap_max.is_some() && to.max.is_none() {
        let reason =
            "cgroup v1 limits memory and swap together, so that cell.memory.max must be set, too".to_owned();
        return Err(Error::LimitUnavailable { field: LimitName::MemorySwapMax.field(), reason });
    }
    let together = |limits: &MemoryLimits| limits.max.zip(limits.swap_max).map(|(max, swap)| max.and(swap));
    let (before, after) = (together(from), together(to));
    let bytes = |limit, file, value| directory.setting(limit, file, value, Format::Bytes);
    let max = bytes(LimitName::MemoryMax, "memory.limit_in_bytes", or(to.max, "-1"));
    if before.or(after).is_none() {
        // Without a word about swap the file needn't be there.
        return Ok(vec![max]);
    }
    let both = bytes(LimitName::MemorySwapMax, "memory.memsw.limit_in_bytes", or(after, "-1"));
    let rises = after.is_none_or(|after| before.is_some_and(|before| after >= before));
    Ok(if rises { vec![both, max] } else { vec![max, both] })
}

/// The kernel's own weights, or those of the scheduler BFQ, which on v1 are the only ones.
fn io_weight(directory: Directory<'_>, to: &Limits) -> Setting {
    let (own, bfq) = (to.io.weight.map_or(100, |w| w.value()), to.io.weight.map_or(100, |w| w.bfq()));
    let has = |file| directory.path.join(file).exists();
    let (file, value) = match directory.version {
        Version::V1 => ("blkio.bfq.weight", bfq.to_string()),
        Version::V2 if has("io.bfq.weight") && !has("io.weight") => {
            ("io.bfq.weight", format!("default {bfq}"))
        }
        Version::V2 => ("io.weight", format!("default {own}")),
    };
    directory.setting(LimitName::IoWeight, file, value, Format::Line)
}

fn io_max(directory: Directory<'_>, from: &Limits, to: &Limits) -> Vec<Setting> {
    let (from, to) = (&from.io.max, &to.io.max);
    let gone = from.keys().filter(|device| !to.contains_key(device));
    let changed = to.keys().filter(|device| from.get(device) != to.get(device));
    gone.chain(changed).flat_map(|device| device_max(directory, device, to.get(device))).collect()
}

fn device_max(directory: Directory<'_>, device: &Device, max: Option<&IoMax>) -> Vec<Setting> {
    let rate = |rate| max.and_then(|max| max.rate(rate));
    let set = |file, value: String, unlimited| {
        let format = Format::Device { device: device.to_string(), unlimited };
        directory.setting(LimitName::IoMax, file, value, format)
    };
    if directory.version == Version::V1 {
        let files = Rate::ALL.map(|each| (throttle_file(each), rate(each)));
        let one = |(file, rate)| set(file, format!("{device} {}", or(rate, "0")), format!("{device} 0"));
        return files.map(one).into();
    }
    let words = |value: &dyn Fn(Rate) -> String| {
        let words = Rate::ALL.map(|rate| format!("{}={}", key(rate), value(rate)));
        format!("{device} {}", words.join(" "))
    };
    vec![set("io.max", words(&|each| or(rate(each), "max")), words(&|_| "max".to_owned()))]
}

fn throttle_file(rate: Rate) -> &'static str {
    match rate {
        Rate::ReadBytes => "blkio.throttle.read_bps_device",
        Rate::WriteBytes => "blkio.throttle.write_bps_device",
        Rate::Reads => "blkio.throttle.read_iops_device",
        Rate::Writes => "blkio.throttle.write_iops_device",
    }
}

/// In `io.max` (cgroup-v2.rst).
fn key(rate: Rate) -> &'static str {
    match rate {
        Rate::ReadBytes => "rbps",
        Rate::WriteBytes => "wbps",
        Rate::Reads => "riops",
        Rate::Writes => "wiops",
    }
}

/// Which cpus or memory nodes these limits name.
pub fn list_in(limit: LimitName, limits: &Limits) -> Option<&IdList> {
    match limit {
        LimitName::CpusetMems => limits.cpuset.mems.as_ref(),
        _ => limits.cpuset.cpus.as_ref(),
    }
}

impl Directory<'_> {
    pub fn setting(&self, limit: LimitName, file: &'static str, value: String, format: Format) -> Setting {
        Setting { limit, directory: self.path.to_owned(), file, value, format }
    }

    fn list(&self, limit: LimitName, file: &'static str, to: &Limits) -> Result<Setting, Error> {
        let value = match (list_in(limit, to), self.version) {
            // The kernel refuses no list at all where processes are (ENOSPC): they keep what the parent has now.
            (None, Version::V2) if Group::new(self.version, self.path.to_owned()).is_empty()? => {
                "\n".to_owned()
            }
            _ => self.own_list(limit, file, to)?.to_string(),
        };
        Ok(self.setting(limit, file, value, Format::List))
    }

    /// The list of the limit, which must be within the parent's; or else the parent's.
    pub fn own_list(&self, limit: LimitName, file: &str, to: &Limits) -> Result<IdList, Error> {
        let allowed = self.parents_list(file)?;
        match list_in(limit, to) {
            None => Ok(allowed),
            Some(list) if list.is_subset_of(&allowed) => Ok(list.clone()),
            Some(list) => Err(Error::BeyondParent {
                field: limit.field(),
                given: list.to_string(),
                allowed: allowed.to_string(),
            }),
        }
    }

    /// What the parent may use, and so may give. v1 has it in the file itself, v2 in `….effective`.
    fn parents_list(&self, file: &str) -> Result<IdList, Error> {
        let parent = self.path.parent().unwrap_or(self.path);
        match self.version {
            Version::V1 => read_list(&parent.join(file)),
            Version::V2 => read_list(&parent.join(format!("{file}.effective"))),
        }
    }
}

/// A file of cpus or memory nodes.
pub fn read_list(path: &Path) -> Result<IdList, Error> {
    let not_understood = |_| Error::File { verb: "understand", path: path.to_owned(), errno: Errno::EINVAL };
    IdList::parse(file::read(path)?.trim_end()).map_err(not_understood)
}

#[cfg(test)]
mod tests {
    use super::super::super::io::IoWeight;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// Every limit is set, the lists apart: these need files.
    fn full() -> Limits {
        let mut limits = Limits::default();
        limits.cpu.weight = CpuWeight::new(200).ok();
        limits.cpu.max = CpuMax::new(500_000, None).ok();
        limits.memory = memory(Some(4096), Some(8192));
        limits.pids.max = PidsMax::new(7).ok();
        limits.io.weight = IoWeight::new(1_090).ok();
        let rates = IoMax::new([Some(1), None, None, Some(2)]).expect("valid");
        limits.io.max = [(Device::Numbers { major: 8, minor: 0 }, rates)].into();
        limits
    }

    fn memory(max: Option<i64>, swap_max: Option<i64>) -> MemoryLimits {
        let bytes = |bytes: Option<i64>| bytes.map(|bytes| Bytes::new(bytes).expect("valid"));
        MemoryLimits { max: bytes(max), swap_max: bytes(swap_max), ..Default::default() }
    }

    fn written(limit: LimitName, version: Version, from: &Limits, to: &Limits) -> Vec<String> {
        let directory = Directory { path: Path::new("/nonexistent/cell"), version };
        let settings = settings(limit, directory, from, to).expect("available");
        settings.iter().map(|setting| format!("{}: {}", setting.file, setting.value)).collect()
    }

    #[test]
    fn each_limit_is_said_in_each_kernels_way() {
        use LimitName as Limit;
        use Version::{V1, V2};
        for (limit, version, set, cleared) in [
            (Limit::CpuWeight, V1, &["cpu.shares: 2048"][..], &["cpu.shares: 1024"][..]),
            (Limit::CpuWeight, V2, &["cpu.weight: 200"], &["cpu.weight: 100"]),
            (
                Limit::CpuMax,
                V1,
                &["cpu.cfs_quota_us: -1", "cpu.cfs_period_us: 1000000", "cpu.cfs_quota_us: 500000"],
                &["cpu.cfs_quota_us: -1", "cpu.cfs_period_us: 100000", "cpu.cfs_quota_us: -1"],
            ),
            (Limit::CpuMax, V2, &["cpu.max: 500000 1000000"], &["cpu.max: max 100000"]),
            (Limit::MemoryMin, V2, &["memory.min: 0"], &["memory.min: 0"]),
            (Limit::MemoryHigh, V2, &["memory.high: max"], &["memory.high: max"]),
            (Limit::MemoryMax, V2, &["memory.max: 4096"], &["memory.max: max"]),
            (Limit::MemorySwapMax, V2, &["memory.swap.max: 8192"], &["memory.swap.max: max"]),
            (
                Limit::MemoryMax,
                V1,
                &["memory.limit_in_bytes: 4096", "memory.memsw.limit_in_bytes: 12288"],
                &["memory.memsw.limit_in_bytes: -1", "memory.limit_in_bytes: -1"],
            ),
            (Limit::PidsMax, V1, &["pids.max: 7"], &["pids.max: max"]),
            (Limit::PidsMax, V2, &["pids.max: 7"], &["pids.max: max"]),
            (Limit::IoWeight, V1, &["blkio.bfq.weight: 190"], &["blkio.bfq.weight: 100"]),
            (Limit::IoWeight, V2, &["io.weight: default 1090"], &["io.weight: default 100"]),
            (
                Limit::IoMax,
                V1,
                &[
                    "blkio.throttle.read_bps_device: 8:0 1",
                    "blkio.throttle.write_bps_device: 8:0 0",
                    "blkio.throttle.read_iops_device: 8:0 0",
                    "blkio.throttle.write_iops_device: 8:0 2",
                ],
                &[
                    "blkio.throttle.read_bps_device: 8:0 0",
                    "blkio.throttle.write_bps_device: 8:0 0",
                    "blkio.throttle.read_iops_device: 8:0 0",
                    "blkio.throttle.write_iops_device: 8:0 0",
                ],
            ),
            (
                Limit::IoMax,
                V2,
                &["io.max: 8:0 rbps=1 wbps=max riops=max wiops=2"],
                &["io.max: 8:0 rbps=max wbps=max riops=max wiops=max"],
            ),
        ] {
            let none = Limits::default();
            assert_eq!(written(limit, version, &none, &full()), set, "{limit} on {version:?}");
            assert_eq!(written(limit, version, &full(), &none), cleared, "no {limit} on {version:?}");
        }
    }

    #[test]
    fn memory_is_never_above_memory_and_swap_on_v1() {
        let order = |from, to| {
            let limits = |memory| Limits { memory, ..Limits::default() };
            let written = written(LimitName::MemoryMax, Version::V1, &limits(from), &limits(to));
            written.iter().map(|line| line.contains("memsw")).collect::<Vec<_>>()
        };
        let (low, high) = (memory(Some(4096), Some(0)), memory(Some(8192), Some(4096)));
        assert_eq!(order(low, high), [true, false]);
        assert_eq!(order(high, low), [false, true]);
        assert_eq!(order(memory(None, None), memory(Some(4096), None)), [false]);
    }

    #[test]
    fn what_v1_cannot_enforce_is_refused() {
        let directory = Directory { path: Path::new("/nonexistent/cell"), version: Version::V1 };
        let refusal = |limit, to: &Limits| {
            settings(limit, directory, &Limits::default(), to).expect_err("refused").to_string()
        };
        let mut limits = Limits::default();
        limits.memory.low = Bytes::new(1).ok();
        assert!(
            refusal(LimitName::MemoryLow, &limits)
                .starts_with("cell.memory.low: cgroup v1 has no such limit")
        );
        limits.memory = memory(None, Some(0));
        assert!(refusal(LimitName::MemorySwapMax, &limits).contains("cell.memory.max must be set"));
    }

    /// A parent's directory, as the kernel shows it.
    fn parent(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("aurae-settings-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("scratch directory");
        for (file, contents) in files {
            fs::write(path.join(file), contents).expect("scratch file");
        }
        path
    }

    fn cpus(parent: &Path, version: Version, list: Option<&str>) -> Result<String, Error> {
        let (path, mut to) = (parent.join("cell"), Limits::default());
        to.cpuset.cpus = list.map(|list| IdList::parse(list).expect("valid"));
        let directory = Directory { path: &path, version };
        settings(LimitName::CpusetCpus, directory, &Limits::default(), &to).map(|all| all[0].value.clone())
    }

    #[test]
    fn lists_are_within_the_parents() {
        let v1 = parent("v1", &[("cpuset.cpus", "0-3\n")]);
        assert_eq!(cpus(&v1, Version::V1, Some("1,2")).expect("within"), "1-2");
        assert_eq!(cpus(&v1, Version::V1, None).expect("the parent's"), "0-3");
        let v2 = parent("v2", &[("cpuset.cpus.effective", "0-1\n")]);
        assert_eq!(cpus(&v2, Version::V2, None).expect("none"), "\n");
        let error = cpus(&v2, Version::V2, Some("1-2")).expect_err("beyond");
        let expected = "cell.cpuset.cpus: 1-2 is not within 0-1, which is all that the parent allows";
        assert_eq!(error.to_string(), expected);
        [v1, v2].iter().for_each(|path| fs::remove_dir_all(path).expect("remove"));
    }
}
