//! An executable, from the message to parsed types: all bad fields at once.

use super::{Violations, refuse_unbuilt};
use crate::grpc::status::Status;
use crate::proto::aurae::runtime::v0::Executable;
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
        ("executable.restart", executable.restart.is_some()),
    ])?;
    let name = bad.check("executable.name", ExecutableName::parse(&executable.name));
    let command = bad.check("executable.command", runtime::Command::parse(&executable.command));
    let description =
        bad.check("executable.description", runtime::Description::parse(&executable.description));
    match (cell, name, command, description) {
        (Some(cell), Some(name), Some(command), Some(description)) => {
            Ok((cell, ExecutableSpec { name, command, description }))
        }
        _ => Err(bad.into_status()),
    }
}
