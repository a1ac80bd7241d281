//! The portal conversations that wait for an answer: those whose newest message is the portal user's.
//!
//! The rows are kept by triggers on `message`, not by the statements of a send: so what a replica of the version before writes,
//! while or after this runs, is counted too. A message to somebody who left must not be missed because of an upgrade. On
//! PostgreSQL each trigger's statement sees what was committed before the send had locked the conversation; a part of the one
//! statement of a send would not.
//!
//! It is not one transaction: what is stored already is looked through while the service goes on, a batch at a time. If it is cut
//! off, it is done again from its start, and does no harm twice.

use sea_orm_migration::{
    prelude::*,
    schema::{text, timestamp_with_time_zone, uuid},
    sea_orm::{DbBackend, Statement, prelude::Uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// How many conversations are looked at in one transaction. Who writes in them meanwhile waits for it.
const BATCH: i64 = 200;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.create_table(unanswered(backend)).await?;
        manager.create_index(unanswered_by_staff()).await?;
        // Before what is stored is looked through, so that nothing falls between the two.
        let triggers: &[&str] = match backend {
            DbBackend::Sqlite => &ON_SQLITE,
            _ => &ON_POSTGRES,
        };
        for trigger in triggers {
            manager.get_connection().execute_unprepared(trigger).await?;
        }
        let mut last = (String::new(), Uuid::nil());
        while let Some(next) = fill_after(manager, last).await? {
            last = next;
        }
        Ok(())
    }
}

/// A row for each conversation that waits. A portal conversation has one member of staff.
fn unanswered(backend: DbBackend) -> TableCreateStatement {
    let key = |name| {
        let mut column = text(name);
        if backend == DbBackend::Postgres {
            column.extra("COLLATE \"C\"");
        }
        column
    };
    Table::create()
        .table("unanswered")
        .if_not_exists()
        .col(key("organization"))
        .col(uuid("conversation_id"))
        // `staff/ID`: who is to answer.
        .col(key("staff"))
        // When the first message was sent that no message of theirs follows.
        .col(timestamp_with_time_zone("since"))
        .primary_key(Index::create().col("organization").col("conversation_id"))
        .to_owned()
}

/// Holds all that is counted: the rows themselves are not read.
fn unanswered_by_staff() -> IndexCreateStatement {
    Index::create()
        .name("unanswered_by_staff")
        .table("unanswered")
        .if_not_exists()
        .col("organization")
        .col("staff")
        .col("since")
        .to_owned()
}

/// Each send has locked its conversation, so the messages of one come here one after the other.
const ON_POSTGRES: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION note_unanswered() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
        IF NEW.sender LIKE 'portal/%' THEN
            INSERT INTO unanswered (organization, conversation_id, staff, since)
            SELECT p.organization, p.conversation_id, p.person, NEW.sent_at FROM participant p
            WHERE p.organization = NEW.organization AND p.conversation_id = NEW.conversation_id
              AND p.person LIKE 'staff/%'
            ON CONFLICT DO NOTHING;
        ELSE
            DELETE FROM unanswered u
            WHERE u.organization = NEW.organization AND u.conversation_id = NEW.conversation_id;
        END IF;
        RETURN NULL;
     END $$",
    "CREATE OR REPLACE TRIGGER note_unanswered AFTER INSERT ON message
     FOR EACH ROW EXECUTE FUNCTION note_unanswered()",
];

/// A trigger of SQLite has no IF.
const ON_SQLITE: [&str; 2] = [
    "CREATE TRIGGER IF NOT EXISTS note_unanswered AFTER INSERT ON message WHEN NEW.sender LIKE 'portal/%'
     BEGIN
        INSERT INTO unanswered (organization, conversation_id, staff, since)
        SELECT p.organization, p.conversation_id, p.person, NEW.sent_at FROM participant p
        WHERE p.organization = NEW.organization AND p.conversation_id = NEW.conversation_id
          AND p.person LIKE 'staff/%'
        ON CONFLICT DO NOTHING;
     END",
    "CREATE TRIGGER IF NOT EXISTS note_answered AFTER INSERT ON message WHEN NEW.sender NOT LIKE 'portal/%'
     BEGIN
        DELETE FROM unanswered
        WHERE organization = NEW.organization AND conversation_id = NEW.conversation_id;
     END",
];

/// The next portal conversations. Kind 1 is a portal conversation.
const NEXT: &str = "
    SELECT organization, id FROM conversation WHERE kind = 1 AND (organization, id) > ($1, $2)
    ORDER BY organization, id LIMIT $3";

/// Of those after one and up to another, the rows that are to be there.
const FILL: &str = "
    INSERT INTO unanswered (organization, conversation_id, staff, since)
    SELECT c.organization, c.id, p.person, MIN(m.sent_at)
    FROM conversation c
    JOIN participant p ON p.organization = c.organization AND p.conversation_id = c.id AND p.person LIKE 'staff/%'
    JOIN message m ON m.organization = c.organization AND m.conversation_id = c.id
    WHERE c.kind = 1 AND (c.organization, c.id) > ($1, $2) AND (c.organization, c.id) <= ($3, $4)
      AND m.sequence > COALESCE((SELECT MAX(s.sequence) FROM message s
          WHERE s.organization = c.organization AND s.conversation_id = c.id AND s.sender LIKE 'staff/%'), 0)
    GROUP BY c.organization, c.id, p.person
    ON CONFLICT DO NOTHING";

/// Looks through some conversations after one, and gives the last; none if there were no more.
async fn fill_after(
    manager: &SchemaManager<'_>,
    (organization, id): (String, Uuid),
) -> Result<Option<(String, Uuid)>, DbErr> {
    let backend = manager.get_database_backend();
    // Locked: an answer that is sent meanwhile is either seen, or comes after the row that it removes. SQLite has one writer.
    let lock = if backend == DbBackend::Postgres {
        " FOR UPDATE"
    } else {
        ""
    };
    let transaction = manager.begin().await?;
    let values = [organization.as_str().into(), id.into(), BATCH.into()];
    let next = Statement::from_sql_and_values(backend, format!("{NEXT}{lock}"), values);
    let found = transaction.get_connection().query_all_raw(next).await?;
    let Some(last) = found.last() else {
        return Ok(None);
    };
    let last: (String, Uuid) = (last.try_get("", "organization")?, last.try_get("", "id")?);
    let values = [organization.into(), id.into(), last.0.as_str().into(), last.1.into()];
    let fill = Statement::from_sql_and_values(backend, FILL, values);
    transaction.get_connection().execute_raw(fill).await?;
    transaction.commit().await?;
    Ok(Some(last))
}
