//! Writing a cell's limits to its directories. The one file that uses the crate `cgroups-rs`, and of that only what
//! writes the controllers' files: its types for whole cgroups ignore errors, and reach outside the directory given.
//!
//! What was written is read back here, as the kernel takes some values without using them.

use super::super::cpu::{CpuLimits, CpuMax};
use super::super::cpuset::{CpusetLimits, IdList};
use super::super::error::{Error, errno_of};
use super::{Version, file};
use cgroups_rs::cpu::CpuController;
use cgroups_rs::cpuset::CpuSetController;
use nix::errno::Errno;
use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

/// Limits cpu time in `directory`.
pub fn limit_cpu(directory: &Path, version: Version, limits: &CpuLimits) -> Result<(), Error> {
    let controller = CpuController::new(directory.to_owned(), version == Version::V2);
    if let Some(weight) = limits.weight {
        let (file, value) = match version {
            Version::V1 => ("cpu.shares", weight.shares()),
            Version::V2 => ("cpu.weight", weight.value()),
        };
        let setting = Setting { field: "cell.cpu.weight", file: directory.join(file), advice: KERNEL_LOG };
        setting.written(controller.set_shares(value), &value.to_string())?;
        setting.check(&value.to_string())?;
    }
    limits.max.map_or(Ok(()), |max| limit_cpu_max(directory, version, &controller, max))
}

fn limit_cpu_max(
    directory: &Path,
    version: Version,
    controller: &CpuController,
    max: CpuMax,
) -> Result<(), Error> {
    // Without a wrap: both are below 2^44.
    let (quota, period) = (max.quota_us() as i64, max.period_us());
    let setting = |file: &str, advice| Setting { field: "cell.cpu.max", file: directory.join(file), advice };
    if version == Version::V2 {
        let (setting, value) = (setting("cpu.max", KERNEL_LOG), format!("{quota} {period}"));
        setting.written(controller.set_cfs_quota_and_period(Some(quota), Some(period)), &value)?;
        return setting.check(&value);
    }
    // The period first: v1 compares the quota's share of the period with the parent's, and the default period is short.
    let (periods, quotas) =
        (setting("cpu.cfs_period_us", KERNEL_LOG), setting("cpu.cfs_quota_us", WITHIN_PARENT));
    periods.written(controller.set_cfs_period(period), &period.to_string())?;
    quotas.written(controller.set_cfs_quota(quota), &quota.to_string())?;
    periods.check(&period.to_string())?;
    quotas.check(&quota.to_string())
}

/// Limits cpus and memory nodes in `directory`, whose parent is `parent`.
///
/// On v1 what is not limited is copied from the parent: before both are set, no process can enter (ENOSPC).
pub fn limit_cpuset(
    directory: &Path,
    parent: &Path,
    version: Version,
    limits: &CpusetLimits,
) -> Result<(), Error> {
    let controller = CpuSetController::new(directory.to_owned(), version == Version::V2);
    let set =
        |field, name: &str, asked: &Option<IdList>, write: &dyn Fn(&str) -> cgroups_rs::error::Result<()>| {
            let allowed = || allowed_list(parent, version, name);
            let list = match (asked, version) {
                (None, Version::V2) => return Ok(()),
                (None, Version::V1) => allowed()?,
                (Some(list), _) => within(field, list, &allowed()?)?,
            };
            let setting = Setting { field, file: directory.join(name), advice: KERNEL_LOG };
            setting.written(write(&list.to_string()), &list.to_string())?;
            setting.check_list(&list)
        };
    set("cell.cpuset.cpus", "cpuset.cpus", &limits.cpus, &|list| controller.set_cpus(list))?;
    set("cell.cpuset.mems", "cpuset.mems", &limits.mems, &|list| controller.set_mems(list))
}

/// What the parent may use, and so may give. v1 has it in the file itself, v2 in `….effective`.
fn allowed_list(parent: &Path, version: Version, name: &str) -> Result<IdList, Error> {
    let path = match version {
        Version::V1 => parent.join(name),
        Version::V2 => parent.join(format!("{name}.effective")),
    };
    let text = file::read(&path)?;
    IdList::parse(text.trim_end()).map_err(|_| Error::File { verb: "understand", path, errno: Errno::EINVAL })
}

fn within(field: &'static str, list: &IdList, allowed: &IdList) -> Result<IdList, Error> {
    match list.is_subset_of(allowed) {
        true => Ok(list.clone()),
        false => Err(Error::BeyondParent { field, given: list.to_string(), allowed: allowed.to_string() }),
    }
}

const KERNEL_LOG: &str = "the kernel's log may say why";

const WITHIN_PARENT: &str =
    "on cgroup v1 a cell's max must not be above the share of a period that its parent has";

/// One file of a controller, for one field of the request.
struct Setting {
    field: &'static str,
    file: PathBuf,
    /// What to do when the kernel refuses.
    advice: &'static str,
}

impl Setting {
    fn written(&self, outcome: cgroups_rs::error::Result<()>, value: &str) -> Result<(), Error> {
        outcome.map_err(|error| Error::LimitRefused {
            field: self.field,
            value: value.to_owned(),
            file: self.file.clone(),
            errno: error.source().and_then(|e| e.downcast_ref::<io::Error>()).map_or(Errno::EIO, errno_of),
            advice: self.advice,
        })
    }

    fn check(&self, asked: &str) -> Result<(), Error> {
        let got = file::read(&self.file)?;
        if got.trim_end() == asked { Ok(()) } else { Err(self.not_taken(asked.to_owned(), &got)) }
    }

    fn check_list(&self, asked: &IdList) -> Result<(), Error> {
        let got = file::read(&self.file)?;
        match IdList::parse(got.trim_end()) {
            Ok(list) if list == *asked => Ok(()),
            _ => Err(self.not_taken(asked.to_string(), &got)),
        }
    }

    fn not_taken(&self, asked: String, got: &str) -> Error {
        let (file, got) = (self.file.clone(), got.trim_end().to_owned());
        Error::LimitNotTaken { field: self.field, asked, file, got }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cpu::CpuWeight;
    use super::*;
    use std::fs;

    /// A directory that stands for a cgroup: its files keep what is written, as the kernel's do.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("aurae-controllers-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("cell")).expect("scratch directory");
            for (file, contents) in files {
                fs::write(path.join(file), contents).expect("scratch file");
            }
            Self(path)
        }

        fn cell(&self) -> PathBuf {
            self.0.join("cell")
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.cell().join(file)).expect("written")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn list(text: &str) -> Option<IdList> {
        Some(IdList::parse(text).expect("valid"))
    }

    #[test]
    fn cpu_is_written_in_each_kernels_way() {
        let limits = CpuLimits { weight: CpuWeight::new(200).ok(), max: CpuMax::new(500_000, None).ok() };
        let v1 = Scratch::new("v1", &[]);
        limit_cpu(&v1.cell(), Version::V1, &limits).expect("v1");
        assert_eq!(v1.read("cpu.shares"), "2048");
        assert_eq!(
            (v1.read("cpu.cfs_quota_us"), v1.read("cpu.cfs_period_us")),
            ("500000".into(), "1000000".into())
        );
        let v2 = Scratch::new("v2", &[("cell/cpu.max", "max 100000\n")]);
        limit_cpu(&v2.cell(), Version::V2, &limits).expect("v2");
        assert_eq!((v2.read("cpu.weight"), v2.read("cpu.max")), ("200".into(), "500000 1000000".into()));
    }

    #[test]
    fn no_limit_writes_nothing() {
        let scratch = Scratch::new("none", &[]);
        limit_cpu(&scratch.cell(), Version::V2, &CpuLimits::default()).expect("nothing to do");
        limit_cpuset(&scratch.cell(), &scratch.0, Version::V2, &CpusetLimits::default())
            .expect("nothing to do");
        assert_eq!(fs::read_dir(scratch.cell()).expect("list").count(), 0);
    }

    #[test]
    fn on_v1_the_rest_of_a_cpuset_comes_from_the_parent() {
        let scratch = Scratch::new("cpuset", &[("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")]);
        let limits = CpusetLimits { cpus: list("1,2"), mems: None };
        limit_cpuset(&scratch.cell(), &scratch.0, Version::V1, &limits).expect("v1");
        assert_eq!((scratch.read("cpuset.cpus"), scratch.read("cpuset.mems")), ("1-2".into(), "0".into()));
    }

    #[test]
    fn a_list_beyond_the_parent_names_what_is_allowed() {
        let effective = [("cpuset.cpus.effective", "0-1\n"), ("cpuset.mems.effective", "0\n")];
        let scratch = Scratch::new("beyond", &effective);
        let limits = CpusetLimits { cpus: list("1-2"), mems: None };
        let error = limit_cpuset(&scratch.cell(), &scratch.0, Version::V2, &limits).expect_err("beyond");
        let expected = "cell.cpuset.cpus: 1-2 is not within 0-1, which is all that the parent allows";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_refused_write_carries_the_errno() {
        let limits = CpuLimits { weight: CpuWeight::new(1).ok(), max: None };
        let error = limit_cpu(Path::new("/nonexistent"), Version::V2, &limits).expect_err("no such cgroup");
        assert!(matches!(error, Error::LimitRefused { errno: Errno::ENOENT, .. }), "{error:?}");
    }
}
