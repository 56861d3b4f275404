//! `aer cell wait`: exits as the program did, as a shell would.

use argh::FromArgs;
use auraed::grpc::status::Status;
use auraed::proto::aurae::runtime::v0 as api;

use crate::cell::{Cells, shown};
use crate::json;
use crate::listing::{exit, oom};
use crate::output::Answer;

/// What a shell adds to the number of a signal.
const SIGNALLED: i32 = 128;

/// For an end of which nobody knows how.
const UNKNOWN: u8 = 1;

/// wait until a program has ended, and exit as it did
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "wait",
    help_triggers("-h", "--help"),
    usage = "<cell> <name>",
    example = "aer cell wait web job && echo done",
    note = "Exits with the program's exit code, or with 128 and the number of the signal that\nended it. When the kernel ended it because memory had run out, stderr says whose\nlimit was reached. A program that is to be restarted has not ended.",
    note = "Waits for as long as it takes, unless --timeout-ms is given."
)]
pub struct Wait {
    /// the cell that it was started in
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// the name that it was started under
    #[argh(positional, arg_name = "name")]
    name: String,
}

impl Wait {
    pub fn waits_for(&self) -> String {
        format!("{} in {} to end; it goes on when aer is interrupted", shown(&self.name), shown(&self.cell))
    }

    pub async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let (name, cell) = (shown(&self.name), shown(&self.cell));
        let request = request(self.cell, self.name);
        let response = cells.wait(&request).await?;
        let how = exit(response.exit_code, response.exit_signal);
        let remark = remark(&response);
        let text = format!("{name} in {cell} {how}\n");
        let exit_code = exit_code(&response);
        Ok(Answer { remark, exit_code, ..Answer::new(json::wait(&response), text) })
    }
}

pub fn request(cell_name: String, executable_name: String) -> api::CellServiceWaitRequest {
    api::CellServiceWaitRequest { cell_name, executable_name }
}

/// Of a program that the kernel has ended, why.
pub fn remark(response: &api::CellServiceWaitResponse) -> String {
    match response.oom_killed {
        true => format!("killed: {}\n", oom(&response.oom_cell_name)),
        false => String::new(),
    }
}

/// What to exit with, as the program did.
pub fn exit_code(response: &api::CellServiceWaitResponse) -> u8 {
    let signalled = response.exit_signal.map(|signal| SIGNALLED.saturating_add(signal));
    let code = response.exit_code.or(signalled);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        let ended = |exit_code, exit_signal| api::CellServiceWaitResponse {
            exit_code,
            exit_signal,
            ..Default::default()
        };
        for (code, signal, expected) in [
            (Some(0), None, 0),
            (Some(255), None, 255),
            (None, Some(9), 137),
            (None, Some(64), 192),
            (None, None, 1),
        ] {
            assert_eq!(exit_code(&ended(code, signal)), expected, "{code:?}, {signal:?}");
        }
    }
}
