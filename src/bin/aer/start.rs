//! `aer cell start`: the one verb with many flags.

use std::io::Read;

use argh::FromArgs;
use auraed::grpc::status::{Code, Status};
use auraed::limits::STDIN_BYTES_MAX;
use auraed::proto::aurae::runtime::v0 as api;

use crate::cell::{Cells, shown};
use crate::output::Answer;
use crate::size::Size;
use crate::time::Span;
use crate::{json, shell};

/// start a program in a cell, and say its pid once it runs
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "start",
    help_triggers("-h", "--help"),
    usage = "<cell> <name> [<options>] -- <command>...",
    example = "A program and its arguments; each arrives as it was typed:\n  aer cell start web sleeper -- sleep 4000\n  aer cell start web greeter -- sh -c 'echo hello there; sleep 9'",
    example = "A command line for the shell, as one word:\n  aer cell start web counter -- 'while sleep 1; do date; done'",
    example = "A program that is started again when it fails, up to five times in a row:\n  aer cell start web server --restart on-failure:5 -- python3 -m http.server",
    example = "Without a shell, as another user, with few privileges:\n  aer cell start web server --exec --user 1000:1000 --env PORT=8080 \\\n    --rlimit nofile=1024:2048 --no-new-privileges --cap-bound '' -- server -v",
    note = "The daemon runs the command with /bin/sh -c, in /, in a session of its own and\nwith a small environment. One word is given to the shell as it is; several are\nquoted, so that the shell sees the same words.",
    note = "When it has exited, aer cell list says how, and aer cell wait exits in the same\nway. It is listed until its name is used again, or its cell is freed.",
    example = "A program whose output is also kept in files, at most 5 of 1 MiB for each output:\n  aer cell start web server --log-mode file --log-file-size 1M --log-file-count 4 \\\n    -- server -v",
    note = "A restart comes 100 ms after the exit, and twice as long after each further one,\nup to 30 seconds. A run of 10 seconds begins count and delays anew.",
    note = "aer logs shows what it writes. The daemon holds the newest part of it, and never\nhas the program wait, unless --log-mode block asks for it: then it waits for those\nwho follow. --log-mode file appends all of it to LIBRARY_DIR/logs/<cell>/, too."
)]
pub struct Start {
    /// the cell to run in
    #[argh(positional, arg_name = "cell")]
    cell: String,

    /// what to call it there: any text, as server or "sleep 4000"
    #[argh(positional, arg_name = "name")]
    name: String,

    /// a text for people; aer cell list shows it
    #[argh(option, default = "String::new()")]
    description: String,

    /// run the program without a shell; it is looked for in the PATH that it gets
    #[argh(switch)]
    exec: bool,

    /// a variable of its environment, NAME=VALUE; once for each
    #[argh(option, from_str_fn(variable))]
    env: Vec<(String, String)>,

    /// the directory to run in. Default: /
    #[argh(option, default = "String::new()")]
    workdir: String,

    /// whom to run as, by number: UID, UID:GID or :GID. Default: the daemon's
    #[argh(option, from_str_fn(user), default = "(None, None)")]
    user: (Option<u32>, Option<u32>),

    /// a limit of setrlimit(2), NAME=SOFT or NAME=SOFT:HARD, each a number or unlimited; once for each
    #[argh(option, from_str_fn(limit))]
    rlimit: Vec<api::Rlimit>,

    /// nothing that it runs gains privileges
    #[argh(switch)]
    no_new_privileges: bool,

    /// the capabilities that it can have at most, as CAP_CHOWN,CAP_KILL; '' for none
    #[argh(option)]
    cap_bound: Option<String>,

    /// what stands on standard input here, up to its end, is what the program reads there
    #[argh(switch)]
    stdin: bool,

    /// what to do when it exits: no, on-failure or always; with :N, at most N restarts in a row
    #[argh(option, from_str_fn(restart))]
    restart: Option<api::RestartPolicy>,

    /// what to do with output that cannot be held: ring (drop the oldest), block (wait for those who follow) or file
    /// (also keep it in files). Default: ring
    #[argh(option, from_str_fn(log_mode))]
    log_mode: Option<api::LogMode>,

    /// how much of each output is held in memory, as 64K or 1M. Default: 64K
    #[argh(option, from_str_fn(size))]
    log_ring: Option<u32>,

    /// the size at which a log file is put aside, and another begun. Default: 10M
    #[argh(option, from_str_fn(size))]
    log_file_size: Option<u64>,

    /// how many log files that were put aside are kept for each output. Default: 4
    #[argh(option)]
    log_file_count: Option<u32>,

    /// the age at which a log file is put aside, and one that was put aside is removed, as 90s, 12h or 7d. Default: any
    #[argh(option)]
    log_file_age: Option<Span>,

    /// the program and its arguments, or one line for the shell
    #[argh(positional, arg_name = "command")]
    command: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a \"=\" is missing: NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn user(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let id = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no id: UID, UID:GID or :GID"));
    let uid = if user.is_empty() && group.is_some() { None } else { Some(id(user)?) };
    Ok((uid, group.map(id).transpose()?))
}

fn limit(text: &str) -> Result<api::Rlimit, String> {
    let (name, values) = text.split_once('=').ok_or("a \"=\" is missing: NAME=SOFT or NAME=SOFT:HARD")?;
    let value = |text: &str| match text {
        "unlimited" => Ok(u64::MAX),
        _ => text.parse().map_err(|_| format!("\"{text}\" is neither a number nor unlimited")),
    };
    let (soft, hard) = values.split_once(':').map_or((values, None), |(soft, hard)| (soft, Some(hard)));
    Ok(api::Rlimit { name: name.to_owned(), soft: Some(value(soft)?), hard: hard.map(value).transpose()? })
}

/// `on-failure`, `always:3`.
fn restart(text: &str) -> Result<api::RestartPolicy, String> {
    let refused = || format!("{text:?} is not one of no, on-failure, on-failure:N, always and always:N");
    let (condition, max) = match text.split_once(':') {
        Some((condition, max)) => (condition, Some(max.parse().map_err(|_| refused())?)),
        None => (text, None),
    };
    let condition = match condition {
        "no" if max.is_none() => api::RestartCondition::Never,
        "on-failure" => api::RestartCondition::OnFailure,
        "always" => api::RestartCondition::Always,
        _ => return Err(refused()),
    };
    Ok(api::RestartPolicy { condition: condition.into(), max_restarts: max })
}

fn log_mode(text: &str) -> Result<api::LogMode, String> {
    match text {
        "ring" => Ok(api::LogMode::Ring),
        "block" => Ok(api::LogMode::Block),
        "file" => Ok(api::LogMode::File),
        _ => Err(format!("{text:?} is not one of ring, block and file")),
    }
}

/// Whether it is too small or too large is for the daemon to say, where the number can be told to it.
fn size<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let Size(bytes) = text.parse()?;
    T::try_from(bytes).map_err(|_| format!("{text:?} is out of range"))
}

impl Start {
    /// The command must stand behind `--`. Otherwise a forgotten NAME would make a name of the program, and run its
    /// first argument. CELL and NAME may stand behind a `--` of their own, as names that start with `-` have to.
    pub fn take_separator(&mut self, words_after_dashes: usize) -> Result<(), String> {
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

    pub async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let stdin = if self.stdin { Some(read_stdin()?) } else { None };
        let mut request = self.request();
        request.executable.get_or_insert_default().stdin = stdin;
        let response = cells.start(&request).await?;
        let name = request.executable.map(|executable| executable.name).unwrap_or_default();
        let (name, cell, pid) = (shown(&name), shown(&request.cell_name), response.pid);
        Ok(Answer::new(json::start(&response), format!("started {name} in {cell}, pid {pid}\n")))
    }

    /// All of it but standard input.
    pub fn request(self) -> api::CellServiceStartRequest {
        let (command, args) = match self.exec {
            true => (String::new(), self.command),
            false => (shell::command_line(&self.command), Vec::new()),
        };
        let names =
            |list: String| list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let log = api::LogPolicy {
            mode: self.log_mode.unwrap_or_default().into(),
            ring_bytes: self.log_ring,
            file_bytes_max: self.log_file_size,
            file_count_max: self.log_file_count,
            file_age_seconds_max: self.log_file_age.map(|Span(seconds)| seconds),
        };
        let executable = api::Executable {
            name: self.name,
            command,
            description: self.description,
            args,
            env: self.env.into_iter().collect(),
            working_directory: self.workdir,
            rlimits: self.rlimit,
            no_new_privileges: self.no_new_privileges,
            capabilities: self.cap_bound.map(|list| api::CapabilitySet { names: names(list) }),
            restart: self.restart,
            log: Some(log).filter(|policy| *policy != api::LogPolicy::default()),
            ..api::Executable::default()
        };
        let (uid, gid) = self.user;
        api::CellServiceStartRequest { cell_name: self.cell, executable: Some(executable), uid, gid }
    }
}

/// One byte more than the daemon takes, so that it is the daemon that says so.
fn read_stdin() -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(STDIN_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Status::new(Code::Unknown, format!("cannot read standard input: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_fields() {
        let arguments = [
            "web",
            "job",
            "--exec",
            "--env",
            "A=b=c",
            "--env",
            "E=",
            "--workdir",
            "/srv",
            "--user",
            "7:8",
            "--rlimit",
            "nofile=1:2",
            "--rlimit",
            "core=unlimited",
            "--no-new-privileges",
            "--cap-bound",
            "CAP_KILL,CAP_CHOWN",
            "ls",
            "a b",
        ];
        let request = Start::from_args(&["start"], &arguments).expect("the arguments are right").request();
        assert_eq!((request.uid, request.gid), (Some(7), Some(8)));
        let executable = request.executable.expect("it is always set");
        assert_eq!(
            (executable.command.as_str(), executable.args),
            ("", vec!["ls".to_owned(), "a b".to_owned()])
        );
        let env: Vec<_> =
            executable.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((env, executable.working_directory.as_str()), (vec![("A", "b=c"), ("E", "")], "/srv"));
        let limit = |name: &str, soft, hard| api::Rlimit { name: name.to_owned(), soft: Some(soft), hard };
        assert_eq!(executable.rlimits, [limit("nofile", 1, Some(2)), limit("core", u64::MAX, None)]);
        assert!(executable.no_new_privileges);
        assert_eq!(executable.capabilities.expect("set").names, ["CAP_KILL", "CAP_CHOWN"]);
    }

    #[test]
    fn without_flags_nothing_is_asked_for() {
        let request = Start::from_args(&["start"], &["web", "job", "ls"]).expect("right").request();
        let (name, command) = ("job".to_owned(), "ls".to_owned());
        let executable = api::Executable { name, command, ..api::Executable::default() };
        let expected = api::CellServiceStartRequest {
            cell_name: "web".to_owned(),
            executable: Some(executable),
            ..api::CellServiceStartRequest::default()
        };
        assert_eq!(request, expected);
        let none =
            Start::from_args(&["start"], &["web", "job", "--cap-bound", "", "ls"]).expect("right").request();
        assert_eq!(none.executable.and_then(|e| e.capabilities), Some(api::CapabilitySet::default()));
    }

    #[test]
    fn what_is_kept_of_the_output_is_said_in_sizes_and_times() {
        let policy = |arguments: &[&str]| {
            let arguments = [&["web", "job"], arguments, &["ls"]].concat();
            let start = Start::from_args(&["start"], &arguments).map_err(|exit| exit.output)?;
            Ok(start.request().executable.and_then(|executable| executable.log))
        };
        let all = ["--log-mode", "file", "--log-ring", "1M", "--log-file-size", "5G"];
        let more = ["--log-file-count", "0", "--log-file-age", "1h30m"];
        let expected = api::LogPolicy {
            mode: api::LogMode::File.into(),
            ring_bytes: Some(1 << 20),
            file_bytes_max: Some(5 << 30),
            file_count_max: Some(0),
            file_age_seconds_max: Some(5400),
        };
        assert_eq!(policy(&[&all[..], &more].concat()), Ok(Some(expected)));
        let block = api::LogPolicy { mode: api::LogMode::Block.into(), ..api::LogPolicy::default() };
        assert_eq!(policy(&["--log-mode", "block"]), Ok(Some(block)));
        for (arguments, why) in [
            (["--log-mode", "files"], "is not one of ring, block and file"),
            (["--log-ring", "4G"], "is out of range"),
            (["--log-ring", "much"], "is no size"),
            (["--log-file-size", "-1"], "is out of range"),
            (["--log-file-age", "1 day"], "is no time span"),
        ] {
            let refusal: String = policy(&arguments).expect_err("it is wrong");
            assert!(refusal.contains(why), "{arguments:?}: {refusal}");
        }
    }

    #[test]
    fn users_are_numbers() {
        for (text, ids) in [("7", (Some(7), None)), ("7:8", (Some(7), Some(8))), (":8", (None, Some(8)))] {
            assert_eq!(user(text), Ok(ids));
        }
        for text in ["", ":", "root", "7:", "-1", "4294967296"] {
            assert!(user(text).is_err(), "{text}");
        }
        for text in ["nofile", "nofile=", "nofile=1:", "nofile=many", "nofile=-1"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
