//! A client that speaks HTTP/2 by itself: no library of gRPC is between it and the server, to help or to hide.

use std::time::Duration;

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, request};
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::Status;

use crate::served::Served;

/// How long a test waits for what must come.
pub const LONG: Duration = Duration::from_secs(20);
/// An empty message.
const EMPTY: &[u8] = &[0; 5];

/// A connection.
pub struct Raw {
    send: SendRequest<Bytes>,
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    pub async fn connect(served: &Served) -> Self {
        Self::with(served, &Builder::new()).await
    }

    pub async fn with(served: &Served, builder: &Builder) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
        let (send, connection) = builder.handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let send = send.ready().await.unwrap();
        Self { send, connection }
    }

    /// How many calls the server allows on this connection, once it has said so.
    pub fn most_streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Begins a call whose message is still to come.
    pub async fn begin(&self, request: request::Builder) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request.body(()).unwrap(), false).unwrap()
    }

    /// Begins a call and gives it up again. False if the server takes no more calls on this connection.
    pub async fn begin_or_gone(&self, request: request::Builder) -> bool {
        let Ok(mut send) = self.send.clone().ready().await else {
            return false;
        };
        send.send_request(request.body(()).unwrap(), true).is_ok()
    }

    /// A call with an empty message. The status is in the headers, for an answer without a message.
    pub async fn call(&self, request: request::Builder) -> Result<http::Response<RecvStream>, h2::Error> {
        let (answer, mut body) = self.begin(request).await;
        // Who is refused is not asked for the rest.
        let _ = body.send_data(Bytes::from_static(EMPTY), true);
        tokio::time::timeout(LONG, answer).await.unwrap()
    }

    /// The status of a call.
    pub async fn status(&self, request: request::Builder) -> Status {
        status(self.call(request).await.unwrap().headers())
    }
}

pub fn status(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).unwrap()
}

/// A request for this path, by anybody.
pub fn request(path: &str) -> request::Builder {
    Request::post(format!("http://carepost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// A request of a person.
pub fn of_person(served: &Served, path: &str) -> request::Builder {
    request(path).header("authorization", format!("Bearer {}", served.token()))
}
