//! Whose output is given: of executables of ours, for as long as they are known, over all of their runs.

use std::fs;

use auraed::grpc::status::{Code, Status};
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;

use super::daemon::{Client, Daemon, Stream, eventually, executable, lines, named, of};

#[test]
fn what_is_not_an_executable_of_ours_is_not_found() {
    let Some(daemon) = Daemon::start("strangers") else { return };
    let client = daemon.client();
    client.start("job", "echo mine & echo $! >&2; exec sleep 1000");
    let mut stream = client.follow(named("job"));
    let items = [stream.item(), stream.item()];
    let child = items.iter().find(|item| item.channel.ends_with("stderr")).expect("its child");
    let test = i32::try_from(std::process::id()).expect("a pid");
    for pid in [1, daemon.pid(), test, child.line.parse().expect("a pid"), -1, i32::MAX, i32::MIN] {
        let refused = client.refused(of(pid));
        assert_eq!(refused.code, Code::NotFound, "{pid}: {refused}");
        assert!(refused.message.contains(&pid.to_string()), "{refused}");
    }
    for pid in [i64::MAX, i64::MIN, 1 << 32, (1 << 32) + i64::from(client.start("other", "exec sleep 1000"))]
    {
        let request = GetSubProcessStreamRequest { process_id: pid, ..GetSubProcessStreamRequest::default() };
        assert_eq!(client.refused(request).code, Code::NotFound, "{pid}");
    }
    let elsewhere = GetSubProcessStreamRequest { cell_name: "elsewhere".to_owned(), ..named("job") };
    for request in [named("nobody"), elsewhere] {
        assert_eq!(client.refused(request).code, Code::NotFound);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_field() {
    let Some(daemon) = Daemon::start("refused") else { return };
    let client = daemon.client();
    let pid = client.start("job", "exec sleep 1000");
    let nothing = GetSubProcessStreamRequest::default();
    for (request, field) in [
        (nothing.clone(), "process_id"),
        (GetSubProcessStreamRequest { process_id: pid.into(), ..named("job") }, "process_id"),
        (GetSubProcessStreamRequest { cell_name: String::new(), ..named("job") }, "cell_name"),
        (GetSubProcessStreamRequest { cell_name: "a//b".to_owned(), ..named("job") }, "cell_name"),
        (named(""), "executable_name"),
        (named("a\0b"), "executable_name"),
        (GetSubProcessStreamRequest { channel_type: 3, ..of(pid) }, "channel_type"),
        (GetSubProcessStreamRequest { channel_type: -1, ..of(pid) }, "channel_type"),
    ] {
        let refused = client.refused(request);
        assert_eq!(refused.code, Code::InvalidArgument, "{refused}");
        assert!(refused.message.contains(field), "{field}: {refused}");
    }
    let all = GetSubProcessStreamRequest { channel_type: 9, ..nothing };
    let refused = client.refused(all).message;
    assert!(refused.contains("channel_type") && refused.contains("process_id"), "{refused}");
}

#[test]
fn one_output_alone_can_be_asked_for() {
    let Some(daemon) = Daemon::start("channels") else { return };
    let client = daemon.client();
    client.start("job", "for n in 1 2 3; do echo o$n; echo e$n >&2; done");
    client.wait("job");
    let of_type = |channel: LogChannelType| {
        client.read(GetSubProcessStreamRequest { channel_type: channel.into(), ..named("job") })
    };
    assert_eq!(lines(&of_type(LogChannelType::Stdout)), ["o1", "o2", "o3"]);
    assert_eq!(lines(&of_type(LogChannelType::Stderr)), ["e1", "e2", "e3"]);
    assert_eq!(of_type(LogChannelType::Unspecified).len(), 6);
}

#[test]
fn one_that_has_ended_is_read_until_its_name_is_used_or_its_cell_is_freed() {
    let Some(daemon) = Daemon::start("ended") else { return };
    let client = daemon.client();
    let first = client.start("job", "echo first");
    client.wait("job");
    for _ in 0..2 {
        assert_eq!(lines(&client.read(named("job"))), ["first"]);
        assert_eq!(lines(&client.read(of(first))), ["first"]);
    }
    let old = client.read(of(first));
    let second = client.start("job", "echo second");
    assert_eq!(client.refused(of(first)).code, Code::NotFound);
    let new = client.read(of(second));
    assert_eq!(lines(&new), ["second"]);
    assert!(new[0].sequence > old[0].sequence);
    client.free().expect("free");
    assert_eq!(client.refused(of(second)).code, Code::NotFound);
    assert_eq!(client.refused(named("job")).code, Code::NotFound);
}

/// One who follows already gets all of it, and its end, when the cell is freed.
#[test]
fn a_cell_that_is_freed_ends_its_streams_with_all_that_there_was() {
    let Some(daemon) = Daemon::start("freed") else { return };
    let client = daemon.client();
    // Of what a shell says about those who were signalled with it, nothing.
    client.start("job", "trap 'echo bye; exit' TERM; echo hello; while :; do sleep 0.05; done 2>/dev/null");
    let stdout = LogChannelType::Stdout.into();
    let mut stream = client.follow(GetSubProcessStreamRequest { channel_type: stdout, ..named("job") });
    assert_eq!(stream.item().line, "hello");
    daemon.client().free().expect("free");
    let (items, end) = stream.rest();
    assert_eq!((lines(&items), end), (vec!["bye"], Ok(())));
}

#[test]
fn all_runs_of_an_executable_are_one_stream() {
    let Some(daemon) = Daemon::start("runs") else { return };
    let client = daemon.client();
    let restart =
        Some(RestartPolicy { condition: RestartCondition::OnFailure.into(), max_restarts: Some(2) });
    let first =
        client.start_it(Executable { restart, ..executable("job", "echo $$; printf end >&2; exit 1") });
    let items = client.read(of(first));
    let (errors, pids): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.channel.ends_with("stderr"));
    assert_eq!((errors.len(), pids.len()), (3, 3), "{items:?}");
    assert_eq!(pids[0].line, first.to_string());
    let last = client.wait("job").pid;
    assert_eq!(pids[2].line, last.to_string());
    for pid in [first, last] {
        assert_eq!(client.read(of(pid)), items);
    }
}

#[test]
fn a_stream_ends_with_its_deadline_and_with_the_daemon() {
    let Some(daemon) = Daemon::start("ends") else { return };
    let client = daemon.client();
    client.start("job", "echo line; exec sleep 1000");
    // As long as it takes to be given something, on a machine that does other things, too.
    let late = [300, 3_000, 30_000].into_iter().find_map(|deadline_ms| {
        let hasty = daemon.client_with(std::time::Duration::from_millis(deadline_ms));
        let ended = hasty.try_follow(named("job")).map(Stream::rest);
        ended.ok().filter(|(items, _)| !items.is_empty())
    });
    let (items, end) = late.expect("it is given within half a minute");
    assert_eq!(lines(&items), ["line"]);
    assert_eq!(end.expect_err("too late").code, Code::DeadlineExceeded);
    let mut stream = client.follow(named("job"));
    assert_eq!(stream.item().line, "line");
    daemon.terminate();
    let (items, end): (Vec<LogItem>, Result<(), Status>) = stream.rest();
    assert_eq!(items, []);
    assert_eq!(end.expect_err("it stops").code, Code::Unavailable);
}

/// Those who follow keep neither the output of one that is forgotten, nor a descriptor.
#[test]
fn a_client_that_goes_takes_its_stream_along() {
    let Some(daemon) = Daemon::start("goes") else { return };
    let pid = daemon.client().start("job", "while :; do echo line; sleep 0.01; done");
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs").count();
    let before = descriptors();
    let clients: Vec<Client> = (0..20).map(|_| daemon.client()).collect();
    let mut streams: Vec<_> = clients.iter().map(|client| client.follow(of(pid))).collect();
    streams.iter_mut().for_each(|stream| assert_eq!(stream.item().line, "line"));
    assert!(descriptors() > before);
    drop(streams);
    drop(clients);
    eventually("all is given back", || descriptors() <= before);
}
