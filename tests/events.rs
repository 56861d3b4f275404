//! What WatchEvents tells, over the daemon's socket: each change once, in its order, and what is lost as a number. Needs
//! root; says so and does nothing without.

#[path = "common/under_test.rs"]
mod under_test;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::limits::EVENTS_BYTES;
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::{CellServiceClient, Items, ObserveServiceClient};
use smol::future::FutureExt;
use smol::stream::StreamExt;
use smol::{Executor, Timer, future};
use under_test::{Auraed, PATIENCE};

const LARGE: i64 = 1 << 30;

#[test]
fn each_step_is_told_once_with_what_belongs_to_it() {
    with_daemon("life", async |daemon| {
        daemon.allocate("a").await;
        daemon.allocate("a/b").await;
        assert_eq!(code(daemon.try_allocate(cell("a")).await), Code::AlreadyExists);
        assert_eq!(code(daemon.try_allocate(cell("none/b")).await), Code::NotFound);
        let first = daemon.start("a/b", "job", "exit 7").await;
        daemon.wait("a/b", "job").await;
        assert!(daemon.try_start("a/b", program("job", "/nonexistent")).await.is_err());
        let again = daemon.start("a/b", "job", "kill -9 $$").await;
        daemon.wait("a/b", "job").await;
        let last = daemon.start("a", "sleeper", "exec sleep 1000").await;
        assert_eq!(code(daemon.try_start("a", command("sleeper", "true")).await), Code::AlreadyExists);
        daemon.stop("a", "sleeper").await;
        daemon.stop("a", "sleeper").await;
        let done = daemon.start("a", "done", "exit 0").await;
        daemon.wait("a", "done").await;
        let endless = daemon.start("a/b", "endless", "exec sleep 1000").await;
        daemon.free("a", true).await.expect("free");

        let events = daemon.events(all()).await;
        let daemon_pid = daemon.auraed.pid();
        let told: Vec<String> = events.iter().map(line).collect();
        let expected = [
            format!("daemon started {daemon_pid}"),
            "a allocated".to_owned(),
            "a/b allocated".to_owned(),
            format!("a/b job started {first}"),
            format!("a/b job exited {first} code 7"),
            format!("a/b job removed {first}"),
            format!("a/b job started {again}"),
            format!("a/b job exited {again} signal 9"),
            format!("a sleeper started {last}"),
            format!("a sleeper exited {last} signal 15"),
            format!("a sleeper removed {last}"),
            format!("a done started {done}"),
            format!("a done exited {done} code 0"),
            format!("a/b endless started {endless}"),
            format!("a/b endless exited {endless} signal 15"),
            format!("a/b endless removed {endless}"),
            format!("a/b job removed {again}"),
            "a/b freed".to_owned(),
            format!("a done removed {done}"),
            "a freed".to_owned(),
        ];
        assert_eq!(told, expected);
        let mut world = World::default();
        events.iter().for_each(|event| world.see(event));
        assert_eq!(world, World { last: world.last, ..World::default() });
        let times: Vec<_> = events.iter().map(|it| (it.timestamp, it.nanos)).collect();
        assert!(times.is_sorted() && times[0].0 > 1_700_000_000, "{times:?}");
    });
}

#[test]
fn restarts_are_counted() {
    with_daemon("restarts", async |daemon| {
        daemon.allocate("a").await;
        let restart = |condition: RestartCondition, max| {
            Some(RestartPolicy { condition: condition.into(), max_restarts: Some(max) })
        };
        let job = Executable { restart: restart(RestartCondition::OnFailure, 2), ..command("job", "exit 5") };
        let pid = daemon.try_start("a", job).await.expect("start");
        let ended = daemon.wait("a", "job").await;
        daemon.stop("a", "job").await;
        let told: Vec<(EventType, u32, Option<i32>)> = daemon
            .events(all())
            .await
            .iter()
            .skip(2)
            .map(|it| (it.r#type(), it.restarts, it.exit_code))
            .collect();
        let expected = [
            (EventType::ExecutableStarted, 0, None),
            (EventType::ExecutableExited, 0, Some(5)),
            (EventType::ExecutableRestarted, 1, None),
            (EventType::ExecutableExited, 1, Some(5)),
            (EventType::ExecutableRestarted, 2, None),
            (EventType::ExecutableExited, 2, Some(5)),
            (EventType::ExecutableRemoved, 2, None),
        ];
        assert_eq!(told, expected);
        let pids: Vec<i32> = daemon.events(all()).await.iter().skip(2).map(|it| it.pid).collect();
        assert_eq!((pids[0], pids[1], pids[6]), (pid, pid, ended.pid));
        assert!(pids[2] == pids[3] && pids[4] == ended.pid, "{pids:?}");
    });
}

#[test]
fn an_update_is_told_if_it_changes_something() {
    with_daemon("update", async |daemon| {
        if !daemon.allocate_limited("a", LARGE).await {
            return;
        }
        for max in [LARGE, 2 * LARGE, 2 * LARGE] {
            let request = CellServiceUpdateRequest { cell: Some(limited("a", max)), ..Default::default() };
            daemon.cells().update(&request).await.expect("update");
        }
        let bad = CellServiceUpdateRequest { cell: Some(limited("a", -1)), ..Default::default() };
        assert_eq!(code(daemon.cells().update(&bad).await), Code::InvalidArgument);
        let told: Vec<String> = daemon.events(all()).await.iter().skip(1).map(line).collect();
        assert_eq!(told, ["a allocated", "a updated"]);
    });
}

#[test]
fn a_victim_is_told_before_its_exit() {
    with_daemon("oom", async |daemon| {
        if !daemon.allocate_limited("a", 16 << 20).await {
            return;
        }
        daemon.allocate("a/b").await;
        let pid = daemon.start("a/b", "hog", "exec dd if=/dev/zero of=/dev/null bs=48M count=1").await;
        let ended = daemon.wait("a/b", "hog").await;
        assert!(ended.oom_killed, "{ended:?}");
        daemon.free("a", true).await.expect("free");
        let events = daemon.events(all()).await;
        let told: Vec<String> = events.iter().skip(4).map(line).collect();
        let expected = [
            format!("a/b hog out of memory {pid} of a"),
            format!("a/b hog exited {pid} signal 9"),
            format!("a/b hog removed {pid}"),
            "a/b freed".to_owned(),
            "a freed".to_owned(),
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn a_watch_that_is_cut_goes_on_where_it_was() {
    with_daemon("resume", async |daemon| {
        let churn = daemon.executor.spawn({
            let channel = daemon.connect(None).await;
            async move {
                for round in 0..60 {
                    let name = format!("c{}", round % 3);
                    allocate_in(&channel, &name).await.expect("allocate");
                    start_in(&channel, &name, command("job", "exit 1")).await.expect("start");
                    free_in(&channel, &name, true).await.expect("free");
                }
            }
        });
        let (mut received, mut from, mut cuts) = (Vec::new(), None, 0);
        // What was told last is the end of all that happens.
        while !churn.is_finished() || received.len() < daemon.events(all()).await.len() {
            let channel = daemon.connect(None).await;
            let request = ObserveServiceWatchEventsRequest { from_sequence: from, ..Default::default() };
            let mut watch = ObserveServiceClient::new(&channel).watch_events(&request).await.expect("watch");
            for _ in 0..7 {
                let Some(event) = soon(watch.next()).await else { break };
                let event: Event = event.expect("the stream ends").expect("no error");
                from = Some(event.sequence + 1);
                received.push(event);
            }
            cuts += 1;
        }
        assert!(cuts > 20, "{cuts}");
        let held = daemon.events(all()).await;
        assert_eq!(received.len(), 1 + 60 * 5);
        assert_eq!(received, held);
        let mut world = World::default();
        received.iter().for_each(|event| world.see(event));
    });
}

#[test]
fn what_is_asked_for_is_given() {
    with_daemon("range", async |daemon| {
        daemon.allocate("a").await;
        let events = daemon.events(all()).await;
        let next = events[1].sequence + 1;
        let now = events[1].timestamp;
        let since = |since| ObserveServiceWatchEventsRequest { since: Some(since), ..all() };
        let from = |from| ObserveServiceWatchEventsRequest { from_sequence: Some(from), ..all() };
        assert_eq!(daemon.events(since(i64::MIN)).await, events);
        assert_eq!(daemon.events(since(now + 1000)).await, []);
        assert_eq!(daemon.events(from(next - 1)).await, events[1..]);
        assert_eq!(daemon.events(from(0)).await, events);
        assert_eq!(daemon.events(from(next)).await, []);
        let ahead = daemon.observe().watch_events(&from(next + 1)).await;
        assert_eq!(code(ahead.map(drop)), Code::OutOfRange);
        Timer::after(Duration::from_millis(1100)).await;
        daemon.allocate("b").await;
        let told: Vec<String> = daemon.events(since(now + 1)).await.iter().map(line).collect();
        assert_eq!(told, ["b allocated"]);

        // Without anything else, what follows comes as it happens.
        let request = ObserveServiceWatchEventsRequest { from_sequence: Some(next), ..Default::default() };
        let mut watch = daemon.observe().watch_events(&request).await.expect("watch");
        assert_eq!(line(&next_of(&mut watch).await.expect("an event")), "b allocated");
        assert!(soon(watch.next()).await.is_none(), "nothing happens");
        daemon.free("a", false).await.expect("free");
        assert_eq!(line(&next_of(&mut watch).await.expect("an event")), "a freed");
    });
}

#[test]
fn the_end_of_the_daemon_is_told_and_ends_the_watch() {
    with_daemon("end", async |daemon| {
        daemon.allocate("a").await;
        let watch = async || daemon.observe().watch_events(&all_and_more()).await.expect("watch");
        // The one has read all that there was, the other nothing yet.
        let mut watches = [(watch().await, 0), (watch().await, 2)];
        for expected in ["daemon started", "a allocated"] {
            let event = next_of(&mut watches[0].0).await.expect("an event");
            assert!(line(&event).starts_with(expected), "{event:?}");
        }
        daemon.auraed.terminate();
        for (watch, before) in &mut watches {
            for _ in 0..*before {
                next_of(watch).await.expect("an event");
            }
            let event = next_of(watch).await.expect("the last event");
            assert_eq!(line(&event), format!("daemon stopping {}", daemon.auraed.pid()));
            assert_eq!(code(next_of(watch).await), Code::Unavailable);
        }
    });
}

#[test]
fn what_is_lost_is_counted_for_each() {
    with_daemon("loss", async |daemon| {
        daemon.allocate("a").await;
        let first = daemon.events(all()).await[0].sequence;
        // Nobody takes anything from it: what is on its way fills the windows.
        let stalled = daemon.connect(None).await;
        let mut stalled =
            ObserveServiceClient::new(&stalled).watch_events(&all_and_more()).await.expect("watch");
        let (names, starts, each) = (8, 50, 3);
        let name_of = |number: usize| number.to_string().repeat(255);
        // On a busy machine each answer takes its time, so that several ask at once.
        let mut clients = Vec::new();
        for name in (0..names).map(name_of) {
            let channel = daemon.connect(None).await;
            clients.push(daemon.executor.spawn(async move {
                for _ in 0..starts {
                    start_in(&channel, "a", program(&name, "true")).await.expect("start");
                    wait_in(&channel, "a", &name).await.expect("it ends");
                }
            }));
        }
        for client in clients {
            client.await;
        }
        // The last ones have not been removed.
        let total = 2 + names * (starts * each - 1);
        let name = name_of(0);
        assert!(total * name.len() > 4 * EVENTS_BYTES);

        let held =
            daemon.events(ObserveServiceWatchEventsRequest { from_sequence: Some(first), ..all() }).await;
        assert!(held.len() < total / 4 && held.len() * name.len() > EVENTS_BYTES / 2, "{}", held.len());
        assert_eq!(held.len() as u64 + held[0].dropped, total as u64);
        assert!(held[1..].iter().all(|event| event.dropped == 0));

        let (mut received, mut dropped, mut next) = (0, 0, first);
        while next < first + total as u64 {
            let event = next_of(&mut stalled).await.expect("an event");
            assert_eq!(event.sequence, next + event.dropped);
            (received, dropped, next) = (received + 1, dropped + event.dropped, event.sequence + 1);
        }
        assert!(dropped > 0 && received > held.len(), "{received} received, {dropped} dropped");
        assert_eq!(received as u64 + dropped, total as u64);
    });
}

/// Many do all kinds of things at once. Each event is possible after those before it, and what they come to is what List
/// says.
#[test]
fn whoever_follows_knows_what_there_is() {
    with_daemon("churn", async |daemon| {
        let watcher = daemon.connect(None).await;
        let mut watch =
            ObserveServiceClient::new(&watcher).watch_events(&all_and_more()).await.expect("watch");
        let mut clients = Vec::new();
        for number in 0..20 {
            let channel = daemon.connect(None).await;
            clients.push(daemon.executor.spawn(async move { churn(&channel, number).await }));
        }
        let done = async {
            for client in clients {
                client.await;
            }
            daemon.allocate("the-end").await;
        };
        let watching = async {
            let mut world = World::default();
            loop {
                let event = next_of(&mut watch).await.expect("an event");
                assert_eq!(event.dropped, 0, "it reads all the time");
                world.see(&event);
                if world.cells.contains("the-end") {
                    return world;
                }
            }
        };
        let (world, ()) = future::zip(watching, done).await;
        // What still runs has no more to tell.
        let mut listed = World { last: world.last, ..World::default() };
        let cells = daemon.cells().list(&CellServiceListRequest {}).await.expect("list").cells;
        cells.iter().for_each(|node| listed.add(node));
        assert_eq!(world, listed);
        assert!(world.cells.len() > 20 && world.executables.len() > 20, "{world:?}");
    });
}

/// One of those who do all kinds of things, in cells that others use, too. Leaves something behind.
async fn churn(channel: &Channel, number: usize) {
    let shared = format!("shared{}", number % 4);
    let own = format!("own{number}");
    for round in 0..6 {
        // Each of these may be refused: others are at it.
        let _ = allocate_in(channel, &shared).await;
        let inner = format!("{shared}/{own}");
        let _ = allocate_in(channel, &inner).await;
        let _ = start_in(channel, &inner, command("job", "exit 3")).await;
        let _ = start_in(channel, &shared, command(&own, "exec sleep 1000")).await;
        let _ = start_in(channel, &shared, program("contended", "/bin/true")).await;
        let restarted = Executable {
            restart: Some(RestartPolicy { condition: RestartCondition::Always.into(), max_restarts: None }),
            ..command("again", "exit 1")
        };
        let _ = start_in(channel, &inner, restarted).await;
        let _ = stop_in(channel, &shared, &own).await;
        if round % 2 == number % 2 {
            let _ = stop_in(channel, &shared, "contended").await;
            let _ = stop_in(channel, &inner, "job").await;
        }
        if (round + number).is_multiple_of(5) {
            let _ = free_in(channel, &shared, true).await;
        } else {
            let _ = free_in(channel, &inner, false).await;
        }
    }
    allocate_in(channel, &own).await.expect("nobody else has it");
    start_in(channel, &own, command("stays", "exec sleep 1000")).await.expect("start");
    start_in(channel, &own, command("goes", "exit 3")).await.expect("start");
    let ended = wait_in(channel, &own, "goes").await.expect("it ends");
    assert_eq!(ended.exit_code, Some(3));
    // No restart of it is to come.
    let _ = free_in(channel, &shared, true).await;
}

// What the events come to.

/// Cells and executables, as one knows them who has seen all events.
#[derive(Debug, Default, PartialEq)]
struct World {
    last: Option<u64>,
    cells: BTreeSet<String>,
    executables: BTreeMap<(String, String), Known>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    phase: Phase,
    pid: i32,
    restarts: u32,
    exit: (Option<i32>, Option<i32>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Running,
    Dying,
    Exited,
}

impl World {
    /// Takes the next event, which must be possible.
    fn see(&mut self, event: &Event) {
        let is_next = self.last.is_none_or(|last| event.sequence == last + 1 + event.dropped);
        assert!(is_next, "{event:?} behind {:?}", self.last);
        self.last = Some(event.sequence);
        let cell = event.cell_name.clone();
        let parent = cell.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let context = format!("{event:?} in {self:?}");
        match event.r#type() {
            EventType::DaemonStarted | EventType::DaemonStopping => {
                assert!(cell.is_empty() && event.pid > 0, "{context}");
            }
            EventType::CellAllocated => {
                assert!(parent.is_none_or(|parent| self.cells.contains(&parent)), "{context}");
                assert!(self.cells.insert(cell), "{context}");
            }
            EventType::CellUpdated => assert!(self.cells.contains(&cell), "{context}"),
            EventType::CellFreed => {
                let inside = format!("{cell}/");
                assert!(!self.cells.iter().any(|other| other.starts_with(&inside)), "{context}");
                assert!(!self.executables.keys().any(|(other, _)| *other == cell), "{context}");
                assert!(self.cells.remove(&cell), "{context}");
            }
            EventType::Unspecified => panic!("{context}"),
            change => {
                assert!(self.cells.contains(&cell), "{context}");
                let key = (cell, event.executable_name.clone());
                let before = self.executables.remove(&key);
                let after = Known::after(before, change, event);
                let after = after.unwrap_or_else(|| panic!("not after {before:?}: {context}"));
                self.executables.extend(after.map(|known| (key, known)));
            }
        }
    }

    /// What List says.
    fn add(&mut self, node: &CellGraphNode) {
        let cell = node.cell.as_ref().expect("a cell").name.clone();
        for executable in &node.executables {
            let phase = match executable.state() {
                CellExecutableState::Running => Phase::Running,
                CellExecutableState::Exited => Phase::Exited,
                other => panic!("{other:?}: nothing is under way"),
            };
            let (pid, restarts) = (executable.pid, executable.restarts);
            let exit = (executable.exit_code, executable.exit_signal);
            let known = Known { phase, pid, restarts, exit };
            self.executables.insert((cell.clone(), executable.name.clone()), known);
        }
        self.cells.insert(cell);
        node.children.iter().for_each(|child| self.add(child));
    }
}

impl Known {
    /// What is known of an executable after an event of it; the outer `None` when that cannot come after what was before.
    fn after(before: Option<Self>, change: EventType, event: &Event) -> Option<Option<Self>> {
        let Event { pid, restarts, .. } = *event;
        let started = Self { phase: Phase::Running, pid, restarts, exit: (None, None) };
        let exit = (event.exit_code, event.exit_signal);
        let known = match (change, before) {
            (EventType::ExecutableStarted, None) if restarts == 0 => return Some(Some(started)),
            (_, None) => return None,
            (EventType::ExecutableRestarted, Some(known)) => {
                let is_next = known.phase == Phase::Exited && restarts == known.restarts + 1;
                return is_next.then_some(Some(started));
            }
            (_, Some(known)) => known,
        };
        let is_same = (known.pid, known.restarts) == (pid, restarts);
        let after = match (change, known.phase) {
            (EventType::ExecutableOutOfMemory, Phase::Running) => Some(Self { phase: Phase::Dying, ..known }),
            (EventType::ExecutableExited, Phase::Running | Phase::Dying) => {
                Some(Self { phase: Phase::Exited, exit, ..known })
            }
            (EventType::ExecutableRemoved, Phase::Exited) => None,
            _ => return None,
        };
        is_same.then_some(after)
    }
}

/// An event in words.
fn line(event: &Event) -> String {
    let Event { cell_name, executable_name, pid, .. } = event;
    let what = match event.r#type() {
        EventType::Unspecified => "unspecified",
        EventType::DaemonStarted => return format!("daemon started {pid}"),
        EventType::DaemonStopping => return format!("daemon stopping {pid}"),
        EventType::CellAllocated => return format!("{cell_name} allocated"),
        EventType::CellUpdated => return format!("{cell_name} updated"),
        EventType::CellFreed => return format!("{cell_name} freed"),
        EventType::ExecutableStarted => "started",
        EventType::ExecutableRestarted => "restarted",
        EventType::ExecutableOutOfMemory => "out of memory",
        EventType::ExecutableExited => "exited",
        EventType::ExecutableRemoved => "removed",
    };
    let code = event.exit_code.map(|code| format!(" code {code}")).unwrap_or_default();
    let signal = event.exit_signal.map(|signal| format!(" signal {signal}")).unwrap_or_default();
    let of =
        if event.oom_cell_name.is_empty() { String::new() } else { format!(" of {}", event.oom_cell_name) };
    format!("{cell_name} {executable_name} {what} {pid}{code}{signal}{of}")
}

// The daemon under test, and what is asked of it.

/// The real `auraed`, and a connection to it.
struct Daemon {
    channel: Channel,
    executor: Executor<'static>,
    auraed: Auraed,
}

/// Runs a test against a daemon of its own.
fn with_daemon(test: &str, body: impl AsyncFnOnce(&Daemon)) {
    let Some(auraed) = Auraed::start(test, |_| ()) else { return };
    let executor = Executor::new();
    let channel = future::block_on(executor.run(auraed.connect(&executor, None)));
    let daemon = Daemon { channel, executor, auraed };
    future::block_on(daemon.executor.run(async {
        let late = async {
            Timer::after(5 * PATIENCE).await;
            panic!("{test} takes longer than {:?}", 5 * PATIENCE);
        };
        body(&daemon).or(late).await;
    }));
}

impl Daemon {
    async fn connect(&self, timeout: Option<Duration>) -> Channel {
        self.auraed.connect(&self.executor, timeout).await
    }

    fn cells(&self) -> CellServiceClient<'_, Channel> {
        CellServiceClient::new(&self.channel)
    }

    fn observe(&self) -> ObserveServiceClient<'_, Channel> {
        ObserveServiceClient::new(&self.channel)
    }

    /// Those that are asked for, until the stream ends.
    async fn events(&self, request: ObserveServiceWatchEventsRequest) -> Vec<Event> {
        let watch = self.observe().watch_events(&request).await.expect("watch");
        watch.try_collect().await.expect("it ends with OK")
    }

    async fn allocate(&self, name: &str) {
        allocate_in(&self.channel, name).await.expect("allocate");
    }

    async fn try_allocate(&self, cell: Cell) -> Result<(), Status> {
        self.cells().allocate(&CellServiceAllocateRequest { cell: Some(cell) }).await.map(drop)
    }

    /// With a limit on memory. False where this machine has none, which is said.
    async fn allocate_limited(&self, name: &str, max: i64) -> bool {
        match self.try_allocate(limited(name, max)).await {
            Ok(()) => true,
            Err(status) if status.code == Code::FailedPrecondition => {
                eprintln!("skipped: {status}");
                false
            }
            Err(status) => panic!("{status}"),
        }
    }

    async fn start(&self, cell: &str, name: &str, script: &str) -> i32 {
        self.try_start(cell, command(name, script)).await.expect("start")
    }

    async fn try_start(&self, cell: &str, executable: Executable) -> Result<i32, Status> {
        start_in(&self.channel, cell, executable).await
    }

    async fn wait(&self, cell: &str, name: &str) -> CellServiceWaitResponse {
        wait_in(&self.channel, cell, name).await.expect("it ends")
    }

    async fn stop(&self, cell: &str, name: &str) {
        stop_in(&self.channel, cell, name).await.expect("stop");
    }

    async fn free(&self, cell: &str, force: bool) -> Result<(), Status> {
        free_in(&self.channel, cell, force).await
    }
}

async fn allocate_in(channel: &Channel, name: &str) -> Result<(), Status> {
    let request = CellServiceAllocateRequest { cell: Some(cell(name)) };
    CellServiceClient::new(channel).allocate(&request).await.map(drop)
}

async fn start_in(channel: &Channel, cell: &str, executable: Executable) -> Result<i32, Status> {
    let (cell_name, executable) = (cell.to_owned(), Some(executable));
    let request = CellServiceStartRequest { cell_name, executable, ..CellServiceStartRequest::default() };
    CellServiceClient::new(channel).start(&request).await.map(|started| started.pid)
}

async fn wait_in(channel: &Channel, cell: &str, name: &str) -> Result<CellServiceWaitResponse, Status> {
    let request = CellServiceWaitRequest { cell_name: cell.to_owned(), executable_name: name.to_owned() };
    CellServiceClient::new(channel).wait(&request).await
}

async fn stop_in(channel: &Channel, cell: &str, name: &str) -> Result<(), Status> {
    let (cell_name, executable_name) = (cell.to_owned(), name.to_owned());
    let request = CellServiceStopRequest { cell_name, executable_name, grace_period_ms: None };
    CellServiceClient::new(channel).stop(&request).await.map(drop)
}

async fn free_in(channel: &Channel, cell: &str, force: bool) -> Result<(), Status> {
    let request = CellServiceFreeRequest { cell_name: cell.to_owned(), grace_period_ms: None, force };
    CellServiceClient::new(channel).free(&request).await.map(drop)
}

/// All that is held.
fn all() -> ObserveServiceWatchEventsRequest {
    ObserveServiceWatchEventsRequest { no_follow: true, ..Default::default() }
}

/// And what follows.
fn all_and_more() -> ObserveServiceWatchEventsRequest {
    ObserveServiceWatchEventsRequest::default()
}

fn cell(name: &str) -> Cell {
    Cell { name: name.to_owned(), ..Cell::default() }
}

fn limited(name: &str, max: i64) -> Cell {
    let memory = MemoryController { max: Some(max), ..MemoryController::default() };
    Cell { memory: Some(memory), ..cell(name) }
}

fn command(name: &str, script: &str) -> Executable {
    Executable { name: name.to_owned(), command: script.to_owned(), ..Executable::default() }
}

/// Without a shell.
fn program(name: &str, path: &str) -> Executable {
    Executable { name: name.to_owned(), args: vec![path.to_owned()], ..Executable::default() }
}

async fn next_of(watch: &mut Items<Event>) -> Result<Event, Status> {
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("waited in vain for an event");
    };
    watch.next().or(late).await.expect("the stream does not end with OK")
}

/// `None` when it takes longer than something that has happened by now.
async fn soon<T>(future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(Duration::from_millis(200)).await;
        None
    };
    async { Some(future.await) }.or(late).await
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Code {
    outcome.expect_err("it is refused").code
}
