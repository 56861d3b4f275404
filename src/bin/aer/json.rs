//! Responses in the JSON form of protobuf (https://protobuf.dev/programming-guides/json/), with the choices of
//! grpcurl: fields in the order of the .proto file, and those without presence left out when they have their default.

use auraed::proto::aurae::discovery::v0::DiscoverResponse;
use auraed::proto::aurae::observe::v0 as observe;
use auraed::proto::aurae::runtime::v0 as api;
use auraed::proto::grpc::health::v1::HealthCheckResponse;
use auraed::proto::grpc::health::v1::health_check_response::ServingStatus;
use serde_json::{Map, Value};

pub fn empty() -> Value {
    Message::default().value()
}

pub fn discover(response: &DiscoverResponse) -> Value {
    Message::default().flag("healthy", response.healthy).text("version", &response.version).value()
}

pub fn health(response: &HealthCheckResponse) -> Value {
    let known = ServingStatus::try_from(response.status).ok();
    Message::default().enumeration("status", response.status, known.map(|known| known.as_str_name())).value()
}

pub fn allocate(response: &api::CellServiceAllocateResponse) -> Value {
    Message::default().text("cellName", &response.cell_name).flag("cgroupV2", response.cgroup_v2).value()
}

pub fn start(response: &api::CellServiceStartResponse) -> Value {
    Message::default()
        .number("pid", response.pid.into())
        .number("uid", response.uid.into())
        .number("gid", response.gid.into())
        .value()
}

pub fn wait(response: &api::CellServiceWaitResponse) -> Value {
    Message::default()
        .optional("exitCode", response.exit_code.map(Value::from))
        .optional("exitSignal", response.exit_signal.map(Value::from))
        .flag("oomKilled", response.oom_killed)
        .text("oomCellName", &response.oom_cell_name)
        .number("pid", response.pid.into())
        .number("restarts", response.restarts.into())
        .value()
}

pub fn update(response: &api::CellServiceUpdateResponse) -> Value {
    Message::default().optional("cell", response.cell.as_ref().map(cell)).value()
}

pub fn list(response: &api::CellServiceListResponse) -> Value {
    Message::default().list("cells", &response.cells, node).value()
}

pub fn get(response: &api::CellServiceGetResponse) -> Value {
    Message::default().optional("cell", response.cell.as_ref().map(node)).value()
}

pub fn log_item(item: &observe::LogItem) -> Value {
    let level = observe::LogLevel::try_from(item.level).ok();
    let fields = item.fields.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    let fields: Map<String, Value> = fields.collect();
    Message::default()
        .text("channel", &item.channel)
        .text("line", &item.line)
        .optional("timestamp", (item.timestamp != 0).then(|| long(item.timestamp)))
        .number("nanos", item.nanos.into())
        .optional("sequence", (item.sequence != 0).then(|| long(item.sequence)))
        .optional("dropped", (item.dropped != 0).then(|| long(item.dropped)))
        .flag("partial", item.partial)
        .enumeration("level", item.level, level.map(|level| level.as_str_name()))
        .text("target", &item.target)
        .optional("fields", (!fields.is_empty()).then_some(Value::Object(fields)))
        .value()
}

pub fn event(event: &observe::Event) -> Value {
    let kind = observe::EventType::try_from(event.r#type).ok();
    Message::default()
        .enumeration("type", event.r#type, kind.map(|kind| kind.as_str_name()))
        .optional("timestamp", (event.timestamp != 0).then(|| long(event.timestamp)))
        .number("nanos", event.nanos.into())
        .optional("sequence", (event.sequence != 0).then(|| long(event.sequence)))
        .optional("dropped", (event.dropped != 0).then(|| long(event.dropped)))
        .text("cellName", &event.cell_name)
        .text("executableName", &event.executable_name)
        .number("pid", event.pid.into())
        .optional("exitCode", event.exit_code.map(Value::from))
        .optional("exitSignal", event.exit_signal.map(Value::from))
        .text("oomCellName", &event.oom_cell_name)
        .number("restarts", event.restarts.into())
        .value()
}

fn node(node: &api::CellGraphNode) -> Value {
    Message::default()
        .optional("cell", node.cell.as_ref().map(cell))
        .list("children", &node.children, self::node)
        .list("executables", &node.executables, executable)
        .optional("usage", node.usage.as_ref().map(usage))
        .flag("frozen", node.frozen)
        .flag("freeing", node.freeing)
        .value()
}

fn usage(usage: &api::CellUsage) -> Value {
    Message::default()
        .optional("cpuUs", usage.cpu_us.map(long))
        .optional("memoryBytes", usage.memory_bytes.map(long))
        .optional("memoryPeakBytes", usage.memory_peak_bytes.map(long))
        .optional("swapBytes", usage.swap_bytes.map(long))
        .optional("pids", usage.pids.map(long))
        .optional("ioReadBytes", usage.io_read_bytes.map(long))
        .optional("ioWrittenBytes", usage.io_written_bytes.map(long))
        .optional("cpuPressure", usage.cpu_pressure.as_ref().map(pressure))
        .optional("memoryPressure", usage.memory_pressure.as_ref().map(pressure))
        .optional("ioPressure", usage.io_pressure.as_ref().map(pressure))
        .value()
}

fn pressure(pressure: &api::Pressure) -> Value {
    Message::default()
        .optional("some", pressure.some.as_ref().map(share))
        .optional("full", pressure.full.as_ref().map(share))
        .value()
}

fn share(share: &api::PressureShare) -> Value {
    Message::default()
        .real("avg10", share.avg10)
        .real("avg60", share.avg60)
        .real("avg300", share.avg300)
        .optional("totalUs", (share.total_us != 0).then(|| long(share.total_us)))
        .value()
}

fn cell(cell: &api::Cell) -> Value {
    Message::default()
        .text("name", &cell.name)
        .optional("cpu", cell.cpu.as_ref().map(cpu))
        .optional("cpuset", cell.cpuset.as_ref().map(cpuset))
        .optional("memory", cell.memory.as_ref().map(memory))
        .flag("isolateProcess", cell.isolate_process)
        .flag("isolateNetwork", cell.isolate_network)
        .optional("pids", cell.pids.as_ref().map(pids))
        .optional("io", cell.io.as_ref().map(io))
        .value()
}

fn cpu(cpu: &api::CpuController) -> Value {
    Message::default()
        .optional("weight", cpu.weight.map(long))
        .optional("max", cpu.max.map(long))
        .optional("period", cpu.period.map(long))
        .value()
}

fn cpuset(cpuset: &api::CpusetController) -> Value {
    Message::default()
        .optional("cpus", cpuset.cpus.as_deref().map(Value::from))
        .optional("mems", cpuset.mems.as_deref().map(Value::from))
        .value()
}

fn memory(memory: &api::MemoryController) -> Value {
    Message::default()
        .optional("min", memory.min.map(long))
        .optional("low", memory.low.map(long))
        .optional("high", memory.high.map(long))
        .optional("max", memory.max.map(long))
        .optional("swapMax", memory.swap_max.map(long))
        .value()
}

fn pids(pids: &api::PidsController) -> Value {
    Message::default().optional("max", pids.max.map(long)).value()
}

fn io(io: &api::IoController) -> Value {
    Message::default().optional("weight", io.weight.map(long)).list("max", &io.max, io_max).value()
}

fn io_max(max: &api::IoMax) -> Value {
    Message::default()
        .text("device", &max.device)
        .optional("readBytesPerSecond", max.read_bytes_per_second.map(long))
        .optional("writeBytesPerSecond", max.write_bytes_per_second.map(long))
        .optional("readsPerSecond", max.reads_per_second.map(long))
        .optional("writesPerSecond", max.writes_per_second.map(long))
        .value()
}

fn executable(executable: &api::CellExecutable) -> Value {
    let state = api::CellExecutableState::try_from(executable.state).ok();
    Message::default()
        .text("name", &executable.name)
        .text("description", &executable.description)
        .number("pid", executable.pid.into())
        .enumeration("state", executable.state, state.map(|state| state.as_str_name()))
        .optional("exitCode", executable.exit_code.map(Value::from))
        .optional("exitSignal", executable.exit_signal.map(Value::from))
        .optional("startedMs", (executable.started_ms != 0).then(|| long(executable.started_ms)))
        .optional("exitedMs", executable.exited_ms.map(long))
        .flag("oomKilled", executable.oom_killed)
        .text("oomCellName", &executable.oom_cell_name)
        .number("restarts", executable.restarts.into())
        .number("uid", executable.uid.into())
        .number("gid", executable.gid.into())
        .value()
}

/// 64 bits do not fit the numbers of JavaScript, so they travel as text.
fn long(number: impl ToString) -> Value {
    Value::String(number.to_string())
}

/// A message that grows by one field after the other.
#[derive(Default)]
struct Message(Map<String, Value>);

impl Message {
    fn value(self) -> Value {
        Value::Object(self.0)
    }

    /// A field with presence.
    fn optional(mut self, name: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.optional(name, (!text.is_empty()).then(|| text.into()))
    }

    fn flag(self, name: &str, flag: bool) -> Self {
        self.optional(name, flag.then(|| true.into()))
    }

    /// An integer of 32 bits.
    fn number(self, name: &str, number: i64) -> Self {
        self.optional(name, (number != 0).then(|| number.into()))
    }

    /// A number without a fraction is printed without one.
    fn real(self, name: &str, number: f64) -> Self {
        let whole = number as i64;
        let value = if whole as f64 == number { whole.into() } else { Value::from(number) };
        self.optional(name, (number != 0.0).then_some(value))
    }

    /// A value of a newer daemon has no `known` name; its number then stands for it.
    fn enumeration(self, name: &str, number: i32, known: Option<&'static str>) -> Self {
        self.optional(name, (number != 0).then(|| known.map_or(number.into(), Value::from)))
    }

    fn list<T>(self, name: &str, items: &[T], item: impl Fn(&T) -> Value) -> Self {
        self.optional(name, (!items.is_empty()).then(|| items.iter().map(item).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_left_out() {
        assert_eq!(discover(&DiscoverResponse::default()).to_string(), "{}");
        assert_eq!(health(&HealthCheckResponse::default()).to_string(), "{}");
        assert_eq!(allocate(&api::CellServiceAllocateResponse::default()).to_string(), "{}");
        assert_eq!(start(&api::CellServiceStartResponse::default()).to_string(), "{}");
        assert_eq!(wait(&api::CellServiceWaitResponse::default()).to_string(), "{}");
        assert_eq!(update(&api::CellServiceUpdateResponse::default()).to_string(), "{}");
        assert_eq!(list(&api::CellServiceListResponse::default()).to_string(), "{}");
        assert_eq!(node(&api::CellGraphNode::default()).to_string(), "{}");
        assert_eq!(executable(&api::CellExecutable::default()).to_string(), "{}");
        assert_eq!(log_item(&observe::LogItem::default()).to_string(), "{}");
        assert_eq!(event(&observe::Event::default()).to_string(), "{}");
    }

    #[test]
    fn optional_fields_are_shown_when_set_to_their_default() {
        let cpu = api::CpuController { weight: Some(0), max: Some(-1), period: Some(u64::MAX) };
        let memory = api::MemoryController {
            min: Some(0),
            low: Some(1),
            high: None,
            max: Some(i64::MAX),
            swap_max: Some(0),
        };
        let max = api::IoMax { device: "8:0".to_owned(), reads_per_second: Some(5), ..api::IoMax::default() };
        let cell = api::Cell {
            cpu: Some(cpu),
            cpuset: Some(api::CpusetController { cpus: Some(String::new()), mems: None }),
            memory: Some(memory),
            isolate_process: true,
            pids: Some(api::PidsController { max: Some(0) }),
            io: Some(api::IoController { weight: Some(7), max: vec![max] }),
            ..api::Cell::default()
        };
        let expected = r#"{"cpu":{"weight":"0","max":"-1","period":"18446744073709551615"},"cpuset":{"cpus":""},"memory":{"min":"0","low":"1","max":"9223372036854775807","swapMax":"0"},"isolateProcess":true,"pids":{"max":"0"},"io":{"weight":"7","max":[{"device":"8:0","readsPerSecond":"5"}]}}"#;
        assert_eq!(super::cell(&cell).to_string(), expected);
        let exited = api::CellExecutable {
            exit_code: Some(0),
            state: 2,
            started_ms: 1,
            exited_ms: Some(0),
            ..api::CellExecutable::default()
        };
        let expected =
            r#"{"state":"CELL_EXECUTABLE_STATE_EXITED","exitCode":0,"startedMs":"1","exitedMs":"0"}"#;
        assert_eq!(executable(&exited).to_string(), expected);
    }

    #[test]
    fn usage_is_exact() {
        let share = api::PressureShare { avg10: 1.25, avg60: 100.0, avg300: 0.0, total_us: u64::MAX };
        let none = api::PressureShare::default();
        let usage = api::CellUsage {
            cpu_us: Some(0),
            memory_bytes: Some(u64::MAX),
            cpu_pressure: Some(api::Pressure { some: Some(share), full: Some(none) }),
            ..api::CellUsage::default()
        };
        let frozen = api::CellGraphNode { usage: Some(usage), frozen: true, ..api::CellGraphNode::default() };
        let expected = r#"{"cell":{"usage":{"cpuUs":"0","memoryBytes":"18446744073709551615","cpuPressure":{"some":{"avg10":1.25,"avg60":100,"totalUs":"18446744073709551615"},"full":{}}},"frozen":true}}"#;
        assert_eq!(get(&api::CellServiceGetResponse { cell: Some(frozen) }).to_string(), expected);
        assert_eq!(get(&api::CellServiceGetResponse::default()).to_string(), "{}");
    }

    #[test]
    fn items_of_streams_are_exact() {
        let item = observe::LogItem {
            channel: "job::stderr".to_owned(),
            line: "a\tb \u{fffd}".to_owned(),
            timestamp: i64::MAX,
            nanos: 999_999_999,
            sequence: u64::MAX,
            dropped: 1,
            partial: true,
            level: 2,
            target: "x".to_owned(),
            fields: [("k".to_owned(), "v".to_owned())].into(),
        };
        let expected = concat!(
            r#"{"channel":"job::stderr","line":"a\tb "#,
            "\u{fffd}",
            r#"","timestamp":"9223372036854775807","nanos":999999999,"sequence":"18446744073709551615","dropped":"1","#,
            r#""partial":true,"level":"LOG_LEVEL_WARN","target":"x","fields":{"k":"v"}}"#
        );
        assert_eq!(log_item(&item).to_string(), expected);
        let event = observe::Event {
            r#type: 9,
            timestamp: 1,
            sequence: 2,
            dropped: 3,
            cell_name: "web".to_owned(),
            executable_name: "job".to_owned(),
            pid: 4,
            exit_code: Some(0),
            oom_cell_name: "x".to_owned(),
            restarts: 5,
            ..observe::Event::default()
        };
        let expected = r#"{"type":"EVENT_TYPE_EXECUTABLE_EXITED","timestamp":"1","sequence":"2","dropped":"3","cellName":"web","executableName":"job","pid":4,"exitCode":0,"oomCellName":"x","restarts":5}"#;
        assert_eq!(super::event(&event).to_string(), expected);
    }

    #[test]
    fn enums_are_names_and_unknown_ones_numbers() {
        assert_eq!(health(&HealthCheckResponse { status: 1 }).to_string(), r#"{"status":"SERVING"}"#);
        assert_eq!(health(&HealthCheckResponse { status: 77 }).to_string(), r#"{"status":77}"#);
    }
}
