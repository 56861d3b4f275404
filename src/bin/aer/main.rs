//! `aer`: asks a running auraed over its socket, and prints what it answers.
//!
//! 1. [`arguments`] reads what is asked for, of which daemon, and in which form the answer is wanted.
//! 2. The client connects, and the command ([`discover`], [`health`], [`cell`]) makes its one call.
//! 3. [`output`] prints the answer, or says on stderr why there is none.
//!
//! It knows nothing of cells: names and limits go to the daemon as they were typed, and the daemon judges them.

#![forbid(unsafe_code)]

mod arguments;
mod cell;
mod discover;
mod health;
mod json;
mod listing;
mod output;
mod shell;
mod size;
mod start;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use auraed::client::Channel;
use auraed::grpc::status::Status;
use smol::future::FutureExt;
use smol::{Executor, Timer};

use arguments::{Asked, Invocation};
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

async fn call(invocation: Invocation) -> Result<Answer, Status> {
    let Invocation { address, timeout, command, form } = invocation;
    let waits_for = command.waits_for();
    let executor = Executor::new();
    let answer = async {
        let channel = Channel::connect(&address, timeout, &executor).await?;
        command.run(&channel).await
    };
    let explained = async {
        Timer::after(SILENT_FOR).await;
        waits_for.iter().for_each(|what| output::progress(&format!("waiting for {what}\n"), form));
        smol::future::pending().await
    };
    executor.run(answer.or(explained)).await
}

fn finish(outcome: Result<Answer, Status>, form: Form) -> ExitCode {
    match outcome {
        Ok(answer) => output::answer(&answer, form),
        Err(status) => {
            output::error(&status, form);
            ExitCode::FAILURE
        }
    }
}
