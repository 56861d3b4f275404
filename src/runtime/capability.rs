//! Capabilities by their names. Touches no process.

use super::quote::Quoted;
use crate::sys::capabilities::CapabilityBits;

/// In the order of their numbers (linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(CapabilityBits);

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    #[error("the name {given} is no capability's; accepted: \"{meant}\" for this one")]
    Spelling { given: String, meant: &'static str },
    #[error(
        "the name {given} is no capability's; accepted: those of capabilities(7), as in \"CAP_NET_ADMIN\""
    )]
    Name { given: String },
    #[error("{0} is named twice; accepted: each once")]
    Twice(&'static str),
}

impl CapabilitySet {
    /// As many as have names.
    pub const COUNT_MAX: usize = NAMES.len();

    /// Adds the capability of this name.
    pub fn add(&mut self, text: &str) -> Result<(), CapabilityError> {
        let number = NAMES.iter().position(|name| *name == text).ok_or_else(|| refusal(text))?;
        if self.0 & (1 << number) != 0 {
            return Err(CapabilityError::Twice(NAMES[number]));
        }
        self.0 |= 1 << number;
        Ok(())
    }

    pub fn bits(self) -> CapabilityBits {
        self.0
    }

    /// The names of those above `last`, the last one of a kernel.
    pub fn unknown_to(self, last: u32) -> Vec<&'static str> {
        let above = NAMES.iter().enumerate().skip(last as usize + 1);
        above.filter(|(number, _)| self.0 & (1 << number) != 0).map(|(_, name)| *name).collect()
    }
}

/// People write `net_admin`, too.
fn refusal(text: &str) -> CapabilityError {
    let given = Quoted(text).to_string();
    let is_meant =
        |name: &&str| name.eq_ignore_ascii_case(text) || name["CAP_".len()..].eq_ignore_ascii_case(text);
    match NAMES.into_iter().find(is_meant) {
        Some(meant) => CapabilityError::Spelling { given, meant },
        None => CapabilityError::Name { given },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_numbers() {
        let mut set = CapabilitySet::default();
        for name in ["CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"] {
            set.add(name).expect(name);
        }
        assert_eq!(set.bits(), 1 | 1 << 10 | 1 << 24 | 1 << 40);
        assert_eq!(set.unknown_to(40), <[&str; 0]>::default());
        assert_eq!(set.unknown_to(37), ["CAP_CHECKPOINT_RESTORE"]);
    }

    #[test]
    fn other_names_are_refused() {
        let mut set = CapabilitySet::default();
        set.add("CAP_KILL").expect("valid");
        for (name, reason) in [
            ("kill", r#"accepted: "CAP_KILL""#),
            ("cap_kill", r#"accepted: "CAP_KILL""#),
            ("CAP_KILL", "named twice"),
            ("CAP_FLY", r#"the name "CAP_FLY" is no"#),
            ("", r#"the name "" is no"#),
        ] {
            let error = set.add(name).expect_err(name).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
