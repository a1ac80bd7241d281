//! Serving: each connection within its bounds, each call by the services and what is around them.
//!
//! tonic's own server is left out, and its services are not. It answers a call whose deadline has passed with CANCELLED before
//! anybody else can, keeps a connection that never begins, and has no end for a client that does not take its answers.

use std::{convert::Infallible, error::Error, pin::Pin, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming as Requested, server::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    body::Body,
    server::NamedService,
    service::Routes,
    transport::server::{Connected, TcpConnectInfo},
};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    layer::util::{Identity, Stack},
};

use super::{
    streams::{Answer, Streams},
    traffic::{Bounds, Guest, Traffic, Verdict},
};
use crate::incoming::{Connection, Incoming};

/// How often each connection is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many calls and streams a connection may have at once: a gateway holds the watches of many people on one.
const STREAMS: u32 = 1_024;
/// How large the metadata of a call may be: a token has 8 KiB at most.
const HEADERS: u32 = 16 * 1_024;
/// How much of one request, and of all requests of a connection, may wait to be read.
const STREAM_WINDOW: u32 = 256 * 1_024;
const CONNECTION_WINDOW: u32 = 1_024 * 1_024;
/// The largest frame.
const FRAME: u32 = 16 * 1_024;
/// How much of an answer may wait to be sent.
const SEND_BUFFER: usize = 64 * 1_024;
/// How many calls may be reset by their client before they were looked at, and how many for the client's faults, until the
/// connection is closed. Without the second one a client could have its connection do nothing else ("rapid reset").
const RESET_BEFORE_ACCEPTED: usize = 20;
const RESET_FOR_FAULTS: usize = 256;

/// A server to be, with layers around its services.
#[derive(Clone, Debug)]
pub struct Server<L = Identity> {
    bounds: Bounds,
    keepalive: Duration,
    layers: ServiceBuilder<L>,
}

impl Server {
    pub(super) fn new(bounds: Bounds, keepalive: Duration) -> Self {
        Self {
            bounds,
            keepalive,
            layers: ServiceBuilder::new(),
        }
    }
}

impl<L> Server<L> {
    /// Puts a layer around the services, within the layers that are there.
    #[must_use]
    pub fn layer<N>(self, layer: N) -> Server<Stack<N, L>> {
        Server {
            bounds: self.bounds,
            keepalive: self.keepalive,
            layers: self.layers.layer(layer),
        }
    }

    /// Adds the first service.
    pub fn add_service<S>(self, service: S) -> Router<L>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Router {
            server: self,
            routes: Routes::new(service),
        }
    }

    fn http(&self) -> http2::Builder<Streams> {
        let streams = Streams {
            patience: self.bounds.patience,
        };
        let mut http = http2::Builder::new(streams);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADERS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_send_buf_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(RESET_BEFORE_ACCEPTED)
            .max_local_error_reset_streams(RESET_FOR_FAULTS)
            .keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive.min(self.bounds.patience));
        http
    }
}

/// A server with its services.
#[derive(Clone, Debug)]
pub struct Router<L = Identity> {
    server: Server<L>,
    routes: Routes,
}

impl<L> Router<L> {
    /// Adds one more service.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self
    }

    /// Serves the connections that come in until the signal. Then nothing more is accepted, every client is asked to leave,
    /// and this ends when all have left. What is still open when this is dropped is cut.
    ///
    /// # Errors
    /// None.
    pub async fn serve_with_incoming_shutdown<S>(
        self,
        mut incoming: Incoming,
        signal: impl Future<Output = ()>,
    ) -> Result<(), Infallible>
    where
        L: Layer<Routes, Service = S>,
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    {
        let http = self.server.http();
        let service = self.server.layers.service(self.routes.prepare());
        let open = Open {
            bounds: self.server.bounds,
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let _cut = open.cut.clone().drop_guard();
        let tasks = TaskTracker::new();
        let mut signal = pin!(signal);
        loop {
            let connection = tokio::select! {
                () = &mut signal => break,
                connection = incoming.next() => connection,
            };
            let Some(connection) = connection else { break };
            tasks.spawn(open.clone().serve(connection, http.clone(), service.clone()));
        }
        // Its port is free from here on: who connects now is refused, and does not wait.
        drop(incoming);
        open.leaving.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

/// What all connections of a server share.
#[derive(Clone)]
struct Open {
    bounds: Bounds,
    leaving: CancellationToken,
    cut: CancellationToken,
}

impl Open {
    async fn serve<S>(self, connection: Connection, http: http2::Builder<Streams>, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    {
        let traffic = connection.traffic();
        let crowd = connection.crowd();
        let bounds = spread(self.bounds, &connection.connect_info());
        let calls = Calls {
            service,
            from: connection.connect_info(),
            traffic: Arc::clone(&traffic),
        };
        let mut serving = pin!(http.serve_connection(TokioIo::new(connection), calls));
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving: Option<Instant> = None;
        loop {
            let leave = tokio::select! {
                ended = &mut serving => return note(ended),
                () = self.cut.cancelled() => return,
                () = self.leaving.cancelled(), if leaving.is_none() => true,
                _ = looks.tick() => {
                    match traffic.judge(&bounds, leaving.map(|since| since.elapsed()), crowd.is_crowded()) {
                        Verdict::Stay => false,
                        Verdict::Leave => true,
                        Verdict::Cut(reason) => {
                            tracing::info!(reason, "a connection was closed");
                            return;
                        }
                    }
                }
            };
            if leave {
                if !traffic.has_begun() {
                    return;
                }
                serving.as_mut().graceful_shutdown();
                leaving = Some(Instant::now());
            }
        }
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Connections that began together do not end together: up to a tenth earlier, by the client's port.
fn spread(bounds: Bounds, from: &TcpConnectInfo) -> Bounds {
    let port = from.remote_addr().map_or(0, |address| address.port());
    Bounds {
        age: bounds.age - bounds.age / 1_000 * u32::from(port % 100),
        ..bounds
    }
}

/// The calls of a connection.
struct Calls<S> {
    service: S,
    from: TcpConnectInfo,
    traffic: Arc<Traffic>,
}

impl<S> hyper::service::Service<Request<Requested>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, S::Error>> + Send>>;

    fn call(&self, request: Request<Requested>) -> Self::Future {
        let call = self.traffic.call();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.from.clone());
        request.extensions_mut().insert(Guest::of(&self.traffic));
        let answering = self.service.clone().oneshot(request);
        Box::pin(async move {
            let answer = answering.await?;
            Ok(answer.map(|body| Answer::new(body, call)))
        })
    }
}
