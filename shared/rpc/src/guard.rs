//! The guard at the door of every service: before a handler runs, the call has a place, a trace, a caller who may call it,
//! and a deadline.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use carepost_proto::{ACCESS_TABLE, RpcAccess, common::v1::ErrorReason};
use carepost_runtime::{Clock, Ids, server::ServerSettings};
use futures::FutureExt;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::{sync::Semaphore, time::Instant};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    Violations,
    authn::Authenticator,
    deadline::{Deadline, grpc_timeout},
    measure::Measured,
    rates::Rates,
    status, trace_context,
};

/// Health answers anybody: Kubernetes' probes have no token. Nothing else does.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Reflection answers every caller with a good token; it is about no organization.
const REFLECTION: &str = "/grpc.reflection.";
/// In the answer's metadata: the id of the call, which each of its log lines has as well.
pub const CALL_ID: &str = "carepost-call-id";
/// How long a caller who was refused for overload should wait.
const OVERLOAD_DELAY: Duration = Duration::from_millis(500);

/// Puts the guard around the services of a server.
#[derive(Clone)]
pub struct GuardLayer(Arc<Guarding>);

struct Guarding {
    authenticator: Authenticator,
    rates: Rates,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl GuardLayer {
    /// A guard with the server's bounds: how many calls it lets in at once and from whom, and how long each may take if it
    /// asks for no less.
    #[must_use]
    pub fn new(authenticator: Authenticator, settings: &ServerSettings) -> Self {
        Self(Arc::new(Guarding {
            authenticator,
            rates: Rates::new(&settings.rates),
            places: Arc::new(Semaphore::new(settings.max_concurrent_calls)),
            timeout: settings.call_timeout,
        }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            guarding: Arc::clone(&self.0),
        }
    }
}

/// See [`GuardLayer`].
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    guarding: Arc<Guarding>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was polled ready is called; its clone waits for the next call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        if request.uri().path().starts_with(HEALTH) {
            let mut inner = inner;
            return Box::pin(inner.call(request));
        }
        let guarding = Arc::clone(&self.guarding);
        let call_id = Ids.next(Clock::system().now());
        let span = tracing::info_span!(
            "rpc",
            rpc = request.uri().path(),
            call_id = %call_id,
            trace_id = Empty,
            organization = Empty
        );
        trace_context::continue_from(&span, request.headers());
        let measured = Measured::begin(request.uri().path());
        let answer = async move {
            let mut answer = guarding.answer(inner, request).await;
            measured.end(&answer);
            if let (Ok(response), Ok(call_id)) = (&mut answer, HeaderValue::try_from(call_id.to_string())) {
                response.headers_mut().insert(CALL_ID, call_id);
            }
            answer
        };
        Box::pin(answer.instrument(span))
    }
}

impl Guarding {
    async fn answer<S>(&self, mut inner: S, mut request: Request<Body>) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let begun = Instant::now();
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Ok(refuse(&status::overloaded(OVERLOAD_DELAY), begun));
        };
        let access = ACCESS_TABLE.iter().find(|access| access.path == request.uri().path());
        if let Err(refused) = self.admit(access, &mut request).await {
            return Ok(refuse(&refused, begun));
        }
        let asked = grpc_timeout(request.headers());
        // Place and deadline are those of the answer's beginning. A stream of answers goes on without them: who sends it bounds
        // how many there are, and when each ends.
        // A stream of requests has its own bounds: the time between two of them.
        let span = match access {
            Some(access) if access.client_streaming => asked,
            _ => Some(asked.map_or(self.timeout, |asked| asked.min(self.timeout))),
        };
        let Some(span) = span else {
            return settle(AssertUnwindSafe(inner.call(request)).catch_unwind().await, begun);
        };
        request.extensions_mut().insert(Deadline::after(span));
        match tokio::time::timeout(span, AssertUnwindSafe(inner.call(request)).catch_unwind()).await {
            Ok(answer) => settle(answer, begun),
            Err(_) => Ok(refuse(&status::deadline_exceeded(), begun)),
        }
    }

    async fn admit(&self, access: Option<&RpcAccess>, request: &mut Request<Body>) -> Result<(), Status> {
        let Some(access) = access else {
            self.authenticator.verify(request.headers()).await?;
            if request.uri().path().starts_with(REFLECTION) {
                return Ok(());
            }
            return Err(Status::unimplemented("there is no such RPC"));
        };
        let caller = self.authenticator.caller(request.headers(), access).await?;
        Span::current().record("organization", caller.organization.as_str());
        self.rates.take(&caller)?;
        request.extensions_mut().insert(caller);
        Ok(())
    }
}

/// A panic is a fault of ours: it ends the call, not the connection.
fn settle<E>(
    answer: Result<Result<Response<Body>, E>, Box<dyn std::any::Any + Send>>,
    begun: Instant,
) -> Result<Response<Body>, E> {
    match answer {
        Ok(Ok(response)) => {
            let headers = response.headers();
            let code = headers
                .get("grpc-status")
                .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
            // Every refusal of ours has details. One without them is tonic's, about a request that no handler saw.
            if !headers.contains_key("grpc-status-details-bin")
                && let Some(refused) = unreadable(code)
            {
                return Ok(refuse(&refused, begun));
            }
            note(code, begun);
            Ok(response)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(refuse(&status::internal(&Panicked), begun)),
    }
}

/// What tonic says of a request that it cannot hand to a handler, in our words.
fn unreadable(code: Code) -> Option<Status> {
    match code {
        Code::OutOfRange => Some(status::refusal(
            ErrorReason::RequestTooLarge,
            "a message of the request is larger than allowed",
        )),
        Code::Internal => {
            let mut violations = Violations::default();
            violations.add("", "the request is no message of this RPC");
            Some(status::invalid_fields(violations.into_inner()))
        }
        _ => None,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

fn refuse(refused: &Status, begun: Instant) -> Response<Body> {
    note(refused.code(), begun);
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if refused.add_header(response.headers_mut()).is_err() {
        response
            .headers_mut()
            .insert("grpc-status", HeaderValue::from_static("13"));
    }
    response
}

fn note(code: Code, begun: Instant) {
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(code = ?code, milliseconds, "answered");
}
