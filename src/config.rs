//! What the daemon is told at its start: flags, then environment, then defaults; read once into a [`Config`].

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use argh::FromArgs;
use log::LevelFilter;

use crate::limits::{
    self, LOG_MEMORY_BYTES, LOG_MEMORY_BYTES_MAX, LOG_MEMORY_BYTES_MIN, SOCKETS_MAX, STOP_GRACE,
    STOP_GRACE_MAX,
};
use crate::transport::listen::Address;

/// Everything that a run of the daemon depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub sockets: Vec<Address>,
    /// Holds the lock and the default socket; gone after a reboot.
    pub runtime_dir: PathBuf,
    /// Holds what outlives a reboot.
    pub library_dir: PathBuf,
    pub log_level: LevelFilter,
    /// Bytes that are held of the output of all executables.
    pub log_memory: usize,
    /// Between SIGTERM and SIGKILL when an executable or a cell is ended.
    pub stop_grace: Duration,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Config),
    /// Print this and exit 0.
    Print(String),
}

/// A command line that cannot be followed; exit 2.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

/// auraed runs workloads in cells (cgroups and namespaces) on this machine and answers the Aurae runtime API over
/// gRPC. It needs root, and a mounted cgroup filesystem.
///
/// Each flag can be given in the environment instead: AURAE_SOCKET (several separated by commas), AURAE_RUNTIME_DIR,
/// AURAE_LIBRARY_DIR, AURAE_LOG_LEVEL, AURAE_LOG_MEMORY, AURAE_STOP_GRACE_MS, AURAE_VERBOSE=1, AURAE_INSECURE_TCP=1. Flags win.
#[derive(FromArgs, Debug)]
#[argh(
    example = "Start it, and ask it how it is:\n  auraed &\n  aer discover",
    example = "As an ordinary gRPC server for grpcurl:\n  auraed --socket /tmp/a.sock --runtime-dir /tmp/aurae &\n  grpcurl -plaintext -unix /tmp/a.sock list",
    note = "SIGTERM and SIGINT stop it: calls in flight end, cells are freed, sockets are removed.",
    error_code(1, "It failed while running; the last line of the log says why."),
    error_code(2, "The command line or the environment is wrong; nothing was started.")
)]
struct Flags {
    /// where to listen: the path of a Unix socket (made with mode 0600), or IP:PORT with --insecure-tcp. May be
    /// repeated. Default: aurae.sock in the runtime directory
    #[argh(option, short = 's')]
    socket: Vec<String>,

    /// directory of the lock and the default socket; one daemon per directory. Default: /run/aurae
    #[argh(option, short = 'r')]
    runtime_dir: Option<PathBuf>,

    /// directory of what outlives a reboot: logs/CELL/ for executables that ask for files. Default: /var/lib/aurae
    #[argh(option, short = 'l')]
    library_dir: Option<PathBuf>,

    /// log more: the same as --log-level debug
    #[argh(switch, short = 'v')]
    verbose: bool,

    /// off, error, warn, info, debug or trace. Default: info
    #[argh(option)]
    log_level: Option<String>,

    /// bytes of memory for the newest output of all executables together, 262144 to 1073741824. Default: 8388608
    #[argh(option)]
    log_memory: Option<String>,

    /// milliseconds between SIGTERM and SIGKILL when an executable or a cell is ended, 0 to 3600000. Default: 5000
    #[argh(option)]
    stop_grace_ms: Option<String>,

    /// allow --socket IP:PORT on a loopback address, where every user of this machine can then run what it likes as
    /// root
    #[argh(switch)]
    insecure_tcp: bool,

    /// print every limit, and the memory that the daemon may need at worst, and exit
    #[argh(switch)]
    print_limits: bool,

    /// print the version and exit
    #[argh(switch)]
    version: bool,
}

impl Command {
    /// Reads arguments (the program's name not among them) and environment.
    pub fn parse(
        arguments: &[impl AsRef<OsStr>],
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, UsageError> {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|argument| utf8(argument.as_ref(), "the argument"))
            .collect::<Result<_, _>>()
            .map_err(UsageError)?;
        let flags = match Flags::from_args(&["auraed"], &arguments) {
            Ok(flags) => flags,
            Err(exit) if exit.status.is_ok() => return Ok(Self::Print(exit.output)),
            Err(exit) => return Err(UsageError(exit.output)),
        };
        if flags.version {
            return Ok(Self::Print(format!("auraed {}\n", env!("CARGO_PKG_VERSION"))));
        }
        if flags.print_limits {
            return Ok(Self::Print(limits::table()));
        }
        flags.resolve(environment).map(Self::Run).map_err(UsageError)
    }
}

impl Flags {
    fn resolve(self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Config, String> {
        let text =
            |name: &str| environment(name).map(|value| utf8(&value, name).map(str::to_owned)).transpose();
        let is_set = |name: &str| {
            environment(name).is_some_and(|value| !matches!(value.as_encoded_bytes(), b"" | b"0" | b"false"))
        };
        let path = |flag: Option<PathBuf>, name: &str, default: &str| {
            flag.or_else(|| environment(name).map(PathBuf::from)).unwrap_or_else(|| default.into())
        };
        let runtime_dir = path(self.runtime_dir, "AURAE_RUNTIME_DIR", "/run/aurae");
        let mut sockets = self.socket;
        if sockets.is_empty() {
            sockets = text("AURAE_SOCKET")?.iter().flat_map(|s| s.split(',')).map(str::to_owned).collect();
        }
        let sockets = if sockets.is_empty() {
            vec![Address::Unix(runtime_dir.join("aurae.sock"))]
        } else {
            parse_sockets(&sockets, self.insecure_tcp || is_set("AURAE_INSECURE_TCP"))?
        };
        let log_level = match self.log_level {
            Some(level) => parse_level(&level)?,
            None if self.verbose => LevelFilter::Debug,
            None => match text("AURAE_LOG_LEVEL")? {
                Some(level) => parse_level(&level)?,
                None if is_set("AURAE_VERBOSE") => LevelFilter::Debug,
                None => LevelFilter::Info,
            },
        };
        let stop_grace = match self.stop_grace_ms {
            Some(grace) => Some(grace),
            None => text("AURAE_STOP_GRACE_MS")?,
        };
        let log_memory = match self.log_memory {
            Some(bytes) => Some(bytes),
            None => text("AURAE_LOG_MEMORY")?,
        };
        Ok(Config {
            sockets,
            runtime_dir,
            library_dir: path(self.library_dir, "AURAE_LIBRARY_DIR", "/var/lib/aurae"),
            log_level,
            log_memory: parse_log_memory(log_memory.as_deref())?,
            stop_grace: parse_grace(stop_grace.as_deref())?,
        })
    }
}

/// Text, unless it would have to be guessed: replacing bytes would name another file.
fn utf8<'a>(value: &'a OsStr, what: &str) -> Result<&'a str, String> {
    value.to_str().ok_or_else(|| format!("{what} {value:?} is not UTF-8\n"))
}

fn parse_sockets(texts: &[String], insecure_tcp: bool) -> Result<Vec<Address>, String> {
    if texts.len() > SOCKETS_MAX {
        return Err(format!("--socket was given {} times; at most {SOCKETS_MAX} are served\n", texts.len()));
    }
    texts.iter().map(|text| parse_socket(text, insecure_tcp)).collect()
}

fn parse_socket(text: &str, insecure_tcp: bool) -> Result<Address, String> {
    let address = Address::parse(text);
    match &address {
        Address::Unix(path) if path.as_os_str().is_empty() => {
            Err("--socket \"\" is empty; give a path\n".into())
        }
        Address::Unix(_) => Ok(address),
        Address::Tcp(tcp) if !tcp.ip().is_loopback() => Err(format!(
            "--socket {tcp} can be reached from outside, and there is no TLS yet; accepted are loopback addresses \
             (with --insecure-tcp) and paths of Unix sockets\n"
        )),
        Address::Tcp(tcp) if !insecure_tcp => Err(format!(
            "--socket {tcp} would let every user of this machine run what it likes as root; add --insecure-tcp to \
             accept that, or use the path of a Unix socket\n"
        )),
        Address::Tcp(_) => Ok(address),
    }
}

fn parse_level(text: &str) -> Result<LevelFilter, String> {
    LevelFilter::from_str(text).map_err(|_| {
        format!("--log-level {text:?} is not known; accepted: off, error, warn, info, debug, trace\n")
    })
}

fn parse_grace(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(STOP_GRACE) };
    let grace = text.parse().ok().map(Duration::from_millis).filter(|grace| *grace <= STOP_GRACE_MAX);
    grace.ok_or_else(|| {
        format!(
            "--stop-grace-ms {text:?} is not a number of milliseconds from 0 to {}\n",
            STOP_GRACE_MAX.as_millis()
        )
    })
}

fn parse_log_memory(text: Option<&str>) -> Result<usize, String> {
    let Some(text) = text else { return Ok(LOG_MEMORY_BYTES) };
    let accepted = LOG_MEMORY_BYTES_MIN..=LOG_MEMORY_BYTES_MAX;
    text.parse().ok().filter(|bytes| accepted.contains(bytes)).ok_or_else(|| {
        format!(
            "--log-memory {text:?} is not a number of bytes from {LOG_MEMORY_BYTES_MIN} to {LOG_MEMORY_BYTES_MAX}\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
        config_of_bytes(
            &arguments.iter().map(|argument| argument.as_bytes()).collect::<Vec<_>>(),
            &environment.iter().map(|(name, value)| (*name, value.as_bytes())).collect::<Vec<_>>(),
        )
    }

    fn config_of_bytes(arguments: &[&[u8]], environment: &[(&str, &[u8])]) -> Result<Config, String> {
        let arguments: Vec<&OsStr> = arguments.iter().map(|argument| OsStr::from_bytes(argument)).collect();
        let lookup = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsStr::from_bytes(value).to_owned())
        };
        match Command::parse(&arguments, &lookup) {
            Ok(Command::Run(config)) => Ok(config),
            Ok(Command::Print(text)) => panic!("printed {text}"),
            Err(UsageError(text)) => Err(text),
        }
    }

    #[test]
    fn the_defaults_are_those_of_a_system_daemon() {
        let config = config(&[], &[]).unwrap();
        assert_eq!(config.sockets, [Address::Unix("/run/aurae/aurae.sock".into())]);
        assert_eq!(config.library_dir, PathBuf::from("/var/lib/aurae"));
        assert_eq!((config.log_level, config.stop_grace), (LevelFilter::Info, STOP_GRACE));
        assert_eq!(config.log_memory, LOG_MEMORY_BYTES);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_defaults() {
        let environment = [
            ("AURAE_RUNTIME_DIR", "/e"),
            ("AURAE_STOP_GRACE_MS", "7"),
            ("AURAE_LOG_LEVEL", "warn"),
            ("AURAE_LOG_MEMORY", "1000000"),
        ];
        let config = config(&["-r", "/f", "--stop-grace-ms", "9"], &environment).unwrap();
        assert_eq!(config.sockets, [Address::Unix("/f/aurae.sock".into())]);
        assert_eq!((config.stop_grace, config.log_level), (Duration::from_millis(9), LevelFilter::Warn));
        assert_eq!(config.log_memory, 1_000_000);
    }

    #[test]
    fn flags_win_also_where_two_set_the_log_level() {
        let environment = [("AURAE_VERBOSE", "1"), ("AURAE_LOG_LEVEL", "warn")];
        for (arguments, environment, expected) in [
            (["--log-level", "error", "-v"].as_slice(), environment.as_slice(), LevelFilter::Error),
            (&["-v"], &environment, LevelFilter::Debug),
            (&[], &environment, LevelFilter::Warn),
            (&[], &environment[..1], LevelFilter::Debug),
            (&[], &[], LevelFilter::Info),
        ] {
            assert_eq!(config(arguments, environment).unwrap().log_level, expected, "{arguments:?}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_by_name() {
        let text = config_of_bytes(&[b"--socket", b"/tmp/\xff.sock"], &[]).unwrap_err();
        assert_eq!(text, "the argument \"/tmp/\\xFF.sock\" is not UTF-8\n");
        for name in ["AURAE_SOCKET", "AURAE_LOG_LEVEL", "AURAE_LOG_MEMORY", "AURAE_STOP_GRACE_MS"] {
            let text = config_of_bytes(&[], &[(name, b"\xff")]).unwrap_err();
            assert_eq!(text, format!("{name} \"\\xFF\" is not UTF-8\n"));
        }
    }

    #[test]
    fn a_directory_may_have_any_name() {
        let config =
            config_of_bytes(&[], &[("AURAE_RUNTIME_DIR", b"/r\xff"), ("AURAE_LIBRARY_DIR", b"/l\xff")])
                .unwrap();
        assert_eq!(config.sockets, [Address::Unix(OsStr::from_bytes(b"/r\xff/aurae.sock").into())]);
        assert_eq!(config.library_dir.as_os_str().as_bytes(), b"/l\xff");
    }

    #[test]
    fn tcp_needs_loopback_and_consent() {
        assert!(config(&["-s", "0.0.0.0:7070", "--insecure-tcp"], &[]).unwrap_err().contains("no TLS"));
        assert!(config(&["-s", "127.0.0.1:7070"], &[]).unwrap_err().contains("--insecure-tcp"));
        let both = config(&["-s", "127.0.0.1:7070", "-s", "x.sock"], &[("AURAE_INSECURE_TCP", "1")]).unwrap();
        assert_eq!(both.sockets.len(), 2);
    }

    #[test]
    fn wrong_values_name_what_is_accepted() {
        for (arguments, accepted) in [
            (["--log-level", "loud"], "debug"),
            (["--stop-grace-ms", "-1"], "3600000"),
            (["--stop-grace-ms", "3600001"], "3600000"),
            (["--log-memory", "8M"], "1073741824"),
            (["--log-memory", "262143"], "262144"),
            (["--socket", ""], "path"),
        ] {
            let text = config(&arguments, &[]).unwrap_err();
            assert!(text.contains(accepted), "{text}");
        }
        assert!(config(&["--nonsense"], &[]).is_err());
    }

    #[test]
    fn help_version_and_limits_are_printed() {
        let printed = |flag| match Command::parse(&[flag], &|_| None) {
            Ok(Command::Print(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(printed("--help").contains("AURAE_RUNTIME_DIR"));
        assert!(printed("--version").starts_with("auraed "));
        assert!(printed("--print-limits").contains("connections"));
    }
}
