//! Every change of settings and brands, and which version of each there is. The location is empty for the organization's
//! general ones.

use sea_orm_migration::{prelude::*, schema::*};

use crate::{index, key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What was set before versions were counted is of the first.
const FIRST_VERSIONS: [&str; 2] = [
    "INSERT INTO setting_version (organization, kind, location, version, changed_at)
     SELECT organization, 'messaging', location, 1, updated_at FROM messaging_setting",
    "INSERT INTO setting_version (organization, kind, location, version, changed_at)
     SELECT organization, 'brand', location, 1, updated_at FROM brand",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(setting_version(manager)).await?;
        manager.create_table(setting_change(manager)).await?;
        for (name, columns) in [
            (
                "setting_change_by_time",
                ["organization", "changed_at", "id"].as_slice(),
            ),
            (
                "setting_change_by_location",
                &["organization", "location", "changed_at", "id"],
            ),
        ] {
            manager.create_index(index(name, "setting_change", columns)).await?;
        }
        // Empty: the organization's.
        for column in ["locale", "portal_url"] {
            let mut brand = Table::alter();
            brand.table("brand").add_column(text(column).default(""));
            manager.alter_table(brand).await?;
        }
        for statement in FIRST_VERSIONS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// A row stays when a location follows the organization again: it tells that somebody chose so.
fn setting_version(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("setting_version")
        .col(key(m, "organization"))
        // messaging or brand.
        .col(key(m, "kind"))
        .col(key(m, "location"))
        // 1 for the first, and 1 more at each change.
        .col(big_integer("version"))
        .col(timestamp_with_time_zone("changed_at"))
        .primary_key(Index::create().col("organization").col("kind").col("location"))
        .foreign_key(
            ForeignKey::create()
                .from("setting_version", "organization")
                .to("organization", "organization"),
        )
        .to_owned()
}

fn setting_change(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("setting_change")
        .col(key(m, "organization"))
        .col(uuid("id"))
        .col(key(m, "kind"))
        .col(key(m, "location"))
        .col(timestamp_with_time_zone("changed_at"))
        // staff/ID or service/NAME.
        .col(text("changed_by"))
        // The service that relayed their session.
        .col(text_null("relayed_by"))
        // Whether an import brought it.
        .col(boolean("seed"))
        // What was set, and what was set then, in JSON; null if nothing was.
        .col(text_null("set_before"))
        .col(text_null("set_after"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(
            ForeignKey::create()
                .from("setting_change", "organization")
                .to("organization", "organization"),
        )
        .to_owned()
}
