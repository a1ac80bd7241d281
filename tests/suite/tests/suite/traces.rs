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
    let on_the_way = [
        ("carepost-eligibility", "rpc"),
        ("carepost-messaging", "rpc"),
        ("carepost-notification", "consume"),
        ("carepost-notification", "send_email"),
    ];
    let on_the_way = on_the_way.map(|(service, name)| (service.to_owned(), name.to_owned()));
    let whole = until(LONG, async || {
        BTreeSet::from(on_the_way.clone()).is_subset(&spans_of_the_send(&receiver))
    })
    .await;
    assert!(whole, "{:?}", receiver.spans());
}

/// The spans of the trace of `StartConversation`: service and name.
fn spans_of_the_send(receiver: &Receiver) -> BTreeSet<(String, String)> {
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
        .map(|span| (span.service.clone(), span.name.clone()))
        .collect()
}
