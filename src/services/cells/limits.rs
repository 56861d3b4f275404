//! A cell's limits: from the message to parsed types, all bad fields at once, and back.

use crate::grpc::status::Status;
use crate::limits::IO_DEVICES_MAX;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::cpu::{CpuLimits, CpuMax, CpuWeight};
use crate::runtime::cpuset::{CpusetLimits, IdList};
use crate::runtime::io::{Device, IoError, IoLimits, IoWeight, Rate};
use crate::runtime::memory::{Bytes, MemoryLimits};
use crate::runtime::pids::{PidsLimits, PidsMax};
use crate::runtime::{CellName, CellSpec, Isolation, LimitName, Limits, LimitsChange, Quoted, io};
use crate::services::refusal::Violations;

pub fn parse_cell(cell: Option<Cell>) -> Result<CellSpec, Status> {
    let mut bad = Violations::default();
    let (name, cell) = parse_name(cell, &mut bad);
    let limits = parse_limits(&cell, &mut bad);
    let Some(name) = name.filter(|_| bad.0.is_empty()) else { return Err(bad.into_status()) };
    let isolation = Isolation { process: cell.isolate_process, network: cell.isolate_network };
    Ok(CellSpec { name, limits, isolation })
}

pub fn parse_update(request: CellServiceUpdateRequest) -> Result<(CellName, LimitsChange), Status> {
    let mut bad = Violations::default();
    let (name, cell) = parse_name(request.cell, &mut bad);
    let set = parse_limits(&cell, &mut bad);
    let clear = parse_clear(&request.clear, &set, &mut bad);
    let isolation = Isolation { process: cell.isolate_process, network: cell.isolate_network };
    if bad.0.is_empty() && clear.is_empty() && set == Limits::default() {
        bad.add("cell", &format!("names no limit to change; set one of {}, or clear one", names()));
    }
    match name {
        Some(name) if bad.0.is_empty() => Ok((name, LimitsChange { set, clear, isolation })),
        _ => Err(bad.into_status()),
    }
}

fn parse_name(cell: Option<Cell>, bad: &mut Violations) -> (Option<CellName>, Cell) {
    let Some(cell) = cell else {
        bad.add("cell", &"is missing; a cell needs at least a name");
        return (None, Cell::default());
    };
    (bad.check("cell.name", CellName::parse(&cell.name)), cell)
}

fn parse_clear(clear: &[String], set: &Limits, bad: &mut Violations) -> Vec<LimitName> {
    let mut limits = Vec::new();
    // A name more than there are is one twice, or none at all.
    for (index, text) in clear.iter().enumerate().take(LimitName::ALL.len() + 1) {
        let field = format!("clear[{index}]");
        match LimitName::parse(text) {
            None => bad.add(&field, &format!("{} is no limit; accepted: {}", Quoted(text), names())),
            Some(limit) if limit.is_in(set) => {
                bad.add(&field, &format!("{limit} is set and cleared at once; do one of them"));
            }
            Some(limit) if limits.contains(&limit) => bad.add(&field, &format!("{limit} is there twice")),
            Some(limit) => limits.push(limit),
        }
    }
    limits
}

fn names() -> String {
    LimitName::ALL.map(|limit| limit.to_string()).join(", ")
}

fn parse_limits(cell: &Cell, bad: &mut Violations) -> Limits {
    Limits {
        cpu: cell.cpu.map(|cpu| parse_cpu(cpu, bad)).unwrap_or_default(),
        cpuset: cell.cpuset.as_ref().map(|cpuset| parse_cpuset(cpuset, bad)).unwrap_or_default(),
        memory: cell.memory.map(|memory| parse_memory(memory, bad)).unwrap_or_default(),
        pids: cell.pids.map(|pids| parse_pids(pids, bad)).unwrap_or_default(),
        io: cell.io.as_ref().map(|io| parse_io(io, bad)).unwrap_or_default(),
    }
}

fn parse_cpu(cpu: CpuController, bad: &mut Violations) -> CpuLimits {
    let weight = bad.check_optional("cell.cpu.weight", cpu.weight.map(CpuWeight::new));
    let max = match (cpu.max, cpu.period) {
        (None, Some(_)) => {
            bad.add("cell.cpu.period", &"has no meaning without cell.cpu.max; set both or none");
            None
        }
        (max, period) => {
            let period_is_bad = period.is_some_and(|period| CpuMax::new(0, Some(period)).is_err());
            let field = if period_is_bad { "cell.cpu.period" } else { "cell.cpu.max" };
            bad.check_optional(field, max.map(|max| CpuMax::new(max, period)))
        }
    };
    CpuLimits { weight, max }
}

fn parse_cpuset(cpuset: &CpusetController, bad: &mut Violations) -> CpusetLimits {
    CpusetLimits {
        cpus: bad.check_optional("cell.cpuset.cpus", cpuset.cpus.as_deref().map(IdList::parse)),
        mems: bad.check_optional("cell.cpuset.mems", cpuset.mems.as_deref().map(IdList::parse)),
    }
}

fn parse_memory(memory: MemoryController, bad: &mut Violations) -> MemoryLimits {
    let mut bytes =
        |limit: LimitName, bytes: Option<i64>| bad.check_optional(limit.field(), bytes.map(Bytes::new));
    MemoryLimits {
        min: bytes(LimitName::MemoryMin, memory.min),
        low: bytes(LimitName::MemoryLow, memory.low),
        high: bytes(LimitName::MemoryHigh, memory.high),
        max: bytes(LimitName::MemoryMax, memory.max),
        swap_max: bytes(LimitName::MemorySwapMax, memory.swap_max),
    }
}

fn parse_pids(pids: PidsController, bad: &mut Violations) -> PidsLimits {
    PidsLimits { max: bad.check_optional("cell.pids.max", pids.max.map(PidsMax::new)) }
}

fn parse_io(io: &IoController, bad: &mut Violations) -> IoLimits {
    let weight = bad.check_optional("cell.io.weight", io.weight.map(IoWeight::new));
    let mut limits = IoLimits { weight, ..IoLimits::default() };
    if io.max.len() > IO_DEVICES_MAX {
        bad.add("cell.io.max", &IoError::Devices(io.max.len()));
        return limits;
    }
    for (index, max) in io.max.iter().enumerate() {
        let field = format!("cell.io.max[{index}]");
        let device = bad.check(&format!("{field}.device"), Device::parse(&max.device));
        let (Some(device), Some(rates)) = (device, parse_rates(&field, max, bad)) else { continue };
        if limits.max.insert(device, rates).is_some() {
            bad.add(&format!("{field}.device"), &"is there twice; say all of its rates at once");
        }
    }
    limits
}

fn parse_rates(field: &str, max: &IoMax, bad: &mut Violations) -> Option<io::IoMax> {
    let rates = rates(max);
    let mut all_good = true;
    for (rate, (name, given)) in Rate::ALL.into_iter().zip(RATE_FIELDS.into_iter().zip(rates)) {
        all_good &= bad.check(&format!("{field}.{name}"), rate.check(given)).is_some();
    }
    if !all_good {
        return None;
    }
    bad.check(field, io::IoMax::new(rates))
}

/// In the order of [`Rate::ALL`].
const RATE_FIELDS: [&str; 4] =
    ["read_bytes_per_second", "write_bytes_per_second", "reads_per_second", "writes_per_second"];

fn rates(max: &IoMax) -> [Option<u64>; 4] {
    [max.read_bytes_per_second, max.write_bytes_per_second, max.reads_per_second, max.writes_per_second]
}

/// The cell as a message. A controller that limits nothing is not in it.
pub fn cell(spec: &CellSpec) -> Cell {
    let Limits { cpu, cpuset, memory, pids, io } = &spec.limits;
    Cell {
        name: spec.name.to_string(),
        cpu: some_unless_default(CpuController {
            weight: cpu.weight.map(CpuWeight::value),
            max: cpu.max.and_then(|max| i64::try_from(max.quota_us()).ok()),
            period: cpu.max.map(CpuMax::period_us),
        }),
        cpuset: some_unless_default(CpusetController {
            cpus: cpuset.cpus.as_ref().map(ToString::to_string),
            mems: cpuset.mems.as_ref().map(ToString::to_string),
        }),
        memory: some_unless_default(memory_message(memory)),
        pids: some_unless_default(PidsController { max: pids.max.map(|max| max.value().into()) }),
        io: some_unless_default(IoController {
            weight: io.weight.map(IoWeight::value),
            max: io.max.iter().map(|(device, max)| io_max(device, max)).collect(),
        }),
        isolate_process: spec.isolation.process,
        isolate_network: spec.isolation.network,
    }
}

fn some_unless_default<T: Default + PartialEq>(message: T) -> Option<T> {
    Some(message).filter(|message| *message != T::default())
}

fn memory_message(memory: &MemoryLimits) -> MemoryController {
    // Their type is bounded far below.
    let bytes = |bytes: Option<Bytes>| bytes.and_then(|bytes| i64::try_from(bytes.value()).ok());
    MemoryController {
        min: bytes(memory.min),
        low: bytes(memory.low),
        high: bytes(memory.high),
        max: bytes(memory.max),
        swap_max: bytes(memory.swap_max),
    }
}

fn io_max(device: &Device, max: &io::IoMax) -> IoMax {
    IoMax {
        device: device.to_string(),
        read_bytes_per_second: max.rate(Rate::ReadBytes),
        write_bytes_per_second: max.rate(Rate::WriteBytes),
        reads_per_second: max.rate(Rate::Reads),
        writes_per_second: max.rate(Rate::Writes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::Code;

    fn named(change: impl FnOnce(&mut Cell)) -> Cell {
        let mut cell = Cell { name: "web".to_owned(), ..Cell::default() };
        change(&mut cell);
        cell
    }

    fn full() -> Cell {
        named(|cell| {
            cell.cpu = Some(CpuController { weight: Some(200), max: Some(5_000), period: Some(10_000) });
            cell.cpuset = Some(CpusetController { cpus: Some("0-1".to_owned()), mems: Some("0".to_owned()) });
            cell.memory = Some(MemoryController {
                min: Some(0),
                low: Some(1),
                high: Some(2),
                max: Some(4_097),
                swap_max: Some(4),
            });
            cell.pids = Some(PidsController { max: Some(5) });
            let device = |device: &str| IoMax {
                device: device.to_owned(),
                writes_per_second: Some(6),
                ..IoMax::default()
            };
            cell.io = Some(IoController { weight: Some(7), max: vec![device("8:0"), device("/dev/sdb")] });
        })
    }

    fn fields<T>(result: Result<T, Status>) -> Vec<String> {
        let status = result.err().expect("refused");
        assert_eq!(status.code, Code::InvalidArgument, "{status}");
        status.violations().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_cell_is_shown_as_it_was_asked_for() {
        for asked in [full(), named(|_| {})] {
            assert_eq!(cell(&parse_cell(Some(asked.clone())).expect("valid")), asked);
        }
        let empty = named(|cell| cell.memory = Some(MemoryController::default()));
        assert_eq!(cell(&parse_cell(Some(empty)).expect("valid")), named(|_| {}));
    }

    #[test]
    fn all_bad_fields_are_named_at_once() {
        let bad = named(|cell| {
            cell.name = "-".to_owned();
            cell.memory = Some(MemoryController {
                min: Some(-1),
                low: Some(-1),
                high: Some(-1),
                max: Some(i64::MAX),
                swap_max: Some(-1),
            });
            cell.pids = Some(PidsController { max: Some(0) });
            let one = |device: &str, rate| IoMax {
                device: device.to_owned(),
                reads_per_second: rate,
                ..IoMax::default()
            };
            let max = vec![
                one("sda", Some(1)),
                one("8:0", Some(0)),
                one("8:0", None),
                one("8:0", Some(1)),
                one("8:0", Some(1)),
            ];
            cell.io = Some(IoController { weight: Some(0), max });
        });
        let expected = [
            "cell.name",
            "cell.memory.min",
            "cell.memory.low",
            "cell.memory.high",
            "cell.memory.max",
            "cell.memory.swap_max",
            "cell.pids.max",
            "cell.io.weight",
            "cell.io.max[0].device",
            "cell.io.max[1].reads_per_second",
            "cell.io.max[2]",
            "cell.io.max[4].device",
        ];
        assert_eq!(fields(parse_cell(Some(bad))), expected);
        let many = vec![IoMax::default(); IO_DEVICES_MAX + 1];
        let many = named(|cell| cell.io = Some(IoController { weight: None, max: many }));
        assert_eq!(fields(parse_cell(Some(many))), ["cell.io.max"]);
        assert_eq!(fields(parse_cell(None)), ["cell"]);
    }

    fn update(cell: Cell, clear: &[&str]) -> Result<(CellName, LimitsChange), Status> {
        let clear = clear.iter().map(|name| (*name).to_owned()).collect();
        parse_update(CellServiceUpdateRequest { cell: Some(cell), clear })
    }

    #[test]
    fn an_update_sets_and_clears() {
        let cpu_weight = |cell: &mut Cell| {
            cell.cpu = Some(CpuController { weight: Some(3), ..CpuController::default() });
        };
        let (name, change) = update(named(cpu_weight), &["memory.max", "cpu.max"]).expect("valid");
        assert_eq!((name.as_str(), change.set.cpu.weight), ("web", CpuWeight::new(3).ok()));
        assert_eq!(change.clear, [LimitName::MemoryMax, LimitName::CpuMax]);

        assert_eq!(fields(update(named(|_| {}), &[])), ["cell"]);
        assert_eq!(fields(update(named(cpu_weight), &["cpu.weight"])), ["clear[0]"]);
        assert_eq!(fields(update(named(|_| {}), &["cpu.max", "cpu", "cpu.max"])), ["clear[1]", "clear[2]"]);
        assert_eq!(fields(update(named(|_| {}), &["x"; 1000])).len(), 13);
        let isolated = named(|cell| cell.isolate_network = true);
        let (_, change) = update(isolated, &["cpu.max"]).expect("for the cell to say");
        assert_eq!(change.isolation, Isolation { process: false, network: true });
        assert_eq!(fields(parse_update(CellServiceUpdateRequest::default())), ["cell"]);
        let refusal = update(named(|_| {}), &["memory"]).expect_err("no limit").to_string();
        assert!(refusal.contains("accepted: cpu.weight, cpu.max, cpuset.cpus"), "{refusal}");
    }
}
