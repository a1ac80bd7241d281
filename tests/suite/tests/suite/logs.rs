//! docs/logging.md, held against what the services write.

use carepost_suite::{
    Suite,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::DirectoryFile;
use http::uri::PathAndQuery;
use serde_json::Value;
use tonic::{Code, Request, client::Grpc};

use crate::traffic::{PRAIRIE, begin, rows};

/// What is in the span of a line.
fn span<'a>(line: &'a Value, field: &str) -> Option<&'a str> {
    line["span"][field].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_call_of_its_event_and_of_its_email_have_one_trace_id() {
    let suite = Suite::start("logs").await;
    suite.import(&DirectoryFile::prairie()).await;
    begin(&suite, PRAIRIE).await;
    suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    let drained = until(LONG, async || rows(&suite, Service::Messaging, "outbox").await == 0);
    assert!(drained.await, "events are left in the outbox");
    let refused = made_up(&suite, "/Xmadeupx/Xmethodx").await;
    assert!(
        matches!(refused, Code::Unauthenticated | Code::Unimplemented),
        "{refused:?}"
    );
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }

    let logs = suite.logs();
    assert!(!logs.contains("Xmadeupx"), "what a client makes up is not logged");
    let lines: Vec<Value> = logs
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let calls: Vec<_> = lines.iter().filter(|line| span(line, "name") == Some("rpc")).collect();
    assert!(calls.iter().any(|line| span(line, "rpc") == Some("other")));
    for line in &calls {
        for field in ["rpc", "call_id", "trace_id"] {
            assert!(span(line, field).is_some(), "{field} is not in {line}");
        }
    }
    let sent = "/carepost.messaging.v1.MessagingService/StartConversation";
    let call = calls.iter().find(|line| span(line, "rpc") == Some(sent)).unwrap();
    assert_eq!(span(call, "organization"), Some(PRAIRIE.organization), "{call}");
    let trace_id = span(call, "trace_id").unwrap();

    let of = |name: &str, message: &str| {
        let found = lines
            .iter()
            .find(|line| span(line, "name") == Some(name) && line["message"] == message);
        found.unwrap_or_else(|| panic!("no line of {name} tells: {message}"))
    };
    let consumed = of("consume", "recorded an event");
    let attempt = of("send_email", "an attempt ended");
    for (line, fields) in [
        (consumed, &["queue", "message_id"][..]),
        (attempt, &["delivery", "organization"]),
    ] {
        assert_eq!(span(line, "trace_id"), Some(trace_id), "{line}");
        for field in fields {
            assert!(span(line, field).is_some(), "{field} is not in {line}");
        }
    }
    assert_eq!(attempt["span"]["attempt"], 1);
}

/// What a call of a path that does not exist is answered.
async fn made_up(suite: &Suite, path: &'static str) -> Code {
    let mut client = Grpc::new(suite.channel(Service::Messaging));
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = PathAndQuery::from_static(path);
    client.unary(Request::new(()), path, codec).await.unwrap_err().code()
}
