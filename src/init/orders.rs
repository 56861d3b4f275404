//! What the daemon tells a cell's init, and what it hears from it. Pure: values and bytes.

use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What a cell's init is to do. Not in its arguments, which all in the cell can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    pub hostname: OsString,
    /// It is in a network namespace of its own.
    pub network: bool,
    /// The cell's cgroup, as the daemon sees it.
    pub cgroup: PathBuf,
}

impl Orders {
    pub fn encode(&self) -> Vec<u8> {
        let (hostname, cgroup) = (self.hostname.as_bytes(), self.cgroup.as_os_str().as_bytes());
        // Neither has a NUL: one is a host name, the other a path.
        [&[u8::from(self.network)], hostname, &[0], cgroup].concat()
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (network, names) = bytes.split_first()?;
        let end = names.iter().position(|byte| *byte == 0)?;
        Some(Self {
            hostname: OsStr::from_bytes(&names[..end]).to_owned(),
            network: *network != 0,
            cgroup: PathBuf::from(OsString::from_vec(names[end + 1..].to_vec())),
        })
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The namespaces can be entered.
    Ready,
    Failed {
        step: String,
        errno: Errno,
    },
}

/// Far more than a step's name has.
pub const REPORT_BYTES_MAX: usize = 256;

impl Report {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ready => 0i32.to_ne_bytes().to_vec(),
            Self::Failed { step, errno } => {
                [(*errno as i32).to_ne_bytes().as_slice(), step.as_bytes()].concat()
            }
        }
    }

    /// `None` for what an init that ended has left: nothing.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (errno, step) = bytes.split_first_chunk()?;
        match i32::from_ne_bytes(*errno) {
            0 => Some(Self::Ready),
            errno => Some(Self::Failed {
                step: String::from_utf8_lossy(step).into_owned(),
                errno: Errno::from_raw(errno),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_reports_arrive() {
        let orders =
            Orders { hostname: "web".into(), network: true, cgroup: "/sys/fs/cgroup/a b/web".into() };
        assert_eq!(Orders::decode(&orders.encode()), Some(orders));
        for report in [Report::Ready, Report::Failed { step: "mount /proc".to_owned(), errno: Errno::EPERM }]
        {
            assert!(report.encode().len() <= REPORT_BYTES_MAX);
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
    }

    #[test]
    fn half_a_message_is_none() {
        assert_eq!(Orders::decode(b""), None);
        assert_eq!(Orders::decode(b"\x01web"), None);
        assert_eq!(Report::decode(b""), None);
        assert_eq!(Report::decode(&[0; 3]), None);
    }
}
