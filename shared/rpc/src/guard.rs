//! The guard at the door of every service: before a handler runs, the call has a place, a trace, a caller who may call it,
//! and a deadline. After it, the audit trail has what is to be told of the call.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use carepost_audit::{Occasion, Trail};
use carepost_proto::{ACCESS_TABLE, RpcAccess, common::v1::ErrorReason};
use carepost_runtime::{
    Backoff, Clock, Ids,
    metrics::{labels::Shed, metrics},
    server::{Guest, ServerSettings},
};
use futures::FutureExt;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    Violations, audit,
    authn::Authenticator,
    beside::{self, Beside},
    deadline::{Deadline, grpc_timeout},
    measure::Measured,
    places::Places,
    rates::Rates,
    status, trace_context,
};

/// In the answer's metadata: the id of the call, which each of its log lines has as well.
pub const CALL_ID: &str = "carepost-call-id";
/// How long a caller who was refused for overload should wait: half a second to one, so that they do not all come back at once.
const OVERLOAD_DELAY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));

/// How long a caller should wait whose call could not be recorded.
const UNRECORDED_DELAY: Duration = Duration::from_secs(1);

/// Puts the guard around the services of a server.
#[derive(Clone)]
pub struct GuardLayer(Arc<Guarding>);

struct Guarding {
    authenticator: Authenticator,
    trail: Trail,
    rates: Rates,
    places: Places,
    beside: Beside,
    timeout: Duration,
}

impl GuardLayer {
    /// A guard with the server's bounds: how many calls it lets in at once and from whom, and how long each may take if it
    /// asks for no less. What is read and what is refused goes along the trail.
    #[must_use]
    pub fn new(authenticator: Authenticator, trail: Trail, settings: &ServerSettings) -> Self {
        Self(Arc::new(Guarding {
            authenticator,
            trail,
            rates: Rates::new(&settings.rates),
            places: Places::new(settings),
            beside: Beside::default(),
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
        let guarding = Arc::clone(&self.guarding);
        if beside::is_health(request.uri().path()) {
            return Box::pin(async move { guarding.health(inner, request).await });
        }
        let call_id = Ids.next(Clock::system().now());
        let access = ACCESS_TABLE.iter().find(|access| access.path == request.uri().path());
        let span = tracing::info_span!(
            "rpc",
            // A path that there is: what a client makes up may hold anything.
            rpc = access.map_or("other", |access| access.path),
            call_id = %call_id,
            trace_id = Empty,
            organization = Empty
        );
        let trace_id = trace_context::continue_from(&span, request.headers());
        let occasion = audit::occasion(call_id, access, &request, trace_id);
        let measured = Measured::begin(request.uri().path());
        // From here on, whatever comes first: a place, the caller, the handler.
        let begun = Instant::now();
        let answer = async move {
            let call = Call {
                access,
                occasion,
                begun,
            };
            let mut answer = guarding.answer(inner, request, &call).await;
            measured.end(&answer);
            if let Ok(response) = &answer {
                audit::ended(&guarding.trail, &call.occasion, response);
            }
            if let (Ok(response), Ok(call_id)) = (&mut answer, HeaderValue::try_from(call_id.to_string())) {
                response.headers_mut().insert(CALL_ID, call_id);
            }
            answer
        };
        Box::pin(answer.instrument(span))
    }
}

/// A call under way.
struct Call {
    /// Who may call the RPC; none: it is none of ours.
    access: Option<&'static RpcAccess>,
    occasion: Occasion,
    begun: Instant,
}

impl Guarding {
    /// Answers within the deadline: the caller's or the server's own, whichever comes first.
    async fn answer<S>(&self, inner: S, mut request: Request<Body>, call: &Call) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let begun = call.begun;
        let asked = grpc_timeout(request.headers());
        // Place and deadline are those of the answer's beginning. A stream of answers goes on without them: who sends it bounds
        // how many there are, and when each ends.
        // A stream of requests has its own bounds: the time between two of them.
        let span = match call.access {
            Some(access) if access.client_streaming => asked,
            _ => Some(asked.map_or(self.timeout, |asked| asked.min(self.timeout))),
        };
        let Some(span) = span else {
            return self.serve(inner, request, call).await;
        };
        let deadline = Deadline::at(begun + span);
        request.extensions_mut().insert(deadline);
        let late = || Ok(refuse(&status::deadline_exceeded(), begun));
        if span.is_zero() {
            return late();
        }
        match timeout_at(begun + span, self.serve(inner, request, call)).await {
            // What it asked gave up a moment before it did, for the same reason.
            Ok(Ok(answer)) if deadline.remaining().is_zero() && code(&answer) == Code::Unavailable => late(),
            Ok(answer) => answer,
            Err(_) => late(),
        }
    }

    async fn health<S>(&self, inner: S, request: Request<Body>) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let begun = Instant::now();
        let answer = self.beside.health(inner, request).await;
        answer.unwrap_or_else(|refused| Ok(refuse(&refused, begun)))
    }

    /// A place comes first, then the caller: what a flood costs most is looking at its tokens, and one without any would come
    /// for nothing. Who has no good token is gone again before anybody has waited for it.
    async fn serve<S>(&self, mut inner: S, mut request: Request<Body>, call: &Call) -> Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let Ok(_place) = self.places.take().await else {
            metrics().shed(Shed::Overloaded);
            return Ok(refuse(&status::overloaded(OVERLOAD_DELAY.delay(1)), call.begun));
        };
        let admitted = match self.admit(call, &mut request).await {
            Ok(()) if call.access.is_some() => Ok(request),
            Ok(()) if beside::is_reflection(request.uri().path()) => {
                self.beside.reflection(request, call.begun + self.timeout)
            }
            Ok(()) => Err(unimplemented()),
            Err(refused) => Err(refused),
        };
        let request = match admitted {
            Ok(request) => request,
            Err(refused) => return Ok(refuse(&refused, call.begun)),
        };
        let answer = settle(AssertUnwindSafe(inner.call(request)).catch_unwind().await, call.begun)?;
        // What cannot be recorded is not shown.
        if code(&answer) == Code::Ok && audit::answered(&self.trail, call.access, &call.occasion).await.is_err() {
            return Ok(refuse(&status::unavailable("database", UNRECORDED_DELAY), call.begun));
        }
        Ok(answer)
    }

    /// Who is refused has called as well, and pays for it.
    async fn admit(&self, call: &Call, request: &mut Request<Body>) -> Result<(), Status> {
        let headers = request.headers();
        let admitted = match call.access {
            Some(access) => self
                .authenticator
                .caller(headers, access, &call.occasion)
                .await
                .map(Some),
            None => self.authenticator.verify(headers).await.map(|who| {
                call.occasion.identify(who);
                None
            }),
        };
        let who = call.occasion.who();
        if who.actor.is_some()
            && let Some(guest) = request.extensions().get::<Guest>()
        {
            guest.note_known();
        }
        self.rates.take(&who)?;
        if let Some(caller) = admitted? {
            Span::current().record("organization", caller.organization.as_str());
            request.extensions_mut().insert(caller);
        }
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
            let code = code(&response);
            // Every refusal of ours has details. One without them is tonic's, about a request that no handler saw.
            if !response.headers().contains_key("grpc-status-details-bin")
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
        Code::Unimplemented => Some(unimplemented()),
        _ => None,
    }
}

fn unimplemented() -> Status {
    let message = "the server has no such RPC, or does not read requests that are compressed like this";
    status::refusal(ErrorReason::Unimplemented, message)
}

/// The code of an answer: it is in the headers, unless it is a good one or a stream's.
fn code(answer: &Response<Body>) -> Code {
    let code = answer.headers().get("grpc-status");
    code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
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
