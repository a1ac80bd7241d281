//! Columns to search by, folded and filled for what is stored already, and on PostgreSQL an index for each table.
//!
//! It is not one transaction: a table of millions of rows is filled while the service goes on, a batch at a time, and the
//! indexes are made beside its work. If it is cut off, it is done again from its start, and does no harm twice. What a replica of
//! the version before writes while or after it runs is not found: stop those replicas first, or run it when they are gone.
//!
//! The extension `pg_trgm` comes with PostgreSQL. To create it, the user needs the privilege CREATE on the database; where they
//! have it not, an administrator creates it before. The database should be UTF-8 with a locale that knows letters (not `C`):
//! else `pg_trgm` indexes nothing but ASCII, and searches for other scripts are slow.

use sea_orm_migration::{
    prelude::*,
    schema::text,
    sea_orm::{DbBackend, QueryResult, Statement, Value, prelude::Uuid},
};

use crate::search;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// How many rows are read and written at a time.
const BATCH: usize = 200;

/// The index has an entry for each token of a participant and for each three characters with a symbol, and of the folded text what
/// `pg_trgm` makes of it: every three letters or digits. So one index answers which messages of a person may hold a text, and
/// no query makes it read those of others. What is written waits in a short list until it is sorted in: a long one would make the
/// send that sorts it in, and every search meanwhile, wait.
const INDEXES: [(&str, &str); 2] = [("message_search", "message"), ("conversation_search", "conversation")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["conversation", "message"] {
            for column in ["participants", "folded", "symbols"] {
                if !manager.has_column(table, column).await? {
                    let mut change = Table::alter();
                    change.table(table).add_column(text(column).default(""));
                    manager.alter_table(change).await?;
                }
            }
        }
        fill(manager, conversations_after).await?;
        fill(manager, messages_after).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            index(manager).await?;
        }
        Ok(())
    }
}

async fn index(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    connection
        .execute_unprepared("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        .await?;
    // It waits for all that is under way, and nobody waits behind it.
    connection.execute_unprepared("SET lock_timeout = 0").await?;
    for (name, table) in INDEXES {
        // One that was cut off while it was made is there, but not valid.
        connection
            .execute_unprepared(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))
            .await?;
        let create = format!(
            "CREATE INDEX CONCURRENTLY {name} ON {table} \
             USING gin (string_to_array(participants || symbols, E'\\n'), folded gin_trgm_ops) WITH (gin_pending_list_limit = 512)"
        );
        connection.execute_unprepared(&create).await?;
    }
    connection.execute_unprepared("RESET lock_timeout").await?;
    Ok(())
}

/// A place in a table, in the order of its primary key. What conversations have not is 0.
#[derive(Clone, Default)]
struct Key {
    organization: String,
    id: Uuid,
    sequence: i64,
}

/// Fills a table, a batch after the other. Each gives the key of its last row; none if there were no more.
async fn fill(
    manager: &SchemaManager<'_>,
    batch: impl AsyncFn(&SchemaManager<'_>, &Key) -> Result<Option<Key>, DbErr>,
) -> Result<(), DbErr> {
    let mut last = Key::default();
    while let Some(next) = batch(manager, &last).await? {
        last = next;
    }
    Ok(())
}

async fn conversations_after(manager: &SchemaManager<'_>, after: &Key) -> Result<Option<Key>, DbErr> {
    let select = format!(
        "SELECT organization, id, patient_name, subject FROM conversation WHERE (organization, id) > ($1, $2)
         ORDER BY organization, id LIMIT {BATCH}"
    );
    let rows = query(
        manager,
        select,
        vec![after.organization.as_str().into(), after.id.into()],
    )
    .await?;
    let (mut values, mut last) = (Vec::new(), None);
    for row in &rows {
        let (key, heading) = heading(manager, row).await?;
        values.extend(
            [key.organization.as_str().into(), key.id.into()]
                .into_iter()
                .chain(heading),
        );
        last = Some(key);
    }
    if last.is_some() {
        let update = format!(
            "WITH found (organization, id, participants, folded, symbols) AS (VALUES {}) UPDATE conversation
             SET participants = found.participants, folded = found.folded, symbols = found.symbols FROM found
             WHERE conversation.organization = found.organization AND conversation.id = found.id",
            places(manager, rows.len(), &["text", "uuid", "text", "text", "text"])
        );
        execute(manager, update, values).await?;
    }
    Ok(last)
}

/// The search columns of a conversation.
async fn heading(manager: &SchemaManager<'_>, row: &QueryResult) -> Result<(Key, [Value; 3]), DbErr> {
    let key = Key {
        organization: row.try_get("", "organization")?,
        id: row.try_get("", "id")?,
        sequence: 0,
    };
    let select = "SELECT person, display_name FROM participant WHERE organization = $1 AND conversation_id = $2
                  ORDER BY person";
    let values = vec![key.organization.as_str().into(), key.id.into()];
    let parties = query(manager, select.to_owned(), values).await?;
    let texts = |column| -> Result<Vec<String>, DbErr> { parties.iter().map(|row| row.try_get("", column)).collect() };
    let (persons, names) = (texts("person")?, texts("display_name")?);
    let patient: Option<String> = row.try_get("", "patient_name")?;
    let subject: String = row.try_get("", "subject")?;
    let tokens = search::tokens(&key.organization, persons.iter().map(String::as_str));
    let heading = search::heading(names.iter().map(String::as_str), patient.as_deref(), &subject);
    let symbols = search::symbols(&heading);
    Ok((key, [tokens.into(), heading.into(), symbols.into()]))
}

async fn messages_after(manager: &SchemaManager<'_>, after: &Key) -> Result<Option<Key>, DbErr> {
    let select = format!(
        "SELECT organization, conversation_id, sequence, body FROM message
         WHERE (organization, conversation_id, sequence) > ($1, $2, $3)
         ORDER BY organization, conversation_id, sequence LIMIT {BATCH}"
    );
    let key = vec![
        after.organization.as_str().into(),
        after.id.into(),
        after.sequence.into(),
    ];
    let rows = query(manager, select, key).await?;
    let (mut values, mut last) = (Vec::new(), None);
    for row in &rows {
        let (key, body) = body(row)?;
        let known = [key.organization.as_str().into(), key.id.into(), key.sequence.into()];
        values.extend(known.into_iter().chain(body));
        last = Some(key);
    }
    if last.is_some() {
        let update = format!(
            "WITH found (organization, id, sequence, folded, symbols) AS (VALUES {}) UPDATE message
             SET participants = conversation.participants, folded = found.folded, symbols = found.symbols
             FROM found JOIN conversation ON conversation.organization = found.organization AND conversation.id = found.id
             WHERE message.organization = found.organization AND message.conversation_id = found.id
               AND message.sequence = found.sequence",
            places(manager, rows.len(), &["text", "uuid", "bigint", "text", "text"])
        );
        execute(manager, update, values).await?;
    }
    Ok(last)
}

/// The search columns of a message, but for those of its conversation.
fn body(row: &QueryResult) -> Result<(Key, [Value; 2]), DbErr> {
    let key = Key {
        organization: row.try_get("", "organization")?,
        id: row.try_get("", "conversation_id")?,
        sequence: row.try_get("", "sequence")?,
    };
    let folded = carepost_folding::fold(&row.try_get::<String>("", "body")?);
    let symbols = search::symbols(&folded);
    Ok((key, [folded.into(), symbols.into()]))
}

/// `($1, $2), ($3, $4)`: the places of values. PostgreSQL takes them for texts, unless it is told their types.
fn places(manager: &SchemaManager<'_>, rows: usize, types: &[&str]) -> String {
    let typed = manager.get_database_backend() == DbBackend::Postgres;
    let row = |row: usize| {
        let places: Vec<_> = (1..)
            .zip(types)
            .map(|(column, name)| (row * types.len() + column, name))
            .map(|(place, name)| {
                if typed {
                    format!("${place}::{name}")
                } else {
                    format!("${place}")
                }
            })
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

async fn query(manager: &SchemaManager<'_>, sql: String, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), sql, values);
    manager.get_connection().query_all_raw(statement).await
}

async fn execute(manager: &SchemaManager<'_>, sql: String, values: Vec<Value>) -> Result<(), DbErr> {
    let statement = Statement::from_sql_and_values(manager.get_database_backend(), sql, values);
    manager.get_connection().execute_raw(statement).await?;
    Ok(())
}
