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

use auraed::client::Channel;
use auraed::grpc::status::Status;
use smol::Executor;

use arguments::{Asked, Invocation};
use output::{Answer, Form};

/// The command line cannot be followed; nothing was sent.
const EXIT_USAGE: u8 = 2;

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
    let Invocation { address, timeout, command, .. } = invocation;
    let executor = Executor::new();
    let answer = async {
        let channel = Channel::connect(&address, timeout, &executor).await?;
        command.run(&channel).await
    };
    executor.run(answer).await
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
