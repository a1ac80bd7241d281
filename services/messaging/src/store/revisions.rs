//! The revisions of many mailboxes.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{DbBackend, FromQueryResult, Statement, Value};

use super::{Store, StoreError, rows};

/// The most mailboxes that one statement compares: two parameters each, and `SQLite` takes 32,766.
const MOST: usize = 8_192;

/// Whose mailbox it is.
pub type Watched = (OrganizationId, PersonId);

#[derive(FromQueryResult)]
struct Row {
    organization: String,
    person: String,
    revision: i64,
}

impl Store {
    /// The revisions of mailboxes, in no order; without those to which nothing ever happened. One statement for each 8,192.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn revisions(&self, watched: &[Watched]) -> Result<Vec<(Watched, i64)>, StoreError> {
        let mut found = Vec::with_capacity(watched.len());
        for some in watched.chunks(MOST) {
            let statement = statement(self.database.get_database_backend(), some);
            for row in Row::find_by_statement(statement).all(&self.database).await? {
                let organization =
                    OrganizationId::parse(row.organization).map_err(|_| StoreError::Corrupt("organization"))?;
                found.push(((organization, rows::person(&row.person)?), row.revision));
            }
        }
        Ok(found)
    }
}

fn statement(backend: DbBackend, watched: &[Watched]) -> Statement {
    // Connections keep what they prepared: few sizes are few statements. The last mailbox fills up, and is found once.
    let size = watched.len().next_power_of_two();
    let last = watched.last();
    let padded = watched
        .iter()
        .chain(std::iter::repeat_n(last, size).flatten())
        .take(size);
    let values = padded
        .flat_map(|(organization, person)| -> [Value; 2] { [organization.as_str().into(), person.to_string().into()] });
    let places: Vec<_> = (0..size)
        .map(|place| format!("(${}, ${})", 2 * place + 1, 2 * place + 2))
        .collect();
    let sql = format!(
        "WITH watched (organization, person) AS (VALUES {})
         SELECT m.organization, m.person, m.revision FROM mailbox m
         JOIN (SELECT DISTINCT organization, person FROM watched) AS w
           ON m.organization = w.organization AND m.person = w.person",
        places.join(", ")
    );
    Statement::from_sql_and_values(backend, sql, values.collect::<Vec<_>>())
}
