//! `aer`: asks a running auraed over its socket, and prints what it answers.
//!
//! 1. [`arguments`] reads what is asked for, of which daemon, and in which form the answer is wanted.
//! 2. The client connects, and the command ([`discover`], [`health`], [`cell`]) makes its one call. Those that read a
//!    stream ([`logs`], [`events`]) make as many as it takes ([`follow`]), and print into a [`sink`] meanwhile.
//! 3. [`output`] prints the answer, or says on stderr why there is none.
//!
//! It knows nothing of cells: names and limits go to the daemon as they were typed, and the daemon judges them.

#![forbid(unsafe_code)]

mod arguments;
mod cell;
mod discover;
mod events;
mod follow;
mod health;
mod json;
mod limits;
mod listing;
mod logs;
mod output;
mod shell;
mod sink;
mod size;
mod start;
mod time;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use auraed::grpc::status::Status;
use smol::future::FutureExt;
use smol::{Executor, Timer};

use arguments::{Asked, Invocation};
use follow::{Daemon, Failure};
use output::{Answer, Form};

/// The command line cannot be followed; nothing was sent.
const EXIT_USAGE: u8 = 2;

/// Nobody wonders what an answer waits for before that.
const SILENT_FOR: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Asked::parse(std::env::args_os().skip(1), &|name| std::env::var_os(name)) {
        Ok(Asked::Call(invocation)) => {
            let form = invocation.form;
            finish(smol::block_on(call(invocation)), form)
        }
        Ok(Asked::Print(text)) => output::print(&text),
        Err(usage) => {
            output::usage_error(&usage);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// How long a daemon is looked for that was lost in the middle of a stream. Whoever follows waits for a restart of it.
fn retry_for(follows: bool) -> Duration {
    Duration::from_secs(if follows { 30 } else { 3 })
}

async fn call(invocation: Invocation) -> Result<ExitCode, Failure> {
    let Invocation { address, timeout, command, form } = invocation;
    let executor = Executor::new();
    let daemon = Daemon { address: &address, timeout, executor: &executor };
    executor.run(command.run(&daemon, form)).await
}

/// Prints the answer of a call; whoever looks on is told what it waits for, if it takes its time.
pub async fn answered(
    answer: impl Future<Output = Result<Answer, Status>>,
    waits_for: Option<String>,
    form: Form,
) -> Result<ExitCode, Failure> {
    let explained = async {
        Timer::after(SILENT_FOR).await;
        waits_for.iter().for_each(|what| output::progress(&format!("waiting for {what}\n"), form));
        smol::future::pending().await
    };
    Ok(output::answer(&answer.or(explained).await?, form))
}

fn finish(outcome: Result<ExitCode, Failure>, form: Form) -> ExitCode {
    match outcome {
        Ok(exit_code) => exit_code,
        Err(Failure::Output(error)) => output::unprinted(&error),
        Err(Failure::Call(status)) => {
            output::error(&status, form);
            ExitCode::FAILURE
        }
    }
}
