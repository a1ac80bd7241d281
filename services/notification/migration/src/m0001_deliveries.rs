//! The ledger of emails.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::key;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(delivery(manager.get_database_backend())).await?;
        for index in [once_per_recipient(), by_time(), by_message(), by_recipient()] {
            manager.create_index(index).await?;
        }
        manager.get_connection().execute_unprepared(DUE).await?;
        Ok(())
    }
}

fn delivery(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("delivery")
        .col(key(backend, "organization"))
        // UUIDv5 of event and recipient; the email's Message-ID begins with it.
        .col(uuid("id"))
        .col(uuid("event_id"))
        .col(uuid("message_id"))
        // The chart that the message regards, if any: it decides the brand.
        .col(text_null("chart_id"))
        // `portal/ID`. The address is asked for at each attempt and is never stored.
        .col(key(backend, "recipient"))
        // pending, sending, sent, retrying, failed or suppressed.
        .col(text("state"))
        .col(integer("attempt_count"))
        .col(integer("unknown_outcome_count"))
        // The mail server's last answer; 0 and empty if none came.
        .col(integer("last_code"))
        .col(text("last_answer"))
        // unknown_portal_user or account_not_active, when suppressed.
        .col(text_null("suppression_reason"))
        // W3C trace context of the event.
        .col(text_null("traceparent"))
        // The claim under which it is being sent, or was sent last.
        .col(uuid_null("claim"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        // When it is due. While it is being sent: when its lease ends. Null in a final state.
        .col(timestamp_with_time_zone_null("next_attempt_at"))
        .primary_key(Index::create().col("organization").col("id"))
        .to_owned()
}

/// One message, one email (N3).
fn once_per_recipient() -> IndexCreateStatement {
    index(
        "delivery_once_per_recipient",
        &["organization", "event_id", "recipient"],
    )
    .unique()
    .to_owned()
}

/// What is due, over all organizations. Few rows are at any time, so it stays small however long the ledger grows. Both
/// databases understand this; the builder has no word for it.
const DUE: &str = "CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE next_attempt_at IS NOT NULL";

fn by_time() -> IndexCreateStatement {
    index("delivery_by_time", &["organization", "created_at", "id"])
}

fn by_message() -> IndexCreateStatement {
    index(
        "delivery_by_message",
        &["organization", "message_id", "created_at", "id"],
    )
}

fn by_recipient() -> IndexCreateStatement {
    index(
        "delivery_by_recipient",
        &["organization", "recipient", "created_at", "id"],
    )
}

fn index(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table("delivery").to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}
