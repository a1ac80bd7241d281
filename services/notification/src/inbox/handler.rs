//! What is done about one event.

use std::sync::Arc;

use carepost_audit::Occasion;
use carepost_broker::{
    consumer::{Received, Verdict},
    event::EventKind,
    trace::TraceHeaders,
};
use carepost_identity::Actor;
use carepost_runtime::Clock;
use tokio::sync::Notify;

use super::decode;
use crate::store::{Store, Write};

/// Records deliveries, and wakes the mailer.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// The ledger.
    pub store: Store,
    /// Who records.
    pub actor: Actor,
    /// The time.
    pub clock: Clock,
    /// Wakes the mailer.
    pub mailer: Arc<Notify>,
}

impl Inbox {
    /// Records one delivery for each portal recipient of the event, and for each member of staff among them who wants one at
    /// this moment. To see an event again changes nothing.
    pub async fn handle(self, received: Received) -> Verdict {
        if received
            .message_type
            .as_deref()
            .is_some_and(|found| found != EventKind::MessageSent.message_type())
        {
            return Verdict::Malformed("the event is of another type".to_owned());
        }
        let event = match decode::message_sent(&received.body) {
            Ok(event) => event,
            Err(malformed) => return Verdict::Malformed(malformed.to_string()),
        };
        let deliveries = match self.store.who_wants_email(&event.organization, event.staff()).await {
            Ok(asked_for_it) => event.deliveries(&asked_for_it),
            Err(error) => return Verdict::Unavailable(error.to_string()),
        };
        let trace = TraceHeaders::current();
        let traceparent = trace.traceparent.or(received.trace.traceparent);
        let occasion = Occasion::own(event.event_id, "event/MessageSent");
        let write = Write {
            organization: &event.organization,
            actor: &self.actor,
            now: self.clock.now(),
            occasion: &occasion,
        };
        match self.store.record(write, &deliveries, traceparent.as_deref()).await {
            Ok(new) => {
                tracing::info!(
                    event_id = %event.event_id,
                    message_id = %event.message_id,
                    organization = %event.organization,
                    deliveries = deliveries.len(),
                    new,
                    "recorded an event"
                );
                if new > 0 {
                    self.mailer.notify_one();
                }
                Verdict::Done
            }
            Err(error) => Verdict::Unavailable(error.to_string()),
        }
    }
}
