//! PID 1 of an isolated cell: makes the cell's namespaces fit to live in, and holds them for as long as the cell is there.
//!
//! It is this program again, executed by the daemon in the new namespaces and in a cgroup of its own, with one socket to
//! the daemon as descriptor 3. It knows nothing of cells: what to do comes through the socket ([`Orders`]), and how it
//! went goes back ([`Report`]).
//!
//! 1. Mounts stop propagating to the host; the host's still arrive, and its unmounts.
//! 2. The host name is set, and with a network of its own `lo` is up.
//! 3. What shows more than the cell goes: every proc, every cgroup filesystem, with a network of its own /sys.
//! 4. What shows the cell comes: /proc, /sys (with its network), and the cell's cgroup at /sys/fs/cgroup, read-only.
//! 5. It reports, gives all of its memory back, and sleeps; the kernel reaps the orphans that it inherits.

mod mounts;
mod orders;

pub use orders::{Orders, REPORT_BYTES_MAX, Report};

use crate::sys::{handover, namespaces, rest};
use nix::errno::Errno;
use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// The zeroth argument that makes this program a cell's init.
pub const NAME: &CStr = c"auraed-init";

/// A step that failed.
type Failure = (&'static str, Errno);

/// Does its work and never returns, unless that fails.
pub fn run() -> ExitCode {
    let Some(socket) = handover::take_third().filter(|_| std::process::id() == 1) else {
        eprintln!(
            "auraed-init is started by auraed, in a cell that isolates its processes; it is no command"
        );
        return ExitCode::FAILURE;
    };
    let mut daemon = UnixStream::from(socket);
    let report = match prepare(&mut daemon) {
        Ok(()) => Report::Ready,
        Err((step, errno)) => Report::Failed { step: step.to_owned(), errno },
    };
    let told = daemon.write_all(&report.encode());
    drop(daemon);
    if report != Report::Ready || told.is_err() {
        return ExitCode::FAILURE;
    }
    match rest::for_ever() {
        Ok(never) => match never {},
        // As nothing was dropped, the cell is as it should be, but for its price.
        Err(_) => sleep(),
    }
}

fn prepare(daemon: &mut UnixStream) -> Result<(), Failure> {
    let orders = receive(daemon)?;
    handover::set_name(NAME).map_err(|errno| ("set its name", errno))?;
    handover::rely_on_the_kernel().map_err(|errno| ("ignore SIGCHLD", errno))?;
    mounts::stop_propagation()?;
    nix::unistd::sethostname(&orders.hostname).map_err(|errno| ("set the host name", errno))?;
    if orders.network {
        namespaces::loopback_up().map_err(|errno| ("set lo up", errno))?;
    }
    mounts::show_the_cell(&orders)
}

/// The daemon closes its half of the socket behind the orders.
fn receive(daemon: &mut UnixStream) -> Result<Orders, Failure> {
    let mut orders = Vec::new();
    daemon.read_to_end(&mut orders).map_err(|error| ("read its orders", errno_of(&error)))?;
    Orders::decode(&orders).ok_or(("understand its orders", Errno::EINVAL))
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn sleep() -> ! {
    loop {
        nix::unistd::pause();
    }
}
