//! A cell's limits: from the message to parsed types, all bad fields at once, and back.

use super::{Violations, refuse_unbuilt};
use crate::grpc::status::Status;
use crate::proto::aurae::runtime::v0::*;
use crate::runtime::cpu::{CpuLimits, CpuMax, CpuWeight};
use crate::runtime::cpuset::{CpusetLimits, IdList};
use crate::runtime::{CellName, CellSpec, Isolation};

pub fn parse_cell(cell: Option<Cell>) -> Result<CellSpec, Status> {
    let mut bad = Violations::default();
    let Some(cell) = cell else {
        bad.add("cell", &"is missing; a cell needs at least a name");
        return Err(bad.into_status());
    };
    let name = bad.check("cell.name", CellName::parse(&cell.name));
    let cpu = cell.cpu.map(|cpu| parse_cpu(cpu, &mut bad)).unwrap_or_default();
    let cpuset = cell.cpuset.map(|cpuset| parse_cpuset(&cpuset, &mut bad)).unwrap_or_default();
    let Some(name) = name.filter(|_| bad.0.is_empty()) else { return Err(bad.into_status()) };
    refuse_unbuilt(&[
        ("cell.memory", cell.memory.is_some()),
        ("cell.pids", cell.pids.is_some()),
        ("cell.io", cell.io.is_some()),
    ])?;
    let isolation = Isolation { process: cell.isolate_process, network: cell.isolate_network };
    Ok(CellSpec { name, cpu, cpuset, isolation })
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

pub fn cell(spec: &CellSpec) -> Cell {
    let CpuLimits { weight, max } = spec.cpu;
    let cpu = (weight.is_some() || max.is_some()).then(|| CpuController {
        weight: weight.map(CpuWeight::value),
        max: max.and_then(|max| i64::try_from(max.quota_us()).ok()),
        period: max.map(CpuMax::period_us),
    });
    let CpusetLimits { cpus, mems } = &spec.cpuset;
    let cpuset = (cpus.is_some() || mems.is_some()).then(|| CpusetController {
        cpus: cpus.as_ref().map(ToString::to_string),
        mems: mems.as_ref().map(ToString::to_string),
    });
    let Isolation { process: isolate_process, network: isolate_network } = spec.isolation;
    Cell { name: spec.name.to_string(), cpu, cpuset, isolate_process, isolate_network, ..Cell::default() }
}
