//! One message, from its arrival to the verdict that lasts, whatever broker it came from.

use carepost_runtime::metrics::{labels::Consumed, metrics};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use super::{
    Received, Verdict, Work,
    attempt::{Outcome, attempt},
};
use crate::publisher::PublishError;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The service has kept it: it is to be acknowledged.
    Kept,
    /// It is among the dead letters.
    Buried,
    /// The consumer ended first: the message goes back.
    Abandoned,
}

/// Tries until the message is kept or, by `bury` and with the reason, a dead letter; or until `ended`. If a dead letter
/// cannot be made, the consumer pauses as it does when the service lacks something.
pub(crate) async fn settle<H, F, B>(
    work: &Work<H>,
    received: &Received,
    bury: impl Fn(String) -> B,
    ended: &CancellationToken,
) -> Settled
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
    B: Future<Output = Result<(), PublishError>>,
{
    loop {
        let (reason, pass) = match attempt((received, &work.queue), &work.handler, &work.gate, ended).await {
            Outcome::Done => {
                metrics().consumed(&work.queue, Consumed::Done);
                return Settled::Kept;
            }
            Outcome::Abandoned => return Settled::Abandoned,
            Outcome::Malformed(reason, pass) => (reason, pass),
        };
        let message_id = received.message_id.as_deref();
        match bury(reason.clone()).await {
            Ok(()) => {
                pass.works();
                metrics().consumed(&work.queue, Consumed::DeadLettered);
                tracing::error!(message_id, reason, "a malformed message was put among the dead letters");
                return Settled::Buried;
            }
            Err(error) => {
                let failures = pass.fails();
                metrics().consumed(&work.queue, Consumed::Retried);
                tracing::warn!(message_id, %error, failures, "a dead letter cannot be made: the consumer pauses");
            }
        }
    }
}

/// The span in which a message is handled: it continues the trace of the message.
pub(crate) fn span(received: &Received, queue: &str) -> tracing::Span {
    let span = tracing::info_span!(
        "consume",
        otel.kind = "consumer",
        queue,
        message_id = received.message_id,
        trace_id = Empty
    );
    received.trace.set_parent_of(&span);
    span
}
