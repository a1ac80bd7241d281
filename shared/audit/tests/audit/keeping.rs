//! Nothing is deleted or changed, and each record is sealed once.

use std::time::Duration;

use carepost_audit::{Scope, Sealed, Sealer, insert, verify};
use carepost_runtime::{Clock, database::begin, metrics::labels::Component};
use carepost_testkit::TcpProxy;
use sea_orm::TransactionTrait;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::support::{PRAIRIE, Place, connect, on_both, record, until};

async fn nothing_is_deleted_or_changed(place: Place) {
    place.write(PRAIRIE, 3).await;
    let refused = async |sql: &str| {
        let error = place.execute(sql).await.expect_err(sql).to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    };
    for sql in [
        "DELETE FROM audit_record",
        "UPDATE audit_record SET actor = 'staff/2'",
        "UPDATE audit_record SET seal_number = 1, seal_place = 1, seal_hash = '', outcome = 'OK/x' WHERE count = 1",
        "UPDATE audit_record SET seal_number = NULL",
    ] {
        refused(sql).await;
    }
    place.seal_all().await;
    for sql in [
        "DELETE FROM audit_record",
        "UPDATE audit_record SET seal_place = seal_place + 100",
        "UPDATE audit_record SET seal_number = NULL, seal_place = NULL, seal_hash = NULL",
        "DELETE FROM audit_seal",
        "UPDATE audit_seal SET records = 2",
    ] {
        refused(sql).await;
    }
    if place.is_postgres() {
        refused("TRUNCATE audit_record").await;
        refused("TRUNCATE audit_seal").await;
    } else {
        let columns =
            "organization, recorded_at, id, actor, via, origin, action, subjects, outcome, request_id, trace_id, count";
        refused(&format!(
            "INSERT OR REPLACE INTO audit_record ({columns}) SELECT {} FROM audit_record",
            columns.replace("actor", "'staff/2'")
        ))
        .await;
        refused("INSERT OR REPLACE INTO audit_seal SELECT organization, number, sealed_at, 7, head FROM audit_seal")
            .await;
    }
    assert!(verify(&place.database, &Scope::default()).await.unwrap().is_whole());
}

async fn a_seal_has_what_was_committed_and_the_next_one_the_rest(place: Place) {
    // On SQLite a transaction that writes keeps the others from writing at all.
    if !place.is_postgres() {
        place.write(PRAIRIE, 1).await;
        assert_eq!(place.sealer().seal(PRAIRIE).await.unwrap(), Sealed::All(1));
        assert_eq!(place.sealer().seal(PRAIRIE).await.unwrap(), Sealed::Nothing);
        return;
    }
    let early = begin(&place.database).await.unwrap();
    insert(&*early, &[record(PRAIRIE, 0)]).await.unwrap();
    insert(&place.database, &[record(PRAIRIE, 1)]).await.unwrap();
    assert_eq!(place.sealer().seal(PRAIRIE).await.unwrap(), Sealed::All(1));
    early.commit().await.unwrap();
    assert_eq!(
        place.sealer().seal(PRAIRIE).await.unwrap(),
        Sealed::All(1),
        "what was late is not left out"
    );
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    assert!(report.is_whole());
    assert_eq!((report.chains[0].records, report.chains[0].head.unwrap().0), (2, 2));
}

async fn a_crash_between_change_and_seal_leaves_the_record_to_the_next_process(place: Place) {
    place.write(PRAIRIE, 5).await;
    // The process died within its seal: the transaction is undone.
    let tx = place.database.begin().await.unwrap();
    insert(&tx, &[record(PRAIRIE, 9)]).await.unwrap();
    tx.rollback().await.unwrap();
    let stop = CancellationToken::new();
    let sealing = tokio::spawn(place.sealer().run(stop.clone()));
    until(async || place.count("seal_number IS NULL").await == 0).await;
    stop.cancel();
    sealing.await.unwrap();
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    assert!(report.is_whole());
    assert_eq!((report.chains[0].records, report.chains[0].unsealed), (5, 0));
}

async fn many_sealers_make_one_chain_while_many_write(place: Place) {
    let stop = CancellationToken::new();
    let sealers: Vec<_> = (0..3).map(|_| tokio::spawn(place.sealer().run(stop.clone()))).collect();
    let writers = (0..4).map(|writer| {
        let database = place.database.clone();
        tokio::spawn(async move {
            for turn in 0..100 {
                let organization = if turn % 5 == 0 { "hill" } else { PRAIRIE };
                insert(&database, &[record(organization, writer * 1_000 + turn)])
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    until(async || place.count("seal_number IS NULL").await == 0).await;
    stop.cancel();
    for sealer in sealers {
        sealer.await.unwrap();
    }
    let report = verify(&place.database, &Scope::default()).await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    let records: Vec<_> = report.chains.iter().map(|chain| chain.records).collect();
    assert_eq!(records, [80, 320]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealer_that_waits_for_a_silent_database_ends_when_it_is_told() {
    let place = Place::postgres().await;
    let mut url: Url = place.url.parse().unwrap();
    let way = TcpProxy::start(([127, 0, 0, 1], url.port().unwrap()).into()).await;
    url.set_port(Some(way.address().port())).unwrap();
    let database = connect(url.as_str()).await;
    let stop = CancellationToken::new();
    let sealer = Sealer::new(database.clone(), Clock::system(), Component::Messaging);
    let sealing = tokio::spawn(sealer.run(stop.clone()));
    place.write(PRAIRIE, 1).await;
    until(async || place.count("seal_number IS NULL").await == 0).await;
    way.silence();
    let pool = database.get_postgres_connection_pool();
    until(async || pool.num_idle() < pool.size() as usize).await;
    stop.cancel();
    // Well before it would give the database up.
    tokio::time::timeout(Duration::from_secs(15), sealing)
        .await
        .unwrap()
        .unwrap();
}

on_both! {
    nothing_is_deleted_or_changed
    a_seal_has_what_was_committed_and_the_next_one_the_rest
    a_crash_between_change_and_seal_leaves_the_record_to_the_next_process
    many_sealers_make_one_chain_while_many_write
}
