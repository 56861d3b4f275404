//! `crun run` of the same program. It runs in a mount namespace of its own, where cgroup v2 is all that is mounted,
//! since crun refuses machines that have both versions, and where a bind mount of / is a root that it can pivot to.

use crate::samples::Samples;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Prints what each run took, in microseconds.
const SCRIPT: &str = r#"
mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount --rbind / "$1/rootfs" || exit 1
for number in $(seq "$2"); do
    sleep "$3"
    began=${EPOCHREALTIME/./}
    crun run --bundle "$1" "aurae-bench-$$-$number" </dev/null >/dev/null || exit 1
    echo $(( ${EPOCHREALTIME/./} - began ))
done
"#;

/// `None`, and the reason on standard output, where crun does not run. What is timed includes the program's end: there
/// is no other way to know that it was started.
pub fn runs(program: &str, count: usize, space: Duration) -> Option<Samples> {
    let bundle = std::env::temp_dir().join(format!("aurae-bench-crun-{}", std::process::id()));
    fs::create_dir_all(bundle.join("rootfs")).ok()?;
    fs::write(bundle.join("config.json"), configuration(program)).ok()?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", SCRIPT, "crun"]).arg(&bundle);
    let output = command.args([count.to_string(), space.as_secs_f64().to_string()]).output();
    // One by one, and never what is in rootfs: if / were still mounted there, all would be lost.
    let _ = fs::remove_file(bundle.join("config.json"));
    let _ = fs::remove_dir(bundle.join("rootfs"));
    let _ = fs::remove_dir(&bundle);
    let output = output.ok()?;
    if !output.status.success() {
        println!("crun does not run here: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let micros = text.lines().filter_map(|line| line.parse().ok());
    Some(micros.map(Duration::from_micros).collect())
}

/// The least that crun takes, with the namespaces of an isolated cell.
fn configuration(program: &str) -> String {
    let namespaces = ["pid", "ipc", "uts", "mount"].map(|kind| serde_json::json!({ "type": kind }));
    serde_json::json!({
        "ociVersion": "1.0.0",
        "process": { "args": [program], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "namespaces": namespaces },
    })
    .to_string()
}
