//! Many at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use auraed::grpc::status::Code;

use super::daemon::{Client, Daemon, PROMPT, cell, eventually, is_gone, start_with_trap};

/// A grace period that does not end while a test runs; one that fails may take so long.
const LONG: Duration = Duration::from_secs(300);

#[test]
fn a_hundred_stops_in_their_grace_period_hold_nobody_up() {
    let Some(daemon) = Daemon::start("stops") else { return };
    let client = daemon.client();
    client.allocate(cell("a")).expect("allocate");
    let heard: Vec<PathBuf> = (0..100).map(|number| daemon.file(&format!("heard-{number}"))).collect();
    let start = |(number, heard): (usize, &PathBuf)| {
        start_with_trap(&daemon, "a", &number.to_string(), &format!(": >{}", heard.display()))
    };
    let pids: Vec<i32> = heard.iter().enumerate().map(start).collect();
    let stopping = AtomicBool::new(true);
    thread::scope(|scope| {
        let stops: Vec<_> = (0..100)
            .map(|number| {
                let daemon = &daemon;
                let stop = move || daemon.client_with(LONG).stop_within("a", &number.to_string(), Some(LONG));
                scope.spawn(move || stop().expect("stop"))
            })
            .collect();
        eventually("all have got SIGTERM", || heard.iter().all(|heard| heard.exists()));
        // Whoever waited for one of them now would wait in vain.
        (0..3).for_each(|_| come_and_go(&client));
        assert!(!stops.iter().any(|stop| stop.is_finished()));

        let others = scope.spawn(|| {
            let client = daemon.client();
            while stopping.load(Ordering::Relaxed) {
                come_and_go(&client);
            }
        });
        // Its own grace period is short, and then all are killed.
        let freed = client.free("a");
        stops.into_iter().for_each(|stop| stop.join().expect("stopped"));
        stopping.store(false, Ordering::Relaxed);
        freed.expect("free");
        others.join().expect("the others");
    });
    assert!(pids.into_iter().all(is_gone));
    daemon.assert_empty();
}

fn come_and_go(client: &Client) {
    client.list();
    client.allocate(cell("b")).expect("allocate");
    client.start("b", "job", "exec sleep 1000").expect("start");
    client.free("b").expect("free");
}

#[test]
fn five_hundred_cells_are_freed_at_once() {
    let Some(daemon) = Daemon::start("frees") else { return };
    let client = daemon.client();
    let names: Vec<String> = (0..500).map(|number| format!("cell-{number}")).collect();
    for name in &names {
        client.allocate(cell(name)).expect("allocate");
        if name.ends_with('7') {
            client.start(name, "job", "sleep 1000 & exec sleep 1000").expect("start");
        }
    }
    thread::scope(|scope| {
        for batch in names.chunks(10) {
            let daemon = &daemon;
            scope.spawn(move || {
                let client = daemon.client();
                for name in batch {
                    until_there_is_room(|| client.free(name));
                }
            });
        }
        let prompt = daemon.client_with(PROMPT);
        while !prompt.list().is_empty() {}
    });
    daemon.assert_empty();
}

#[test]
fn fifty_clients_do_all_of_it_at_once() {
    const CLIENTS: usize = 50;
    const ROUNDS: usize = 6;
    let Some(daemon) = Daemon::start("clients") else { return };
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let daemon = &daemon;
            scope.spawn(move || {
                let client = daemon.client();
                // Names that others use, too: who comes first wins, and nobody may break anything.
                let (own, shared) = (format!("own-{number}"), format!("shared-{}", number % 5));
                for round in 0..ROUNDS {
                    let job = format!("job {round}");
                    until_there_is_room(|| client.allocate(cell(&own)));
                    let pid =
                        until_there_is_room(|| client.start(&own, &job, "sleep 1000 & exec sleep 1000"));
                    let _ = client.allocate(cell(&shared));
                    let _ = client.start(&shared, &job, "sleep 0.05");
                    let listed = client.list();
                    assert!(listed.iter().any(|node| node.cell.as_ref().is_some_and(|c| c.name == own)));
                    let _ = client.stop(&shared, &job);
                    until_there_is_room(|| client.stop(&own, &job));
                    assert!(is_gone(pid), "{pid} is left");
                    let _ = client.free(&shared);
                    until_there_is_room(|| client.free(&own));
                }
            });
        }
    });
    for number in 0..5 {
        let _ = daemon.client().free(&format!("shared-{number}"));
    }
    daemon.assert_empty();
}

/// A bound that is reached is an answer, too: the caller tries again.
fn until_there_is_room<T>(mut call: impl FnMut() -> Result<T, auraed::grpc::status::Status>) -> T {
    loop {
        match call() {
            Ok(answer) => return answer,
            Err(status) if status.code == Code::ResourceExhausted => super::daemon::pause(),
            Err(status) => panic!("{status}"),
        }
    }
}
