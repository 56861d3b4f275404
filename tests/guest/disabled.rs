//! A kernel that was started without a controller, as that of a Raspberry Pi is without memory: `cgroup_disable=` on its
//! command line.

use std::fs;

use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::{Cell, CpusetController};

use crate::machine::*;

#[test]
fn limits_without_their_controller_are_refused_and_all_else_works() {
    let group = OwnGroup::new("disabled");
    let command_line = fs::read_to_string("/proc/cmdline").expect("proc");
    let disabled = command_line.split_whitespace().find_map(|word| word.strip_prefix("cgroup_disable="));
    let disabled = disabled.expect("needs AURAE_GUEST_APPEND=cgroup_disable=CONTROLLER,…");
    let has = |controller: &str| !disabled.split(',').any(|name| name == controller);
    let offered = group.read("cgroup.controllers");
    assert!(disabled.split(',').all(|name| !offered.split(' ').any(|other| other == name)), "{offered}");

    let daemon = Daemon::start("disabled", &group);
    let mems = Some(CpusetController { cpus: None, mems: Some("0".into()) });
    for (controller, limited) in [
        ("cpu", Cell { cpu: cpu_max(100_000), ..cell("web") }),
        ("cpu", Cell { cpu: cpu_weight(5), ..cell("web") }),
        ("cpuset", Cell { cpuset: cpus("0"), ..cell("web") }),
        ("cpuset", Cell { cpuset: mems, ..cell("web") }),
    ] {
        match daemon.allocate(limited.clone()) {
            Ok(_) if has(controller) => _ = daemon.free("web").expect("free"),
            Err(refused) if !has(controller) => {
                assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
                let named = format!("without the cgroup controller {controller}:");
                assert!(refused.message.contains(&named), "{refused}");
                assert!(refused.message.contains("kernel's command line"), "{refused}");
                assert!(!daemon.group("web").exists());
            }
            other => panic!("{limited:?} without {disabled}: {other:?}"),
        }
    }
    daemon.allocate(cell("web")).expect("without limits");
    daemon.allocate(cell("web/in")).expect("nested");
    let pid = daemon.run("web/in", "job", "exec sleep 1000");
    assert!(group_of(pid).is_below(&daemon.group("web/in")));
    assert_tidy(&group);
    daemon.end();
    assert!(is_gone(pid));
}
