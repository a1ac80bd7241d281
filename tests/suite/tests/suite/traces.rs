//! One trace, from the caller to the mail server.

use std::collections::BTreeSet;

use carepost_suite::{
    Plan, Suite,
    otlp::Receiver,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers};

use crate::traffic::{PRAIRIE, begin};

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_call_to_the_mailer() {
    let (receiver, address) = Receiver::start().await;
    let plan = Plan {
        otlp: Some(address),
        ..Plan::default()
    };
    let suite = Suite::start_on(Servers::ensure().await, "traces", plan).await;
    suite.import(&DirectoryFile::prairie()).await;
    begin(&suite, PRAIRIE).await;
    suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    // Stopping sends the last spans.
    for service in Service::ALL {
        suite.stop(service).await;
    }
    let whole = until(LONG, async || services_of_the_send(&receiver).len() == 3).await;
    assert!(whole, "{:?}", receiver.spans());
}

/// The services that the trace of `StartConversation` went through.
fn services_of_the_send(receiver: &Receiver) -> BTreeSet<String> {
    let spans = receiver.spans();
    let start = spans.iter().find(|span| {
        span.service == "carepost-messaging"
            && span
                .attributes
                .iter()
                .any(|(_, value)| value.ends_with("/StartConversation"))
    });
    let Some(start) = start else { return BTreeSet::new() };
    spans
        .iter()
        .filter(|span| span.trace == start.trace)
        .map(|span| span.service.clone())
        .collect()
}
