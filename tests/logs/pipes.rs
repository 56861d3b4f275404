//! What an executable finds as its outputs, and what holds them open when it has ended.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use auraed::limits::OUTPUT_LINGER;
use auraed::proto::aurae::observe::v0::LogItem;

use super::daemon::{Daemon, eventually, executable, is_gone, lines, named, of, restarting};

fn descriptor(pid: i32, number: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is open")
}

/// The flags of open(2).
fn flags(pid: i32, number: u32) -> u32 {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).expect("it is open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
    u32::from_str_radix(flags.trim(), 8).expect("octal")
}

#[test]
fn its_outputs_are_two_pipes_that_block_and_nothing_else_is_open() {
    let Some(daemon) = Daemon::start("pipes") else { return };
    let client = daemon.client();
    let pid = client.start("job", "exec sleep 1000");
    // Shell and program have their libraries open for a moment.
    eventually("three are open", || {
        fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count() == 3
            && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    let outputs = [1, 2].map(|number| descriptor(pid, number));
    assert!(outputs.iter().all(|target| target.to_string_lossy().starts_with("pipe:")), "{outputs:?}");
    assert_ne!(outputs[0], outputs[1]);
    for number in [1, 2] {
        assert_eq!(flags(pid, number) & 0o7777, 0o1, "for writing, and nothing else");
    }
    // The daemon has the other ends alone, or the outputs would never end.
    let ours = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs");
    let ours: Vec<u32> =
        ours.map(|entry| entry.unwrap().file_name().to_string_lossy().parse().unwrap()).collect();
    // What else it has open may be closed by now.
    let target = |number: &u32| fs::read_link(format!("/proc/{}/fd/{number}", daemon.pid()));
    let ends = ours.iter().filter(|number| target(number).is_ok_and(|target| outputs.contains(&target)));
    let ends: Vec<_> = ends.map(|number| flags(daemon.pid(), *number) & 0o3).collect();
    assert_eq!(ends, [0, 0], "for reading");
    client.stop("job").expect("stop");
    eventually("both are closed", || {
        let left = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs");
        let mut left = left.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        !left.any(|target| outputs.contains(&target))
    });
}

#[test]
fn its_outputs_can_be_opened_again_by_any_user() {
    let Some(daemon) = Daemon::start("reopen") else { return };
    let client = daemon.client();
    for uid in [None, Some(64_123)] {
        let command = "echo one; echo two >/dev/stdout; echo three >/proc/self/fd/2; echo four >/dev/stderr";
        client.start_as(executable("job", command), uid).expect("start");
        let items = client.read(named("job"));
        // The order of two pipes is that in which they are read.
        let of = |output: &str| {
            let of_it = items.iter().filter(|item| item.channel.ends_with(output));
            of_it.map(|item| item.line.clone()).collect::<Vec<_>>()
        };
        assert_eq!((of("stdout"), of("stderr")), (two("one", "two"), two("three", "four")), "{uid:?}");
    }
}

fn two(first: &str, second: &str) -> Vec<String> {
    vec![first.to_owned(), second.to_owned()]
}

#[test]
fn an_output_that_is_closed_early_ends_alone() {
    let Some(daemon) = Daemon::start("closed") else { return };
    let client = daemon.client();
    let command = format!("echo out; exec 1>&-; {}; echo err >&2", daemon.gate());
    let mut stream = client.follow(of(client.start("job", &command)));
    assert_eq!(stream.item().line, "out");
    daemon.go();
    assert_eq!(lines(&stream.rest().0), ["err"]);
}

#[test]
fn a_stream_lasts_as_long_as_its_process_also_without_outputs() {
    let Some(daemon) = Daemon::start("both") else { return };
    let client = daemon.client();
    let command = format!("echo out; exec 1>&- 2>&-; {}", daemon.gate());
    let pid = client.start("job", &command);
    let mut stream = client.follow(of(pid));
    assert_eq!(stream.item().line, "out");
    eventually("both are closed", || fs::read_link(format!("/proc/{pid}/fd/2")).is_err());
    std::thread::scope(|scope| {
        let end = scope.spawn(|| {
            let client = daemon.client();
            let (items, end) = client.follow(of(pid)).rest();
            // Looked at first thing: it has ended by now.
            (items, end, is_gone(pid))
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!end.is_finished(), "the process runs");
        daemon.go();
        let (items, end, gone) = end.join().expect("it ends");
        assert_eq!((lines(&items), end), (vec!["out"], Ok(())));
        assert!(gone);
    });
}

#[test]
fn a_descendant_that_outlives_it_is_read_to_its_end() {
    let Some(daemon) = Daemon::start("heir") else { return };
    let client = daemon.client();
    let command = format!("setsid sh -c '{}; echo heir; printf end >&2' & echo parent", daemon.gate());
    let mut stream = client.follow(of(client.start("job", &command)));
    assert_eq!(stream.item().line, "parent");
    client.wait("job");
    // Past the moment for which somebody else would be waited for.
    std::thread::sleep(OUTPUT_LINGER.mul_f64(1.5));
    daemon.go();
    let items = stream.rest().0;
    let mut lines = lines(&items);
    // The order of two pipes is that in which they are read.
    lines.sort_unstable();
    assert_eq!(lines, ["end", "heir"]);
}

/// As by a process that was moved to another control group, or was sent the descriptor.
#[test]
fn who_holds_an_output_from_outside_keeps_no_stream_open() {
    let Some(daemon) = Daemon::start("holder") else { return };
    let client = daemon.client();
    let command = format!("echo ours; {}; printf last", daemon.gate());
    let pid = client.start("job", &command);
    let mut stream = client.follow(of(pid));
    assert_eq!(stream.item().line, "ours");
    let mut held = File::options().write(true).open(format!("/proc/{pid}/fd/1")).expect("we may");
    writeln!(held, "from outside").expect("it is read");
    assert_eq!(stream.item().line, "from outside");
    daemon.go();
    let (items, end): (Vec<LogItem>, _) = stream.rest();
    assert_eq!((lines(&items), end), (vec!["last"], Ok(())));
    assert!(is_gone(pid));
    // Nobody reads any more.
    eventually("the pipe is closed", || held.write(b"lost\n").is_err());
    assert_eq!(lines(&client.read(named("job"))), ["ours", "from outside", "last"]);
}

/// However long there was something that might have written.
#[test]
fn who_holds_an_output_from_outside_does_not_outlast_a_stop() {
    let Some(daemon) = Daemon::start("outlast") else { return };
    let client = daemon.client();
    let command = format!("setsid sleep 1000 >/dev/null 2>&1 & echo here; {}", daemon.gate());
    let begun = ["stopped", "freed"].map(|name| {
        let pid = client.start(name, &command);
        let mut stream = client.follow(of(pid));
        assert_eq!(stream.item().line, "here");
        let held = File::options().write(true).open(format!("/proc/{pid}/fd/1")).expect("we may");
        (name, stream, held)
    });
    daemon.go();
    begun.iter().for_each(|(name, ..)| _ = client.wait(name));
    // Behind the looks after one, three and seven of these: the next is as long away again.
    std::thread::sleep(OUTPUT_LINGER.mul_f64(7.2));
    for (name, stream, held) in begun {
        if name == "freed" { client.free() } else { client.stop(name) }.expect("it ends");
        let begin = Instant::now();
        assert_eq!(stream.rest(), (vec![], Ok(())), "{name}");
        assert!(begin.elapsed() < 5 * OUTPUT_LINGER, "{name}: {:?}", begin.elapsed());
        drop(held);
    }
}

/// An output is read on for a moment when somebody has it open.
#[test]
fn lines_of_two_runs_are_not_mixed() {
    let Some(daemon) = Daemon::start("two-runs") else { return };
    let client = daemon.client();
    let command = format!("printf half; {}", daemon.gate());
    let pid = client.start_it(restarting(1, executable("job", &command)));
    let stream = client.follow(of(pid));
    let held = File::options().write(true).open(format!("/proc/{pid}/fd/1")).expect("we may");
    daemon.go();
    let (items, end) = stream.rest();
    assert_eq!((lines(&items), end), (vec!["half", "half"], Ok(())));
    drop(held);
}
