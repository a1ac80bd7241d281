//! Calls that have more than one record.

use std::collections::BTreeSet;

use carepost_proto::{
    messaging::v1::{WatchInboxRequest, watch_inbox_response::Event},
    notification::v1::{RetryDeliveryRequest, RetryDeliveryResponse},
};
use carepost_suite::{
    Suite,
    process::Service,
    wait::{LONG, until},
};

use super::{super::Trail, Call, call_id};
use crate::traffic::{PRAIRIE, deliveries};

/// An import has a record of its begin, of each group and of its end.
pub async fn import(suite: &Suite, called: &mut BTreeSet<String>) {
    let path = "/carepost.eligibility.v1.DirectoryService/ImportDirectory";
    let trail = Trail::of(suite, Service::Eligibility).await;
    let records = trail.records("action = $1", vec![path.into()]).await;
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome.as_str()).collect();
    assert_eq!(outcomes.first(), Some(&"OK/BEGUN"));
    assert!(
        outcomes.len() > 2 && outcomes[1..].iter().all(|outcome| *outcome == "OK"),
        "{outcomes:?}"
    );
    let chart = format!("charts/{}", PRAIRIE.chart);
    assert!(
        records
            .iter()
            .any(|record| record.subjects.split(' ').any(|named| named == chart))
    );
    let named: usize = records[1..]
        .iter()
        .map(|record| record.subjects.split_whitespace().count())
        .sum();
    let counted: i32 = records[1..records.len() - 1].iter().map(|record| record.count).sum();
    assert!(
        named > 20 && usize::try_from(counted).unwrap() == named,
        "{named} {counted}"
    );
    assert!(records.iter().all(|record| record.actor == "service/feed"));
    called.insert(path.to_owned());
}

/// A watch has a record of its opening, and one before it shows a conversation.
pub async fn watch(suite: &Suite, called: &mut BTreeSet<String>) {
    let request = WatchInboxRequest {
        after_position: Some(0),
    };
    let opened = suite
        .person(PRAIRIE.organization, PRAIRIE.staff)
        .watch_inbox(request)
        .await
        .unwrap();
    let id = call_id(opened.metadata());
    let mut told = opened.into_inner();
    let trail = Trail::of(suite, Service::Messaging).await;
    loop {
        let answer = told.message().await.unwrap().unwrap();
        if let Some(Event::ConversationChanged(changed)) = answer.event {
            let shown = format!("conversations/{}", changed.conversation.unwrap().id);
            let records = trail.of_call(id).await;
            assert!(
                records.len() >= 2
                    && records
                        .iter()
                        .all(|record| record.actor == PRAIRIE.staff && record.outcome == "OK")
            );
            assert!(
                records
                    .iter()
                    .any(|record| record.subjects.split(' ').any(|named| named == shown))
            );
            called.insert(records[0].action.clone());
            return;
        }
    }
}

/// A delivery that waits is due at once; one that is being tried is left alone.
pub async fn retry(suite: &Suite, called: &mut BTreeSet<String>) {
    let operator = suite.service("operator", "prairie");
    let path = "/carepost.notification.v1.NotificationService/RetryDelivery";
    let trail = Trail::of(suite, Service::Notification).await;
    let delivery_id = deliveries(suite, "prairie").await.pop().unwrap().id;
    let name = format!("deliveries/{delivery_id}");
    let retried = until(LONG, async || {
        let request = RetryDeliveryRequest {
            delivery_id: delivery_id.clone(),
        };
        let answer = Call::of(path, &operator)
            .answer::<_, RetryDeliveryResponse>(suite, request)
            .await;
        let records = trail.of_call(call_id(answer.unwrap().metadata())).await;
        assert_eq!((records.len(), records[0].subjects.as_str()), (1, name.as_str()));
        assert!(records[0].outcome == "OK" || records[0].outcome == "OK/UNCHANGED");
        records[0].outcome == "OK"
    });
    assert!(retried.await, "{}", suite.logs());
    called.insert(path.to_owned());
}
