//! What was changed, removed or moved in a chain is found.

use carepost_audit::{Anchor, Export, Fault, Scope, Span, insert, verify};
use chrono::TimeDelta;

use crate::support::{PRAIRIE, Place, on_both, record, start};

/// The faults of the only chain.
async fn faults(place: &Place) -> Vec<Fault> {
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    assert_eq!(report.chains.len(), 1);
    let chain = &report.chains[0];
    assert_eq!(chain.fault_count, chain.faults.len() as u64);
    assert_eq!(report.is_whole(), chain.faults.is_empty());
    chain.faults.clone()
}

/// Three seals of ten records each.
async fn three_seals(place: &Place) {
    for seal in 0..3 {
        let records: Vec<_> = (0..10).map(|n| record(PRAIRIE, seal * 10 + n)).collect();
        insert(&place.database, &records).await.unwrap();
        place.seal_all().await;
    }
    assert_eq!(faults(place).await, []);
}

async fn a_whole_trail_is_whole_and_tells_its_heads_and_its_tail(place: Place) {
    place.write(PRAIRIE, 1_100).await;
    place.write("hill", 3).await;
    place.seal_all().await;
    place.write("", 2).await;
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    assert!(report.is_whole());
    let told: Vec<_> = report
        .chains
        .iter()
        .map(|chain| {
            (
                chain.organization.as_str(),
                chain.records,
                chain.unsealed,
                chain.head.map(|(number, _)| number),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("", 0, 2, None), ("hill", 0, 3, None), (PRAIRIE, 1_100, 0, Some(3))]
    );
    assert_eq!(report.chains[0].unsealed_since, Some(start()));
    let one = Scope {
        organization: Some("hill".to_owned()),
        ..Scope::default()
    };
    assert_eq!(verify(&place.database, &one).await.unwrap().chains.len(), 1);
}

async fn a_changed_record_is_found(place: Place) {
    three_seals(&place).await;
    for (column, value) in [
        ("actor", "'staff/2'"),
        ("subjects", "''"),
        ("outcome", "'OK/x'"),
        ("count", "2"),
        ("origin", "'::1'"),
        ("via", "'service/x'"),
        ("action", "'/x'"),
        ("trace_id", "'x'"),
    ] {
        let at = "WHERE seal_number = 2 AND seal_place = 4";
        let keep = format!("CREATE TABLE kept AS SELECT {column} AS was FROM audit_record {at}");
        place.execute(&keep).await.unwrap();
        place
            .as_owner(&format!("UPDATE audit_record SET {column} = {value} {at}"))
            .await;
        let found = faults(&place).await;
        let [Fault::RecordChanged { seal: 2, place: 4, .. }] = found[..] else {
            panic!("{column}: {found:?}")
        };
        place
            .as_owner(&format!(
                "UPDATE audit_record SET {column} = (SELECT was FROM kept) {at}"
            ))
            .await;
        assert_eq!(faults(&place).await, [], "{column} is as it was");
        place.execute("DROP TABLE kept").await.unwrap();
    }
}

async fn a_removed_record_is_found(place: Place) {
    three_seals(&place).await;
    for (removed, missing) in [(1, 1), (5, 5), (10, 10)] {
        let gone = format!("DELETE FROM audit_record WHERE seal_number = {removed} % 3 + 1 AND seal_place = {removed}");
        place.as_owner(&gone).await;
        let seal = removed % 3 + 1;
        let expected = Fault::RecordsMissing {
            seal: seal.into(),
            from: missing,
            to: missing,
        };
        assert!(faults(&place).await.contains(&expected));
    }
    assert_eq!(faults(&place).await.len(), 3, "each is told of once");
}

async fn swapped_records_are_found(place: Place) {
    three_seals(&place).await;
    // Each takes the place of the other, with its hash or without.
    place
        .as_owner(
            "UPDATE audit_record SET seal_place = -1 WHERE seal_number = 2 AND seal_place = 3;
             UPDATE audit_record SET seal_place = 3 WHERE seal_number = 2 AND seal_place = 4;
             UPDATE audit_record SET seal_place = 4 WHERE seal_number = 2 AND seal_place = -1",
        )
        .await;
    let found = faults(&place).await;
    assert!(
        matches!(found[0], Fault::RecordChanged { seal: 2, place: 3, .. }),
        "{found:?}"
    );
    place
        .as_owner(
            "CREATE TABLE swapped AS SELECT seal_place, seal_hash FROM audit_record WHERE seal_number = 1;
             UPDATE audit_record SET seal_place = -1 WHERE seal_number = 1 AND seal_place = 7;
             UPDATE audit_record SET seal_place = 7 WHERE seal_number = 1 AND seal_place = 8;
             UPDATE audit_record SET seal_place = 8 WHERE seal_number = 1 AND seal_place = -1;
             UPDATE audit_record SET seal_hash = (SELECT s.seal_hash FROM swapped s WHERE s.seal_place = audit_record.seal_place)
             WHERE seal_number = 1",
        )
        .await;
    let found = faults(&place).await;
    assert!(
        matches!(found[0], Fault::RecordChanged { seal: 1, place: 7, .. }),
        "{found:?}"
    );
}

async fn an_added_record_and_a_broken_or_missing_seal_are_found(place: Place) {
    three_seals(&place).await;
    place.write("other", 1).await;
    place
        .as_owner(
            "UPDATE audit_record SET organization = 'prairie', seal_number = 1, seal_place = 11,
             seal_hash = (SELECT head FROM audit_seal WHERE number = 1) WHERE organization = 'other'",
        )
        .await;
    let found = faults(&place).await;
    assert!(
        matches!(found[..], [Fault::RecordAdded { seal: 1, place: 11, .. }]),
        "{found:?}"
    );
    place
        .as_owner("DELETE FROM audit_record WHERE seal_number = 1 AND seal_place = 11")
        .await;
    place
        .as_owner(
            "UPDATE audit_seal SET sealed_at = (SELECT sealed_at FROM audit_seal WHERE number = 3) WHERE number = 1",
        )
        .await;
    assert_eq!(faults(&place).await, [Fault::SealChanged { number: 1 }]);
    place.as_owner("DELETE FROM audit_seal WHERE number = 2").await;
    let missing = |number| Fault::SealsMissing {
        from: number,
        to: number,
    };
    assert_eq!(faults(&place).await, [Fault::SealChanged { number: 1 }, missing(2)]);
    place.as_owner("DELETE FROM audit_seal WHERE number = 3").await;
    assert_eq!(
        faults(&place).await,
        [Fault::SealChanged { number: 1 }, missing(2)],
        "the first behind the last"
    );
}

async fn what_the_database_alone_cannot_show_an_anchor_does(place: Place) {
    three_seals(&place).await;
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    let (number, head) = report.chains[0].head.unwrap();
    let anchor = |organization: &str| Anchor {
        organization: organization.to_owned(),
        number,
        head,
    };
    let scope = Scope {
        organization: None,
        anchors: vec![anchor(PRAIRIE)],
    };
    assert!(verify(&place.database, &scope).await.unwrap().is_whole());
    place
        .as_owner("DELETE FROM audit_record WHERE seal_number = 3; DELETE FROM audit_seal WHERE number = 3")
        .await;
    assert_eq!(faults(&place).await, [], "a chain that is cut off is whole by itself");
    let missed = verify(&place.database, &scope).await.unwrap();
    assert_eq!(missed.chains[0].faults, [Fault::AnchorMissed { number: 3 }]);
    // Written anew, it has another head.
    place.as_owner("DELETE FROM audit_record; DELETE FROM audit_seal").await;
    let gone = verify(&place.database, &scope).await.unwrap();
    assert_eq!(
        gone.chains[0].faults,
        [Fault::AnchorMissed { number: 3 }],
        "also where nothing is left"
    );
    three_seals(&place).await;
    assert!(!verify(&place.database, &scope).await.unwrap().is_whole());
}

async fn an_export_is_a_span_in_the_order_of_time(place: Place) {
    place.write(PRAIRIE, 700).await;
    place.seal_all().await;
    place.write("hill", 5).await;
    let (from, to) = (
        start() + TimeDelta::milliseconds(2),
        start() + TimeDelta::milliseconds(600),
    );
    let span = |organization: Option<&str>| Span {
        organization: organization.map(str::to_owned),
        from,
        to,
    };
    let mut export = Export::begin(&place.database, span(None)).await.unwrap();
    let mut times = Vec::new();
    while let Some(kept) = export.next().await.unwrap() {
        assert_eq!(kept.sealed.is_some(), kept.record.organization == PRAIRIE);
        times.push((kept.record.recorded_at, kept.record.id));
    }
    assert_eq!(times.len(), 598 + 3);
    assert!(times.is_sorted() && times[0].0 == from && times.iter().all(|(at, _)| *at < to));
    let mut export = Export::begin(&place.database, span(Some("hill"))).await.unwrap();
    let first = export.next().await.unwrap().unwrap();
    assert_eq!(first.record, {
        let mut expected = record("hill", 2);
        expected.id = first.record.id;
        expected
    });
}

on_both! {
    a_whole_trail_is_whole_and_tells_its_heads_and_its_tail
    a_changed_record_is_found
    a_removed_record_is_found
    swapped_records_are_found
    an_added_record_and_a_broken_or_missing_seal_are_found
    what_the_database_alone_cannot_show_an_anchor_does
    an_export_is_a_span_in_the_order_of_time
}
