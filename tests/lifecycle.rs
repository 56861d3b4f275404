//! How executables and cells end, over the daemon's socket: Wait, Stop, restarts, Free of a whole tree. The kernel's own
//! view is asked beside the daemon's. Needs root; says so and does nothing without.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::*;
use auraed::transport::listen::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use smol::future::FutureExt;
use smol::{Executor, Timer, future};

/// Far more than anything here takes, on a machine that does ten other things, too; ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ignores SIGTERM, but writes down that it came. What writes ignores it, too: it may be found by the last round of signals.
const STUBBORN: &str =
    "trap 'trap \"\" TERM; date +%s%N >FILE.term' TERM; : >FILE.ready; while :; do sleep 0.05; done";

#[test]
fn waiting_tells_how_it_ended_before_and_after() {
    with_daemon("wait", async |daemon| {
        daemon.allocate("web").await;
        let began_ms = unix_ms();
        let pid = daemon.start("web", "job", "sleep 0.5; exit 7").await;
        let during = daemon.wait("web", "job").await.expect("it ends");
        assert_eq!((during.exit_code, during.exit_signal, during.pid), (Some(7), None, pid));
        assert!(!during.oom_killed && during.restarts == 0);
        let asked = Instant::now();
        assert_eq!(daemon.wait("web", "job").await, Ok(during), "again, and at once");
        assert!(asked.elapsed() < PATIENCE);

        daemon.start("web", "suicide", "kill -9 $$").await;
        let killed = daemon.wait("web", "suicide").await.expect("it ends");
        assert_eq!((killed.exit_code, killed.exit_signal, killed.oom_killed), (None, Some(9), false));
        let listed = daemon.executable("web", "suicide").await;
        assert_eq!((listed.state(), listed.exit_signal), (CellExecutableState::Exited, Some(9)));
        let life = [began_ms, listed.started_ms, listed.exited_ms.expect("it has exited"), unix_ms()];
        assert!(life.is_sorted(), "{life:?}");

        for (cell, name) in [("web", "nobody"), ("nowhere", "job")] {
            assert_eq!(code(daemon.wait(cell, name).await), Code::NotFound);
        }
    });
}

#[test]
fn a_wait_ends_with_its_deadline_or_its_peer() {
    with_daemon("deadline", async |daemon| {
        daemon.allocate("web").await;
        daemon.start("web", "job", "exec sleep 1000").await;
        let descriptors = daemon.descriptors();
        let hasty = daemon.connect(Some(Duration::from_millis(200))).await;
        let late = CellServiceClient::new(&hasty).wait(&wait_request("web", "job")).await;
        assert_eq!(code(late), Code::DeadlineExceeded);
        drop(hasty);
        for _ in 0..20 {
            let channel = daemon.connect(None).await;
            let cells = CellServiceClient::new(&channel);
            let request = wait_request("web", "job");
            let left = cells.wait(&request).or(async {
                Timer::after(Duration::from_millis(5)).await;
                Err(Status::new(Code::Cancelled, "left"))
            });
            assert_eq!(code(left.await), Code::Cancelled);
        }
        eventually("all connections are closed", || daemon.descriptors() <= descriptors).await;
        daemon.stop("web", "job").await.expect("stop");
    });
}

#[test]
fn stop_ends_all_that_was_started_and_keeps_the_record() {
    with_daemon("stop", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("pids");
        let script = format!(
            "setsid sh -c 'trap \"\" TERM; echo $$ >>{0}; while :; do sleep 0.1; done' & \
             (setsid sh -c 'sleep 1000 & echo $! >>{0}' &) ; echo $$ >>{0}; exec sleep 1001",
            file.display()
        );
        let pid = daemon.start("web", "job", &script).await;
        eventually("three pids", || lines(&file).len() == 3).await;
        let (request, cells) = (wait_request("web", "job"), daemon.cells());
        let waiter = cells.wait(&request);
        let (ended, stopped) = future::zip(waiter, daemon.stop_within("web", "job", 300)).await;
        stopped.expect("stop");
        assert_eq!(ended.expect("it ended").exit_signal, Some(15));
        for pid in lines(&file) {
            assert!(is_gone(&pid), "{pid} is left");
        }
        assert_eq!(daemon.leafs("web"), BTreeSet::new());

        let listed = daemon.executable("web", "job").await;
        assert_eq!(
            (listed.state(), listed.pid, listed.exit_signal),
            (CellExecutableState::Exited, pid, Some(15))
        );
        assert_eq!(daemon.wait("web", "job").await.expect("it is still told").exit_signal, Some(15));
        daemon.stop("web", "job").await.expect("it has exited, and goes");
        assert_eq!(code(daemon.stop("web", "job").await), Code::NotFound);
        assert_eq!(code(daemon.wait("web", "job").await), Code::NotFound);
    });
}

#[test]
fn one_that_exited_by_itself_is_stopped_once_with_what_it_left() {
    with_daemon("leftovers", async |daemon| {
        daemon.allocate("web").await;
        let file = daemon.file("pid");
        daemon.start("web", "job", &format!("setsid sleep 1000 & echo $! >{}; exit 3", file.display())).await;
        assert_eq!(daemon.wait("web", "job").await.expect("its first process ended").exit_code, Some(3));
        let left = lines(&file).remove(0);
        assert!(!is_gone(&left), "what it started still runs");
        daemon.stop("web", "job").await.expect("stop");
        assert!(is_gone(&left));
        assert_eq!(code(daemon.stop("web", "job").await), Code::NotFound);
    });
}

#[test]
fn stops_at_the_same_time_succeed_as_one() {
    with_daemon("stops", async |daemon| {
        daemon.allocate("web").await;
        for _ in 0..10 {
            daemon.start("web", "job", "exec sleep 1000").await;
            let both = future::zip(daemon.stop("web", "job"), daemon.stop("web", "job")).await;
            // Where the second comes after the end of the first, it takes the record away.
            assert_eq!(both, (Ok(()), Ok(())));
        }
        daemon.start("web", "stubborn", &stubborn(&daemon.file("a"))).await;
        eventually("the trap is set", || daemon.file("a.ready").exists()).await;
        // Long, so that both have come before the end of the first.
        let (one, other) =
            (daemon.stop_within("web", "stubborn", 5000), daemon.stop_within("web", "stubborn", 5000));
        assert_eq!(future::zip(one, other).await, (Ok(()), Ok(())));
        let listed = daemon.executable("web", "stubborn").await;
        assert_eq!((listed.state(), listed.exit_signal), (CellExecutableState::Exited, Some(9)));
        assert!(!listed.oom_killed, "the SIGKILL was ours");
    });
}

#[test]
fn who_waits_is_told_before_the_cell_goes() {
    with_daemon("free", async |daemon| {
        for cell in ["a", "a/b"] {
            daemon.allocate(cell).await;
            daemon.start(cell, "job", "exec sleep 1000").await;
        }
        let (cells, outer, inner) = (daemon.cells(), wait_request("a", "job"), wait_request("a/b", "job"));
        let waiters = future::zip(cells.wait(&outer), cells.wait(&inner));
        let ((outer, inner), freed) = future::zip(waiters, daemon.free("a", true, None)).await;
        freed.expect("free");
        assert_eq!(outer.expect("told").exit_signal, Some(15));
        assert_eq!(inner.expect("told").exit_signal, Some(15));
    });
}

#[test]
fn waits_hold_neither_threads_nor_descriptors() {
    with_daemon("crowd", async |daemon| {
        daemon.allocate("web").await;
        daemon.start("web", "job", "exec sleep 1000").await;
        let channels = [daemon.connect(None).await, daemon.connect(None).await, daemon.connect(None).await];
        for channel in &channels {
            // The daemon has accepted it.
            CellServiceClient::new(channel).list(&CellServiceListRequest {}).await.expect("list");
        }
        let (threads, descriptors) = (daemon.threads(), daemon.descriptors());
        let waits: Vec<_> = channels
            .into_iter()
            .map(Arc::new)
            .flat_map(|channel| std::iter::repeat_n(channel, 100))
            .map(|channel| {
                daemon.executor.spawn(async move {
                    CellServiceClient::new(&*channel).wait(&wait_request("web", "job")).await
                })
            })
            .collect();
        let begin = Instant::now();
        for number in 0..10 {
            let name = format!("other {number}");
            daemon.start("web", &name, "exec sleep 1000").await;
            daemon.stop("web", &name).await.expect("stop");
        }
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        assert_eq!(daemon.threads(), threads);
        eventually("no descriptor for those who wait", || daemon.descriptors() <= descriptors).await;
        assert!(waits.iter().all(|wait| !wait.is_finished()));
        daemon.stop("web", "job").await.expect("stop");
        for wait in waits {
            assert_eq!(wait.await.expect("told").exit_signal, Some(15));
        }
    });
}

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

/// The guest's tests say more, of cgroup v2 alone.
#[test]
fn whose_memory_ran_out_is_told() {
    with_daemon("memory", async |daemon| {
        let (small, large) = (16 << 20, 128 << 20);
        for (cell, max) in [("own", large), ("own/inner", small), ("around", small), ("around/inner", large)]
        {
            let memory = Some(MemoryController { max: Some(max), ..MemoryController::default() });
            let cell = Some(Cell { name: cell.to_owned(), memory, ..Cell::default() });
            match daemon.cells().allocate(&CellServiceAllocateRequest { cell }).await {
                Err(status) if status.code == Code::FailedPrecondition => {
                    return eprintln!("skipped: no limits on memory here: {status}");
                }
                allocated => _ = allocated.expect("allocate"),
            }
        }
        for (cell, named) in [("own/inner", "own/inner"), ("around/inner", "around")] {
            daemon.start(cell, "hog", "exec dd if=/dev/zero of=/dev/null bs=48M count=1").await;
            let ended = daemon.wait(cell, "hog").await.expect("it ends");
            assert_eq!(ended.exit_signal, Some(9), "{cell}");
            assert_eq!((ended.oom_killed, ended.oom_cell_name.as_str()), (true, named));
        }
        // A child is the victim, and the SIGKILL of its parent is ours.
        let file = daemon.file("survived");
        let script = format!(
            "trap '' TERM; dd if=/dev/zero of=/dev/null bs=48M count=1; : >{}; while :; do sleep 0.05; done",
            file.display()
        );
        daemon.start("own/inner", "stubborn", &script).await;
        eventually("the child is ended", || file.exists()).await;
        daemon.stop_within("own/inner", "stubborn", 100).await.expect("stop");
        let ended = daemon.wait("own/inner", "stubborn").await.expect("it ended");
        assert_eq!((ended.exit_signal, ended.oom_killed), (Some(9), false));

        // By Signal just the same.
        fs::remove_file(&file).expect("it was made");
        daemon.start("own/inner", "signalled", &script).await;
        eventually("the child is ended", || file.exists()).await;
        let request = CellServiceSignalRequest {
            cell_name: "own/inner".to_owned(),
            executable_name: "signalled".to_owned(),
            signal: "SIGKILL".to_owned(),
            ..Default::default()
        };
        daemon.cells().signal(&request).await.expect("signal");
        let ended = daemon.wait("own/inner", "signalled").await.expect("it ends");
        assert_eq!((ended.exit_signal, ended.oom_killed), (Some(9), false));

        daemon.start("around/inner", "suicide", "kill -9 $$").await;
        let ended = daemon.wait("around/inner", "suicide").await.expect("it ends");
        assert_eq!((ended.exit_signal, ended.oom_killed, ended.oom_cell_name.as_str()), (Some(9), false, ""));
    });
}

#[test]
fn a_tree_is_freed_within_one_grace_period() {
    with_daemon("tree", async |daemon| {
        let tree = ["a", "a/b", "a/b/c"];
        let mut pids = Vec::new();
        for (number, cell) in tree.iter().enumerate() {
            daemon.allocate(cell).await;
            pids.push(daemon.start(cell, "job", &stubborn(&daemon.file(&number.to_string()))).await);
        }
        eventually("the traps are set", || (0..3).all(|n| daemon.file(&format!("{n}.ready")).exists())).await;
        let refused = daemon.free("a", false, None).await.expect_err("it has a cell inside");
        assert_eq!(refused.code, Code::FailedPrecondition);
        assert!(refused.message.contains("\"a/b\"") && refused.message.contains("force"), "{refused}");
        assert!(pids.iter().all(|pid| !is_gone(&pid.to_string())), "a refusal ends nothing");

        // Long, since the traps are shells on a machine that does other things, too.
        let (grace, begin) = (Duration::from_secs(10), Instant::now());
        let late = async {
            eventually_async("it is being freed", async || daemon.list().await[0].freeing).await;
            daemon.try_allocate("a/b/late").await
        };
        let (freed, late) = future::zip(daemon.free("a", true, Some(grace)), late).await;
        freed.expect("free");
        let taken = begin.elapsed();
        assert!(taken >= grace && taken < 2 * grace, "{taken:?} with a grace period of {grace:?}");
        assert_eq!(code(late), Code::FailedPrecondition, "the whole tree is closed");
        let terms: Vec<u64> =
            (0..3).flat_map(|n| numbers(&lines(&daemon.file(&format!("{n}.term"))).concat())).collect();
        assert_eq!(terms.len(), 3, "each got SIGTERM");
        let spread = terms.iter().max().zip(terms.iter().min()).map(|(last, first)| last - first);
        assert!(
            spread < Some(grace.as_nanos() as u64),
            "at once, and not one after the other's grace: {terms:?}"
        );
        assert!(pids.iter().all(|pid| is_gone(&pid.to_string())));
        assert_eq!(daemon.directories("a"), Vec::<PathBuf>::new());
        assert_eq!(daemon.list().await, []);
    });
}

#[test]
fn a_tree_takes_one_place_among_the_ends() {
    with_daemon("wide", async |daemon| {
        daemon.allocate("a").await;
        // More than there are places, and than are removed in one step. On a busy machine each answer takes its time, so that
        // many are asked for at once.
        let channel = Arc::new(daemon.connect(None).await);
        for begin in [0, 100, 200] {
            let inner: Vec<_> = (begin..begin + 100)
                .map(|number| (channel.clone(), format!("a/{number}")))
                .map(|(channel, name)| {
                    daemon.executor.spawn(async move { allocate_in(&channel, &name).await })
                })
                .collect();
            for allocated in inner {
                allocated.await.expect("allocate");
            }
        }
        drop(channel);
        daemon.start("a/299", "job", "exec sleep 1000").await;
        daemon.free("a", true, None).await.expect("free");
        assert_eq!(daemon.directories("a"), Vec::<PathBuf>::new());
        assert_eq!(daemon.list().await, []);
    });
}

/// A process may stop every other of its user, and so what is about to become a program in its cell. Three of those take
/// all places for starts.
#[test]
fn a_start_that_is_stopped_before_its_program_runs_is_given_up() {
    const STOPPER: &str = "while :; do kill -STOP -1; done";
    with_daemon("stopped", async |daemon| {
        daemon.allocate("other").await;
        let mut stuck = Vec::new();
        for cell in ["web-0", "web-1", "web-2"] {
            daemon.allocate_isolated(cell).await;
            let (name, command) = ("stopper".to_owned(), STOPPER.to_owned());
            let stopper = Executable { name, command, ..Executable::default() };
            let stopper = daemon.start_as_nobody(cell, stopper).await.expect("start");
            // Until one is stopped at the right moment, which is that of its birth at the latest.
            for number in 0.. {
                let mut job = Box::pin(daemon.start_as_nobody(cell, sought(format!("job {number}"))));
                let stopped = async {
                    while !daemon.processes(cell).iter().any(|pid| stands_before_exec(pid) && is_stopped(pid))
                    {
                        Timer::after(Duration::from_millis(5)).await;
                    }
                    None
                };
                if async { Some((&mut job).await) }.or(stopped).await.is_none() {
                    stuck.push((cell, job));
                    break;
                }
            }
            // What it has stopped stays so, and the next one has a processor.
            kill(Pid::from_raw(stopper), Signal::SIGKILL).expect("it runs");
        }
        daemon.start("other", "job", "true").await;
        for (cell, job) in stuck {
            let refused = job.await.expect_err("it never ran");
            assert_eq!(refused.code, Code::FailedPrecondition, "{refused}");
            assert!(refused.message.contains("did not come to run its program"), "{refused}");
            let stopper = daemon.executable(cell, "stopper").await.pid.to_string();
            let processes = daemon.processes(cell).into_iter();
            let started = processes.filter(|pid| *pid != stopper && stands_before_exec(pid));
            assert_eq!(started.collect::<Vec<_>>(), Vec::<String>::new());
        }
    });
}

#[test]
fn a_daemon_that_stops_sends_waiters_away_and_restarts_nothing() {
    with_daemon("ending", async |daemon| {
        daemon.allocate("web").await;
        daemon.start("web", "sleeper", "exec sleep 1000").await;
        let file = daemon.file("stubborn");
        daemon.start("web", "stubborn", &stubborn(&file)).await;
        eventually("it is stubborn", || file.with_extension("ready").exists()).await;
        let vanishing = Vanishing::start(daemon, "web").await;
        vanishing.restarts_in_vain(daemon, "web").await;
        // A call under way, for which the daemon waits before it frees cells, and longer than a restart is away.
        let stop = daemon.stop_within("web", "stubborn", 3000);
        let (cells, request) = (daemon.cells(), wait_request("web", "sleeper"));
        let (waiter, ending) = (cells.wait(&request), async {
            eventually("the stop has begun", || file.with_extension("term").exists()).await;
            daemon.terminate();
        });
        let sent_away = async {
            let (ended, ()) = future::zip(waiter, ending).await;
            // By now nothing is restarted any more.
            vanishing.come_back();
            ended.expect_err("it is sent away")
        };
        let (refused, stopped) = future::zip(sent_away, stop).await;
        assert_eq!((refused.code, refused.message.as_str()), (Code::Unavailable, "the daemon is stopping"));
        stopped.expect("what has begun is seen through");
        daemon.ends().await;
        assert_eq!(vanishing.runs(), 4);
    });
}

#[test]
fn a_daemon_stops_however_many_ends_wait() {
    with_daemon("crowded", async |daemon| {
        daemon.allocate("web").await;
        daemon.allocate("other").await;
        let file = daemon.file("stubborn");
        daemon.start("web", "job", &stubborn(&file)).await;
        eventually("it is stubborn", || file.with_extension("ready").exists()).await;
        let pid = daemon.executable("web", "job").await.pid.to_string();
        // Until there is no place left, for longer than this test takes.
        let mut channels = Vec::new();
        for _ in 0..4 {
            channels.push(Arc::new(daemon.connect(None).await));
        }
        let mut stops = Vec::new();
        eventually_async("all places are taken", async || {
            for channel in channels.iter().flat_map(|channel| std::iter::repeat_n(channel.clone(), 10)) {
                let stop = async move { stop_in(&channel, "web", "job", Some(3_600_000)).await };
                stops.push(daemon.executor.spawn(stop));
            }
            let none_left =
                daemon.stop_within("web", "none", 0).await.expect_err("there is no such executable");
            none_left.message.contains("are being ended, the limit")
        })
        .await;
        // Who asked goes; they stay.
        drop((stops, channels));
        daemon.terminate();
        eventually("the daemon's cells are gone", || daemon.directories("other").is_empty()).await;
        eventually("all of it has ended", || is_gone(&pid) && daemon.directories("web").is_empty()).await;
        assert!(!daemon.log().contains("stays behind"), "{}", daemon.log());
    });
}

// The daemon under test, and what is asked of it.

/// The real `auraed` in a directory of its own, and a connection to it.
struct Daemon {
    directory: PathBuf,
    process: RefCell<Child>,
    executor: Executor<'static>,
    channel: Option<Channel>,
    terminated: std::cell::Cell<bool>,
}

/// Runs a test against a daemon of its own.
fn with_daemon(test: &str, body: impl AsyncFnOnce(&Daemon)) {
    if !geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        return eprintln!("skipped: cells are control groups, which only root may make");
    }
    let mut daemon = Daemon::begin(test);
    let channel = future::block_on(daemon.executor.run(daemon.connect(None)));
    daemon.channel = Some(channel);
    future::block_on(daemon.executor.run(async {
        let late = async {
            Timer::after(5 * PATIENCE).await;
            panic!("{test} takes longer than {:?}", 5 * PATIENCE);
        };
        body(&daemon).or(late).await;
    }));
}

impl Daemon {
    fn begin(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("auraed-life-{}-{test}", std::process::id()));
        fs::create_dir(&directory).expect("the name is new");
        let log = fs::File::create(directory.join("log")).expect("the directory is ours");
        let process = Command::new(env!("CARGO_BIN_EXE_auraed"))
            .env_clear()
            .arg("--runtime-dir")
            .arg(&directory)
            .stderr(log)
            .spawn()
            .expect("auraed has been built with this test");
        Self {
            directory,
            process: process.into(),
            executor: Executor::new(),
            channel: None,
            terminated: false.into(),
        }
    }

    async fn connect(&self, timeout: Option<Duration>) -> Channel {
        let address = Address::Unix(self.file("aurae.sock"));
        let begin = Instant::now();
        loop {
            match Channel::connect(&address, timeout, &self.executor).await {
                Ok(channel) => return channel,
                Err(status) => assert!(begin.elapsed() < PATIENCE, "{status}: {}", self.log()),
            }
            Timer::after(Duration::from_millis(5)).await;
        }
    }

    fn cells(&self) -> CellServiceClient<'_, Channel> {
        CellServiceClient::new(self.channel.as_ref().expect("connected"))
    }

    async fn allocate(&self, name: &str) {
        self.try_allocate(name).await.expect("allocate");
    }

    async fn try_allocate(&self, name: &str) -> Result<(), Status> {
        allocate_in(self.channel.as_ref().expect("connected"), name).await
    }

    async fn start(&self, cell: &str, name: &str, command: &str) -> i32 {
        self.start_with(cell, name, command, None).await.expect("start")
    }

    async fn start_with(
        &self,
        cell: &str,
        name: &str,
        command: &str,
        restart: Option<RestartPolicy>,
    ) -> Result<i32, Status> {
        let (name, command) = (name.to_owned(), command.to_owned());
        self.request(cell, Executable { name, command, restart, ..Executable::default() }).await
    }

    async fn request(&self, cell: &str, executable: Executable) -> Result<i32, Status> {
        let (cell_name, executable) = (cell.to_owned(), Some(executable));
        let request = CellServiceStartRequest { cell_name, executable, ..CellServiceStartRequest::default() };
        self.cells().start(&request).await.map(|started| started.pid)
    }

    async fn allocate_isolated(&self, name: &str) {
        let cell = Some(Cell { name: name.to_owned(), isolate_process: true, ..Cell::default() });
        self.cells().allocate(&CellServiceAllocateRequest { cell }).await.expect("allocate");
    }

    async fn start_as_nobody(&self, cell: &str, executable: Executable) -> Result<i32, Status> {
        let (executable, uid, gid) = (Some(executable), Some(64_123), Some(64_123));
        let request = CellServiceStartRequest { cell_name: cell.to_owned(), executable, uid, gid };
        self.cells().start(&request).await.map(|started| started.pid)
    }

    async fn wait(&self, cell: &str, name: &str) -> Result<CellServiceWaitResponse, Status> {
        self.cells().wait(&wait_request(cell, name)).await
    }

    async fn stop(&self, cell: &str, name: &str) -> Result<(), Status> {
        self.stop_request(cell, name, None).await
    }

    async fn stop_within(&self, cell: &str, name: &str, grace_ms: u32) -> Result<(), Status> {
        self.stop_request(cell, name, Some(grace_ms)).await
    }

    async fn stop_request(&self, cell: &str, name: &str, grace_period_ms: Option<u32>) -> Result<(), Status> {
        stop_in(self.channel.as_ref().expect("connected"), cell, name, grace_period_ms).await
    }

    async fn free(&self, cell: &str, force: bool, grace: Option<Duration>) -> Result<(), Status> {
        let grace_period_ms = grace.map(|grace| u32::try_from(grace.as_millis()).expect("it is short"));
        let request = CellServiceFreeRequest { cell_name: cell.to_owned(), grace_period_ms, force };
        self.cells().free(&request).await.map(drop)
    }

    async fn list(&self) -> Vec<CellGraphNode> {
        self.cells().list(&CellServiceListRequest {}).await.expect("list").cells
    }

    /// As List shows it; the cell is at the top.
    async fn executable(&self, cell: &str, name: &str) -> CellExecutable {
        let cells = self.list().await;
        let named = |node: &&CellGraphNode| node.cell.as_ref().is_some_and(|found| found.name == cell);
        let node = cells.iter().find(named).expect("the cell is listed");
        node.executables.iter().find(|found| found.name == name).expect("it is listed").clone()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).expect("the log")
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.borrow().id())).expect("the daemon runs").count()
    }

    fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.process.borrow().id())).expect("the daemon runs").count()
    }

    /// Once: a second time would cut its end short.
    fn terminate(&self) {
        if !self.terminated.replace(true) {
            let pid = i32::try_from(self.process.borrow().id()).expect("a pid");
            // Fails only when it has ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    async fn ends(&self) {
        eventually("the daemon ends", || !matches!(self.process.borrow_mut().try_wait(), Ok(None))).await;
    }

    /// The directory of a cell in the v2 hierarchy, by way of a process in it.
    async fn v2_cell(&self, cell: &str) -> Option<PathBuf> {
        let pid = self.start(cell, "scout", "exec sleep 1000").await;
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
        let path = memberships.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned);
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mount =
            mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|m| m[2] == "cgroup2");
        let leaf = Path::new(mount?[1]).join(path?);
        for _ in 0..2 {
            self.stop(cell, "scout").await.expect("stop");
        }
        leaf.parent().filter(|cell| cell.is_dir()).map(Path::to_owned)
    }

    /// Directories of a cell, in all hierarchies.
    fn directories(&self, cell: &str) -> Vec<PathBuf> {
        let slice = self.slice();
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let below = points.filter(|point| point.starts_with("/sys/fs/cgroup")).map(PathBuf::from);
        let found = below.flat_map(|root| find(&root, &slice, 3)).map(|slice| slice.join(cell));
        found.filter(|directory| directory.exists()).collect()
    }

    /// Leafs that there are in a cell.
    fn leafs(&self, cell: &str) -> BTreeSet<PathBuf> {
        let entries =
            self.directories(cell).into_iter().flat_map(|directory| fs::read_dir(directory).expect("list"));
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"exec_")))
            .collect()
    }

    /// Of all executables of a cell.
    fn processes(&self, cell: &str) -> Vec<String> {
        self.leafs(cell).into_iter().flat_map(|leaf| lines(&leaf.join("cgroup.procs"))).collect()
    }

    /// The name of the daemon's own directory in each hierarchy, out of its log.
    fn slice(&self) -> String {
        let log = self.log();
        let behind = log.split("aurae-").nth(1).expect("the log names it");
        format!("aurae-{}", behind.chars().take_while(char::is_ascii_hexdigit).collect::<String>())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon would wait for them to close.
        (self.channel, self.executor) = (None, Executor::new());
        self.terminate();
        let process = self.process.get_mut();
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && matches!(process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = process.try_wait().expect("it is ours");
        let log = self.log();
        let _ = fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert!(ended.is_some_and(|status| status.success()), "auraed ended with {ended:?}: {log}");
        }
    }
}

/// An executable whose working directory goes with its fourth run, so that each restart fails from then on.
struct Vanishing {
    directory: PathBuf,
    runs: PathBuf,
}

impl Vanishing {
    async fn start(daemon: &Daemon, cell: &str) -> Self {
        let vanishing = Self { directory: daemon.file(&format!("{cell}.gone")), runs: daemon.file(cell) };
        vanishing.come_back();
        let (directory, runs) = (vanishing.directory.display().to_string(), vanishing.runs.display());
        let command = format!("echo run >>{runs}; [ $(wc -l <{runs}) -lt 4 ] || rmdir {directory}; exit 1");
        let (name, working_directory) = ("job".to_owned(), directory);
        let job = Executable { name, command, working_directory, restart: always(), ..Executable::default() };
        daemon.request(cell, job).await.expect("start");
        vanishing
    }

    async fn restarts_in_vain(&self, daemon: &Daemon, cell: &str) {
        eventually_async("its fourth run has ended", async || {
            let listed = daemon.executable(cell, "job").await;
            (listed.state(), listed.restarts) == (CellExecutableState::Restarting, 3)
        })
        .await;
        let exit_code = daemon.executable(cell, "job").await.exit_code;
        assert_eq!((exit_code, self.runs(), self.directory.exists()), (Some(1), 4, false));
    }

    fn come_back(&self) {
        fs::create_dir(&self.directory).expect("it is not there");
    }

    fn runs(&self) -> usize {
        lines(&self.runs).len()
    }
}

/// Directories of this name, at most so deep.
fn find(root: &Path, name: &str, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found = Vec::new();
    for directory in directories.map(|entry| entry.path()) {
        if directory.ends_with(name) {
            found.push(directory);
        } else if depth > 0 {
            found.extend(find(&directory, name, depth - 1));
        }
    }
    found
}

async fn allocate_in(channel: &Channel, name: &str) -> Result<(), Status> {
    let cell = Some(Cell { name: name.to_owned(), ..Cell::default() });
    CellServiceClient::new(channel).allocate(&CellServiceAllocateRequest { cell }).await.map(drop)
}

async fn stop_in(channel: &Channel, cell: &str, name: &str, grace_ms: Option<u32>) -> Result<(), Status> {
    let (cell_name, executable_name) = (cell.to_owned(), name.to_owned());
    let request = CellServiceStopRequest { cell_name, executable_name, grace_period_ms: grace_ms };
    CellServiceClient::new(channel).stop(&request).await.map(drop)
}

fn wait_request(cell: &str, name: &str) -> CellServiceWaitRequest {
    CellServiceWaitRequest { cell_name: cell.to_owned(), executable_name: name.to_owned() }
}

fn on_failure(max_restarts: Option<u32>) -> Option<RestartPolicy> {
    Some(RestartPolicy { condition: RestartCondition::OnFailure.into(), max_restarts })
}

fn always() -> Option<RestartPolicy> {
    Some(RestartPolicy { condition: RestartCondition::Always.into(), max_restarts: None })
}

/// An executable that is its user's for some time before its program runs, which is looked for in many places.
fn sought(name: String) -> Executable {
    let nowhere: String = (0..250).map(|number| format!("/nowhere/{number}:")).collect();
    let env = [("PATH".to_owned(), format!("{nowhere}/usr/bin:/bin"))].into();
    Executable { name, args: vec!["true".to_owned()], env, ..Executable::default() }
}

fn stubborn(file: &Path) -> String {
    STUBBORN.replace("FILE", &file.display().to_string())
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Code {
    outcome.expect_err("it is refused").code
}

/// Whole lines of a file that processes write; none while it is not there.
fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|number| number.parse().expect("a number")).collect()
}

/// Neither runs nor waits to be run; a zombie is for whoever is its parent to take.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
}

/// It has the name of one of our threads still.
fn stands_before_exec(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("pool-"))
}

/// By SIGSTOP: state T in proc_pid_stat(5).
fn is_stopped(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right");
    since.as_millis().try_into().expect("a time")
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually_async(what, async || is_so()).await;
}

async fn eventually_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        Timer::after(Duration::from_millis(5)).await;
    }
}
