//! `aer cell …`: one struct per verb of the cell service, each with its flags, its request and its answer.

use std::time::Duration;

use argh::{CommandInfo, FromArgs, SubCommands};
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::limits::STOP_GRACE;
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0 as api;

use crate::limits::{Allocate, Update};
use crate::output::{Answer, printable};
use crate::start::Start;
use crate::wait::Wait;
use crate::{json, listing};

/// make and free cells, start and stop programs in them
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "cell",
    help_triggers("-h", "--help"),
    usage = "<command> [<args>]",
    example = "aer cell allocate web --cpu-weight 200 --cpus 0-1\naer cell start web server -- python3 -m http.server 8080\naer cell list\naer cell stop web server\naer cell free web",
    note = "A cell inside another is named by its path, web/api; the limits of web bound\nboth.",
    note = "aer cell start --help says how a command is quoted."
)]
pub struct CellCommand {
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Verb {
    Allocate(Box<Allocate>),
    Update(Box<Update>),
    Start(Box<Start>),
    Signal(Signal),
    Stop(Stop),
    Wait(Wait),
    Free(Free),
    List(List),
    Get(Get),
    Freeze(Freeze),
    Thaw(Thaw),
}

impl CellCommand {
    pub const VERBS: &'static [&'static CommandInfo] = Verb::COMMANDS;

    pub async fn run(self, channel: &Channel) -> Result<Answer, Status> {
        let cells = CellServiceClient::new(channel);
        match self.verb {
            Verb::Allocate(verb) => verb.run(cells).await,
            Verb::Update(verb) => verb.run(cells).await,
            Verb::Start(verb) => verb.run(cells).await,
            Verb::Signal(verb) => verb.run(cells).await,
            Verb::Stop(verb) => verb.run(cells).await,
            Verb::Wait(verb) => verb.run(cells).await,
            Verb::Free(verb) => verb.run(cells).await,
            Verb::List(verb) => verb.run(cells).await,
            Verb::Get(verb) => verb.run(cells).await,
            Verb::Freeze(verb) => verb.run(cells).await,
            Verb::Thaw(verb) => verb.run(cells).await,
        }
    }

    /// How long the daemon may wait for processes to end before the call is answered.
    pub fn grace(&self) -> Duration {
        let grace = |ms: Option<u32>| ms.map_or(STOP_GRACE, |ms| Duration::from_millis(ms.into()));
        match &self.verb {
            Verb::Stop(Stop { grace_ms, .. }) | Verb::Free(Free { grace_ms, .. }) => grace(*grace_ms),
            Verb::Allocate(_) | Verb::Update(_) | Verb::Start(_) | Verb::Wait(_) => Duration::ZERO,
            Verb::Signal(_) | Verb::Freeze(_) | Verb::Thaw(_) | Verb::List(_) | Verb::Get(_) => {
                Duration::ZERO
            }
        }
    }

    /// What is waited for, if this may take its time: in a sentence, without its first word.
    pub fn waits_for(&self) -> Option<String> {
        match &self.verb {
            Verb::Stop(verb) => Some(format!(
                "{} in {} to end; {}",
                shown(&verb.name),
                shown(&verb.cell),
                killed(verb.grace_ms)
            )),
            Verb::Free(verb) => {
                Some(format!("all in {} to end; {}", shown(&verb.cell), killed(verb.grace_ms)))
            }
            Verb::Wait(verb) => Some(verb.waits_for()),
            Verb::Freeze(verb) => Some(format!("all in {} to stand still", shown(&verb.cell))),
            Verb::Allocate(_) | Verb::Update(_) | Verb::Start(_) | Verb::Signal(_) => None,
            Verb::Thaw(_) | Verb::List(_) | Verb::Get(_) => None,
        }
    }

    /// It takes as long as a program runs.
    pub fn is_patient(&self) -> bool {
        matches!(self.verb, Verb::Wait(_))
    }

    /// Refuses what argh cannot; `words_after_dashes` stood behind the first `--` of the command line.
    pub fn checked(mut self, words_after_dashes: usize) -> Result<Self, String> {
        if let Verb::Start(verb) = &mut self.verb {
            verb.take_separator(words_after_dashes)?;
        }
        Ok(self)
    }
}

pub type Cells<'a> = CellServiceClient<'a, Channel>;

/// end a program with all that it started
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "stop",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> [--grace-ms <n>]",
    example = "aer cell stop web sleeper\naer cell stop web sleeper --grace-ms 0",
    note = "SIGTERM first; what is left after the grace period is killed. Returns when all\nare gone.",
    note = "It is listed as exited then, and its name may be used again. One that has exited\nis listed no longer after it is stopped, once more.",
    note = "The call may take --timeout-ms plus --grace-ms; when that is not given, plus\n5000, the daemon's own default."
)]
struct Stop {
    /// the cell that it was started in
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// the name that it was started under
    #[argh(positional, arg_name = "name")]
    name: String,

    /// milliseconds between SIGTERM and SIGKILL. 0: kill at once. Default: the daemon's
    #[argh(option)]
    grace_ms: Option<u32>,
}

impl Stop {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let text = format!("stopped {} in {}\n", shown(&self.name), shown(&self.cell));
        let request = api::CellServiceStopRequest {
            cell_name: self.cell,
            executable_name: self.name,
            grace_period_ms: self.grace_ms,
        };
        cells.stop(&request).await?;
        Ok(Answer::new(json::empty(), text))
    }
}

/// end all programs in a cell, and remove it
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "free",
    help_triggers("-h", "--help"),
    usage = "<cell> [--force] [--grace-ms <n>]",
    example = "aer cell free web\naer cell free web/api --grace-ms 20000\naer cell free web --force",
    note = "SIGTERM first; what is left after the grace period is killed. Returns when all\nare gone. A cell that has cells inside it is refused without --force.",
    note = "The call may take --timeout-ms plus --grace-ms; when that is not given, plus\n5000, the daemon's own default."
)]
struct Free {
    /// the cell
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// free the cells inside it, too; all programs get SIGTERM at once
    #[argh(switch)]
    force: bool,

    /// milliseconds between SIGTERM and SIGKILL. 0: kill at once. Default: the daemon's
    #[argh(option)]
    grace_ms: Option<u32>,
}

impl Free {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let text = format!("freed {}\n", shown(&self.cell));
        let request = api::CellServiceFreeRequest {
            cell_name: self.cell,
            grace_period_ms: self.grace_ms,
            force: self.force,
        };
        cells.free(&request).await?;
        Ok(Answer::new(json::empty(), text))
    }
}

/// list all cells as a tree, with their usage, limits and what runs in them
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("-h", "--help"),
    example = "aer cell list\naer cell list --json",
    note = "Below each cell stand, indented, its programs (those with a pid) and the cells\ninside it. Limits are shown by the names of the flags that set them.",
    note = "CPU is processor time since the cell was allocated, MEM is memory, PIDS\nprocesses and threads, each with all that is inside the cell. \"-\" is not\ncounted: this kernel lacks the controller, or has cgroup v1 and there is no\nlimit. --json shows more, and exact numbers."
)]
struct List {}

impl List {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.list(&api::CellServiceListRequest {}).await?;
        Ok(Answer::new(json::list(&response), listing::tree(&response.cells)))
    }
}

/// send a signal to a program
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "signal",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> <signal> [--all]",
    example = "aer cell signal web server HUP\naer cell signal web server SIGRTMIN+3 --all\naer cell signal web server 9",
    note = "Without --all it goes to the first process alone: the program, or the shell that\nruns the command."
)]
struct Signal {
    /// the cell that it was started in
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// the name that it was started under
    #[argh(positional, arg_name = "name")]
    name: String,

    /// a name, with SIG in front or without, or a number
    #[argh(positional, arg_name = "signal")]
    signal: String,

    /// to all processes that it has started
    #[argh(switch)]
    all: bool,
}

impl Signal {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let (name, cell, signal) = (shown(&self.name), shown(&self.cell), shown(&self.signal));
        let request = api::CellServiceSignalRequest {
            cell_name: self.cell,
            executable_name: self.name,
            signal: self.signal,
            all_processes: self.all,
        };
        cells.signal(&request).await?;
        Ok(Answer::new(json::empty(), format!("sent {signal} to {name} in {cell}\n")))
    }
}

/// show one cell with all inside it, as list shows all
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "get",
    help_triggers("-h", "--help"),
    usage = "<cell>",
    example = "aer cell get web\naer cell get web/api --json"
)]
struct Get {
    /// the cell
    #[argh(positional, arg_name = "cell")]
    cell: String,
}

impl Get {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.get(&api::CellServiceGetRequest { cell_name: self.cell }).await?;
        Ok(Answer::new(json::get(&response), listing::tree(response.cell.as_slice())))
    }
}

/// have all programs in a cell stand still
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "freeze",
    help_triggers("-h", "--help"),
    usage = "<cell>",
    example = "aer cell freeze web\naer cell thaw web",
    note = "They keep their memory and notice nothing. Returns when all stand still, also\nin the cells inside it. Nothing can be started in a frozen cell; stop and free\nwork, but a frozen program cannot handle SIGTERM and is killed at once."
)]
struct Freeze {
    /// the cell
    #[argh(positional, arg_name = "cell")]
    cell: String,
}

impl Freeze {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let text = format!("froze {}\n", shown(&self.cell));
        cells.freeze(&api::CellServiceFreezeRequest { cell_name: self.cell }).await?;
        Ok(Answer::new(json::empty(), text))
    }
}

/// let the programs in a frozen cell go on
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "thaw",
    help_triggers("-h", "--help"),
    usage = "<cell>",
    example = "aer cell thaw web",
    note = "Inside another cell that is frozen, it goes on when that is thawed, too."
)]
struct Thaw {
    /// the cell
    #[argh(positional, arg_name = "cell")]
    cell: String,
}

impl Thaw {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let text = format!("thawed {}\n", shown(&self.cell));
        cells.thaw(&api::CellServiceThawRequest { cell_name: self.cell }).await?;
        Ok(Answer::new(json::empty(), text))
    }
}

/// What follows SIGTERM.
fn killed(grace_ms: Option<u32>) -> String {
    match grace_ms {
        Some(ms) => format!("what is left after {ms} ms is killed"),
        None => "what is left after the daemon's grace period is killed".to_owned(),
    }
}

/// A name in a sentence; in quotes where it would read as a part of it.
pub fn shown(name: &str) -> String {
    let name = printable(name);
    if name.contains(' ') || name.is_empty() { format!("\"{name}\"") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(arguments: &[&str]) -> Result<api::CellServiceStartRequest, String> {
        let arguments = [&["start"], arguments].concat();
        let command = CellCommand::from_args(&["aer", "cell"], &arguments).map_err(|exit| exit.output)?;
        let after_dashes = arguments.iter().skip_while(|word| **word != "--").skip(1).count();
        match command.checked(after_dashes)?.verb {
            Verb::Start(start) => Ok(start.request()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_stands_behind_the_dashes() {
        for (arguments, cell, name, command) in [
            (&["web", "sleeper", "--", "sleep", "4000"][..], "web", "sleeper", "sleep 4000"),
            (&["web", "sh", "--", "a; b"], "web", "sh", "a; b"),
            (&["web", "sh", "--", "sh", "-c", "a; b", "--", "x"], "web", "sh", "sh -c 'a; b' -- x"),
            (&["web", "x", "--", "--", "--json"], "web", "x", "-- --json"),
            (&["--", "web", "-x", "--", "ls", "-l"], "web", "-x", "ls -l"),
        ] {
            let request = started(arguments).unwrap_or_else(|why| panic!("{arguments:?}: {why}"));
            let executable = request.executable.expect("it is always set");
            assert_eq!((&*request.cell_name, &*executable.name, &*executable.command), (cell, name, command));
        }
    }

    #[test]
    fn a_forgotten_name_is_noticed() {
        for arguments in [
            &["web", "--", "sleep", "4000"][..],
            &["web", "--", "sleep", "--", "4000"],
            &["web", "sleep", "4000"],
            &["web", "sleeper", "sleep", "--", "4000"],
            &["--", "web", "sleeper", "sleep", "4000"],
        ] {
            let refusal = started(arguments).expect_err("the name is missing");
            assert!(refusal.contains("between <name> and <command>"), "{arguments:?}: {refusal}");
        }
        assert!(started(&["web", "sleeper", "--"]).expect_err("no command").contains("a command is missing"));
        assert!(started(&["web", "--"]).expect_err("no name").contains("name"));
    }

    #[test]
    fn a_restart_is_said_in_a_word() {
        use api::RestartCondition::{Always, Never, OnFailure};
        for (text, condition, max_restarts) in [
            ("no", Never, None),
            ("on-failure", OnFailure, None),
            ("on-failure:5", OnFailure, Some(5)),
            ("always", Always, None),
            ("always:0", Always, Some(0)),
        ] {
            let policy = api::RestartPolicy { condition: condition.into(), max_restarts };
            let request = started(&["web", "x", "--restart", text, "--", "y"]).expect("right");
            assert_eq!(request.executable.and_then(|executable| executable.restart), Some(policy), "{text}");
        }
        for text in ["", "never", "no:1", "always:", "always:-1", "always:4294967296", "Always"] {
            let refusal = started(&["web", "x", "--restart", text, "--", "y"]).expect_err("wrong");
            assert!(refusal.contains("is not one of no, on-failure"), "{text}: {refusal}");
        }
    }
}
