//! Reads where a process is in each hierarchy out of `/proc/PID/cgroup` (cgroups(7)). A pure function of the text.

use std::path::PathBuf;

/// The place of a process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// v1: the controllers, or `name=…`. v2: empty.
    pub controllers: Vec<String>,
    /// From the root of the hierarchy, or of the cgroup namespace.
    pub path: PathBuf,
}

impl Membership {
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }
}

/// `2:cpu,cpuacct:/user.slice`, `0::/user.slice`; a path may contain colons.
pub fn memberships(cgroup: &str) -> Vec<Membership> {
    let membership = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let controllers = controllers.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
        Some(Membership { controllers, path: path.into() })
    };
    cgroup.lines().filter_map(membership).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (line, controllers, path) in [
            ("0::/", &[][..], "/"),
            ("0::/system.slice/a:b.service", &[], "/system.slice/a:b.service"),
            ("2:cpu,cpuacct:/x", &["cpu", "cpuacct"], "/x"),
            ("9:name=systemd:/", &["name=systemd"], "/"),
        ] {
            let controllers = controllers.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(memberships(line), [Membership { controllers, path: path.into() }]);
        }
        assert_eq!(memberships("\nnonsense\n1:x"), []);
    }
}
