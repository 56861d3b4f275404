//! The daemon under test: started in a private runtime dir, ended and tidied up after even when a test panics.

use std::fs;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kernel;

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

pub struct Daemon {
    child: Child,
    folder: PathBuf,
    socket: PathBuf,
    cell: String,
}

impl Daemon {
    /// Starts the daemon and waits until it takes connections.
    pub fn start(client: &str) -> Self {
        let name = format!("peers-{client}-{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder)
            .unwrap_or_else(|error| panic!("failed to make {}: {error}", folder.display()));
        let log = File::create(folder.join("log")).expect("the folder is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_auraed"));
        // Nothing of AURAE_* or RUST_LOG of the caller is to reach it.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("-r").arg(&folder).arg("-l").arg(folder.join("library"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let child = command.spawn().expect("auraed has been built with this test");
        let mut daemon = Self { child, socket: folder.join("aurae.sock"), folder, cell: name };
        daemon.wait_until_it_listens();
        daemon
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A name for a cell that nobody else on this machine has.
    pub fn cell(&self) -> &str {
        &self.cell
    }

    /// Asks the daemon to stop, and asserts that it does so properly.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait(STOP_MAX).unwrap_or_else(|| panic!("auraed runs {STOP_MAX:?} after SIGTERM"));
        assert!(status.success(), "auraed ended with {status}");
        assert!(!self.socket.exists(), "auraed left its socket behind");
    }

    fn wait_until_it_listens(&mut self) {
        let began = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                panic!("auraed ended with {status} before it listened");
            }
            assert!(began.elapsed() < START_MAX, "auraed does not listen after {START_MAX:?}");
            thread::sleep(POLL);
        }
    }

    fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        loop {
            let status = self.child.try_wait().expect("our own child");
            if status.is_some() || began.elapsed() > at_most {
                return status;
            }
            thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid fits"));
        // Fails only when it has ended, which is what is wanted.
        let _ = kill(pid, signal);
    }

    /// Ends what a failed test has left in the groups of its cell, and removes them.
    fn remove_groups(&self) {
        // Inner groups first: a group with groups in it can't be removed.
        for group in kernel::groups_named(&self.cell).iter().rev() {
            for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = kill(Pid::from_raw(pid.parse().expect("a pid")), Signal::SIGKILL);
            }
            let began = Instant::now();
            while fs::remove_dir(group).is_err() && group.exists() && began.elapsed() < Duration::from_secs(2)
            {
                thread::sleep(POLL);
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::SIGTERM);
            if self.wait(STOP_MAX).is_none() {
                self.signal(Signal::SIGKILL);
                let _ = self.child.wait();
            }
        }
        self.remove_groups();
        if thread::panicking() {
            eprintln!("auraed's log:\n{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
