//! A TCP proxy that can be cut, and that counts what passes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports;

/// Forwards connections from a port of its own to a server. It ends when dropped.
pub struct TcpProxy {
    address: SocketAddr,
    target: SocketAddr,
    counters: Arc<Counters>,
    running: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
    round_trips: AtomicU64,
    /// Connections up to this one are silent.
    silent: watch::Sender<u64>,
}

impl TcpProxy {
    /// Starts to forward to `target`.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(target: SocketAddr) -> Self {
        let address = (Ipv4Addr::LOCALHOST, ports::free_port()).into();
        let proxy = Self {
            address,
            target,
            counters: Arc::default(),
            running: Mutex::new(None),
        };
        proxy.heal().await;
        proxy
    }

    /// Where clients connect to. It stays the same when cut and healed.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones. Returns when the port is closed.
    pub async fn cut(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(task) = running {
            task.abort();
            task.await.ok();
        }
    }

    /// Nothing passes any more over the connections that there are, and neither side is told: so does a machine that loses its
    /// power, or a firewall that forgets. New connections are forwarded as ever.
    pub fn silence(&self) {
        self.counters.silent.send_replace(self.connections());
    }

    /// Takes connections again. Does nothing if it does already.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn heal(&self) {
        if self.running.lock().unwrap().is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).await.expect("the proxy's port is free");
        let task = tokio::spawn(forward_all(listener, self.target, self.counters.clone()));
        *self.running.lock().unwrap() = Some(task);
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::SeqCst)
    }

    /// Bytes so far, to the server and to clients.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.counters.to_server.load(Ordering::SeqCst),
            self.counters.to_client.load(Ordering::SeqCst),
        )
    }

    /// How often a client began to speak after the server had, or for the first time, over all connections: round trips,
    /// as far as clients wait for answers. Requests sent without waiting count as one.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.counters.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        if let Some(task) = self.running.lock().unwrap().take() {
            task.abort();
        }
    }
}

/// Serves connections until it is aborted, which ends them all.
async fn forward_all(listener: TcpListener, target: SocketAddr, counters: Arc<Counters>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((client, _)) = listener.accept().await {
            let number = counters.connections.fetch_add(1, Ordering::SeqCst) + 1;
            connections.spawn(forward(client, number, target, counters.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(client: TcpStream, number: u64, target: SocketAddr, counters: Arc<Counters>) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let server_spoke_last = AtomicBool::new(true);
    let requests = copy(from_client, to_server, |bytes| {
        if server_spoke_last.swap(false, Ordering::SeqCst) {
            counters.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        counters.to_server.fetch_add(bytes, Ordering::SeqCst);
    });
    let answers = copy(from_server, to_client, |bytes| {
        server_spoke_last.store(true, Ordering::SeqCst);
        counters.to_client.fetch_add(bytes, Ordering::SeqCst);
    });
    let mut forwarding = pin!(async { tokio::try_join!(requests, answers).map(drop) });
    let mut silent = counters.silent.subscribe();
    let mut silenced = pin!(async { silent.wait_for(|last| number <= *last).await.map(drop) });
    tokio::select! {
        ended = &mut forwarding => ended,
        // Both connections stay open.
        _ = &mut silenced => std::future::pending().await,
    }
}

/// Copies until the end, which is passed on. What is read is counted before it is forwarded, so that an answer is never
/// counted before its question.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            bytes => {
                count(bytes as u64);
                to.write_all(&buffer[..bytes]).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with the same one.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, question: &[u8]) -> io::Result<()> {
        stream.write_all(question).await?;
        let mut answer = vec![0; question.len()];
        stream.read_exact(&mut answer).await?;
        assert_eq!(answer, question);
        Ok(())
    }

    #[tokio::test]
    async fn round_trips_connections_and_bytes_are_counted() {
        let proxy = TcpProxy::start(echo().await).await;
        for _ in 0..2 {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            for _ in 0..3 {
                ask(&mut stream, b"four").await.unwrap();
            }
        }
        assert_eq!(
            (proxy.round_trips(), proxy.connections(), proxy.bytes()),
            (6, 2, (24, 24))
        );
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_refuses_new_ones_until_healed() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream, b"before").await.unwrap();
        proxy.cut().await;
        assert!(ask(&mut stream, b"during").await.is_err());
        assert!(TcpStream::connect(proxy.address()).await.is_err());
        proxy.heal().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream, b"after").await.unwrap();
    }

    #[tokio::test]
    async fn silence_is_for_the_connections_that_there_are() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream, b"before").await.unwrap();
        proxy.silence();
        stream.write_all(b"anybody?").await.unwrap();
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut next, b"another").await.unwrap();
        // Neither an answer nor an end.
        let read = stream.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!((read.kind(), proxy.connections()), (io::ErrorKind::WouldBlock, 2));
    }
}
