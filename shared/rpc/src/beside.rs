//! Health and reflection: they are beside the suite's own RPCs, and have bounds of their own, so that neither waits for the
//! others nor takes anything from them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tonic::{Status, body::Body};
use tower::Service;

use crate::status;

/// Health answers anybody: Kubernetes' probes have no token. Nothing else does.
const HEALTH: &str = "/grpc.health.v1.Health/";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Reflection answers every caller with a good token; it is about no organization.
const REFLECTION: &str = "/grpc.reflection.";
/// How many questions about health are answered at once, and how long one may take to be asked: its answer is always there.
const CHECKS: usize = 1_024;
const PATIENCE: Duration = Duration::from_secs(5);
/// How many streams there are at once that tell of health, and of reflection.
const WATCHES: usize = 256;
const REFLECTIONS: usize = 64;

pub(crate) fn is_health(path: &str) -> bool {
    path.starts_with(HEALTH)
}

pub(crate) fn is_reflection(path: &str) -> bool {
    path.starts_with(REFLECTION)
}

/// The places of both.
pub(crate) struct Beside {
    checks: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    reflections: Arc<Semaphore>,
}

impl Default for Beside {
    fn default() -> Self {
        let places = |most| Arc::new(Semaphore::new(most));
        Self {
            checks: places(CHECKS),
            watches: places(WATCHES),
            reflections: places(REFLECTIONS),
        }
    }
}

impl Beside {
    /// Has a question about health answered. A watch keeps its place as long as it lasts.
    ///
    /// # Errors
    /// The inner one is the service's own. The outer one is a refusal: too many ask, or this one does not come to an end.
    pub(crate) async fn health<S>(
        &self,
        mut inner: S,
        request: Request<Body>,
    ) -> Result<Result<Response<Body>, S::Error>, Status>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let places = if request.uri().path() == WATCH {
            &self.watches
        } else {
            &self.checks
        };
        let place = take(places)?;
        let answer = timeout(PATIENCE, inner.call(request)).await;
        let answer = answer.map_err(|_| status::deadline_exceeded())?;
        Ok(answer.map(|answer| {
            answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _ = &place;
                    frame
                }))
            })
        }))
    }

    /// The request of reflection, as one that ends when the time for it is over: reflection then ends as well, whatever its
    /// client does.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn reflection(&self, request: Request<Body>, until: Instant) -> Result<Request<Body>, Status> {
        let place = take(&self.reflections)?;
        Ok(request.map(|body| {
            Body::new(Ending {
                body,
                end: Box::pin(sleep_until(until)),
                _place: place,
            })
        }))
    }
}

fn take(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    // Not counted with the calls that were refused: a stranger who asks for health is none of them.
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| status::overloaded(PATIENCE))
}

/// A request that ends at a moment, if it has not before.
struct Ending {
    body: Body,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}
