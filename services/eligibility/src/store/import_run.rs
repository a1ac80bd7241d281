//! An import while it runs: the lease that makes it the only one of its organization, and what its stream held, which is kept
//! in the database however long the stream is.

use std::collections::BTreeSet;

use carepost_identity::OrganizationId;
use carepost_runtime::database::{begin, turn};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Store, StoreError, Write, bulk, clock,
    row::get,
    sql::{Sql, fixed},
    tables::table,
    windows::{Walk, Window},
    write_entries::{Purpose, Verdict},
};
use crate::domain::directory::{Incoming, RecordKind};

/// The kind under which `import_seen` keeps a location that charts are at once the stream is written.
pub(super) const REFERRED: i16 = 0;
/// The kinds of `import_seen`.
const KINDS: std::ops::RangeInclusive<i16> = REFERRED..=RecordKind::Brand as i16 + 1;

const ACQUIRE: &str = "
INSERT INTO import_lease (organization, holder, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (organization) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE import_lease.expires_at <= $4";
const RENEW: &str = "UPDATE import_lease SET expires_at = $3 WHERE organization = $1 AND holder = $2";
const RELEASE: &str = "DELETE FROM import_lease WHERE organization = $1 AND holder = $2";

/// An import under way.
#[derive(Clone, Debug)]
pub struct ImportRun {
    organization: OrganizationId,
    holder: Uuid,
    lease: TimeDelta,
    /// Just before it began, by the database's clock: what was written since is not taken away.
    pub(super) began_at: DateTime<Utc>,
    pub(super) purpose: Purpose,
    /// Cancelled when it is to end.
    halt: CancellationToken,
    /// How many rows `import_seen` has of it.
    pub(super) seen: i64,
}

/// The number of a kind in `import_seen`.
pub(super) fn number(kind: RecordKind) -> i16 {
    kind as i16 + 1
}

impl Store {
    /// Begins an import, which holds the lease of its organization for this long after every sign of life. None while another
    /// one does. When `halt` is cancelled, it takes nothing more away.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_import(
        &self,
        organization: &OrganizationId,
        holder: Uuid,
        purpose: Purpose,
        lease: TimeDelta,
        halt: CancellationToken,
    ) -> Result<Option<ImportRun>, StoreError> {
        let began_at = self.began_at(organization).await?;
        let run = ImportRun {
            organization: organization.clone(),
            holder,
            lease,
            began_at,
            purpose,
            halt,
            seen: 0,
        };
        let values: [Value; 4] = [
            organization.as_str().into(),
            holder.into(),
            (began_at + lease).into(),
            began_at.into(),
        ];
        let statement = fixed(self.database.get_database_backend(), ACQUIRE, values);
        let turn = turn(&self.database).await?;
        let acquired = self.database.execute_raw(statement).await?.rows_affected();
        drop(turn);
        if acquired == 0 {
            return Ok(None);
        }
        if let Err(error) = self.forget_seen(&run).await {
            self.release(&run).await?;
            return Err(error);
        }
        Ok(Some(run))
    }

    /// A time between the writes before the import and those beside it.
    async fn began_at(&self, organization: &OrganizationId) -> Result<DateTime<Utc>, StoreError> {
        let tx = begin(&self.database).await?;
        let began_at = clock::between_writes(&tx, organization).await?;
        tx.commit().await?;
        Ok(began_at)
    }

    /// Ends an import, however it went: the next one may begin.
    ///
    /// # Errors
    /// If the database fails. Then the lease ends by itself.
    pub async fn end_import(&self, run: &ImportRun) -> Result<(), StoreError> {
        let forgotten = self.forget_seen(run).await;
        self.release(run).await?;
        forgotten
    }

    async fn release(&self, run: &ImportRun) -> Result<(), StoreError> {
        let values: [Value; 2] = [run.organization.as_str().into(), run.holder.into()];
        let statement = fixed(self.database.get_database_backend(), RELEASE, values);
        let _turn = turn(&self.database).await?;
        self.database.execute_raw(statement).await?;
        Ok(())
    }

    /// Empties what imports of the organization remember, bit by bit: this one's, or what one that was killed left.
    async fn forget_seen(&self, run: &ImportRun) -> Result<(), StoreError> {
        for kind in KINDS {
            let mut walk = Walk::over("import_seen", &run.organization).of_kind(kind);
            while let Some(window) = walk.next(&self.database).await? {
                run.renew(&self.database).await?;
                self.forget_window(run, kind, &window).await?;
            }
        }
        Ok(())
    }

    async fn forget_window(&self, run: &ImportRun, kind: i16, window: &Window) -> Result<(), StoreError> {
        let text = "DELETE FROM import_seen WHERE organization = $1 AND kind = $2";
        let mut sql = Sql::new(text, [run.organization.as_str().into(), kind.into()]);
        window.push(&mut sql, "id");
        let statement = sql.statement(self.database.get_database_backend());
        let _turn = turn(&self.database).await?;
        self.database.execute_raw(statement).await?;
        Ok(())
    }
}

impl ImportRun {
    /// The organization.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Whether it is to go on.
    ///
    /// # Errors
    /// If not.
    pub(super) fn must_go_on(&self) -> Result<(), StoreError> {
        if self.halt.is_cancelled() {
            Err(StoreError::Halted)
        } else {
            Ok(())
        }
    }

    /// Keeps the lease for another while from now.
    ///
    /// # Errors
    /// If another import has taken over, or the database fails.
    pub(super) async fn renew(&self, database: &DatabaseConnection) -> Result<(), StoreError> {
        let _turn = turn(database).await?;
        self.renew_in(database).await
    }

    /// [`Self::renew`] in a transaction: what it writes is written by the holder of the lease, or not
    /// at all.
    ///
    /// # Errors
    /// If another import has taken over, or the database fails.
    pub(super) async fn renew_in(&self, connection: &impl ConnectionTrait) -> Result<(), StoreError> {
        let now = clock::now(connection).await?;
        let values: [Value; 3] = [
            self.organization.as_str().into(),
            self.holder.into(),
            (now + self.lease).into(),
        ];
        let statement = fixed(connection.get_database_backend(), RENEW, values);
        match connection.execute_raw(statement).await?.rows_affected() {
            0 => Err(StoreError::Superseded),
            _ => Ok(()),
        }
    }
}

/// Remembers records, and says which of them were not seen before.
pub(super) async fn see(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    records: &BTreeSet<(i16, &str)>,
) -> Result<BTreeSet<(i16, String)>, StoreError> {
    let organization = write.organization.as_str();
    let rows: Vec<Vec<Value>> = records
        .iter()
        .map(|(kind, id)| vec![organization.into(), (*kind).into(), (*id).into()])
        .collect();
    let tail = "ON CONFLICT (organization, kind, id) DO NOTHING RETURNING kind, id";
    let new = bulk::insert_returning(tx, "import_seen", &["organization", "kind", "id"], &rows, tail).await?;
    new.iter().map(|row| Ok((get(row, "kind")?, get(row, "id")?))).collect()
}

/// Notes which of the records an import that only plans would have let in.
pub(super) async fn note_would_exist(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    kind: RecordKind,
    records: &[&Incoming],
    verdicts: &[Verdict],
) -> Result<(), StoreError> {
    let let_in: Vec<&str> = records
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| verdict.is_ok())
        .map(|(incoming, _)| incoming.record.id())
        .collect();
    if let_in.is_empty() {
        return Ok(());
    }
    let text = "UPDATE import_seen SET would_exist = TRUE WHERE organization = $1 AND kind = $2 AND id IN ";
    let mut sql = Sql::new(text, [write.organization.as_str().into(), number(kind).into()]);
    sql.tuple(bulk::padded(&let_in).map(|id| (*id).into()));
    tx.execute_raw(sql.statement(tx.get_database_backend())).await?;
    Ok(())
}

/// Those of the records that an import which only plans would have let in.
pub(super) async fn would_exist(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    kind: RecordKind,
    ids: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    let condition = format!("kind = {} AND would_exist = TRUE", number(kind));
    bulk::existing(tx, "import_seen", "id", &condition, write.organization.as_str(), ids).await
}

/// The locations that charts of a group are at once it is written: where those that were let in say, and where those that were
/// refused are stored.
pub(super) async fn note_referred(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    let_in: BTreeSet<&str>,
    refused: &[&str],
) -> Result<i64, StoreError> {
    let mut referred: BTreeSet<String> = let_in.into_iter().map(str::to_owned).collect();
    if !refused.is_empty() {
        let name = table(RecordKind::Chart).map_or("chart", |table| table.name);
        let text =
            format!("SELECT DISTINCT location FROM {name} WHERE organization = $1 AND deleted = FALSE AND id IN ");
        let mut sql = Sql::new(text, [write.organization.as_str().into()]);
        sql.tuple(bulk::padded(refused).map(|id| (*id).into()));
        let rows = tx.query_all_raw(sql.statement(tx.get_database_backend())).await?;
        for row in &rows {
            referred.insert(get(row, "location")?);
        }
    }
    let referred = referred.iter().map(|id| (REFERRED, id.as_str())).collect();
    let new = see(tx, write, &referred).await?;
    Ok(i64::try_from(new.len()).unwrap_or(i64::MAX))
}
