//! Listening sockets: where they are, who may connect, and the loop that accepts.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_io::Async;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::socket as nix_socket;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::Pid;
use smol::Timer;
use smol::future::FutureExt;

use super::{Server, Service, Socket, connection};
use crate::limits::{ACCEPT_BACKLOG, ACCEPT_RETRY_DELAY, CONNECTIONS_MAX, SETTLE_DELAY};
use crate::sys;

/// Where a daemon listens or a client connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Address {
    /// `IP:PORT` is a TCP address; everything else is the path of a Unix socket.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Unix(text.into()), Self::Tcp)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// A bound socket. Dropping it removes the socket file, unless somebody has put another in its place.
pub struct Listener {
    address: Address,
    socket: Listening,
}

enum Listening {
    Unix { socket: Async<UnixListener>, file: FileIdentity },
    Tcp(Async<TcpListener>),
}

/// Device and inode: the file itself, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl Listener {
    /// Binds and listens. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// Says in words what is in the way: a path that is not a socket (never deleted), a socket in use, the error of
    /// bind(2).
    pub fn bind(address: Address) -> Result<Self, String> {
        let failed = |why: &dyn fmt::Display| format!("cannot listen on {address}: {why}");
        let socket = match &address {
            Address::Unix(path) => {
                clear_stale(path).map_err(|why| failed(&why))?;
                bind_unix(path).map_err(|why| failed(&why))?
            }
            Address::Tcp(address) => {
                Listening::Tcp(Async::<TcpListener>::bind(*address).map_err(|e| failed(&e))?)
            }
        };
        Ok(Self { address, socket })
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Accepts until the daemon stops; connections go on without the listener.
    pub async fn run<S: Service>(self, server: Arc<Server<S>>) {
        server.stop.ordered().or(self.accept_all(&server)).await;
    }

    async fn accept_all<S: Service>(&self, server: &Arc<Server<S>>) {
        loop {
            let accepted = match &self.socket {
                Listening::Unix { socket, .. } => {
                    socket.read_with(UnixListener::accept).await.and_then(|(stream, _)| Socket::new(stream))
                }
                Listening::Tcp(socket) => {
                    socket.read_with(TcpListener::accept).await.and_then(|(stream, _)| Socket::tcp(stream))
                }
            };
            match accepted {
                Ok(socket) => welcome(server, socket),
                Err(error) => {
                    log::warn!("accepting a connection on {} failed: {error}", self.address);
                    Timer::after(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (Address::Unix(path), Listening::Unix { file, .. }) = (&self.address, &self.socket) else {
            return;
        };
        let removed = match FileIdentity::of(path) {
            Ok(now) if now == *file => fs::remove_file(path),
            Ok(_) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            log::warn!("cannot remove the socket {}: {error}", path.display());
        }
    }
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|file| Self(file.dev(), file.ino()))
    }
}

/// Makes room for the socket where a dead daemon has left one.
fn clear_stale(path: &Path) -> Result<(), String> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if !file.file_type().is_socket() {
        return Err("the path exists and is not a socket; remove it or choose another path".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(stream) if lives_on(&stream) => {
            Err("another process listens there; stop it or choose another path".to_owned())
        }
        Ok(_) => replace(path),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => replace(path),
        Err(error) => Err(format!("cannot tell whether somebody listens there: {error}")),
    }
}

/// Whether whoever called listen(2) is there still (unix(7), SO_PEERCRED). A daemon that was killed may have left its socket with
/// what it was about to start. One that our pid namespace does not show is 0, and taken to live.
#[expect(clippy::disallowed_methods, reason = "asks whether it is there, and signals nothing")]
fn lives_on(stream: &UnixStream) -> bool {
    let peer = nix_socket::getsockopt(stream, nix_socket::sockopt::PeerCredentials);
    !peer.is_ok_and(|peer| peer.pid() > 0 && kill(Pid::from_raw(peer.pid()), None) == Err(Errno::ESRCH))
}

fn replace(path: &Path) -> Result<(), String> {
    log::info!("replacing the stale socket {}", path.display());
    fs::remove_file(path).map_err(|error| format!("cannot remove the stale socket: {error}"))
}

fn bind_unix(path: &Path) -> Result<Listening, String> {
    let address = nix_socket::UnixAddr::new(path)
        .map_err(|_| "the path is longer than the 107 bytes that unix(7) allows; choose a shorter one")?;
    let bound = || -> nix::Result<_> {
        let socket = nix_socket::socket(
            nix_socket::AddressFamily::Unix,
            nix_socket::SockType::Stream,
            nix_socket::SockFlag::SOCK_CLOEXEC | nix_socket::SockFlag::SOCK_NONBLOCK,
            None,
        )?;
        // The file takes the socket's mode at bind(2): nobody else can connect at any moment.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
        nix_socket::bind(socket.as_raw_fd(), &address)?;
        nix_socket::listen(&socket, nix_socket::Backlog::new(ACCEPT_BACKLOG)?)?;
        Ok(socket)
    };
    let socket = UnixListener::from(bound().map_err(|error| error.to_string())?);
    let file = FileIdentity::of(path).map_err(|error| error.to_string())?;
    let socket = Async::new(socket).map_err(|error| error.to_string())?;
    Ok(Listening::Unix { socket, file })
}

/// Gives a new connection its task, or closes it where there are too many.
fn welcome<S: Service>(server: &Arc<Server<S>>, io: Socket) {
    let Some(permit) = server.connections.take_one() else {
        if server.crowd_told.is_due_at(Instant::now()) {
            log::warn!("closed a new connection: {CONNECTIONS_MAX} are open, the limit");
        }
        return;
    };
    let shared = server.clone();
    let task = async move {
        match connection::serve(shared.clone(), io).await {
            Ok(()) => log::debug!("a connection ended"),
            // What a peer did wrong is its affair; it could fill the log with it.
            Err(why) => log::debug!("a connection was ended: {why}"),
        }
        drop(permit);
        settle(&shared).await;
    };
    server.tasks.spawn("a connection", task);
}

/// Gives memory back to the kernel when the last connection has closed. A moment later, so that what ends with it is
/// free by then, and connections that come and go pay for it once.
async fn settle<S: Service>(server: &Server<S>) {
    if server.connections() > 0 || server.settling.swap(true, Ordering::Relaxed) {
        return;
    }
    Timer::after(SETTLE_DELAY).await;
    server.settling.store(false, Ordering::Relaxed);
    if server.connections() == 0 {
        sys::memory::trim_heap();
    }
}
