//! Writes records of one kind: what is stored is read under lock, the versions decide, and the rest goes in or is replaced, in
//! a few statements however many they are.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};

use super::{
    StoreError, Write, bulk, clock,
    references::References,
    row::{get, stored},
    sql::Sql,
    tables::{Table, rows},
    write_entries::{Purpose, Unwritten, Verdict},
};
use crate::domain::{
    directory::{Incoming, Record, RecordKind},
    version::{Change, Stored, StoredVersion, WriteRefusal, admit},
};

pub(super) const VERSION_COLUMNS: &[&str] = &[
    "emr_version",
    "import_counter",
    "content_digest",
    "deleted",
    "updated_at",
];

/// Writes records of one kind, or only says what would become of them.
pub(super) async fn write_records(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    (kind, table): (RecordKind, &Table),
    records: &[&Incoming],
) -> Result<Vec<Verdict>, Unwritten> {
    let write = match purpose {
        // A reconciliation takes away what was stamped before it began. The clocks of replicas would not tell what was.
        Purpose::Write => Write {
            now: clock::of_write(tx, write.organization, kind).await?,
            ..write
        },
        Purpose::Plan => write,
    };
    let references = references(tx, write, purpose, records).await?;
    let ids: Vec<_> = records.iter().map(|incoming| incoming.record.id()).collect();
    let stored = lock_stored(tx, write, purpose, table, &ids).await?;
    let verdicts: Vec<Verdict> = records
        .iter()
        .map(|incoming| {
            let stored = stored.get(incoming.record.id()).copied();
            let written = admit(stored, incoming.version, incoming.digest)?;
            match references
                .as_ref()
                .and_then(|there| there.missing(location_of(incoming)))
            {
                Some(reference) if written.change != Change::Unchanged => {
                    Err(WriteRefusal::ReferenceMissing(reference))
                }
                _ => Ok(written),
            }
        })
        .collect();
    if purpose == Purpose::Plan {
        return Ok(verdicts);
    }
    let mut added = Vec::new();
    let mut changed = Vec::new();
    for (incoming, verdict) in records.iter().copied().zip(&verdicts) {
        match verdict {
            Ok(written) if written.change == Change::Added => added.push((incoming, written.version)),
            Ok(written) if written.change == Change::Changed => changed.push((incoming, written.version)),
            _ => {}
        }
    }
    write_parents(tx, write, table, &mut added, &changed).await?;
    replace_lists(tx, write, table, &added, &changed).await?;
    Ok(verdicts)
}

/// What the records refer to; the organization refers to nothing.
async fn references(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    records: &[&Incoming],
) -> Result<Option<References>, StoreError> {
    let refer = |incoming: &&Incoming| incoming.record.kind() != RecordKind::Organization;
    if !records.iter().any(refer) {
        return Ok(None);
    }
    let locations: BTreeSet<&str> = records.iter().copied().filter_map(location_of).collect();
    let locations: Vec<_> = locations.into_iter().collect();
    References::lock(tx, write, purpose, &locations).await.map(Some)
}

fn location_of(incoming: &Incoming) -> Option<&str> {
    match &incoming.record {
        Record::Chart(chart) => Some(chart.location.as_str()),
        _ => None,
    }
}

/// What is stored of the records with these ids; to write them, locked in the order of their ids, so that two writers cannot
/// wait for each other.
pub(super) async fn lock_stored(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    table: &Table,
    ids: &[&str],
) -> Result<BTreeMap<String, Stored>, StoreError> {
    let Table { name, key, .. } = table;
    let text = format!(
        "SELECT {key} AS id, emr_version, import_counter, content_digest, deleted FROM {name} \
         WHERE organization = $1 AND {key} IN "
    );
    let mut sql = Sql::new(text, [write.organization.as_str().into()]);
    sql.tuple(bulk::padded(ids).map(|id| (*id).into()));
    sql.push(" ORDER BY id");
    if purpose == Purpose::Write {
        sql.push(row_lock(tx.get_database_backend()));
    }
    let rows = tx.query_all_raw(sql.statement(tx.get_database_backend())).await?;
    rows.iter().map(|row| Ok((get(row, "id")?, stored(row)?))).collect()
}

/// On SQLite there is one writer at a time. The lock lets others refer to the row meanwhile, as foreign keys do; those who need
/// it not to be deleted wait.
pub(super) fn row_lock(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres {
        " FOR NO KEY UPDATE"
    } else {
        ""
    }
}

type Accepted<'a> = (&'a Incoming, StoredVersion);

async fn write_parents(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    table: &Table,
    added: &mut [Accepted<'_>],
    changed: &[Accepted<'_>],
) -> Result<(), Unwritten> {
    // In the order of ids, as they are locked.
    added.sort_by_key(|(incoming, _)| incoming.record.id());
    let mut columns = if table.key == "organization" {
        vec!["organization"]
    } else {
        vec!["organization", table.key]
    };
    let conflict = format!("ON CONFLICT ({})", columns.join(", "));
    columns.extend(table.content.iter().chain(VERSION_COLUMNS));
    let row = |accepted: &Accepted<'_>| parent_row(write, table, accepted);

    let new: Vec<_> = added.iter().map(row).collect();
    let inserted = bulk::insert(tx, table.name, &columns, &new, &format!("{conflict} DO NOTHING")).await?;
    if inserted != new.len() as u64 {
        return Err(Unwritten::Raced);
    }
    let replaced: Vec<_> = changed.iter().map(row).collect();
    let set: Vec<_> = table
        .content
        .iter()
        .chain(VERSION_COLUMNS)
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let update = format!("{conflict} DO UPDATE SET {}", set.join(", "));
    bulk::insert(tx, table.name, &columns, &replaced, &update).await?;
    Ok(())
}

fn parent_row(write: Write<'_>, table: &Table, (incoming, version): &Accepted<'_>) -> Vec<Value> {
    let mut row: Vec<Value> = vec![write.organization.as_str().into()];
    if table.key != "organization" {
        row.push(incoming.record.id().into());
    }
    row.extend(rows(&incoming.record).content);
    row.extend([
        version.emr.into(),
        version.imports.into(),
        incoming.digest.as_bytes().into(),
        false.into(),
        write.now.into(),
    ]);
    row
}

async fn replace_lists(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    table: &Table,
    added: &[Accepted<'_>],
    changed: &[Accepted<'_>],
) -> Result<(), StoreError> {
    let organization = write.organization.as_str();
    let emptied: Vec<_> = changed.iter().map(|(incoming, _)| incoming.record.id()).collect();
    let accepted = added.iter().chain(changed);
    let records: Vec<_> = accepted
        .map(|(incoming, _)| (incoming.record.id(), rows(&incoming.record)))
        .collect();
    for (place, list) in table.lists.iter().enumerate() {
        bulk::delete_children(tx, list.name, list.parent, organization, &emptied).await?;
        let columns = [&["organization", list.parent], list.columns].concat();
        let mut entries: Vec<Vec<Value>> = Vec::new();
        for (id, rows) in &records {
            for entry in rows.lists.get(place).into_iter().flatten() {
                let mut row: Vec<Value> = vec![organization.into(), (*id).into()];
                row.extend(entry.iter().cloned());
                entries.push(row);
            }
        }
        bulk::insert(tx, list.name, &columns, &entries, "").await?;
    }
    Ok(())
}
