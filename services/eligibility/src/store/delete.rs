//! Deletes one record: its row stays as a tombstone, with the version of the deletion.

use carepost_runtime::database::begin;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::{
    Store, StoreError, Write, bulk,
    changed::Changes,
    clock,
    references::References,
    sql::{Sql, fixed},
    tables::{Table, table},
    write_entries::{Purpose, TRIES, Unwritten},
    write_records::{VERSION_COLUMNS, lock_stored},
};
use crate::domain::{
    directory::{EmrVersion, RecordKind},
    version::{Change, DeleteRefusal, WriteRefusal, Written, admit_deletion},
};

/// The digest of a record that never came: of nothing.
const NO_DIGEST: [u8; 32] = [0; 32];

impl Store {
    /// Deletes the record of a kind with this id.
    ///
    /// # Errors
    /// If the database fails. Then nothing was deleted, or, if the connection broke at the very end, it was: the same deletion can
    /// be repeated.
    pub async fn delete(
        &self,
        write: Write<'_>,
        kind: RecordKind,
        id: &str,
        version: EmrVersion,
    ) -> Result<Result<Written, DeleteRefusal>, StoreError> {
        let table = table(kind).ok_or(StoreError::Corrupt("kind"))?;
        for _ in 0..TRIES {
            match self.try_to_delete(write, (kind, table), id, version).await {
                Ok(verdict) => return Ok(verdict),
                Err(Unwritten::Raced) => {}
                Err(Unwritten::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended)
    }

    async fn try_to_delete(
        &self,
        write: Write<'_>,
        (kind, table): (RecordKind, &Table),
        id: &str,
        version: EmrVersion,
    ) -> Result<Result<Written, DeleteRefusal>, Unwritten> {
        let tx = begin(&self.database).await?;
        let write = Write {
            now: clock::of_write(&tx, write.organization, kind).await?,
            ..write
        };
        let written = match admitted(&tx, write, (kind, table), id, version).await? {
            Ok(written) if written.change != Change::Unchanged => written,
            settled => return Ok(settled),
        };
        match written.change {
            Change::Added => add_tombstone(&tx, write, table, id, written).await?,
            _ => bury(&tx, write, table, id, written).await?,
        }
        let mut changes = Changes::default();
        changes.add(kind, id);
        self.commit(tx, write, changes).await?;
        Ok(Ok(written))
    }
}

async fn admitted(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    (kind, table): (RecordKind, &Table),
    id: &str,
    version: EmrVersion,
) -> Result<Result<Written, DeleteRefusal>, StoreError> {
    let missing = if kind == RecordKind::Organization {
        None
    } else {
        References::lock(tx, write, Purpose::Write, &[]).await?.missing(None)
    };
    let stored = lock_stored(tx, write, Purpose::Write, table, &[id])
        .await?
        .get(id)
        .copied();
    let written = match (admit_deletion(stored, version), missing) {
        (Ok(written), Some(reference)) if written.change != Change::Unchanged => {
            return Ok(Err(WriteRefusal::ReferenceMissing(reference).into()));
        }
        (verdict, _) => verdict,
    };
    match written {
        Ok(written) if written.change == Change::Changed => {
            // Who refers to it from now on waits for this transaction: the row is locked.
            let referrers = referrers(tx, write.organization.as_str(), kind, id).await?;
            if referrers.is_empty() {
                Ok(Ok(written))
            } else {
                Ok(Err(DeleteRefusal::StillReferred(referrers)))
            }
        }
        verdict => Ok(verdict.map_err(DeleteRefusal::from)),
    }
}

/// The kinds of records that refer to this one and are not deleted.
async fn referrers(
    tx: &DatabaseTransaction,
    organization: &str,
    kind: RecordKind,
    id: &str,
) -> Result<Vec<RecordKind>, StoreError> {
    let referring: &[RecordKind] = match kind {
        RecordKind::Organization => &[
            RecordKind::Location,
            RecordKind::Staff,
            RecordKind::Chart,
            RecordKind::PortalUser,
        ],
        RecordKind::Location => &[RecordKind::Chart],
        _ => &[],
    };
    let mut referrers = Vec::new();
    for referring in referring {
        let Some(Table { name, .. }) = table(*referring) else {
            continue;
        };
        let text = format!("SELECT id FROM {name} WHERE organization = $1 AND deleted = FALSE");
        let mut sql = Sql::new(text, [organization.into()]);
        if kind == RecordKind::Location {
            sql.push(" AND location = ").bind(id.into());
        }
        sql.push(" LIMIT 1");
        let found = tx.query_one_raw(sql.statement(tx.get_database_backend())).await?;
        referrers.extend(found.map(|_| *referring));
    }
    Ok(referrers)
}

/// Marks a record as deleted; the rest of it stays as it was.
async fn bury(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    table: &Table,
    id: &str,
    written: Written,
) -> Result<(), StoreError> {
    let text = format!(
        "UPDATE {} SET deleted = TRUE, emr_version = $3, import_counter = $4, updated_at = $5 \
         WHERE organization = $1 AND {} = $2",
        table.name, table.key
    );
    let values: [Value; 5] = [
        write.organization.as_str().into(),
        id.into(),
        written.version.emr.into(),
        written.version.imports.into(),
        write.now.into(),
    ];
    tx.execute_raw(fixed(tx.get_database_backend(), &text, values)).await?;
    Ok(())
}

/// A tombstone of a record that never came.
async fn add_tombstone(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    table: &Table,
    id: &str,
    written: Written,
) -> Result<(), Unwritten> {
    let mut columns = vec!["organization"];
    let mut row: Vec<Value> = vec![write.organization.as_str().into()];
    if table.key != "organization" {
        columns.push(table.key);
        row.push(id.into());
    }
    let conflict = format!("ON CONFLICT ({}) DO NOTHING", columns.join(", "));
    columns.extend(table.content.iter().chain(VERSION_COLUMNS));
    row.extend(table.blank());
    row.extend([
        written.version.emr.into(),
        written.version.imports.into(),
        NO_DIGEST.as_slice().into(),
        true.into(),
        write.now.into(),
    ]);
    if bulk::insert(tx, table.name, &columns, &[row], &conflict).await? == 1 {
        Ok(())
    } else {
        Err(Unwritten::Raced)
    }
}
