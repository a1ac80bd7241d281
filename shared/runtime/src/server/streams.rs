//! The streams of a connection, one for each call: one whose answer is not taken ends, and leaves the others alone.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    body::{Bytes, Frame, SizeHint},
    rt::Executor,
};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};

use super::traffic::Call;

/// The most of an answer that is handed over at once. What follows waits until the client has room for it, so that a client
/// that takes nothing costs no more memory than this.
const PIECE: usize = 16 * 1_024;

tokio::task_local! {
    static TAKING: Arc<Taking>;
}

/// Since when a piece of an answer has waited to be taken.
#[derive(Debug, Default)]
struct Taking(Mutex<Option<Instant>>);

impl Taking {
    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Runs the streams of connections, and ends those whose answers are not taken in time.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// How long a client may take for each piece.
    pub patience: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(within(stream, self.patience));
    }
}

async fn within(stream: impl Future<Output = ()>, patience: Duration) {
    let taking = Arc::new(Taking::default());
    let mut stream = pin!(TAKING.scope(Arc::clone(&taking), stream));
    // Made when it is needed, which is seldom.
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    poll_fn(move |context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = taking.since() else {
            alarm = None;
            return Poll::Pending;
        };
        let due = since + patience;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        ready!(alarm.as_mut().poll(context));
        tracing::info!("a client did not take an answer in time");
        Poll::Ready(())
    })
    .await;
}

/// An answer, in pieces, that notes whether it is taken.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    rest: Bytes,
    taking: Option<Arc<Taking>>,
    _call: Call,
}

impl Answer {
    /// The answer of a call, made within its stream.
    pub fn new(body: Body, call: Call) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            taking: TAKING.try_with(Arc::clone).ok(),
            _call: call,
        }
    }

    fn waits(&self, since: Option<Instant>) {
        if let Some(taking) = &self.taking {
            taking.set(since);
        }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        self.waits(Some(Instant::now()));
        Frame::data(self.rest.split_to(self.rest.len().min(PIECE)))
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        // Whoever asks for more has taken what there was.
        this.waits(None);
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(data) => {
                    this.rest = data;
                    Poll::Ready(Some(Ok(this.piece())))
                }
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
            end => Poll::Ready(end),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.waits(None);
    }
}
