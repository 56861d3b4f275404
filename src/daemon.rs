//! Puts the daemon together, runs it until a signal, and takes it apart in order.
//!
//! Up: lock, sockets, pool, cells, services, then connections are accepted. Down: listeners and their socket files; health says
//! NOT_SERVING; calls in flight end and streams are ended; connections close; cells are freed; the lock goes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use async_io::Async;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use smol::future::FutureExt;
use smol::{Executor, Timer};

use crate::config::Config;
use crate::grpc::call::{Answer, Input, Kind};
use crate::limits::{DESCRIPTORS_MAX, LOCK_RETRY_DELAY, LOCK_TIMEOUT, SETTLE_DELAY, STOP_POLL};
use crate::proto::{self, Method};
use crate::runtime::logs::Feed;
use crate::runtime::{Cells, CellsConfig};
use crate::services::supervisor::Supervisor;
use crate::services::vitals::Vitals;
use crate::services::{EventLog, Services};
use crate::sys;
use crate::sys::lock::{Lock, LockError};
use crate::transport::listen::Listener;
use crate::transport::{Server, Service, Stop, StopOrder, Timeouts};
use crate::work::{Pool, Tasks};

/// Everything asynchronous runs here, on the main thread.
static EXECUTOR: Executor<'static> = Executor::new();

/// Runs a daemon until SIGTERM, SIGINT or SIGHUP. `log` is what it logs, for those who ask for it.
///
/// # Errors
/// Says in words what kept it from starting, and then nothing is left behind; or what it had to leave when it stopped.
pub fn run(config: &Config, log: Arc<Feed>) -> Result<(), String> {
    // First of all: every thread inherits the mask, so that signals arrive at the descriptor only.
    let signals = Signals::block().map_err(|error| format!("cannot take over signals: {error}"))?;
    let _lock = lock(&config.runtime_dir)?;
    let pool = Pool::start().map_err(|error| format!("cannot start the pool: {error}"))?;
    let cells = Arc::new(open_cells(config)?);
    // By now what a daemon that was killed had been about to start is gone, which may have had our addresses still.
    let listeners = bind(config).inspect_err(|_| close(&cells))?;
    let settled = pool.clone();
    let events = EventLog::new();
    cells.send_events_to(events.clone());
    let supervisor = Supervisor::new(cells, pool, Tasks::new(&EXECUTOR), config.stop_grace);
    let daemon = Daemon::new(supervisor, log, events.clone());
    for listener in listeners {
        log::info!(address = listener.address().to_string().as_str(); "listening");
        Tasks::new(&EXECUTOR).spawn("a listener", listener.run(daemon.server.clone()));
    }
    events.daemon_started();
    Tasks::new(&EXECUTOR).spawn("the end of the start", settle(settled));
    // Spawned, not passed to `run`, which would poll it at every wake-up of anything.
    let task = EXECUTOR.spawn(daemon.until_stopped(signals));
    async_io::block_on(EXECUTOR.run(task))
}

/// Gives back what only the start needed.
async fn settle(pool: Pool) {
    // By then all threads have begun, and code that they run once is not mapped again.
    Timer::after(SETTLE_DELAY).await;
    if let Ok(Err(error)) = pool.run(sys::memory::unmap_code).await {
        log::debug!("the code of the start stays mapped: {error}");
    }
    sys::memory::trim_heap();
}

/// The directory is ours alone as long as the lock is held; the kernel lets go of it when we die.
fn lock(runtime_dir: &Path) -> Result<Lock, String> {
    let failed =
        |error: io::Error| format!("cannot use the runtime directory {}: {error}", runtime_dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o755).create(runtime_dir).map_err(failed)?;
    let path = runtime_dir.join("auraed.lock");
    // Whoever restarts a daemon may do so before the one that was killed is gone.
    Lock::take(open_lock(&path)?, LOCK_TIMEOUT, LOCK_RETRY_DELAY).map_err(|error| match error {
        LockError::Held(holder) => format!(
            "another auraed runs on {}, {holder}; stop it, or give this one another --runtime-dir",
            runtime_dir.display()
        ),
        LockError::Failed(errno) => failed(errno.into()),
    })
}

/// The file is for its owner alone: whoever may open it may lock it, and keep us from starting.
fn open_lock(path: &Path) -> Result<File, String> {
    let failed = |error: io::Error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => {
            format!("{} is a symbolic link, which is not followed; remove it", path.display())
        }
        _ => format!("cannot open the lock {}: {error}", path.display()),
    };
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(LOCK_MODE).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(path).map_err(failed)?;
    // Older daemons made it with what the umask left.
    if file.metadata().map_err(failed)?.permissions().mode() & 0o7777 & !LOCK_MODE != 0 {
        file.set_permissions(fs::Permissions::from_mode(LOCK_MODE)).map_err(failed)?;
    }
    Ok(file)
}

const LOCK_MODE: u32 = 0o600;

fn open_cells(config: &Config) -> Result<Cells, String> {
    let runtime_dir = &config.runtime_dir;
    let canonical = fs::canonicalize(runtime_dir).map_err(|error| {
        format!("cannot resolve the runtime directory {}: {error}", runtime_dir.display())
    })?;
    // A running executable takes some descriptors; what is started gets its own limit back.
    let (open_files, descriptors) = sys::open_files::raise_open_files_limit(DESCRIPTORS_MAX)
        .map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
    if descriptors < DESCRIPTORS_MAX {
        log::warn!(
            "at most {descriptors} files may be open, and {DESCRIPTORS_MAX} would be with all cells and executables that may \
             be; calls will fail earlier. Raise the limit (systemd: LimitNOFILE={DESCRIPTORS_MAX})"
        );
    }
    let config = CellsConfig {
        open_files: Some(open_files),
        log_memory: config.log_memory,
        library_dir: config.library_dir.clone(),
        ..CellsConfig::for_runtime_dir(&canonical)
    };
    Cells::open(config).map_err(|error| error.to_string())
}

/// All of them, or none. None accepts before all is ready.
fn bind(config: &Config) -> Result<Vec<Listener>, String> {
    config.sockets.iter().cloned().map(Listener::bind).collect()
}

/// For a daemon that does not come to serving.
fn close(cells: &Cells) {
    if let Err(error) = cells.close() {
        log::warn!("the daemon's own cgroups stay behind: {error}");
    }
}

struct Daemon {
    vitals: Arc<Vitals>,
    supervisor: Supervisor,
    log: Arc<Feed>,
    events: Arc<EventLog>,
    server: Arc<Server<Api>>,
    stop: StopOrder,
}

/// The generated table, as the transport wants it.
struct Api(Services<Supervisor>);

impl Service for Api {
    type Method = Method;

    fn method(&self, path: &str) -> Option<Method> {
        Method::from_path(path)
    }

    fn kind(&self, method: Method) -> Kind {
        method.kind()
    }

    fn call<'a>(&'a self, method: Method, input: Input) -> Answer<'a> {
        proto::call(&self.0, method, input)
    }
}

impl Daemon {
    fn new(supervisor: Supervisor, log: Arc<Feed>, events: Arc<EventLog>) -> Self {
        let probed = supervisor.clone();
        let vitals = Arc::new(Vitals::new(Box::new(move || {
            let probed = probed.clone();
            Box::pin(async move { probed.is_healthy().await })
        })));
        let (order, stop) = Stop::new();
        let api = Api(Services::new(vitals.clone(), supervisor.clone(), log.clone(), events.feed().clone()));
        let server = Server::new(api, &EXECUTOR, stop, Timeouts::default());
        Self { vitals, supervisor, log, events, server, stop: order }
    }

    async fn until_stopped(self, mut signals: Signals) -> Result<(), String> {
        let signal = signals.next().await;
        log::info!("{signal}: stopping; once more to cut it short");
        let Self { vitals, supervisor, log, events, server, stop } = self;
        // Before streams are ended: whoever watches is given it.
        events.daemon_stopping();
        log.hurry();
        events.feed().hurry();
        vitals.shut_down();
        supervisor.shut_down();
        drop(stop);
        let in_order = async {
            while server.connections() > 0 {
                Timer::after(STOP_POLL).await;
            }
            match supervisor.close().await {
                0 => Ok(()),
                left => Err(format!("stopped, but {left} cells stay behind; the next start ends them")),
            }
        };
        let cut_short = async {
            let signal = signals.next().await;
            log::warn!("{signal}: not waiting for calls and cells any longer");
            supervisor.kill_all().await;
            Err("stopped without waiting; what was in cells has been killed, and the next start removes it"
                .to_owned())
        };
        in_order.or(cut_short).await?;
        log::info!("stopped");
        Ok(())
    }
}

/// SIGTERM, SIGINT and SIGHUP, as a descriptor.
struct Signals(Async<SignalFd>);

impl Signals {
    fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        // The terminal that it was started from has gone: its workloads must not outlive it unnoticed.
        set.add(Signal::SIGHUP);
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Async::new_nonblocking(signals).map(Self)
    }

    /// The name of the next signal.
    async fn next(&mut self) -> &'static str {
        loop {
            if let Err(error) = self.0.readable().await {
                log::error!("waiting for signals failed: {error}");
            }
            // Reading changes nothing but what the kernel holds for us.
            if let Ok(Some(info)) = self.0.get_ref().read_signal() {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                return Signal::try_from(number).map_or("a signal", Signal::as_str);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A runtime directory that goes with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("auraed-lock-{}-{name}", std::process::id()));
            fs::create_dir(&path).expect("the name is new");
            Self(path)
        }

        fn lock(&self) -> PathBuf {
            self.0.join("auraed.lock")
        }

        fn lock_mode(&self) -> u32 {
            fs::metadata(self.lock()).expect("the lock is there").permissions().mode() & 0o7777
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_lock_is_for_its_owner_alone() {
        let directory = Directory::new("new");
        let _lock = lock(&directory.0).expect("the directory is free");
        assert_eq!(directory.lock_mode(), 0o600);
    }

    #[test]
    fn an_older_lock_that_others_may_open_is_closed_to_them() {
        let directory = Directory::new("old");
        fs::write(directory.lock(), "").expect("a file");
        fs::set_permissions(directory.lock(), fs::Permissions::from_mode(0o666)).expect("a mode");
        let _lock = lock(&directory.0).expect("the directory is free");
        assert_eq!(directory.lock_mode(), 0o600);
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused() {
        let directory = Directory::new("link");
        symlink(directory.0.join("target"), directory.lock()).expect("a link");
        let text = lock(&directory.0).expect_err("a link");
        assert!(text.contains("is a symbolic link"), "{text}");
        assert!(!directory.0.join("target").exists());
    }
}
