//! The command line: which call, to which daemon, for how long, and in which form the answer is wanted.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::{CommandInfo, FromArgs, SubCommands};
use auraed::limits::KILL_TIMEOUT;
use auraed::transport::listen::Address;

use crate::answered;
use crate::cell::CellCommand;
use crate::discover::Discover;
use crate::events::Events;
use crate::follow::{Daemon, Failure};
use crate::health::HealthCheck;
use crate::logs::Logs;
use crate::output::Form;

/// How long a call may take. All but Stop and Free are answered in milliseconds; a machine that swaps gets its time.
const CALL_TIMEOUT_MS: u64 = 30_000;

const _: () = assert!(
    CALL_TIMEOUT_MS as u128 > KILL_TIMEOUT.as_millis(),
    "Stop must be able to say that a kill failed"
);

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    Call(Invocation),
    /// Print this and exit 0.
    Print(String),
}

/// One call.
#[derive(Debug)]
pub struct Invocation {
    pub address: Address,
    /// For the whole call, a grace period included. `None`: as long as it takes.
    pub timeout: Option<Duration>,
    pub form: Form,
    pub command: Command,
}

/// A command line that cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError {
    pub message: String,
    /// The form that errors are wanted in.
    pub form: Form,
}

impl Asked {
    /// Reads arguments (the program's name not among them) and environment.
    pub fn parse(
        arguments: impl Iterator<Item = OsString>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let arguments: Vec<OsString> = arguments.collect();
        let before_dashes = arguments.iter().take_while(|argument| *argument != "--");
        let form = if before_dashes.clone().any(|a| a == "--json") { Form::Json } else { Form::Text };
        let failed = |message: String| UsageError { message, form };
        let texts: Result<Vec<&str>, _> =
            arguments.iter().map(|a| a.to_str().ok_or_else(|| format!("{a:?} is not UTF-8"))).collect();
        Self::parse_texts(&texts.map_err(failed)?, form, environment).map_err(failed)
    }

    fn parse_texts(
        texts: &[&str],
        form: Form,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, String> {
        let arranged = arrange(texts)?;
        let flags = match Flags::from_args(&["aer"], &arranged) {
            Ok(flags) => flags,
            Err(exit) if exit.status.is_ok() => return Ok(Self::Print(exit.output + more_help(&arranged))),
            Err(exit) => return Err(with_hint(&with_commands(exit.output.trim_end(), &arranged), &arranged)),
        };
        if flags.version {
            return Ok(Self::Print(format!("aer {}\n", env!("CARGO_PKG_VERSION"))));
        }
        let command =
            flags.command.ok_or_else(|| with_hint(&with_commands(NO_COMMAND, &arranged), &arranged))?;
        let words_after_dashes = texts.iter().skip_while(|text| **text != "--").skip(1).count();
        let command = command.checked(words_after_dashes).map_err(|why| with_hint(&why, &arranged))?;
        let timeout_ms = flags.timeout_ms.unwrap_or(if command.is_patient() { 0 } else { CALL_TIMEOUT_MS });
        let timeout = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms) + command.grace());
        let address = address(flags.socket, environment)?;
        Ok(Self::Call(Invocation { address, timeout, form, command }))
    }
}

/// Each command makes one call, or reads one stream.
#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Command {
    Discover(Discover),
    Health(HealthCheck),
    Cell(CellCommand),
    Logs(Logs),
    Events(Events),
}

impl Command {
    /// Asks, and prints. Answers what to exit with.
    pub async fn run(self, daemon: &Daemon<'_>, form: Form) -> Result<ExitCode, Failure> {
        let waits_for = self.waits_for();
        let connect = || daemon.connect();
        match self {
            Self::Logs(command) => command.run(daemon, form).await.map(ExitCode::from),
            Self::Events(command) => command.run(daemon, form).await.map(ExitCode::from),
            Self::Discover(command) => {
                answered(async { command.run(&connect().await?).await }, waits_for, form).await
            }
            Self::Health(command) => {
                answered(async { command.run(&connect().await?).await }, waits_for, form).await
            }
            Self::Cell(command) => {
                answered(async { command.run(&connect().await?).await }, waits_for, form).await
            }
        }
    }

    /// How long the daemon may wait for processes to end before the call is answered.
    fn grace(&self) -> Duration {
        match self {
            Self::Cell(command) => command.grace(),
            Self::Discover(_) | Self::Health(_) | Self::Logs(_) | Self::Events(_) => Duration::ZERO,
        }
    }

    /// What is waited for, if this may take its time.
    pub fn waits_for(&self) -> Option<String> {
        match self {
            Self::Cell(command) => command.waits_for(),
            Self::Discover(_) | Self::Health(_) | Self::Logs(_) | Self::Events(_) => None,
        }
    }

    /// It takes as long as a program runs, or as somebody reads, which nobody can know.
    fn is_patient(&self) -> bool {
        match self {
            Self::Cell(command) => command.is_patient(),
            Self::Logs(_) | Self::Events(_) => true,
            Self::Discover(_) | Self::Health(_) => false,
        }
    }

    fn checked(self, words_after_dashes: usize) -> Result<Self, String> {
        match self {
            Self::Cell(command) => command.checked(words_after_dashes).map(Self::Cell),
            Self::Logs(command) => command.checked().map(Self::Logs),
            other => Ok(other),
        }
    }
}

/// aer asks auraed, the node daemon, to run programs in cells: shares of this machine with limits.
#[derive(FromArgs, Debug)]
#[argh(
    help_triggers("-h", "--help"),
    usage = "[--socket <path|ip:port>] [--timeout-ms <n>] [--json] <command> [<args>]",
    example = "Is a daemon there, and does it work?\n  aer discover",
    example = "Run a program on at most a fifth of a processor, look at it, and clean up:\n  aer cell allocate web --cpu-max 200000\n  aer cell start web sleeper -- sleep 4000\n  aer cell list\n  aer cell stop web sleeper\n  aer cell free web",
    example = "See what it writes, and what becomes of cells and programs:\n  aer logs web sleeper -f\n  aer events",
    example = "The daemon's answer for a program:\n  aer cell list --json",
    note = "--socket, --timeout-ms and --json may also stand behind the command, but not\nbehind \"--\".",
    note = "--json prints what grpcurl prints: the JSON form of protobuf, with int64 as\ntext, enums by name, and without fields that have their default value (false,\n0, \"\", empty lists). An error is then a line of JSON on stderr, with code,\nmessage and violations (each with field and description).",
    note = "Without --json, an error starts with its gRPC code: aer: NOT_FOUND: ...",
    error_code(0, "The daemon did it, or said that it is well."),
    error_code(1, "The daemon refused or failed, cannot be reached, or is not well."),
    error_code(2, "The command line is wrong; nothing was asked.")
)]
struct Flags {
    /// where the daemon listens: the path of a Unix socket, or IP:PORT. Default: $AURAE_SOCKET, else aurae.sock in
    /// $AURAE_RUNTIME_DIR, else /run/aurae/aurae.sock
    #[argh(option)]
    socket: Option<String>,

    /// milliseconds until the call is given up; grace periods come on top. 0: never. Default: 30000, but never for cell
    /// wait, logs and events
    #[argh(option)]
    timeout_ms: Option<u64>,

    /// print the answer, or the error, as JSON
    #[argh(switch)]
    #[expect(dead_code, reason = "looked up before argh runs: its errors are JSON, too")]
    json: bool,

    /// print the version and exit
    #[argh(switch)]
    version: bool,

    #[argh(subcommand)]
    command: Option<Command>,
}

/// Puts arguments where argh takes them. It knows an option only at the level that declares it; people type `--json`
/// at the end, and `help` at the start. What stands behind `--` stays there.
fn arrange<'a>(arguments: &[&'a str]) -> Result<Vec<&'a str>, String> {
    let (before, after) =
        arguments.split_at(arguments.iter().position(|a| *a == "--").unwrap_or(arguments.len()));
    let (mut global, mut rest, mut help) = (Vec::new(), Vec::new(), None);
    let mut before = before.iter().copied();
    while let Some(argument) = before.next() {
        match argument {
            "--json" => global.push(argument),
            "--socket" | "--timeout-ms" => {
                let value = before.next().ok_or_else(|| format!("{argument} needs a value"))?;
                global.extend([argument, value]);
            }
            "-h" | "--help" => help = Some("--help"),
            "help" if help.is_none() && matches!(rest[..], [] | ["cell"]) => help = Some("--help"),
            _ => rest.push(argument),
        }
    }
    // argh hands a --help that stands before a command on to it as the word "help", which may be the name of a cell.
    let after = if help.is_some() { &[] } else { after };
    Ok(global.into_iter().chain(rest).chain(help).chain(after.iter().copied()).collect())
}

/// A message, and where to read more: the help of the command as far as it is known.
fn with_hint(message: &str, arguments: &[&str]) -> String {
    let words = [vec!["aer"], command_words(arguments), vec!["--help"]].concat();
    format!("{message}\nsee {}", words.join(" "))
}

/// Where argh asks for one of many words.
const NO_SUBCOMMAND: &str = "One of the following subcommands must be present";
const NO_COMMAND: &str = "a command is missing";

/// A message, and below it the commands that there are, if it is about a command line that has none yet.
fn with_commands(message: &str, arguments: &[&str]) -> String {
    let commands: Vec<&CommandInfo> = match command_words(arguments)[..] {
        [] => Command::COMMANDS.to_vec(),
        ["cell"] => CellCommand::VERBS.to_vec(),
        _ => return message.to_owned(),
    };
    let message = if message.starts_with(NO_SUBCOMMAND) { NO_COMMAND } else { message };
    let width = commands.iter().map(|command| command.name.len()).max().unwrap_or(0);
    let line = |command: &CommandInfo| format!("\n  {:width$}  {}", command.name, command.description);
    message.to_owned() + &commands.into_iter().map(line).collect::<String>()
}

/// What argh cannot know below the top: the options there serve every command.
fn more_help(arguments: &[&str]) -> &'static str {
    if command_words(arguments).is_empty() {
        ""
    } else {
        "\nWith every command: --socket, --timeout-ms, --json; see aer --help.\n"
    }
}

/// The words among the arguments that name the command.
fn command_words<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let is_among =
        |commands: &[&CommandInfo], word: &str| commands.iter().any(|command| command.name == word);
    let mut words = arguments.iter().copied().skip_while(|word| !is_among(Command::COMMANDS, word));
    let noun = words.next();
    let verb = words.next().filter(|verb| noun == Some("cell") && is_among(CellCommand::VERBS, verb));
    noun.into_iter().chain(verb).collect()
}

fn address(flag: Option<String>, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Address, String> {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    if let Some(text) = flag {
        let parsed = Address::parse(&text);
        return if text.is_empty() {
            Err("--socket is empty; give a path or IP:PORT".into())
        } else {
            Ok(parsed)
        };
    }
    if let Some(value) = set("AURAE_SOCKET") {
        // The daemon, which reads the same variable, may listen on several sockets.
        let first = value.to_str().and_then(|text| text.split(',').next()).map(Address::parse);
        return Ok(first.unwrap_or_else(|| Address::Unix(value.into())));
    }
    let runtime_dir = set("AURAE_RUNTIME_DIR").map_or_else(|| "/run/aurae".into(), PathBuf::from);
    Ok(Address::Unix(runtime_dir.join("aurae.sock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Asked, UsageError> {
        let lookup = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        Asked::parse(arguments.iter().map(OsString::from), &lookup)
    }

    fn call(arguments: &[&str]) -> Invocation {
        match parse(arguments, &[]) {
            Ok(Asked::Call(invocation)) => invocation,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    fn refusal(arguments: &[&str]) -> String {
        match parse(arguments, &[]) {
            Err(usage) => usage.message,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    fn printed(arguments: &[&str]) -> String {
        match parse(arguments, &[]) {
            Ok(Asked::Print(text)) => text,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn options_of_every_call_may_stand_anywhere_before_the_dashes() {
        for arguments in [
            &["--json", "--socket", "/s", "--timeout-ms", "7", "cell", "list"][..],
            &["cell", "--json", "list", "--timeout-ms", "7", "--socket", "/s"],
            &["cell", "list", "--socket", "/s", "--timeout-ms", "7", "--json", "--json"],
        ] {
            let invocation = call(arguments);
            assert_eq!(invocation.form, Form::Json, "{arguments:?}");
            assert_eq!(invocation.address, Address::Unix("/s".into()));
            assert_eq!(invocation.timeout, Some(Duration::from_millis(7)));
        }
        assert_eq!(call(&["cell", "start", "c", "n", "--", "ls", "--json"]).form, Form::Text);
        assert!(refusal(&["cell", "list", "--socket"]).starts_with("--socket needs a value"));
    }

    #[test]
    fn help_is_printed_for_the_command_that_it_stands_with() {
        for (arguments, usage) in [
            (&["--help"][..], "Usage: aer ["),
            (&["help"], "Usage: aer ["),
            (&["help", "cell"], "Usage: aer cell <command>"),
            (&["cell", "-h"], "Usage: aer cell <command>"),
            (&["--help", "cell", "free"], "Usage: aer cell free <cell>"),
            (&["cell", "help", "free"], "Usage: aer cell free <cell>"),
            (&["help", "cell", "free"], "Usage: aer cell free <cell>"),
            (&["cell", "free", "web", "--help"], "Usage: aer cell free <cell>"),
            (&["cell", "start", "--help", "--", "x"], "Usage: aer cell start <cell>"),
            (&["discover", "--help", "--json"], "Usage: aer discover"),
            (&["logs", "web", "--help"], "Usage: aer logs <cell> <name>"),
            (&["help", "events"], "Usage: aer events [--since"),
        ] {
            assert!(printed(arguments).starts_with(usage), "{arguments:?}: {}", printed(arguments));
        }
        assert_eq!(printed(&["--version"]), format!("aer {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn help_is_a_name_like_any_other() {
        assert!(matches!(call(&["cell", "free", "help"]).command, Command::Cell(_)));
        assert!(matches!(
            call(&["cell", "start", "help", "help", "--", "help", "--help"]).command,
            Command::Cell(_)
        ));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_the_place_to_read_more() {
        for (arguments, hint) in [
            (&[][..], "see aer --help"),
            (&["frob"], "see aer --help"),
            (&["list"], "see aer --help"),
            (&["cell"], "see aer cell --help"),
            (&["cell", "frob"], "see aer cell --help"),
            (&["cell", "frob", "free"], "see aer cell --help"),
            (&["cell", "free"], "see aer cell free --help"),
            (&["cell", "free", "a", "b"], "see aer cell free --help"),
            (&["logs", "web"], "see aer logs --help"),
            (&["events", "web"], "see aer events --help"),
            (&["cell", "allocate", "a", "--cpu-weight", "-1"], "see aer cell allocate --help"),
            (&["cell", "stop", "a", "b", "--grace-ms", "5000000000"], "see aer cell stop --help"),
            (&["discover", "--timeout-ms", "soon"], "see aer discover --help"),
        ] {
            let refusal = refusal(arguments);
            assert!(refusal.ends_with(hint), "{arguments:?}: {refusal}");
        }
        let json = parse(&["cell", "frob", "--json"], &[]).expect_err("frob is no verb");
        assert_eq!(json.form, Form::Json);
    }

    #[test]
    fn a_line_without_a_command_is_told_which_there_are() {
        for (arguments, first, among) in [
            (&[][..], "a command is missing\n", "\n  cell      make and free cells"),
            (&["--json"], "a command is missing\n", "\n  discover  say which"),
            (&["frob"], "Unrecognized argument: frob\n", "\n  health    say whether"),
            (&["cell"], "a command is missing\n", "\n  allocate  make a cell"),
            (&["cell", "frob"], "Unrecognized argument: frob\n", "\n  free      end all programs"),
        ] {
            let refusal = refusal(arguments);
            assert!(refusal.starts_with(first) && refusal.contains(among), "{arguments:?}: {refusal}");
        }
        let known = refusal(&["cell", "free"]);
        assert!(!known.contains("allocate"), "{known}");
    }

    #[test]
    fn help_fits_a_narrow_terminal() {
        let all = std::iter::once(vec![]).chain(Command::COMMANDS.iter().map(|noun| vec![noun.name]));
        let verbs = CellCommand::VERBS.iter().map(|verb| vec!["cell", verb.name]);
        for words in all.chain(verbs) {
            let help = printed(&[&words[..], &["--help"]].concat());
            let wide = help.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{words:?}");
        }
    }

    #[test]
    fn arguments_are_utf_8() {
        use std::os::unix::ffi::OsStringExt;
        let arguments = [OsString::from("--json"), OsString::from_vec(vec![b'a', 0xff])];
        let usage = Asked::parse(arguments.into_iter(), &|_| None).expect_err("0xff is not UTF-8");
        assert_eq!((usage.message.as_str(), usage.form), (r#""a\xFF" is not UTF-8"#, Form::Json));
    }

    #[test]
    fn the_socket_comes_from_flag_environment_or_default() {
        let address = |arguments: &[&str], environment: &[(&str, &str)]| {
            let arguments = [&["discover"], arguments].concat();
            match parse(&arguments, environment) {
                Ok(Asked::Call(invocation)) => invocation.address.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let both = [("AURAE_SOCKET", "/s,127.0.0.1:7"), ("AURAE_RUNTIME_DIR", "/r")];
        assert_eq!(address(&["--socket", "127.0.0.1:8"], &both), "127.0.0.1:8");
        assert_eq!(address(&[], &both), "/s");
        assert_eq!(address(&[], &both[1..]), "/r/aurae.sock");
        assert_eq!(address(&[], &[("AURAE_SOCKET", ""), ("AURAE_RUNTIME_DIR", "")]), "/run/aurae/aurae.sock");
        assert!(refusal(&["discover", "--socket", ""]).contains("empty"));
    }

    #[test]
    fn a_grace_period_comes_on_top_of_the_timeout() {
        let timeout_ms = |arguments: &[&str]| call(arguments).timeout.map(|timeout| timeout.as_millis());
        assert_eq!(timeout_ms(&["cell", "list"]), Some(30_000));
        assert_eq!(timeout_ms(&["cell", "free", "a"]), Some(35_000));
        assert_eq!(timeout_ms(&["cell", "stop", "a", "b", "--grace-ms", "60000"]), Some(90_000));
        assert_eq!(timeout_ms(&["cell", "stop", "a", "b", "--grace-ms", "0", "--timeout-ms", "9"]), Some(9));
        assert_eq!(timeout_ms(&["cell", "stop", "a", "b", "--timeout-ms", "0"]), None);
        assert_eq!(timeout_ms(&["cell", "wait", "a", "b"]), None);
        assert_eq!(timeout_ms(&["cell", "wait", "a", "b", "--timeout-ms", "9"]), Some(9));
        assert_eq!(timeout_ms(&["logs", "a", "b"]), None);
        assert_eq!(timeout_ms(&["events", "--timeout-ms", "9"]), Some(9));
        assert_eq!(timeout_ms(&["discover", "--timeout-ms", &u64::MAX.to_string()]), Some(u64::MAX.into()));
    }
}
