//! The role that a service has on PostgreSQL, as `docs/audit.md` makes it.

use carepost_audit::{Scope, Sealed, Sealer, insert, verify};
use carepost_runtime::{Clock, metrics::labels::Component};
use carepost_testkit::Servers;
use sea_orm::ConnectionTrait;

use crate::support::{PRAIRIE, Place, connect, record};

const PAGE: &str = include_str!("../../../../docs/audit.md");

/// The statements of the page, for a role of this test: roles are of the whole server.
fn statements(role: &str) -> String {
    let blocks = PAGE.split("```sql\n").filter_map(|block| block.split("```").next());
    let blocks: Vec<_> = blocks
        .filter(|block| block.contains("TO carepost_runtime") || block.contains("ROLE carepost_runtime"))
        .collect();
    assert_eq!(blocks.len(), 3);
    blocks.concat().replace("carepost_runtime", role)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_a_service_can_add_and_seal_records_and_nothing_else() {
    let place = Place::postgres().await;
    let role = Servers::ensure()
        .await
        .unique_prefix("runtime")
        .replace(['-', '.'], "_");
    place.execute("CREATE TABLE outbox_like (id int)").await.unwrap();
    place.execute(&statements(&role)).await.unwrap();
    place
        .execute(&format!("ALTER ROLE {role} LOGIN PASSWORD 'x'"))
        .await
        .unwrap();
    let mut url = url::Url::parse(&place.url).unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("x")).unwrap();
    let service = connect(url.as_str()).await;

    insert(&service, &[record(PRAIRIE, 1), record(PRAIRIE, 2)])
        .await
        .unwrap();
    let sealer = Sealer::new(service.clone(), Clock::system(), Component::Messaging);
    assert_eq!(sealer.seal(PRAIRIE).await.unwrap(), Sealed::All(2));
    assert!(verify(&service, &Scope::default()).await.unwrap().is_whole());
    service
        .execute_unprepared("INSERT INTO outbox_like VALUES (1); DELETE FROM outbox_like")
        .await
        .unwrap();

    for sql in [
        "DELETE FROM audit_record",
        "TRUNCATE audit_record",
        "UPDATE audit_record SET actor = 'staff/2'",
        "UPDATE audit_record SET recorded_at = now()",
        "INSERT INTO audit_record (organization, recorded_at, id, seal_number) VALUES ('', now(), gen_random_uuid(), 1)",
        "DELETE FROM audit_seal",
        "TRUNCATE audit_seal",
        "UPDATE audit_seal SET records = 1",
        "ALTER TABLE audit_record DISABLE TRIGGER ALL",
        "ALTER TABLE audit_record ADD COLUMN more text",
        "DROP TABLE audit_seal",
        "DROP TRIGGER audit_record_stays ON audit_record",
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
    ] {
        let refused = service.execute_unprepared(sql).await.expect_err(sql).to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{sql}: {refused}"
        );
    }
}
