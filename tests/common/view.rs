//! The test binary run again where the machine shows other cgroup hierarchies: in a mount namespace, so that the machine's
//! own mounts stay as they are. Tests named `all_with…` are not run there.

use std::fs;
use std::path::PathBuf;
use std::process;

/// Set in the environment of a test binary that a test has started.
const RERUN: &str = "AURAE_TEST_RERUN";

/// Runs all tests of this binary again with the v2 mount hidden.
pub fn with_v1_alone() {
    let [v2] = &v2_mounts()[..] else { return eprintln!("skipped: not one v2 mount") };
    run_in_view("with v1 alone", &format!("umount {v2}"));
}

/// The same with nothing but the v2 mount.
pub fn with_v2_alone() {
    let [v2] = &v2_mounts()[..] else { return eprintln!("skipped: not one v2 mount") };
    let aside = Aside(std::env::temp_dir().join(format!("aurae-test-{}-view", process::id())));
    fs::create_dir_all(&aside.0).expect("mkdir");
    let show = aside.0.display();
    run_in_view(
        "with v2 alone",
        &format!(
            "mount --bind {v2} {show} && umount -R /sys/fs/cgroup && mount --move {show} /sys/fs/cgroup"
        ),
    );
}

/// A directory on which another namespace mounts. Goes with the test, however that ends.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Lines of `/proc/self/mountinfo` that are cgroup mounts.
pub fn cgroup_mounts() -> Vec<String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    mountinfo.lines().filter(|line| line.contains(" - cgroup")).map(str::to_owned).collect()
}

fn v2_mounts() -> Vec<String> {
    let mounts = cgroup_mounts();
    let v2 = mounts.iter().filter(|line| line.contains(" - cgroup2 "));
    let points: Vec<String> = v2.filter_map(|line| line.split(' ').nth(4).map(str::to_owned)).collect();
    let beside_v1 = mounts.len() > points.len();
    if beside_v1 { points } else { Vec::new() }
}

/// Runs this test binary again in a mount namespace in which `change` has been made. The machine's mounts stay as they
/// are.
pub fn run_in_view(view: &str, change: &str) {
    run_again(view, rerun(&format!("mount --make-rprivate / && {change} && exec \"$0\" \"$@\"")));
}

/// The command that runs this test binary again, from `script`; `None` in the binary that it runs.
pub fn rerun(script: &str) -> Option<process::Command> {
    if std::env::var_os(RERUN).is_some() {
        return None;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root, for a mount namespace");
        return None;
    }
    let mut command = process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(std::env::current_exe().expect("own path"));
    command.args(["--skip", "all_with"]).env(RERUN, "1");
    Some(command)
}

pub fn run_again(how: &str, command: Option<process::Command>) {
    let Some(mut command) = command else { return };
    let output = command.output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{how}:\n{text}");
}
