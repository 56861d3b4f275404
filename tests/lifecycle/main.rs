//! How executables and cells end, over the daemon's socket: Wait, Stop, restarts, Free of a whole tree. The kernel's own
//! view is asked beside the daemon's. Needs root; says so and does nothing without.

mod daemon;
mod restarts;
#[path = "../common/under_test.rs"]
mod under_test;

use auraed::grpc::status::{Code, Status};
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::*;
use daemon::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smol::future::FutureExt;
use smol::{Timer, future};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use under_test::{PATIENCE, eventually_async};

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
            daemon.auraed.terminate();
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
            for channel in channels.iter().cloned().flat_map(|channel| std::iter::repeat_n(channel, 10)) {
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
        daemon.auraed.terminate();
        eventually("the daemon's cells are gone", || daemon.directories("other").is_empty()).await;
        eventually("all of it has ended", || is_gone(&pid) && daemon.directories("web").is_empty()).await;
        assert!(!daemon.log().contains("stays behind"), "{}", daemon.log());
    });
}
