//! The messages of the walk, written out from the API's description and not from our .proto files: a number that has
//! slipped there shows here.

use prost::Message;
use serde_json::{Value, json};

#[derive(Clone, PartialEq, Message)]
struct DiscoverResponse {
    #[prost(bool, tag = "1")]
    healthy: bool,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Cell {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    cpu: Option<CpuController>,
}

#[derive(Clone, PartialEq, Message)]
struct CpuController {
    #[prost(uint64, optional, tag = "1")]
    weight: Option<u64>,
    #[prost(int64, optional, tag = "2")]
    max: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct AllocateRequest {
    #[prost(message, optional, tag = "1")]
    cell: Option<Cell>,
}

#[derive(Clone, PartialEq, Message)]
struct AllocateResponse {
    #[prost(string, tag = "1")]
    cell_name: String,
    #[prost(bool, tag = "2")]
    cgroup_v2: bool,
}

#[derive(Clone, PartialEq, Message)]
struct FreeRequest {
    #[prost(string, tag = "1")]
    cell_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Executable {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    command: String,
}

#[derive(Clone, PartialEq, Message)]
struct StartRequest {
    #[prost(string, tag = "1")]
    cell_name: String,
    #[prost(message, optional, tag = "2")]
    executable: Option<Executable>,
}

#[derive(Clone, PartialEq, Message)]
struct StartResponse {
    #[prost(int32, tag = "1")]
    pid: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StopRequest {
    #[prost(string, tag = "1")]
    cell_name: String,
    #[prost(string, tag = "2")]
    executable_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    cells: Vec<CellGraphNode>,
}

#[derive(Clone, PartialEq, Message)]
struct CellGraphNode {
    #[prost(message, optional, tag = "1")]
    cell: Option<Cell>,
    #[prost(message, repeated, tag = "2")]
    children: Vec<CellGraphNode>,
}

pub fn encode(method: &str, request: &Value) -> Vec<u8> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match method_name(method) {
        "Allocate" => {
            let cell = &request["cell"];
            let cpu =
                CpuController { weight: cell["cpu"]["weight"].as_u64(), max: cell["cpu"]["max"].as_i64() };
            AllocateRequest { cell: Some(Cell { name: text(&cell["name"]), cpu: Some(cpu) }) }.encode_to_vec()
        }
        "Start" => {
            let executable = &request["executable"];
            let executable =
                Executable { name: text(&executable["name"]), command: text(&executable["command"]) };
            StartRequest { cell_name: text(&request["cellName"]), executable: Some(executable) }
                .encode_to_vec()
        }
        "Stop" => {
            let (cell_name, executable_name) = (text(&request["cellName"]), text(&request["executableName"]));
            StopRequest { cell_name, executable_name }.encode_to_vec()
        }
        "Free" => FreeRequest { cell_name: text(&request["cellName"]) }.encode_to_vec(),
        "Discover" | "Check" | "List" | "Unknown" => Vec::new(),
        name => panic!("the walk has no {name}"),
    }
}

pub fn decode(method: &str, response: &[u8]) -> Value {
    match method_name(method) {
        "Discover" => {
            let response = parse::<DiscoverResponse>(response);
            json!({ "healthy": response.healthy, "version": response.version })
        }
        "Check" => {
            let states = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
            let status = usize::try_from(parse::<HealthCheckResponse>(response).status).ok();
            json!({ "status": status.and_then(|status| states.get(status)) })
        }
        "Allocate" => {
            let response = parse::<AllocateResponse>(response);
            json!({ "cellName": response.cell_name, "cgroupV2": response.cgroup_v2 })
        }
        "Start" => json!({ "pid": parse::<StartResponse>(response).pid }),
        "List" => {
            json!({ "cells": parse::<ListResponse>(response).cells.iter().map(node).collect::<Vec<_>>() })
        }
        "Stop" | "Free" => json!({}),
        name => panic!("the walk reads no answer to {name}"),
    }
}

fn node(node: &CellGraphNode) -> Value {
    let cell = node.cell.clone().unwrap_or_default();
    let cpu = cell.cpu.unwrap_or_default();
    let cpu = json!({ "weight": cpu.weight.map(|n| n.to_string()), "max": cpu.max.map(|n| n.to_string()) });
    let children: Vec<_> = node.children.iter().map(self::node).collect();
    json!({ "cell": { "name": cell.name, "cpu": cpu }, "children": children })
}

fn method_name(method: &str) -> &str {
    method.rsplit('/').next().expect("rsplit gives at least one part")
}

fn parse<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).unwrap_or_else(|error| panic!("the answer does not parse: {error}: {bytes:?}"))
}
