//! An executable, from the message to parsed types: all bad fields at once.

use super::{Violations, refuse_unbuilt};
use crate::grpc::status::Status;
use crate::proto::aurae::runtime::v0::{Executable, RestartCondition, RestartPolicy};
use crate::runtime::{self, CellName, ExecutableName, ExecutableSpec};

pub fn parse_start(
    cell_name: &str,
    executable: Option<Executable>,
) -> Result<(CellName, ExecutableSpec), Status> {
    let mut bad = Violations::default();
    let cell = bad.check("cell_name", CellName::parse(cell_name));
    let Some(executable) = executable else {
        bad.add("executable", &"is missing; it needs a name and a command");
        return Err(bad.into_status());
    };
    refuse_unbuilt(&[
        ("executable.args", !executable.args.is_empty()),
        ("executable.env", !executable.env.is_empty()),
        ("executable.working_directory", !executable.working_directory.is_empty()),
        ("executable.rlimits", !executable.rlimits.is_empty()),
        ("executable.no_new_privileges", executable.no_new_privileges),
        ("executable.capabilities", executable.capabilities.is_some()),
        ("executable.stdin", executable.stdin.is_some()),
    ])?;
    let name = bad.check("executable.name", ExecutableName::parse(&executable.name));
    let command = bad.check("executable.command", runtime::Command::parse(&executable.command));
    let description =
        bad.check("executable.description", runtime::Description::parse(&executable.description));
    let restart = executable.restart.map(|policy| parse_restart(policy, &mut bad)).unwrap_or_default();
    match (cell, name, command, description) {
        (Some(cell), Some(name), Some(command), Some(description)) if bad.0.is_empty() => {
            Ok((cell, ExecutableSpec { name, command, description, restart }))
        }
        _ => Err(bad.into_status()),
    }
}

fn parse_restart(policy: RestartPolicy, bad: &mut Violations) -> runtime::RestartPolicy {
    let condition = match RestartCondition::try_from(policy.condition) {
        Ok(RestartCondition::Unspecified | RestartCondition::Never) => runtime::RestartCondition::Never,
        Ok(RestartCondition::OnFailure) => runtime::RestartCondition::OnFailure,
        Ok(RestartCondition::Always) => runtime::RestartCondition::Always,
        Err(_) => {
            let why =
                format!("{} is unknown; accepted: 0 to 3, never, on failure and always", policy.condition);
            bad.add("executable.restart.condition", &why);
            return runtime::RestartPolicy::default();
        }
    };
    if condition == runtime::RestartCondition::Never && policy.max_restarts.is_some() {
        bad.add("executable.restart.max_restarts", &"has no meaning without a condition; set both or none");
    }
    runtime::RestartPolicy { condition, max_restarts: policy.max_restarts }
}
