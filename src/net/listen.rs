//! Listeners: binding every address, accepting fairly, preparing sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::alarm::Alarm;
use super::lane::{Adoption, Lanes, RawSocket};
use super::limits::SharedLimits;

/// What to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Hosts; a leading `-` means it may be missing. None: all interfaces.
    pub bind: Vec<String>,
    /// TCP port; 0 for none.
    pub port: u16,
    /// Backlog.
    pub backlog: i32,
    /// Mark for packet filters; 0 for none.
    pub mark: u32,
    /// Unix socket's path, empty for none.
    pub unix_path: String,
    /// Its permissions; 0 leaves them.
    pub unix_mode: u32,
}

/// Sockets bound and not yet served.
#[derive(Default)]
pub struct Bound {
    tcp: Vec<StdTcpListener>,
    /// With its path.
    unix: Option<(StdUnixListener, String)>,
}

/// Binds all TCP addresses, or none.
///
/// # Errors
/// The first address that fails without being optional, worded as Redis words it.
pub fn bind_tcp(addresses: &Addresses) -> Result<Bound, String> {
    let mut bound = Bound::default();
    if addresses.port == 0 {
        return Ok(bound);
    }
    for host in &addresses.bind {
        let (name, optional) = host
            .strip_prefix('-')
            .map_or((host.as_str(), false), |rest| (rest, true));
        match bind_host(name, addresses) {
            Ok(listener) => bound.tcp.push(listener),
            Err(error) => {
                let text = crate::process::os_text(&error);
                tracing::warn!(
                    "Warning: Could not create server TCP listening socket {name}:{}: bind: {text}",
                    addresses.port
                );
                let absent = matches!(
                    error.raw_os_error(),
                    Some(
                        libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::ENOPROTOOPT | libc::EPROTONOSUPPORT
                    )
                );
                if !(optional && absent) {
                    return Err(format!(
                        "Failed listening on port {} (tcp), aborting.",
                        addresses.port
                    ));
                }
            }
        }
    }
    if bound.tcp.is_empty() && !addresses.bind.is_empty() {
        return Err(format!(
            "Failed listening on port {} (tcp), aborting.",
            addresses.port
        ));
    }
    Ok(bound)
}

/// Binds the unix socket, replacing a stale one.
///
/// # Errors
/// Worded as Redis words it.
pub fn bind_unix(addresses: &Addresses) -> Result<Bound, String> {
    let path = &addresses.unix_path;
    if path.is_empty() {
        return Ok(Bound::default());
    }
    let _ = std::fs::remove_file(path);
    let listen = || -> io::Result<StdUnixListener> {
        let listener = StdUnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        if addresses.unix_mode != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(addresses.unix_mode))?;
        }
        Ok(listener)
    };
    let listener = listen().map_err(|e| {
        format!(
            "Failed opening Unix socket: bind: {}",
            crate::process::os_text(&e)
        )
    })?;
    Ok(Bound {
        tcp: Vec::new(),
        unix: Some((listener, path.clone())),
    })
}

fn bind_host(name: &str, addresses: &Addresses) -> io::Result<StdTcpListener> {
    let ip = match name {
        "*" => IpAddr::from([0u8; 4]),
        "::*" => IpAddr::from([0u16; 8]),
        name => resolve(name)?,
    };
    let address = SocketAddr::new(ip, addresses.port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    if addresses.mark != 0 {
        // Compat: without the right to mark, it listens all the same.
        let _ = socket.set_mark(addresses.mark);
    }
    socket.listen(addresses.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn resolve(name: &str) -> io::Result<IpAddr> {
    if let Ok(ip) = name.parse() {
        return Ok(ip);
    }
    let found = (name, 0u16).to_socket_addrs()?.next();
    found
        .map(|a| a.ip())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
}

impl Bound {
    /// Whether nothing is bound.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_none()
    }

    /// Serves all sockets on the runtime this is called on: the unix socket to the end, the others as long as wanted.
    ///
    /// # Errors
    /// When a socket cannot be registered.
    pub fn serve(self, lanes: &Lanes, limits: &Arc<SharedLimits>) -> io::Result<Vec<Listening>> {
        let mut listening = Vec::new();
        for listener in self.tcp {
            let socket = Socket::from(listener.try_clone()?);
            let listener = TcpListener::from_std(listener)?;
            let alarm = Alarm::new()?;
            let task = tokio::spawn(accept_tcp(listener, alarm, lanes.clone(), Arc::clone(limits)));
            listening.push(Listening { task, socket });
        }
        if let Some((listener, path)) = self.unix {
            let socket = Socket::from(listener.try_clone()?);
            let listener = UnixListener::from_std(listener)?;
            let alarm = Alarm::new()?;
            let task = tokio::spawn(accept_unix(listener, alarm, path, lanes.clone()));
            listening.push(Listening { task, socket });
        }
        Ok(listening)
    }
}

/// A socket being served.
pub struct Listening {
    task: JoinHandle<()>,
    /// The same socket, so that its port is free at once and not when the task is next polled.
    socket: Socket,
}

impl Listening {
    /// Stops accepting and frees the port.
    pub fn stop(self) {
        self.task.abort();
        // Fails only if the socket is dead already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

async fn accept_tcp(listener: TcpListener, alarm: Alarm, lanes: Lanes, limits: Arc<SharedLimits>) {
    let mut accepted = 0;
    loop {
        match listener
            .accept()
            .await
            .and_then(|(stream, peer)| adopt_tcp(stream, peer, limits.keepalive_s()))
        {
            Ok(adoption) => {
                tracing::debug!("Accepted {}", adoption.addr);
                lanes.adopt(adoption);
            }
            Err(error) => accept_failed(&error, &alarm).await,
        }
        accepted += 1;
        if accepted % limits.accepts_per_turn() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn adopt_tcp(stream: tokio::net::TcpStream, peer: SocketAddr, keepalive_s: u64) -> io::Result<Adoption> {
    let own = stream.local_addr()?;
    // Latency before batching: replies of one read go out in one write anyway.
    stream.set_nodelay(true)?;
    if keepalive_s > 0 {
        let probe = Duration::from_secs((keepalive_s / 3).max(1));
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(keepalive_s))
            .with_interval(probe)
            .with_retries(3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(Adoption {
        socket: RawSocket::Tcp(stream.into_std()?),
        addr: peer.to_string(),
        laddr: own.to_string(),
        local: peer.ip().to_canonical().is_loopback(),
    })
}

async fn accept_unix(listener: UnixListener, alarm: Alarm, path: String, lanes: Lanes) {
    loop {
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(socket) => {
                let name = format!("{path}:0");
                tracing::debug!("Accepted connection to {path}");
                lanes.adopt(Adoption {
                    socket: RawSocket::Unix(socket),
                    addr: name.clone(),
                    laddr: name,
                    local: true,
                });
            }
            Err(error) => accept_failed(&error, &alarm).await,
        }
    }
}

/// Out of descriptors or memory: trying again at once would only spin.
async fn accept_failed(error: &io::Error, alarm: &Alarm) {
    tracing::warn!("Accepting client connection: {}", crate::process::os_text(error));
    if matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    ) {
        alarm.sleep(Duration::from_millis(100)).await;
    }
}
