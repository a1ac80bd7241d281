//! Connections that come in, with TLS or without.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::{server::Traffic, tls::ServerTls};

/// The most clients that do so at once. More wait in the kernel's queue.
const HANDSHAKES: usize = 256;
/// How long to wait when no connection can be accepted: most often there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of a port, once they can be read from: those with TLS when they have agreed on it.
#[derive(Debug)]
pub struct Incoming {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
}

impl Incoming {
    /// Accepts the connections of a listener until this is dropped, no more than so many at once. Their clients may take so
    /// long to agree on TLS.
    pub(crate) fn accept(
        listener: TcpListener,
        tls: Option<ServerTls>,
        most: usize,
        patience: Duration,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (accepted, connections) = mpsc::channel(16);
        let door = Door {
            listener,
            crowd: Crowd {
                places: Arc::new(Semaphore::new(most)),
                most,
            },
            full: false,
        };
        match tls {
            None => tokio::spawn(accept_plain(door, accepted)),
            Some(tls) => tokio::spawn(accept_tls(door, tls, patience, accepted)),
        };
        Ok(Self { address, connections })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    pub(crate) async fn next(&mut self) -> Option<Connection> {
        self.connections.recv().await
    }
}

async fn accept_plain(mut door: Door, accepted: mpsc::Sender<Connection>) {
    while let Some((stream, place)) = door.next(&accepted).await {
        let connection = Connection::new(Wire::Plain(stream), door.crowd.clone(), place);
        if accepted.send(connection).await.is_err() {
            return;
        }
    }
}

async fn accept_tls(mut door: Door, tls: ServerTls, patience: Duration, accepted: mpsc::Sender<Connection>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    while let Ok(handshake) = Arc::clone(&handshakes).acquire_owned().await {
        let Some((stream, place)) = door.next(&accepted).await else {
            return;
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let (accepted, crowd) = (accepted.clone(), door.crowd.clone());
        tokio::spawn(async move {
            let agreed = tokio::time::timeout(patience, acceptor.accept(stream)).await;
            drop(handshake);
            match agreed {
                Ok(Ok(stream)) => {
                    let connection = Connection::new(Wire::Tls(Box::new(stream)), crowd, place);
                    // Nobody waits for it any more if the server has ended.
                    drop(accepted.send(connection).await);
                }
                Ok(Err(error)) => tracing::info!(%error, "a client did not agree on TLS"),
                Err(_) => tracing::info!("a client took too long to agree on TLS"),
            }
        });
    }
}

/// The places for connections.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    places: Arc<Semaphore>,
    most: usize,
}

impl Crowd {
    /// Whether less than a quarter of the places is free.
    pub(crate) fn is_crowded(&self) -> bool {
        self.places.available_permits() < self.most / 4
    }
}

struct Door {
    listener: TcpListener,
    crowd: Crowd,
    /// Whether the last connection found no place.
    full: bool,
}

impl Door {
    /// The next connection that has a place; none when the server has ended. One without a place is closed at once: its
    /// client tries another replica, and does not wait for an answer that nobody will give.
    async fn next(&mut self, accepted: &mpsc::Sender<Connection>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        loop {
            let stream = tokio::select! {
                stream = self.listener.accept() => stream,
                () = accepted.closed() => return None,
            };
            match stream {
                Ok((stream, _)) => {
                    let place = Arc::clone(&self.crowd.places).try_acquire_owned();
                    // Told once, not for each.
                    let was_full = std::mem::replace(&mut self.full, place.is_err());
                    if let Ok(place) = place {
                        // Answers are small, and are wanted now. Without it they are only slower.
                        let _ = stream.set_nodelay(true);
                        return Some((stream, place));
                    }
                    if !was_full {
                        tracing::warn!(most = self.crowd.most, "there are as many connections as there may be");
                    }
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A connection of a client.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    traffic: Arc<Traffic>,
    crowd: Crowd,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn new(wire: Wire, crowd: Crowd, place: OwnedSemaphorePermit) -> Self {
        Self {
            wire,
            traffic: Arc::new(Traffic::new()),
            crowd,
            _place: place,
        }
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    pub(crate) fn crowd(&self) -> Crowd {
        self.crowd.clone()
    }

    /// Notes whether the client takes what is written. It has taken everything only when all is flushed.
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.traffic.blocked();
        }
        written
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        match &self.wire {
            Wire::Plain(stream) => stream.connect_info(),
            Wire::Tls(stream) => stream.get_ref().0.connect_info(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        this.traffic.heard(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        };
        this.note(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        };
        if flushed.is_ready() {
            this.traffic.taken();
        }
        this.note(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        };
        this.note(shut)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
        };
        this.note(written)
    }
}
