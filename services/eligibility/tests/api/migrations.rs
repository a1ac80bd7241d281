//! What was stored before a migration is as usable after it as what comes later.

use carepost_eligibility_migration::Migrator;
use carepost_testkit::servers::Servers;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;

use crate::support::{Column, on_both};

/// The migrations of the first release.
const FIRST: u32 = 2;
/// More than two batches.
const PEOPLE: usize = 2_300;
const TIME: &str = "'2026-01-01T00:00:00+00:00'";

async fn database(column: Column, folder: &TempDir) -> DatabaseConnection {
    let url = match column {
        Column::Real => {
            let servers = Servers::ensure().await;
            servers.postgres_url(&servers.create_database("old").await)
        }
        Column::Embedded => format!("sqlite://{}?mode=rwc", folder.path().join("old.db").display()),
    };
    Database::connect(url).await.unwrap()
}

async fn execute(database: &DatabaseConnection, sql: &str) {
    database.execute_unprepared(sql).await.unwrap();
}

async fn count(database: &DatabaseConnection, from: &str) -> i64 {
    let sql = format!("SELECT count(*) AS number FROM {from}");
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "number").unwrap()
}

on_both!(names_and_settings_of_the_first_release_are_carried_over);
async fn names_and_settings_of_the_first_release_are_carried_over(column: Column) {
    let folder = tempfile::tempdir().unwrap();
    let database = database(column, &folder).await;
    Migrator::up(&database, Some(FIRST)).await.unwrap();
    let record = format!("1, 0, '', FALSE, {TIME}");
    execute(
        &database,
        &format!(
            "INSERT INTO organization (organization, name, country, portal_url, locale, emr_version, import_counter,
             content_digest, deleted, updated_at) VALUES ('org', 'Care', 'AU', 'https://p', '', {record})"
        ),
    )
    .await;
    let staff: Vec<_> = (0..PEOPLE)
        .map(|number| format!("('org', 's{number}', 'Åsa {number}', 'åsa {number}', '', TRUE, TRUE, {record})"))
        .collect();
    execute(
        &database,
        &format!(
            "INSERT INTO staff (organization, id, name, sort_name, email, active, all_locations, emr_version, import_counter,
             content_digest, deleted, updated_at) VALUES {}",
            staff.join(", ")
        ),
    )
    .await;
    execute(
        &database,
        &format!(
            "INSERT INTO portal_user (organization, id, name, sort_name, email, status, locale, emr_version, import_counter,
             content_digest, deleted, updated_at) VALUES ('org', 'u1', 'ÜNA', 'üna', '', 'invited', '', {record})"
        ),
    )
    .await;
    execute(
        &database,
        &format!(
            "INSERT INTO messaging_setting (organization, location, enabled, audience, updated_at)
             VALUES ('org', '', TRUE, 'care_team_only', {TIME}), ('org', 'l1', FALSE, NULL, {TIME})"
        ),
    )
    .await;
    execute(
        &database,
        &format!(
            "INSERT INTO brand (organization, location, name, logo_url, phone, neutral, updated_at)
             VALUES ('org', '', 'Care', '', '', FALSE, {TIME})"
        ),
    )
    .await;

    Migrator::up(&database, None).await.unwrap();
    let folded = count(&database, "staff WHERE folded_name = 'asa ' || substr(id, 2)").await;
    assert_eq!(folded, i64::try_from(PEOPLE).unwrap());
    assert_eq!(count(&database, "portal_user WHERE folded_name = 'una'").await, 1);
    // What was set counts as set: seeds do not come over it, and its state has an etag of its own.
    assert_eq!(
        count(&database, "setting_version WHERE version = 1 AND kind = 'messaging'").await,
        2
    );
    assert_eq!(
        count(&database, "setting_version WHERE version = 1 AND kind = 'brand'").await,
        1
    );
    assert_eq!(count(&database, "brand WHERE locale = '' AND portal_url = ''").await, 1);
}
