//! Limits on what a process may use, by their names. Touches no process.

use super::quote::Quoted;
use crate::sys::rlimit::ResourceLimit;
use nix::libc;

/// All of the kernel's (getrlimit(2)), by their names without `RLIMIT_`.
#[allow(clippy::unnecessary_cast, reason = "musl has them as c_int")]
const RESOURCES: [(&str, u32); 16] = [
    ("as", libc::RLIMIT_AS as u32),
    ("core", libc::RLIMIT_CORE as u32),
    ("cpu", libc::RLIMIT_CPU as u32),
    ("data", libc::RLIMIT_DATA as u32),
    ("fsize", libc::RLIMIT_FSIZE as u32),
    ("locks", libc::RLIMIT_LOCKS as u32),
    ("memlock", libc::RLIMIT_MEMLOCK as u32),
    ("msgqueue", libc::RLIMIT_MSGQUEUE as u32),
    ("nice", libc::RLIMIT_NICE as u32),
    ("nofile", OPEN_FILES),
    ("nproc", libc::RLIMIT_NPROC as u32),
    ("rss", libc::RLIMIT_RSS as u32),
    ("rtprio", libc::RLIMIT_RTPRIO as u32),
    ("rttime", libc::RLIMIT_RTTIME as u32),
    ("sigpending", libc::RLIMIT_SIGPENDING as u32),
    ("stack", libc::RLIMIT_STACK as u32),
];

/// The limit on open files.
#[allow(clippy::unnecessary_cast, reason = "as above")]
pub const OPEN_FILES: u32 = libc::RLIMIT_NOFILE as u32;

/// Limits that were asked for, at most one of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits(Vec<ResourceLimit>);

/// Why a limit is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceLimitError {
    #[error("the name {given} is no limit's; accepted: {}", names())]
    Name { given: String },
    #[error("{0} is limited twice; accepted: one limit of each name")]
    Twice(&'static str),
    #[error("the soft limit on {name}, {soft}, is above the hard one, {hard}; accepted: at most that")]
    SoftAboveHard { name: &'static str, soft: String, hard: u64 },
}

impl ResourceLimits {
    /// As many as there are kinds.
    pub const COUNT_MAX: usize = RESOURCES.len();

    /// Adds a limit. No `soft` is no limit, no `hard` the same as `soft`.
    pub fn add(
        &mut self,
        name: &str,
        soft: Option<u64>,
        hard: Option<u64>,
    ) -> Result<(), ResourceLimitError> {
        let known = RESOURCES.into_iter().find(|(known, _)| *known == name);
        let (name, resource) =
            known.ok_or_else(|| ResourceLimitError::Name { given: Quoted(name).to_string() })?;
        if self.0.iter().any(|limit| limit.resource == resource) {
            return Err(ResourceLimitError::Twice(name));
        }
        // RLIM_INFINITY is the largest number.
        let soft = soft.unwrap_or(u64::MAX);
        let hard = hard.unwrap_or(soft);
        if soft > hard {
            let soft = if soft == u64::MAX { "no limit".to_owned() } else { soft.to_string() };
            return Err(ResourceLimitError::SoftAboveHard { name, soft, hard });
        }
        self.0.push(ResourceLimit { resource, soft, hard });
        Ok(())
    }

    pub fn as_slice(&self) -> &[ResourceLimit] {
        &self.0
    }
}

/// The name of a limit that has one.
pub fn name(resource: u32) -> &'static str {
    RESOURCES.into_iter().find(|(_, known)| *known == resource).map_or("a resource", |(name, _)| name)
}

fn names() -> String {
    RESOURCES.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_names_and_an_order() {
        let mut limits = ResourceLimits::default();
        limits.add("nofile", Some(5), None).expect("valid");
        limits.add("core", None, None).expect("valid");
        limits.add("stack", Some(1), Some(2)).expect("valid");
        let shown: Vec<_> = limits.as_slice().iter().map(|l| (name(l.resource), l.soft, l.hard)).collect();
        assert_eq!(shown, [("nofile", 5, 5), ("core", u64::MAX, u64::MAX), ("stack", 1, 2)]);
        for (name, soft, hard, reason) in [
            ("RLIMIT_CORE", None, None, r#"the name "RLIMIT_CORE" is no limit's; accepted: as, core, cpu"#),
            ("", None, None, r#"the name """#),
            ("nofile", Some(1), None, "nofile is limited twice"),
            ("cpu", Some(3), Some(2), "on cpu, 3, is above the hard one, 2"),
            ("cpu", None, Some(2), "on cpu, no limit, is above"),
        ] {
            let error = limits.add(name, soft, hard).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(limits.as_slice().len(), 3, "what is refused changes nothing");
    }
}
