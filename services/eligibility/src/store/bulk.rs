//! Many rows at once, in statements of few sizes: a connection keeps each text that it has prepared, so sizes are powers of
//! two.

use std::{collections::BTreeSet, iter};

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};

use super::{StoreError, sql::Sql};

/// The most rows of one statement: with 13 columns, half of the values that SQLite takes, and a tenth of PostgreSQL's.
const MAX_ROWS: usize = 512;
/// From here on a statement is padded to a multiple of this.
const MAX_PADDING: usize = 1_024;

/// The rows, and the last one again, up to the next power of two. Repeating one must not matter.
pub(super) fn padded<T>(rows: &[T]) -> impl Iterator<Item = &T> {
    let size = if rows.len() > MAX_PADDING {
        rows.len().next_multiple_of(MAX_PADDING)
    } else {
        rows.len().next_power_of_two()
    };
    let padding = size - rows.len();
    rows.iter().chain(
        rows.last()
            .into_iter()
            .flat_map(move |last| iter::repeat_n(last, padding)),
    )
}

/// Splits rows into as few powers of two as they have, at most [`MAX_ROWS`] each.
fn powers_of_two(mut rows: &[Vec<Value>]) -> impl Iterator<Item = &[Vec<Value>]> {
    iter::from_fn(move || {
        let size = (1 << rows.len().checked_ilog2()?).min(MAX_ROWS);
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

/// Inserts rows, and says how many went in. `tail` is what follows them: what to do in a conflict, or nothing.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    table: &str,
    columns: &[&str],
    rows: &[Vec<Value>],
    tail: &str,
) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for chunk in powers_of_two(rows) {
        let mut sql = Sql::new(format!("INSERT INTO {table} ({}) VALUES ", columns.join(", ")), []);
        sql.rows(chunk.to_vec()).push(" ").push(tail);
        inserted += tx
            .execute_raw(sql.statement(tx.get_database_backend()))
            .await?
            .rows_affected();
    }
    Ok(inserted)
}

/// Inserts rows, and gives what the tail says to return of those that went in.
pub(super) async fn insert_returning(
    tx: &DatabaseTransaction,
    table: &str,
    columns: &[&str],
    rows: &[Vec<Value>],
    tail: &str,
) -> Result<Vec<QueryResult>, StoreError> {
    let mut returned = Vec::with_capacity(rows.len());
    for chunk in powers_of_two(rows) {
        let mut sql = Sql::new(format!("INSERT INTO {table} ({}) VALUES ", columns.join(", ")), []);
        sql.rows(chunk.to_vec()).push(" ").push(tail);
        returned.extend(tx.query_all_raw(sql.statement(tx.get_database_backend())).await?);
    }
    Ok(returned)
}

/// Deletes the rows of these parents.
pub(super) async fn delete_children(
    tx: &DatabaseTransaction,
    table: &str,
    parent: &str,
    organization: &str,
    ids: &[&str],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let text = format!("DELETE FROM {table} WHERE organization = $1 AND {parent} IN ");
    let mut sql = Sql::new(text, [organization.into()]);
    sql.tuple(padded(ids).map(|id| (*id).into()));
    tx.execute_raw(sql.statement(tx.get_database_backend())).await?;
    Ok(())
}

/// Those of the keys that are there.
pub(super) async fn existing(
    tx: &DatabaseTransaction,
    table: &str,
    column: &str,
    condition: &str,
    organization: &str,
    keys: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let text =
        format!("SELECT {column} AS found FROM {table} WHERE organization = $1 AND {condition} AND {column} IN ");
    let mut sql = Sql::new(text, [organization.into()]);
    sql.tuple(padded(keys).map(|key| (*key).into()));
    let rows = tx.query_all_raw(sql.statement(tx.get_database_backend())).await?;
    rows.iter().map(|row| super::row::get(row, "found")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(count: usize) -> Vec<usize> {
        let rows = vec![Vec::new(); count];
        powers_of_two(&rows).map(<[_]>::len).collect()
    }

    #[test]
    fn statements_come_in_few_sizes_and_leave_no_row_out() {
        assert_eq!(sizes(0), [0; 0]);
        assert_eq!(sizes(7), [4, 2, 1]);
        assert_eq!(sizes(1_500), [512, 512, 256, 128, 64, 16, 8, 4]);
    }

    #[test]
    fn padding_repeats_the_last_row() {
        assert_eq!(padded(&[1, 2, 3]).collect::<Vec<_>>(), [&1, &2, &3, &3]);
        assert_eq!(padded(&[1]).count(), 1);
        assert_eq!(padded(&vec![0; 5_100]).count(), 5_120);
        assert_eq!(padded::<i32>(&[]).count(), 0);
    }
}
