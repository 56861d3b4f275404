//! Other people's gRPC clients walk through a cell's life on the real daemon, over its Unix socket, with no option that
//! would be special to us. After each step the kernel is asked, not the daemon, whether it is so.
//!
//! Needs root, for cgroups, and the clients, which `make test` installs. A test whose client is missing says so and
//! passes; with `CI` set it fails.

mod clients;
mod contract;
mod daemon;
mod kernel;

use serde_json::{Value, json};

use clients::{Buf, Curl, Failure, Grpcurl, Peer, Script};
use daemon::Daemon;

const SERVICES: [&str; 9] = [
    "aurae.discovery.v0.DiscoveryService",
    "aurae.observe.v0.ObserveService",
    "aurae.runtime.v0.CellService",
    "aurae.runtime.v0.InstanceService",
    "aurae.runtime.v0.PodService",
    "aurae.runtime.v0.SpawnService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

const INVALID_ARGUMENT: u64 = 3;
const NOT_FOUND: u64 = 5;
const UNIMPLEMENTED: u64 = 12;

const ALLOCATE: &str = "aurae.runtime.v0.CellService/Allocate";
const START: &str = "aurae.runtime.v0.CellService/Start";
const LIST: &str = "aurae.runtime.v0.CellService/List";
const STOP: &str = "aurae.runtime.v0.CellService/Stop";
const FREE: &str = "aurae.runtime.v0.CellService/Free";

#[test]
fn grpcurl() {
    run("grpcurl", |daemon| Grpcurl::find(daemon.socket()).map(boxed));
}

#[test]
fn grpcio() {
    run("grpcio", |daemon| Script::grpcio(daemon.socket(), "sync").map(boxed));
}

#[test]
fn grpcio_aio() {
    run("grpcio-aio", |daemon| Script::grpcio(daemon.socket(), "aio").map(boxed));
}

#[test]
fn grpc_js() {
    run("grpc-js", |daemon| Script::grpc_js(daemon.socket()).map(boxed));
}

#[test]
fn buf_curl() {
    run("buf", |daemon| Buf::find(daemon.socket()).map(boxed));
}

#[test]
fn curl() {
    run("curl", |daemon| Curl::find(daemon.socket()).map(boxed));
}

fn boxed(peer: impl Peer + 'static) -> Box<dyn Peer> {
    Box::new(peer)
}

/// The walk with one client and a daemon of its own.
fn run(client: &str, connect: impl FnOnce(&Daemon) -> Result<Box<dyn Peer>, String>) {
    if !nix::unistd::Uid::effective().is_root() {
        return skip(client, "cells need root");
    }
    let daemon = Daemon::start(client);
    let mut peer = match connect(&daemon) {
        Ok(peer) => peer,
        Err(missing) => return skip(client, &missing),
    };
    walk(peer.as_mut(), daemon.cell());
    // The client is still connected: that must not keep the daemon from stopping.
    daemon.stop();
}

fn skip(client: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{client}: {reason}, and CI may skip nothing");
    eprintln!("skipped {client}: {reason} (`make test` installs what can be installed)");
}

fn walk(peer: &mut dyn Peer, cell: &str) {
    lists_all_services(peer);
    is_discovered_and_healthy(peer);
    allocates(peer, cell);
    let pid = starts(peer, cell);
    is_listed(peer, cell);
    stops(peer, cell, pid);
    frees(peer, cell);
    names_every_violation(peer);
    names_what_is_missing(peer, cell);
}

fn lists_all_services(peer: &mut dyn Peer) {
    if let Some(mut services) = peer.services() {
        services.sort();
        assert_eq!(services, SERVICES);
    }
}

fn is_discovered_and_healthy(peer: &mut dyn Peer) {
    let discovered = succeed(peer, "aurae.discovery.v0.DiscoveryService/Discover", json!({}));
    assert_eq!(discovered, json!({ "healthy": true, "version": env!("CARGO_PKG_VERSION") }));
    let health = succeed(peer, "grpc.health.v1.Health/Check", json!({}));
    assert_eq!(health["status"], "SERVING");
}

fn allocates(peer: &mut dyn Peer, cell: &str) {
    let request = json!({ "cell": { "name": cell, "cpu": { "weight": 200, "max": 200_000 } } });
    let allocated = succeed(peer, ALLOCATE, request);
    assert_eq!(allocated["cellName"], cell);
    assert_eq!(allocated["cgroupV2"], kernel::is_unified());
}

fn starts(peer: &mut dyn Peer, cell: &str) -> u32 {
    let executable = json!({ "name": "sleeper", "command": "sleep 4000" });
    let started = succeed(peer, START, json!({ "cellName": cell, "executable": executable }));
    let pid = started["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    let pid = pid.unwrap_or_else(|| panic!("Start gave no pid: {started}"));
    assert_eq!(
        kernel::cpu_limits(pid, cell),
        kernel::CpuLimits { max: 200_000, period: 1_000_000, weight: 200 }
    );
    pid
}

fn is_listed(peer: &mut dyn Peer, cell: &str) {
    let listed = succeed(peer, LIST, json!({}));
    let [node] = listed["cells"].as_array().expect("List gives cells").as_slice() else {
        panic!("one cell is there, but List gives {listed}");
    };
    assert_eq!(node["cell"]["name"], cell);
    // JSON has 64-bit integers as strings.
    assert_eq!(node["cell"]["cpu"]["weight"], "200");
    assert_eq!(node["cell"]["cpu"]["max"], "200000");
}

fn stops(peer: &mut dyn Peer, cell: &str, pid: u32) {
    let sleeper = json!({ "cellName": cell, "executableName": "sleeper" });
    succeed(peer, STOP, sleeper.clone());
    kernel::assert_gone(pid);
    // Once more, and it is listed no longer.
    succeed(peer, STOP, sleeper.clone());
    assert_eq!(fail(peer, STOP, sleeper).code, NOT_FOUND);
}

fn frees(peer: &mut dyn Peer, cell: &str) {
    succeed(peer, FREE, json!({ "cellName": cell }));
    assert_eq!(kernel::groups_named(cell), Vec::<std::path::PathBuf>::new());
    assert_eq!(succeed(peer, LIST, json!({}))["cells"], json!([]));
}

fn names_every_violation(peer: &mut dyn Peer) {
    let bad = json!({ "cell": { "name": "-bad-", "cpu": { "weight": 0, "max": -1 } } });
    let refused = fail(peer, ALLOCATE, bad);
    assert_eq!(refused.code, INVALID_ARGUMENT, "{}", refused.text);
    for field in ["cell.name", "cell.cpu.weight", "cell.cpu.max"] {
        // Once in the message for people, once in the details for programs.
        assert!(refused.text.matches(field).count() >= 2, "{field} is not named twice:\n{}", refused.text);
    }
}

fn names_what_is_missing(peer: &mut dyn Peer, cell: &str) {
    let missing = fail(peer, FREE, json!({ "cellName": cell }));
    assert_eq!(missing.code, NOT_FOUND, "{}", missing.text);
    assert!(missing.text.contains(cell), "the missing cell is not named: {}", missing.text);
    let unknown = fail(peer, "aurae.runtime.v0.CellService/Unknown", json!({}));
    assert_eq!(unknown.code, UNIMPLEMENTED, "{}", unknown.text);
}

fn succeed(peer: &mut dyn Peer, method: &str, request: Value) -> Value {
    peer.call(method, &request).unwrap_or_else(|Failure { code, text }| {
        panic!("{method} {request} failed with code {code}: {text}");
    })
}

fn fail(peer: &mut dyn Peer, method: &str, request: Value) -> Failure {
    match peer.call(method, &request) {
        Ok(response) => panic!("{method} {request} was to fail and gave {response}"),
        Err(failure) => failure,
    }
}
