//! Conversations, participants, messages, mailboxes and known requests.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for table in [conversation, participant, message, mailbox, request] {
            manager.create_table(table(backend)).await?;
        }
        for index in [participant_by_activity(), message_by_id(), request_by_age()] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// A text that is part of a key: compared bytewise, whatever language the database speaks, so that an update of the operating
/// system's collations cannot break an index.
fn key(backend: DbBackend, name: &'static str) -> ColumnDef {
    let mut column = text(name);
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

fn conversation(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("conversation")
        .col(key(backend, "organization"))
        .col(uuid("id"))
        // 1: portal, 2: staff.
        .col(small_integer("kind"))
        .col(text_null("chart_id"))
        // A copy, refreshed when it changes; it decides nothing.
        .col(text_null("patient_name"))
        .col(text("subject"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("last_message_at"))
        // Counts the messages: the sequence of the newest.
        .col(big_integer("last_sequence"))
        .primary_key(Index::create().col("organization").col("id"))
        .to_owned()
}

fn participant(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("participant")
        .col(key(backend, "organization"))
        .col(uuid("conversation_id"))
        // `staff/ID` or `portal/ID`.
        .col(key(backend, "person"))
        // A copy, refreshed when it changes; it decides nothing.
        .col(text("display_name"))
        // All messages up to this sequence are read.
        .col(big_integer("last_read").default(0))
        // How many later ones are by somebody else.
        .col(big_integer("unread"))
        .col(boolean("archived").default(false))
        // The conversation's, repeated so that one index gives a person's list in its order.
        .col(timestamp_with_time_zone("last_message_at"))
        // The person's mailbox revision of the last change of this row.
        .col(big_integer("revision"))
        .primary_key(Index::create().col("organization").col("conversation_id").col("person"))
        .foreign_key(
            ForeignKey::create()
                .from("participant", ("organization", "conversation_id"))
                .to("conversation", ("organization", "id")),
        )
        .to_owned()
}

fn participant_by_activity() -> IndexCreateStatement {
    Index::create()
        .name("participant_by_activity")
        .table("participant")
        .col("organization")
        .col("person")
        .col("last_message_at")
        .col("conversation_id")
        .to_owned()
}

fn message(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("message")
        .col(key(backend, "organization"))
        .col(uuid("conversation_id"))
        .col(big_integer("sequence"))
        .col(uuid("id"))
        .col(text("sender"))
        // The service that relayed the sender's session, if one did.
        .col(text_null("sent_via"))
        .col(text("body"))
        .col(timestamp_with_time_zone("sent_at"))
        .primary_key(
            Index::create()
                .col("organization")
                .col("conversation_id")
                .col("sequence"),
        )
        .foreign_key(
            ForeignKey::create()
                .from("message", ("organization", "conversation_id"))
                .to("conversation", ("organization", "id")),
        )
        .to_owned()
}

fn message_by_id() -> IndexCreateStatement {
    Index::create()
        .name("message_by_id")
        .table("message")
        .col("organization")
        .col("id")
        .unique()
        .to_owned()
}

fn mailbox(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("mailbox")
        .col(key(backend, "organization"))
        .col(key(backend, "person"))
        // The badge: unread messages in active conversations.
        .col(big_integer("unread"))
        .col(big_integer("revision"))
        .primary_key(Index::create().col("organization").col("person"))
        .to_owned()
}

/// What was asked with a request id, and what was answered: enough to give the same answer again.
fn request(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("request")
        .col(key(backend, "organization"))
        .col(key(backend, "person"))
        .col(key(backend, "rpc"))
        .col(key(backend, "request_id"))
        .col(binary("digest"))
        .col(uuid("conversation_id"))
        .col(uuid_null("message_id"))
        .col(big_integer("sequence"))
        .col(big_integer("conversation_unread"))
        .col(big_integer("mailbox_unread"))
        .col(big_integer("mailbox_revision"))
        .col(timestamp_with_time_zone("answered_at"))
        .primary_key(
            Index::create()
                .col("organization")
                .col("person")
                .col("rpc")
                .col("request_id"),
        )
        .to_owned()
}

fn request_by_age() -> IndexCreateStatement {
    Index::create()
        .name("request_by_age")
        .table("request")
        .col("answered_at")
        .to_owned()
}
