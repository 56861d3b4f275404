//! What is started again, when, and when not any more.

use crate::daemon::*;
use crate::under_test::eventually_async;
use auraed::grpc::status::Code;
use auraed::proto::aurae::runtime::v0::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smol::{Timer, future};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn failures_are_restarted_with_growing_delays_up_to_a_bound() {
    with_daemon("restarts", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("runs");
        let script = format!("echo $(date +%s%N) $$ >>{}; exit 5", file.display());
        let first = daemon.start_with("web", "job", &script, on_failure(Some(3))).await.expect("start");
        eventually("a second run", || lines(&file).len() >= 2).await;
        let ended = daemon.wait("web", "job").await.expect("it gives up");
        assert_eq!((ended.exit_code, ended.restarts), (Some(5), 3));
        let runs: Vec<Vec<u64>> = lines(&file).iter().map(|line| numbers(line)).collect();
        assert_eq!(runs.len(), 4);
        for (pair, delay_ms) in runs.windows(2).zip([100, 200, 400]) {
            let gap_ms = (pair[1][0] - pair[0][0]) / 1_000_000;
            assert!(gap_ms >= delay_ms, "{gap_ms} ms after {delay_ms}");
        }
        assert_eq!(u64::try_from(first).expect("a pid"), runs[0][1]);
        assert_eq!(u64::try_from(ended.pid).expect("a pid"), runs[3][1], "the pid is that of the last run");
        let listed = daemon.executable("web", "job").await;
        assert_eq!((listed.state(), listed.restarts), (CellExecutableState::Exited, 3));

        // What ends well is not restarted by on-failure, and nothing without a policy.
        daemon.start_with("web", "well", "exit 0", on_failure(None)).await.expect("start");
        assert_eq!(daemon.wait("web", "well").await.expect("at once").restarts, 0);
        daemon.start("web", "never", "exit 1").await;
        assert_eq!(daemon.wait("web", "never").await.expect("at once").restarts, 0);
    });
}

#[test]
fn what_a_run_left_is_gone_before_the_next_begins() {
    with_daemon("left-runs", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("seen");
        // Each run looks for the sleeper of the one before.
        let script = format!(
            "if [ -e {0}.pid ]; then p=/proc/$(cat {0}.pid)/stat; \
             if grep -qv ') Z ' $p 2>/dev/null; then echo alive; else echo gone; fi >>{0}; fi; \
             setsid sleep 1000 & echo $! >{0}.pid; exit 1",
            file.display()
        );
        daemon.start_with("web", "job", &script, on_failure(Some(3))).await.expect("start");
        let ended = daemon.wait("web", "job").await.expect("it gives up");
        assert_eq!(ended.restarts, 3);
        assert_eq!(lines(&file), ["gone"; 3]);
        assert_eq!(daemon.leafs("web").len(), 1, "only the last run's leaf is left");
        daemon.stop("web", "job").await.expect("stop");
        assert_eq!(daemon.leafs("web"), BTreeSet::new());
    });
}

/// What has run four times, and whose restarts fail since: there is always another one to come.
#[test]
fn an_end_during_the_delay_is_the_end() {
    with_daemon("backoff", async |daemon| {
        for (cell, frees) in [("stopped", false), ("freed", true)] {
            daemon.allocate(cell).await;
            let begin = Instant::now();
            let vanishing = Vanishing::start(daemon, cell).await;
            vanishing.restarts_in_vain(daemon, cell).await;
            let taken = daemon.start_with(cell, "job", "true", None).await;
            assert_eq!(code(taken), Code::AlreadyExists);
            let (cells, request) = (daemon.cells(), wait_request(cell, "job"));
            let end = async {
                if frees { daemon.free(cell, false, None).await } else { daemon.stop(cell, "job").await }
            };
            let (ended, done) = future::zip(cells.wait(&request), end).await;
            done.expect("it ends");
            let ended = ended.expect("told");
            assert_eq!((ended.exit_code, ended.restarts), (Some(1), 3));
            if !frees {
                assert_eq!(daemon.executable(cell, "job").await.state(), CellExecutableState::Exited);
            }
            // Delays double: the next one would be over by then.
            vanishing.come_back();
            Timer::after(begin.elapsed() + Duration::from_millis(1200)).await;
            assert_eq!(vanishing.runs(), 4, "a restart after the end");
        }
    });
}

#[test]
fn a_stopped_executable_is_not_restarted() {
    with_daemon("no-restart", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("runs");
        let script = format!("echo run >>{}; exec sleep 1000", file.display());
        for round in 1..=10 {
            daemon.start_with("web", "job", &script, always()).await.expect("start");
            eventually("it runs", || lines(&file).len() == round).await;
            daemon.stop("web", "job").await.expect("stop");
            let listed = daemon.executable("web", "job").await;
            assert_eq!((listed.state(), listed.restarts), (CellExecutableState::Exited, 0));
        }
        Timer::after(Duration::from_millis(300)).await;
        assert_eq!(lines(&file).len(), 10);
        assert_eq!(daemon.leafs("web"), BTreeSet::new());
    });
}

#[test]
fn a_restart_in_a_frozen_cell_waits_and_does_not_count() {
    with_daemon("frozen", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("runs");
        let Some(cell) = daemon.v2_cell("web").await else { return eprintln!("skipped: no cgroup v2 here") };
        let script =
            format!("echo run >>{0}; [ $(wc -l <{0}) = 2 ] && exit 1; exec sleep 1000", file.display());
        let pid = daemon.start_with("web", "job", &script, on_failure(Some(1))).await.expect("start");
        eventually("it runs", || lines(&file).len() == 1).await;
        fs::write(cell.join("cgroup.freeze"), "1").expect("freeze");
        // Which takes effect in a frozen cell, too.
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        let is_restarting =
            async || daemon.executable("web", "job").await.state() == CellExecutableState::Restarting;
        eventually_async("it is to be restarted", is_restarting).await;
        Timer::after(Duration::from_millis(2500)).await;
        assert_eq!(lines(&file).len(), 1, "nothing starts in a frozen cell");
        assert!(is_restarting().await);
        fs::write(cell.join("cgroup.freeze"), "0").expect("thaw");
        let ended = daemon.wait("web", "job").await.expect("its only restart is tried");
        assert_eq!((ended.exit_code, ended.restarts, lines(&file).len()), (Some(1), 1, 2));
    });
}

#[test]
fn a_restart_that_fails_counts_as_a_failed_run() {
    with_daemon("failing", async |daemon| {
        daemon.allocate("web").await;
        let Some(cell) = daemon.v2_cell("web").await else { return eprintln!("skipped: no cgroup v2 here") };
        let go = daemon.file("go");
        let script = format!("until [ -e {} ]; do sleep 0.02; done; exit 6", go.display());
        daemon.start_with("web", "job", &script, on_failure(Some(2))).await.expect("start");
        // No leaf can be made for the next run.
        fs::write(cell.join("cgroup.max.descendants"), "0").expect("a bound");
        fs::write(&go, "").expect("go on");
        let ended = daemon.wait("web", "job").await.expect("it gives up");
        assert_eq!((ended.exit_code, ended.restarts), (Some(6), 0));
        assert!(daemon.log().matches("a restart failed").count() == 2, "{}", daemon.log());
        fs::write(cell.join("cgroup.max.descendants"), "max").expect("no bound");
        daemon.start("web", "job", "exit 0").await;
    });
}

#[test]
fn an_unknown_condition_is_refused() {
    with_daemon("condition", async |daemon| {
        daemon.allocate("web").await;
        for (policy, field) in [
            (RestartPolicy { condition: 7, max_restarts: None }, "executable.restart.condition"),
            (RestartPolicy { condition: 1, max_restarts: Some(3) }, "executable.restart.max_restarts"),
        ] {
            let refused = daemon.start_with("web", "job", "true", Some(policy)).await.expect_err("refused");
            assert_eq!(refused.code, Code::InvalidArgument);
            assert_eq!(refused.violations().iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), [field]);
        }
        assert_eq!(code(daemon.wait("web", "job").await), Code::NotFound);
    });
}
