//! `auraed`, the program: reads what it is told, starts the log, and runs the daemon. Or, if that is what it is called
//! as, the init of a cell.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use auraed::config::{Command, Config, UsageError};
use auraed::{daemon, daemon_log, init};

/// The command line or the environment cannot be followed.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Before all else: what an init does not touch costs it nothing.
    if std::env::args_os().next().is_some_and(|name| name.as_bytes() == init::NAME.to_bytes()) {
        return init::run();
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match Command::parse(&arguments, &|name| std::env::var_os(name)) {
        Ok(Command::Run(config)) => run(&config),
        // A closed pipe is the reader's choice, not a failure.
        Ok(Command::Print(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(UsageError(text)) => {
            eprint!("auraed: {text}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run(config: &Config) -> ExitCode {
    let log = daemon_log::start(config.log_level);
    match daemon::run(config, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            log::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
