//! The directory: the EMR's records, each with its version, and what they list.

use sea_orm_migration::{prelude::*, schema::*};

use crate::{index, key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let records = [organization, location, staff, chart, portal_user];
        let lists = [staff_role, staff_location, chart_staff, connection];
        for table in records.into_iter().chain(lists) {
            manager.create_table(table(manager)).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// What every record has: its version, and a digest of its content that tells whether another one is the same.
fn record(table: &mut TableCreateStatement) -> TableCreateStatement {
    table
        .col(big_integer("emr_version"))
        .col(big_integer("import_counter"))
        .col(binary("content_digest"))
        .col(boolean("deleted").default(false))
        .col(timestamp_with_time_zone("updated_at"))
        .to_owned()
}

fn in_organization(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "organization")
        .to("organization", "organization")
        .to_owned()
}

fn organization(m: &SchemaManager) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("organization")
        // Its own id.
        .col(key(m, "organization"))
        .col(text("name"))
        .col(text("country"))
        .col(text("portal_url"))
        .col(text("locale"))
        .primary_key(Index::create().col("organization"));
    record(&mut table)
}

fn location(m: &SchemaManager) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("location")
        .col(key(m, "organization"))
        .col(key(m, "id"))
        .col(text("name"))
        // Empty: the organization's.
        .col(text("country"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(&mut in_organization("location"));
    record(&mut table)
}

fn staff(m: &SchemaManager) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("staff")
        .col(key(m, "organization"))
        .col(key(m, "id"))
        .col(text("name"))
        // The name in lower case: lists of recipients are in its order.
        .col(key(m, "sort_name"))
        .col(text("email"))
        .col(boolean("active"))
        .col(boolean("all_locations"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(&mut in_organization("staff"));
    record(&mut table)
}

fn staff_role(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("staff_role")
        .col(key(m, "organization"))
        .col(key(m, "staff"))
        .col(key(m, "role"))
        .primary_key(Index::create().col("organization").col("staff").col("role"))
        .to_owned()
}

fn staff_location(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("staff_location")
        .col(key(m, "organization"))
        .col(key(m, "staff"))
        // It may come later than the staff who list it.
        .col(key(m, "location"))
        .primary_key(Index::create().col("organization").col("staff").col("location"))
        .to_owned()
}

fn chart(m: &SchemaManager) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("chart")
        .col(key(m, "organization"))
        .col(key(m, "id"))
        .col(text("patient_id"))
        .col(text("patient_name"))
        .col(key(m, "location"))
        .col(text("url"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(
            ForeignKey::create()
                .from("chart", ("organization", "location"))
                .to("location", ("organization", "id")),
        );
    record(&mut table)
}

/// What staff are to a chart: on its care team, barred from it, or both.
fn chart_staff(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("chart_staff")
        .col(key(m, "organization"))
        .col(key(m, "chart"))
        // They may come later than the chart.
        .col(key(m, "staff"))
        .col(boolean("care_team"))
        .col(boolean("barred"))
        .primary_key(Index::create().col("organization").col("chart").col("staff"))
        .to_owned()
}

fn portal_user(m: &SchemaManager) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("portal_user")
        .col(key(m, "organization"))
        .col(key(m, "id"))
        .col(text("name"))
        .col(key(m, "sort_name"))
        .col(text("email"))
        // not_invited, invited, accepted, active or disabled.
        .col(text("status"))
        // Empty: the organization's.
        .col(text("locale"))
        .primary_key(Index::create().col("organization").col("id"))
        .foreign_key(&mut in_organization("portal_user"));
    record(&mut table)
}

fn connection(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("connection")
        .col(key(m, "organization"))
        .col(key(m, "portal_user"))
        // It may come later than the portal user.
        .col(key(m, "chart"))
        // self, guardian or guarantor.
        .col(text("relationship"))
        // pending, confirmed or revoked.
        .col(text("status"))
        .primary_key(Index::create().col("organization").col("portal_user").col("chart"))
        .to_owned()
}

/// The other direction of each list, and the order of lists of recipients.
fn indexes() -> [IndexCreateStatement; 7] {
    [
        index("staff_by_name", "staff", &["organization", "sort_name", "id"]),
        index(
            "portal_user_by_name",
            "portal_user",
            &["organization", "sort_name", "id"],
        ),
        index("chart_by_location", "chart", &["organization", "location"]),
        index("staff_role_by_role", "staff_role", &["organization", "role", "staff"]),
        index(
            "staff_location_by_location",
            "staff_location",
            &["organization", "location", "staff"],
        ),
        index(
            "chart_staff_by_staff",
            "chart_staff",
            &["organization", "staff", "chart"],
        ),
        index(
            "connection_by_chart",
            "connection",
            &["organization", "chart", "portal_user"],
        ),
    ]
}
