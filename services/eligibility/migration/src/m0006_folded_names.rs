//! Names as they are searched, whatever their case and accents. What is stored already is folded here, by the same code as
//! what comes later.

use sea_orm_migration::{
    prelude::*,
    schema::text,
    sea_orm::{QueryResult, Statement, Value},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 2] = ["staff", "portal_user"];
/// How many rows are read and written at a time.
const BATCH: usize = 1_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let mut change = Table::alter();
            change.table(table).add_column(text("folded_name").default(""));
            manager.alter_table(change).await?;
            let mut last = Key::default();
            while let Some(next) = fold_batch(manager, table, &last).await? {
                last = next;
            }
        }
        Ok(())
    }
}

/// The key of a record: its organization and its id.
#[derive(Clone, Default)]
struct Key {
    organization: String,
    id: String,
}

/// Folds the names after a key, and gives the last key; none if there were no more.
async fn fold_batch(manager: &SchemaManager<'_>, table: &str, after: &Key) -> Result<Option<Key>, DbErr> {
    let connection = manager.get_connection();
    let backend = manager.get_database_backend();
    let select = format!(
        "SELECT organization, id, name FROM {table} WHERE (organization, id) > ($1, $2) ORDER BY organization, id LIMIT {BATCH}"
    );
    let values: [Value; 2] = [after.organization.as_str().into(), after.id.as_str().into()];
    let rows = connection
        .query_all_raw(Statement::from_sql_and_values(backend, select, values))
        .await?;
    let folded = rows.iter().map(folded).collect::<Result<Vec<_>, _>>()?;
    let Some((last, _)) = folded.last().cloned() else {
        return Ok(None);
    };
    let places: Vec<_> = (0..folded.len())
        .map(|row| format!("(${}, ${}, ${})", 3 * row + 1, 3 * row + 2, 3 * row + 3))
        .collect();
    let update = format!(
        "WITH folded (organization, id, name) AS (VALUES {}) UPDATE {table} SET folded_name = folded.name FROM folded \
         WHERE {table}.organization = folded.organization AND {table}.id = folded.id",
        places.join(", ")
    );
    let values = folded
        .into_iter()
        .flat_map(|(key, name)| [key.organization, key.id, name].map(Value::from));
    connection
        .execute_raw(Statement::from_sql_and_values(backend, update, values))
        .await?;
    Ok(Some(last))
}

fn folded(row: &QueryResult) -> Result<(Key, String), DbErr> {
    let key = Key {
        organization: row.try_get("", "organization")?,
        id: row.try_get("", "id")?,
    };
    let name: String = row.try_get("", "name")?;
    Ok((key, carepost_folding::fold(&name)))
}
