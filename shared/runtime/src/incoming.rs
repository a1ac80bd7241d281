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
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::tls::ServerTls;

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
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
    /// Accepts the connections of a listener until this is dropped.
    pub(crate) fn accept(listener: TcpListener, tls: Option<ServerTls>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (accepted, connections) = mpsc::channel(16);
        match tls {
            None => tokio::spawn(accept_plain(listener, accepted)),
            Some(tls) => tokio::spawn(accept_tls(listener, tls, accepted)),
        };
        Ok(Self { address, connections })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

async fn accept_plain(listener: TcpListener, accepted: mpsc::Sender<Connection>) {
    while let Some(stream) = next(&listener, &accepted).await {
        if accepted.send(Connection::Plain(stream)).await.is_err() {
            return;
        }
    }
}

async fn accept_tls(listener: TcpListener, tls: ServerTls, accepted: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Some(stream) = next(&listener, &accepted).await else {
            return;
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let accepted = accepted.clone();
        tokio::spawn(async move {
            let agreed = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(place);
            match agreed {
                // Nobody waits for it any more if the server has ended.
                Ok(Ok(stream)) => drop(accepted.send(Connection::Tls(Box::new(stream))).await),
                Ok(Err(error)) => tracing::info!(%error, "a client did not agree on TLS"),
                Err(_) => tracing::info!("a client took too long to agree on TLS"),
            }
        });
    }
}

/// The next connection; none when the server has ended.
async fn next(listener: &TcpListener, accepted: &mpsc::Sender<Connection>) -> Option<TcpStream> {
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            () = accepted.closed() => return None,
        };
        match stream {
            Ok((stream, _)) => {
                // Answers are small, and are wanted now. Without it they are only slower.
                let _ = stream.set_nodelay(true);
                return Some(stream);
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection of a client.
#[derive(Debug)]
pub enum Connection {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        match self {
            Self::Plain(stream) => stream.connect_info(),
            Self::Tls(stream) => stream.get_ref().0.connect_info(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
        }
    }
}
