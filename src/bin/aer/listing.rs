//! All cells as a table for people: a tree in the first column, what is known of each line in the others.

use auraed::proto::aurae::runtime::v0::{
    Cell, CellExecutable, CellExecutableState, CellGraphNode, CellUsage, IoMax,
};
use nix::sys::signal::Signal;

use crate::output::{Side, columns, printable};
use crate::size::Size;

type Row = [String; 7];

const HEADER: [&str; 7] = ["NAME", "PID", "STATE", "CPU", "MEM", "PIDS", "DETAILS"];
/// Numbers stand below each other by their ends.
const SIDES: [Side; 7] =
    [Side::Left, Side::Right, Side::Left, Side::Right, Side::Right, Side::Right, Side::Left];

/// Each cell, below it its executables, then the cells inside it.
pub fn tree(cells: &[CellGraphNode]) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    add(cells, 0, &mut rows);
    columns(&rows, SIDES)
}

fn add(nodes: &[CellGraphNode], depth: usize, rows: &mut Vec<Row>) {
    for node in nodes {
        let unnamed = Cell::default();
        let cell = node.cell.as_ref().unwrap_or(&unnamed);
        let [cpu, memory, pids] = usage(&node.usage.unwrap_or_default());
        let name = indented(&cell.name, depth);
        rows.push([name, String::new(), cell_state(node).to_owned(), cpu, memory, pids, limits(cell)]);
        rows.extend(node.executables.iter().map(|executable| row(executable, depth + 1)));
        add(&node.children, depth + 1, rows);
    }
}

fn row(executable: &CellExecutable, depth: usize) -> Row {
    let name = indented(&executable.name, depth);
    let [cpu, memory, pids] = [const { String::new() }; 3];
    [name, executable.pid.to_string(), state(executable), cpu, memory, pids, details(executable)]
}

fn details(executable: &CellExecutable) -> String {
    let limit = executable.oom_killed.then(|| whose_limit(&executable.oom_cell_name));
    let restarts = (executable.restarts > 0).then(|| format!("restarts {}", executable.restarts));
    let description = Some(printable(&executable.description)).filter(|text| !text.is_empty());
    [limit, restarts, description].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn indented(name: &str, depth: usize) -> String {
    format!("{:1$}{2}", "", 2 * depth, printable(name))
}

fn cell_state(node: &CellGraphNode) -> &'static str {
    match (node.freeing, node.frozen) {
        (true, _) => "freeing",
        (false, true) => "frozen",
        (false, false) => "",
    }
}

/// Processor time, memory and the number of processes; "-" where this is not counted.
fn usage(usage: &CellUsage) -> [String; 3] {
    let cpu = usage.cpu_us.map(time);
    let memory = usage.memory_bytes.map(size);
    let pids = usage.pids.map(|pids| pids.to_string());
    [cpu, memory, pids].map(|value| value.unwrap_or_else(|| "-".to_owned()))
}

/// In the two largest units; not rounded up, so that it never says more than there was.
fn time(us: u64) -> String {
    let (seconds, minutes, hours) = (us / 1_000_000, us / 60_000_000, us / 3_600_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}.{}s", us / 100_000 % 10),
        (0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (1..24, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

/// In powers of 1024, with three digits or four.
fn size(bytes: u64) -> String {
    let mut unit = 0;
    while unit < 6 && bytes >> (10 * unit) >= 1024 {
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    match (unit, tenths) {
        (0, _) => format!("{bytes}B"),
        (_, ..1000) => format!("{}.{}{}", tenths / 10, tenths % 10, &"KMGTPE"[unit - 1..unit]),
        _ => format!("{}{}", tenths / 10, &"KMGTPE"[unit - 1..unit]),
    }
}

fn state(executable: &CellExecutable) -> String {
    match executable.state() {
        CellExecutableState::Restarting => "restarting".to_owned(),
        CellExecutableState::Running => "running".to_owned(),
        CellExecutableState::Exited if executable.oom_killed => OUT_OF_MEMORY.to_owned(),
        CellExecutableState::Exited => exit(executable.exit_code, executable.exit_signal),
        CellExecutableState::Unspecified => "unknown".to_owned(),
    }
}

/// How a process ended.
pub fn exit(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (_, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (Some(code), None) => format!("exited with {code}"),
        (None, None) => "exited".to_owned(),
    }
}

const OUT_OF_MEMORY: &str = "out of memory";

/// Why the kernel killed a process, when memory had run out.
pub fn oom(cell: &str) -> String {
    format!("{OUT_OF_MEMORY} ({})", whose_limit(cell))
}

fn whose_limit(cell: &str) -> String {
    match cell {
        "" => "no limit of a cell".to_owned(),
        cell => format!("limit of cell {}", printable(cell)),
    }
}

/// By the names of the flags that set them.
pub fn limits(cell: &Cell) -> String {
    let cpu = cell.cpu.unwrap_or_default();
    let cpuset = cell.cpuset.clone().unwrap_or_default();
    let memory = cell.memory.unwrap_or_default();
    let io = cell.io.clone().unwrap_or_default();
    let bytes = |limit: Option<i64>| limit.map(|bytes| Size(bytes).to_string());
    let limits = [
        ("cpu-weight", cpu.weight.map(|weight| weight.to_string())),
        ("cpu-max", cpu.max.map(|max| max.to_string())),
        ("cpu-period", cpu.period.map(|period| period.to_string())),
        ("cpus", cpuset.cpus.as_deref().map(printable)),
        ("mems", cpuset.mems.as_deref().map(printable)),
        ("memory-min", bytes(memory.min)),
        ("memory-low", bytes(memory.low)),
        ("memory-high", bytes(memory.high)),
        ("memory-max", bytes(memory.max)),
        ("memory-swap-max", bytes(memory.swap_max)),
        ("pids-max", cell.pids.and_then(|pids| pids.max).map(|max| max.to_string())),
        ("io-weight", io.weight.map(|weight| weight.to_string())),
    ];
    let devices = io.max.iter().map(|max| ("io-max", Some(rates(max))));
    let isolation = [
        ("isolate-process", cell.isolate_process.then(String::new)),
        ("isolate-network", cell.isolate_network.then(String::new)),
    ];
    let all = limits.into_iter().chain(devices).chain(isolation);
    let set = all.filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    set.map(|limit| limit.trim_end().to_owned()).collect::<Vec<_>>().join(", ")
}

/// As --io-max takes it.
fn rates(max: &IoMax) -> String {
    let bytes = |rate: u64| i64::try_from(rate).map_or_else(|_| rate.to_string(), |b| Size(b).to_string());
    let rates = [
        ("read-bytes", max.read_bytes_per_second.map(bytes)),
        ("write-bytes", max.write_bytes_per_second.map(bytes)),
        ("reads", max.reads_per_second.map(|rate| rate.to_string())),
        ("writes", max.writes_per_second.map(|rate| rate.to_string())),
    ];
    let set = rates.into_iter().filter_map(|(name, rate)| Some(format!(",{name}={}", rate?)));
    printable(&max.device) + &set.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use auraed::proto::aurae::runtime::v0::{
        CpuController, CpusetController, IoController, MemoryController, PidsController,
    };

    #[test]
    fn limits_are_shown_as_they_are_given() {
        let rates = |device: &str| IoMax {
            device: device.to_owned(),
            read_bytes_per_second: Some(1 << 20),
            writes_per_second: Some(1 << 10),
            ..IoMax::default()
        };
        let cell = Cell {
            memory: Some(MemoryController { max: Some(64 << 20), swap_max: Some(0), ..Default::default() }),
            pids: Some(PidsController { max: Some(7) }),
            io: Some(IoController { weight: Some(50), max: vec![rates("8:0"), rates("8:16")] }),
            isolate_process: true,
            ..cell("web")
        };
        let expected = "memory-max 64M, memory-swap-max 0, pids-max 7, io-weight 50, \
                        io-max 8:0,read-bytes=1M,writes=1024, io-max 8:16,read-bytes=1M,writes=1024, \
                        isolate-process";
        assert_eq!(limits(&cell), expected);
    }

    fn cell(name: &str) -> Cell {
        Cell { name: name.to_owned(), ..Cell::default() }
    }

    fn executable(name: &str, pid: i32, state: CellExecutableState) -> CellExecutable {
        CellExecutable { name: name.to_owned(), pid, state: state.into(), ..CellExecutable::default() }
    }

    #[test]
    fn cells_stand_above_their_programs_and_those_above_inner_cells() {
        let cpu = CpuController { weight: Some(200), max: Some(50_000), period: Some(100_000) };
        let sleeper = executable("sleeper", 4711, CellExecutableState::Running);
        let web = CellGraphNode {
            cell: Some(Cell { cpu: Some(cpu), ..cell("web") }),
            executables: vec![
                CellExecutable { description: "naps\tall day".to_owned(), ..sleeper },
                CellExecutable { exit_code: Some(3), ..executable("job", 12, CellExecutableState::Exited) },
            ],
            children: vec![CellGraphNode {
                cell: Some(Cell {
                    cpuset: Some(CpusetController { cpus: Some("0-1".to_owned()), mems: None }),
                    isolate_network: true,
                    ..cell("web/api")
                }),
                executables: vec![CellExecutable {
                    exit_signal: Some(9),
                    ..executable("server", 13, CellExecutableState::Exited)
                }],
                ..CellGraphNode::default()
            }],
            ..CellGraphNode::default()
        };
        let usage = CellUsage {
            cpu_us: Some(1_234_567),
            memory_bytes: Some(12_900_000),
            pids: Some(7),
            ..CellUsage::default()
        };
        let web = CellGraphNode { usage: Some(usage), ..web };
        let idle = CellGraphNode { cell: Some(cell("zzz")), frozen: true, ..CellGraphNode::default() };
        let expected = "\
NAME         PID  STATE               CPU    MEM  PIDS  DETAILS
web                                  1.2s  12.3M     7  cpu-weight 200, cpu-max 50000, cpu-period 100000
  sleeper   4711  running                               naps\\tall day
  job         12  exited with 3
  web/api                               -      -     -  cpus 0-1, isolate-network
    server    13  killed by SIGKILL
zzz               frozen                -      -     -
";
        assert_eq!(tree(&[web, idle]), expected);
    }

    #[test]
    fn numbers_are_short() {
        for (us, expected) in [
            (0, "0.0s"),
            (99_999, "0.0s"),
            (1_250_000, "1.2s"),
            (59_999_999, "59.9s"),
            (60_000_000, "1m00s"),
            (3_599_000_000, "59m59s"),
            (3_600_000_000, "1h00m"),
            (90_000_000_000, "1d01h"),
            (u64::MAX, "213503982d08h"),
        ] {
            assert_eq!(time(us), expected);
        }
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (102_399, "99.9K"),
            (102_400, "100K"),
            (1_048_575, "1023K"),
            (12_900_000, "12.3M"),
            (3 << 40, "3.0T"),
            (u64::MAX, "15.9E"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn without_cells_there_is_the_header() {
        assert_eq!(tree(&[]), "NAME  PID  STATE  CPU  MEM  PIDS  DETAILS\n");
    }

    #[test]
    fn states_that_this_program_does_not_know_are_shown_as_such() {
        let exited = |exit_code, exit_signal| {
            let executable = executable("", 1, CellExecutableState::Exited);
            state(&CellExecutable { exit_code, exit_signal, ..executable })
        };
        let oom_cell_name = "web/api".to_owned();
        let killed = CellExecutable {
            exit_signal: Some(9),
            oom_killed: true,
            oom_cell_name,
            restarts: 3,
            description: "naps".to_owned(),
            ..executable("", 1, CellExecutableState::Exited)
        };
        assert_eq!(state(&killed), "out of memory");
        assert_eq!(details(&killed), "limit of cell web/api, restarts 3, naps");
        let elsewhere = CellExecutable { oom_cell_name: String::new(), ..killed };
        assert_eq!(details(&elsewhere), "no limit of a cell, restarts 3, naps");
        assert_eq!(exited(None, Some(34)), "killed by signal 34");
        assert_eq!(exited(None, None), "exited");
        assert_eq!(state(&CellExecutable { state: 9, ..CellExecutable::default() }), "unknown");
    }
}
