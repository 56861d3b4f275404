//! `aer cell …`: one struct per verb of the cell service, each with its flags, its request and its answer.

use std::time::Duration;

use argh::{CommandInfo, FromArgs, SubCommands};
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::limits::STOP_GRACE;
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0 as api;

use crate::output::{Answer, printable};
use crate::{json, listing, shell};

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
    Allocate(Allocate),
    Start(Start),
    Stop(Stop),
    Free(Free),
    List(List),
}

impl CellCommand {
    pub const VERBS: &'static [&'static CommandInfo] = Verb::COMMANDS;

    pub async fn run(self, channel: &Channel) -> Result<Answer, Status> {
        let cells = CellServiceClient::new(channel);
        match self.verb {
            Verb::Allocate(verb) => verb.run(cells).await,
            Verb::Start(verb) => verb.run(cells).await,
            Verb::Stop(verb) => verb.run(cells).await,
            Verb::Free(verb) => verb.run(cells).await,
            Verb::List(verb) => verb.run(cells).await,
        }
    }

    /// How long the daemon may wait for processes to end before the call is answered.
    pub fn grace(&self) -> Duration {
        let grace = |ms: Option<u32>| ms.map_or(STOP_GRACE, |ms| Duration::from_millis(ms.into()));
        match &self.verb {
            Verb::Stop(Stop { grace_ms, .. }) | Verb::Free(Free { grace_ms, .. }) => grace(*grace_ms),
            Verb::Allocate(_) | Verb::Start(_) | Verb::List(_) => Duration::ZERO,
        }
    }

    /// Refuses what argh cannot; `words_after_dashes` stood behind the first `--` of the command line.
    pub fn checked(mut self, words_after_dashes: usize) -> Result<Self, String> {
        if let Verb::Start(verb) = &mut self.verb {
            verb.take_separator(words_after_dashes)?;
        }
        Ok(self)
    }
}

type Cells<'a> = CellServiceClient<'a, Channel>;

/// make a cell and set its limits; starts nothing
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "allocate",
    help_triggers("-h", "--help"),
    usage = "<name> [--cpu-weight <n>] [--cpu-max <us>] [--cpu-period <us>]\n                         [--cpus <list>] [--mems <list>]\n                         [--isolate-process] [--isolate-network]",
    example = "Twice the usual share of the processors when others want them, too:\n  aer cell allocate web --cpu-weight 200",
    example = "At most half a processor, in slices of 100 ms, on processors 0 and 1 only:\n  aer cell allocate batch --cpu-max 50000 --cpu-period 100000 --cpus 0-1",
    example = "With processes, host name and network of its own:\n  aer cell allocate web --isolate-process --isolate-network",
    example = "A cell inside another:\n  aer cell allocate web/api",
    note = "What is not given is not limited, except by the cell around it."
)]
struct Allocate {
    /// labels of A-Z a-z 0-9 and "-", joined by "/": web, web/api
    #[argh(positional, arg_name = "name")]
    name: String,

    /// share of processor time among cells that compete: 1 to 10000, usual is 100
    #[argh(option)]
    cpu_weight: Option<u64>,

    /// processor time per period in microseconds, summed over all processors
    #[argh(option)]
    cpu_max: Option<i64>,

    /// the period of --cpu-max in microseconds: 1000 to 1000000, which is the default
    #[argh(option)]
    cpu_period: Option<u64>,

    /// processors that may be used, as 0-3,7
    #[argh(option)]
    cpus: Option<String>,

    /// memory nodes that may be used, as 0-1
    #[argh(option)]
    mems: Option<String>,

    /// own process ids, System V IPC, host name (the last label) and mounts
    #[argh(switch)]
    isolate_process: bool,

    /// own network: the loopback interface, and nothing else
    #[argh(switch)]
    isolate_network: bool,
}

impl Allocate {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.allocate(&self.request()).await?;
        let version = if response.cgroup_v2 { 2 } else { 1 };
        let text = format!("allocated {} (cgroup v{version})\n", shown(&response.cell_name));
        Ok(Answer::new(json::allocate(&response), text))
    }

    fn request(self) -> api::CellServiceAllocateRequest {
        let cpu = api::CpuController { weight: self.cpu_weight, max: self.cpu_max, period: self.cpu_period };
        let cpuset = api::CpusetController { cpus: self.cpus, mems: self.mems };
        let cell = api::Cell {
            name: self.name,
            // A controller without a limit would still ask for the controller.
            cpu: Some(cpu).filter(|cpu| *cpu != api::CpuController::default()),
            cpuset: Some(cpuset).filter(|cpuset| *cpuset != api::CpusetController::default()),
            isolate_process: self.isolate_process,
            isolate_network: self.isolate_network,
            ..api::Cell::default()
        };
        api::CellServiceAllocateRequest { cell: Some(cell) }
    }
}

/// start a program in a cell, and say its pid once it runs
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "start",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> [--description <text>] -- <command>...",
    example = "A program and its arguments; each arrives as it was typed:\n  aer cell start web sleeper -- sleep 4000\n  aer cell start web greeter -- sh -c 'echo hello there; sleep 9'",
    example = "A command line for the shell, as one word:\n  aer cell start web counter -- 'while sleep 1; do date; done >/tmp/dates'",
    note = "The daemon runs the command with /bin/sh -c, in /, in a session of its own and\nwith a small environment. One word is given to the shell as it is; several are\nquoted, so that the shell sees the same words.",
    note = "When it has exited, aer cell list says how; it is listed until aer cell stop,\nor until its name is used again."
)]
struct Start {
    /// the cell to run in
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// what to call it there: any text, as server or "sleep 4000"
    #[argh(positional, arg_name = "name")]
    name: String,

    /// a text for people; aer cell list shows it
    #[argh(option, default = "String::new()")]
    description: String,

    /// the program and its arguments, or one line for the shell
    #[argh(positional, arg_name = "command")]
    command: Vec<String>,
}

impl Start {
    /// The command must stand behind `--`. Otherwise a forgotten NAME would make a name of the program, and run its
    /// first argument. CELL and NAME may stand behind a `--` of their own, as names that start with `-` have to.
    fn take_separator(&mut self, words_after_dashes: usize) -> Result<(), String> {
        let words = self.command.len();
        if words > 1 && self.command[0] == "--" && words_after_dashes == words + 2 {
            self.command.remove(0);
        } else if words == 0 {
            return Err("a command is missing behind \"--\"".to_owned());
        } else if words_after_dashes != words {
            return Err("\"--\" must stand between <name> and <command>".to_owned());
        }
        Ok(())
    }

    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let request = self.request();
        let response = cells.start(&request).await?;
        let name = request.executable.map(|executable| executable.name).unwrap_or_default();
        let (name, cell, pid) = (shown(&name), shown(&request.cell_name), response.pid);
        Ok(Answer::new(json::start(&response), format!("started {name} in {cell}, pid {pid}\n")))
    }

    fn request(self) -> api::CellServiceStartRequest {
        let command = shell::command_line(&self.command);
        let executable =
            api::Executable { name: self.name, command, description: self.description, ..Default::default() };
        api::CellServiceStartRequest {
            cell_name: self.cell,
            executable: Some(executable),
            ..api::CellServiceStartRequest::default()
        }
    }
}

/// end a program with all that it started, and free its name
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "stop",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> [--grace-ms <n>]",
    example = "aer cell stop web sleeper\naer cell stop web sleeper --grace-ms 0",
    note = "SIGTERM first; what is left after the grace period is killed. Returns when all\nare gone.",
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
    usage = "<cell> [--grace-ms <n>]",
    example = "aer cell free web\naer cell free web/api --grace-ms 20000",
    note = "SIGTERM first; what is left after the grace period is killed. Returns when all\nare gone. A cell that has cells inside it is refused.",
    note = "The call may take --timeout-ms plus --grace-ms; when that is not given, plus\n5000, the daemon's own default."
)]
struct Free {
    /// the cell
    #[argh(positional, arg_name = "cell")]
    cell: String,

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
            ..Default::default()
        };
        cells.free(&request).await?;
        Ok(Answer::new(json::empty(), text))
    }
}

/// list all cells as a tree, with their limits and what runs in them
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "list",
    help_triggers("-h", "--help"),
    example = "aer cell list\naer cell list --json",
    note = "Below each cell stand, indented, its programs (those with a pid) and the cells\ninside it. Limits are shown by the names of the flags that set them."
)]
struct List {}

impl List {
    async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.list(&api::CellServiceListRequest {}).await?;
        Ok(Answer::new(json::list(&response), listing::tree(&response.cells)))
    }
}

/// A name in a sentence; in quotes where it would read as a part of it.
fn shown(name: &str) -> String {
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
    fn a_cell_without_limits_asks_for_no_controller() {
        let request = |arguments: &[&str]| {
            let verb = CellCommand::from_args(&["aer", "cell"], &[&["allocate", "web"], arguments].concat());
            match verb.expect("the arguments are right").verb {
                Verb::Allocate(allocate) => allocate.request().cell.expect("it is always set"),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(request(&[]), api::Cell { name: "web".to_owned(), ..api::Cell::default() });
        let cell = request(&["--cpu-max", "-5", "--mems", ""]);
        assert_eq!(cell.cpu.and_then(|cpu| cpu.max), Some(-5));
        assert_eq!(cell.cpuset.and_then(|cpuset| cpuset.mems).as_deref(), Some(""));
        assert!(!cell.isolate_process && !cell.isolate_network);
        let isolated = request(&["--isolate-process"]);
        assert!(isolated.isolate_process && !isolated.isolate_network);
        assert!(request(&["--isolate-network"]).isolate_network);
    }
}
