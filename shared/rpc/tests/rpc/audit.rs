//! What the guard tells the audit trail.

use std::time::Duration;

use carepost_runtime::metrics::metrics;
use sea_orm::{ConnectionTrait, Statement};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    raw::{Raw, of_person, request},
    served::{GET_UNREAD_COUNT, LIST_MESSAGES, Served, WATCH_INBOX, until},
};

/// Who did what, from where, how it ended and how often.
async fn trail(served: &Served) -> Vec<(String, String, String, String, i32)> {
    let sql = "SELECT actor, action, origin, outcome, count FROM audit_record ORDER BY recorded_at, id";
    let statement = Statement::from_string(served.database.get_database_backend(), sql);
    let rows = served.database.query_all_raw(statement).await.unwrap();
    let texts = |row: &sea_orm::QueryResult| {
        let text = |column| row.try_get("", column).unwrap();
        let count = row.try_get("", "count").unwrap();
        (text("actor"), text("action"), text("origin"), text("outcome"), count)
    };
    rows.iter().map(texts).collect()
}

fn told(actor: &str, action: &str, outcome: &str, count: i32) -> (String, String, String, String, i32) {
    let origin = "127.0.0.1".to_owned();
    (actor.to_owned(), action.to_owned(), origin, outcome.to_owned(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_is_on_disk_before_it_is_answered_and_other_calls_leave_nothing() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    served.work.gate.add_permits(1);
    assert_eq!(raw.status(of_person(&served, GET_UNREAD_COUNT)).await.code(), Code::Ok);
    assert_eq!(trail(&served).await, []);
    for (count, path) in [LIST_MESSAGES, WATCH_INBOX].into_iter().enumerate() {
        let answer = raw.call(of_person(&served, path)).await.unwrap();
        assert!(answer.headers().get("grpc-status").is_none());
        let records = trail(&served).await;
        assert_eq!(
            (records.len(), &records[count]),
            (count + 1, &told("staff/1", path, "OK", 1))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_shown() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
    let gone = rename("audit_record", "gone");
    served.database.execute_unprepared(&gone).await.unwrap();
    for path in [LIST_MESSAGES, WATCH_INBOX] {
        let refused = raw.status(of_person(&served, path)).await;
        assert_eq!(refused.code(), Code::Unavailable, "{path}");
        assert!(refused.get_details_retry_info().is_some());
    }
    served.work.gate.add_permits(1);
    let unrecorded = raw.status(of_person(&served, GET_UNREAD_COUNT)).await;
    assert_eq!(unrecorded.code(), Code::Ok, "what shows nobody's messages goes on");
    let back = rename("gone", "audit_record");
    served.database.execute_unprepared(&back).await.unwrap();
    assert!(
        raw.call(of_person(&served, LIST_MESSAGES))
            .await
            .unwrap()
            .headers()
            .get("grpc-status")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_written_before_the_process_ends_those_of_one_kind_together() {
    let served = Served::with("person_calls_per_second = 1\nperson_burst = 1").await;
    let raw = Raw::connect(&served).await;
    served.work.gate.add_permits(1);
    for _ in 0..20 {
        let made_up = format!("/made.up/{}", "Xsecretx");
        assert_eq!(raw.status(request(&made_up)).await.code(), Code::Unauthenticated);
        assert_eq!(raw.status(request(LIST_MESSAGES)).await.code(), Code::Unauthenticated);
    }
    assert_eq!(raw.status(of_person(&served, GET_UNREAD_COUNT)).await.code(), Code::Ok);
    let limited = raw.status(of_person(&served, GET_UNREAD_COUNT)).await;
    assert_eq!(limited.code(), Code::ResourceExhausted);
    drop(raw);
    served.life.clone().finish(Duration::from_secs(10)).await.unwrap();
    let records = trail(&served).await;
    for (expected, most) in [
        (told("unknown", "other", "UNAUTHENTICATED/TOKEN_MISSING", 20), 19),
        (told("unknown", LIST_MESSAGES, "UNAUTHENTICATED/TOKEN_MISSING", 20), 19),
        (
            told("staff/1", GET_UNREAD_COUNT, "RESOURCE_EXHAUSTED/RATE_LIMITED", 1),
            1,
        ),
    ] {
        let of_kind = |record: &&(String, String, String, String, i32)| {
            (&record.0, &record.1, &record.2, &record.3) == (&expected.0, &expected.1, &expected.2, &expected.3)
        };
        let same: Vec<_> = records.iter().filter(of_kind).collect();
        assert_eq!(
            same.iter().map(|record| record.4).sum::<i32>(),
            expected.4,
            "{records:?}"
        );
        assert!(same.len() <= most, "{records:?}");
    }
    assert!(
        !format!("{records:?}").contains("Xsecretx"),
        "a path that somebody made up is not in it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_an_overload_refuses_is_recorded_too_though_nobody_looked_who_it_was() {
    let served = Served::with("max_concurrent_calls = 1\nmax_waiting_calls = 0").await;
    let raw = Raw::connect(&served).await;
    let (under_way, body) = raw.begin(of_person(&served, GET_UNREAD_COUNT)).await;
    until("it is under way", || served.work.under_way() == 1).await;
    for _ in 0..20 {
        let refused = raw.status(of_person(&served, LIST_MESSAGES)).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
    let metrics = metrics().text().unwrap();
    let shed = metrics
        .lines()
        .find_map(|line| line.strip_prefix("carepost_rpc_shed_total{reason=\"overloaded\"} "));
    assert!(shed.is_some_and(|shed| shed.parse::<u32>().unwrap() >= 20), "{shed:?}");
    drop((under_way, body, raw));
    served.life.clone().finish(Duration::from_secs(10)).await.unwrap();
    let records = trail(&served).await;
    let overloaded: Vec<_> = records
        .iter()
        .filter(|record| record.3 == "RESOURCE_EXHAUSTED/OVERLOADED")
        .collect();
    assert!(
        overloaded
            .iter()
            .all(|one| (one.0.as_str(), one.1.as_str()) == ("unknown", LIST_MESSAGES)),
        "{records:?}"
    );
    assert_eq!(overloaded.iter().map(|one| one.4).sum::<i32>(), 20, "{records:?}");
}
