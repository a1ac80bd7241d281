//! Tombstones of charts that never came, lists by id, and what an import remembers while it runs.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::{index, key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CHART_COLUMNS: &str = "organization, id, patient_id, patient_name, location, url, \
                             emr_version, import_counter, content_digest, deleted, updated_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let connection = manager.get_connection();
        if is_postgres {
            let nullable = "ALTER TABLE chart ALTER COLUMN location DROP NOT NULL";
            connection.execute_unprepared(nullable).await?;
            connection.execute_unprepared("DROP INDEX chart_by_location").await?;
        } else {
            make_chart_anew(manager).await?;
        }
        manager
            .create_index(index("chart_by_location", "chart", &["organization", "location", "id"]))
            .await?;
        manager
            .create_index(index(
                "chart_by_patient",
                "chart",
                &["organization", "patient_id", "id"],
            ))
            .await?;
        manager.create_table(import_lease(manager)).await?;
        // Logged like any table: what a crash or a failover emptied would read as "no longer in the file".
        manager.create_table(import_seen(manager)).await?;
        Ok(())
    }
}

/// SQLite cannot change a column.
async fn make_chart_anew(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(chart(manager)).await?;
    let copy = format!("INSERT INTO chart_anew ({CHART_COLUMNS}) SELECT {CHART_COLUMNS} FROM chart");
    for statement in [&copy, "DROP TABLE chart", "ALTER TABLE chart_anew RENAME TO chart"] {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

fn chart(m: &SchemaManager) -> TableCreateStatement {
    let mut location = key(m, "location");
    // Null only in the tombstone of a chart that never came.
    location.null();
    Table::create()
        .table("chart_anew")
        .col(key(m, "organization"))
        .col(key(m, "id"))
        .col(text("patient_id"))
        .col(text("patient_name"))
        .col(location)
        .col(text("url"))
        .col(big_integer("emr_version"))
        .col(big_integer("import_counter"))
        .col(binary("content_digest"))
        .col(boolean("deleted").default(false))
        .col(timestamp_with_time_zone("updated_at"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(
            ForeignKey::create()
                .from("chart_anew", ("organization", "location"))
                .to("location", ("organization", "id")),
        )
        .to_owned()
}

/// Which import of an organization runs. The organization may come with its first import, so it need not exist.
fn import_lease(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("import_lease")
        .col(key(m, "organization").primary_key())
        .col(uuid("holder"))
        // From then on another import may take over.
        .col(timestamp_with_time_zone("expires_at"))
        .to_owned()
}

/// What the stream of the running import held so far.
fn import_seen(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("import_seen")
        .col(key(m, "organization"))
        // The number of RecordKind; or 0: a location that charts are at once the stream is written.
        .col(small_integer("kind"))
        .col(key(m, "id"))
        // In an import that only plans: whether the record would exist then.
        .col(boolean("would_exist").default(false))
        .primary_key(Index::create().col("organization").col("kind").col("id"))
        .to_owned()
}
