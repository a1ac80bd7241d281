//! The rows of what waits: kept as messages are written, made for what was stored before, and read by their index.

use carepost_identity::OrganizationId;
use carepost_messaging::{
    domain::Bands,
    store::{Store, unanswered_statement},
};
use carepost_messaging_migration::Migrator;
use carepost_runtime::Clock;
use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use sea_orm_migration::MigratorTrait;

use super::{ask, asked_days_ago, list_of, rows, start};
use crate::{
    recount::{assert_counts, recount},
    support::{Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, on_both, reply_to},
};

/// Of another organization, or to be many: rows without their conversations.
async fn pretend(database: &DatabaseConnection, organization: &str, staff: &str, days: i64) {
    let insert = "INSERT INTO unanswered (organization, conversation_id, staff, since) VALUES ($1, $2, $3, $4)";
    let now = Clock::system().now();
    let values = [
        organization.into(),
        carepost_runtime::Ids.next(now).into(),
        staff.into(),
        (now - TimeDelta::days(days)).into(),
    ];
    let statement = Statement::from_sql_and_values(database.get_database_backend(), insert, values);
    database.execute_raw(statement).await.unwrap();
}

on_both!(organizations_are_apart_but_for_the_gauge);
async fn organizations_are_apart_but_for_the_gauge(column: Column) {
    let service = start(column, "apart").await;
    let database = service.database().await;
    let store = Store::new(database.clone());
    let now = || Clock::system().now();
    assert_eq!(store.unanswered_by_age(now()).await.unwrap(), Bands::default());
    asked_days_ago(&service, NURSE, 8).await;
    ask(&service, DOCTOR).await;
    pretend(&database, "prairie", "staff/nurse", 2).await;
    pretend(&database, "prairie", "staff/nurse", 31).await;
    let of = async |organization| list_of(&service, organization, Default::default()).await.unwrap();
    assert_eq!(of(ORGANIZATION).await.total.unwrap().count, 2);
    let prairie = of("prairie").await;
    assert_eq!(rows(&prairie).len(), 1);
    assert_eq!(prairie.total.unwrap().count, 2);
    let bands = store.unanswered_by_age(now()).await.unwrap();
    assert_eq!(bands, Bands::of([1, 1, 0, 1, 1]));
}

on_both!(whoever_writes_last_decides_however_close_they_are);
async fn whoever_writes_last_decides_however_close_they_are(column: Column) {
    let service = start(column, "close").await;
    let id = service.start_portal().await.conversation_id;
    for _ in 0..25 {
        let (mut nurse, mut guardian) = (service.of(NURSE), service.of(GUARDIAN));
        let (one, other, again) = tokio::join!(
            nurse.reply(reply_to(&id)),
            async { guardian.reply(reply_to(&id)).await },
            async { service.of(NURSE).reply(reply_to(&id)).await },
        );
        for sent in [one, other, again] {
            sent.unwrap();
        }
        assert_counts(&service).await;
    }
}

on_both!(what_was_stored_before_is_counted_and_done_twice_it_does_no_harm);
async fn what_was_stored_before_is_counted_and_done_twice_it_does_no_harm(column: Column) {
    let service = start(column, "stored-before").await;
    let answered = service.start_portal().await.conversation_id;
    service.of(GUARDIAN).reply(reply_to(&answered)).await.unwrap();
    service.of(NURSE).reply(reply_to(&answered)).await.unwrap();
    let waiting = service.start_portal().await.conversation_id;
    service.of(GUARDIAN).reply(reply_to(&waiting)).await.unwrap();
    service.of(GUARDIAN).reply(reply_to(&waiting)).await.unwrap();
    asked_days_ago(&service, DOCTOR, 3).await;
    service.start_staff().await;
    let database = service.database().await;
    for removed in [
        "DELETE FROM unanswered",
        "DELETE FROM unanswered WHERE staff = 'staff/nurse'",
    ] {
        database.execute_unprepared(removed).await.unwrap();
        let missing = recount(&database).await;
        assert!(missing.iter().any(|fault| fault.what == "waiting"));
        let undone = "DELETE FROM seaql_migrations WHERE version = 'm0007_unanswered'";
        assert_eq!(database.execute_unprepared(undone).await.unwrap().rows_affected(), 1);
        Migrator::up(&database, None).await.unwrap();
        let wrong: Vec<_> = recount(&database).await;
        assert!(!wrong.iter().any(|fault| fault.what == "waiting"), "{wrong:#?}");
    }
}

#[derive(FromQueryResult)]
struct Plan {
    #[sea_orm(from_alias = "QUERY PLAN")]
    line: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_reads_its_index_and_no_table() {
    let service = start(Column::Real, "plan").await;
    let database = service.database().await;
    let fill = "INSERT INTO unanswered (organization, conversation_id, staff, since)
        SELECT CASE WHEN n % 50 = 0 THEN 'southern' ELSE 'other-' || n % 7 END, gen_random_uuid(), 'staff/' || n % 100,
               now() - n * interval '1 minute' FROM generate_series(1, 50000) AS n";
    database.execute_unprepared(fill).await.unwrap();
    database.execute_unprepared("VACUUM ANALYZE unanswered").await.unwrap();
    let now = Clock::system().now();
    let edges = Bands::edges(now).map(Into::into);
    let more = [ORGANIZATION.into(), now.into(), 10_000_i64.into()];
    let values: Vec<_> = edges.into_iter().chain(more).collect();
    let explain = format!("EXPLAIN {}", unanswered_statement());
    let statement = Statement::from_sql_and_values(database.get_database_backend(), explain, values);
    let plan: Vec<_> = Plan::find_by_statement(statement).all(&database).await.unwrap();
    let plan: Vec<_> = plan.into_iter().map(|plan| plan.line).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Only Scan using unanswered_by_staff"), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains(" on message"), "{plan}");
    let store = Store::new(database);
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    let found = store.unanswered(&organization, now, now).await.unwrap();
    assert_eq!((found.total.count(), found.staff_count), (1_000, 2));
}

on_both!(totals_are_of_all_staff_however_many_are_read);
async fn totals_are_of_all_staff_however_many_are_read(column: Column) {
    let service = start(column, "many-staff").await;
    let database = service.database().await;
    let id = match column {
        Column::Real => "gen_random_uuid()",
        Column::Embedded => "randomblob(16)",
    };
    let now = Clock::system().now();
    let many = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10002)
         INSERT INTO unanswered (organization, conversation_id, staff, since)
         SELECT 'southern', {id}, 'staff/' || n, $1 FROM number"
    );
    let values = [(now - TimeDelta::days(4)).into()];
    let statement = Statement::from_sql_and_values(database.get_database_backend(), many, values);
    database.execute_raw(statement).await.unwrap();
    pretend(&database, ORGANIZATION, "staff/longest", 5).await;
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    let found = Store::new(database).unanswered(&organization, now, now).await.unwrap();
    assert_eq!((found.by_staff.len(), found.staff_count), (10_000, 10_003));
    assert_eq!(found.total, Bands::of([0, 0, 10_003, 0, 0]));
    assert_eq!(found.by_staff[0].staff.as_str(), "longest");
    let answer = list_of(&service, ORGANIZATION, Default::default()).await.unwrap();
    assert_eq!((answer.staff.len(), answer.staff_count), (25, 10_003));
}
