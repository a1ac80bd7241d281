//! Takes away what a whole directory no longer has: first counted, then, in steps, given tombstones.

use std::collections::BTreeSet;

use carepost_runtime::database::begin;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{
    ImportRun, Store, StoreError, Write, bulk,
    changed::Changes,
    clock,
    import_run::{REFERRED, number},
    row::get,
    sql::Sql,
    tables::{Table, table},
    windows::{Walk, Window},
    write_records::row_lock,
};
use crate::domain::directory::{RecordKind, Removals};

/// Locations come last: what is taken away before refers to some of them.
const ORDER: [RecordKind; 4] = [
    RecordKind::PortalUser,
    RecordKind::Chart,
    RecordKind::Staff,
    RecordKind::Location,
];

/// What is to be done with what goes.
#[derive(Clone, Copy)]
enum Step<'a> {
    Count,
    /// Take it away, as far as this plan goes.
    Remove(&'a Removals),
}

impl Store {
    /// How many records of each kind there are that a reconciliation may take away, deleted ones not counted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_removable(&self, run: &ImportRun) -> Result<Removals, StoreError> {
        let mut removals = Removals::default();
        for kind in ORDER {
            let Some(Table { name, .. }) = table(kind) else {
                continue;
            };
            let text = format!("SELECT COUNT(*) AS stored FROM {name} WHERE organization = $1 AND deleted = FALSE");
            let sql = Sql::new(text, [run.organization().as_str().into()]);
            let statement = sql.statement(self.database.get_database_backend());
            if let Some(row) = self.database.query_one_raw(statement).await? {
                removals.stored(kind, get(&row, "stored")?);
            }
        }
        Ok(removals)
    }

    /// Adds what would go.
    ///
    /// # Errors
    /// If another import has taken over, what was seen is not complete, or the database fails.
    pub async fn plan_removals(
        &self,
        write: Write<'_>,
        run: &ImportRun,
        removals: Removals,
    ) -> Result<Removals, StoreError> {
        self.must_have_seen_all(run).await?;
        self.walk(write, run, Step::Count, removals).await
    }

    /// Takes away what goes, and adds it to what was stored. Never more of a kind than was planned: what was agreed to, or is
    /// less than 10 %, is what goes.
    ///
    /// # Errors
    /// As planning has; or if more would go than was planned. What was taken away by then stays so: the next reconciliation goes
    /// on.
    pub async fn remove(
        &self,
        write: Write<'_>,
        run: &ImportRun,
        stored: Removals,
        planned: &Removals,
    ) -> Result<Removals, StoreError> {
        self.walk(write, run, Step::Remove(planned), stored).await
    }

    /// A database that was restarted after a crash has forgotten what was seen.
    async fn must_have_seen_all(&self, run: &ImportRun) -> Result<(), StoreError> {
        let text = "SELECT COUNT(*) AS seen FROM import_seen WHERE organization = $1";
        let sql = Sql::new(text, [run.organization().as_str().into()]);
        let statement = sql.statement(self.database.get_database_backend());
        let row = self.database.query_one_raw(statement).await?;
        let seen: Option<i64> = row.as_ref().map(|row| get(row, "seen")).transpose()?;
        if seen == Some(run.seen) {
            Ok(())
        } else {
            Err(StoreError::Forgotten)
        }
    }

    async fn walk(
        &self,
        write: Write<'_>,
        run: &ImportRun,
        step: Step<'_>,
        mut removals: Removals,
    ) -> Result<Removals, StoreError> {
        for kind in ORDER {
            let Some(table) = table(kind) else { continue };
            let mut walk = Walk::over(table.name, run.organization());
            while let Some(window) = walk.next(&self.database).await? {
                run.must_go_on()?;
                run.renew(&self.database).await?;
                let part = Part {
                    run,
                    kind,
                    table,
                    window,
                };
                let (mut going, mut staying) = part.candidates(&self.database, step, Lock::No).await?;
                if let (Step::Remove(planned), false) = (step, going.is_empty()) {
                    let left = planned.removed(kind) - removals.removed(kind);
                    (going, staying) = self.remove_part(write, &part, step, left).await?;
                }
                removals.add(kind, going, staying);
            }
        }
        Ok(removals)
    }

    /// Takes away what goes of a part, at most as many as are left of the plan.
    async fn remove_part(
        &self,
        write: Write<'_>,
        part: &Part<'_>,
        step: Step<'_>,
        left: i64,
    ) -> Result<(Vec<String>, i64), StoreError> {
        let tx = begin(&self.database).await?;
        part.run.renew_in(&*tx).await?;
        let now = clock::of_write(&tx, write.organization, part.kind).await?;
        let (going, staying) = part.candidates(&*tx, step, Lock::Yes).await?;
        if i64::try_from(going.len()).unwrap_or(i64::MAX) > left {
            return Err(StoreError::MoreThanPlanned);
        }
        let mut changes = Changes::default();
        if !going.is_empty() {
            let text = format!(
                "UPDATE {} SET deleted = TRUE, import_counter = import_counter + 1, updated_at = $2 \
                 WHERE organization = $1 AND id IN ",
                part.table.name
            );
            let mut sql = Sql::new(text, [write.organization.as_str().into(), now.into()]);
            sql.tuple(bulk::padded(&going).map(|id| id.as_str().into()));
            tx.execute_raw(sql.statement(tx.get_database_backend())).await?;
            for id in &going {
                changes.add(part.kind, id);
            }
        }
        self.commit(tx, write, changes).await?;
        Ok((going, staying))
    }
}

/// Some of the records of a kind.
struct Part<'a> {
    run: &'a ImportRun,
    kind: RecordKind,
    table: &'static Table,
    window: Window,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Yes,
    No,
}

impl Part<'_> {
    /// The records that go, in the order of their ids, and how many only stay because others refer to them.
    async fn candidates(
        &self,
        connection: &impl ConnectionTrait,
        step: Step<'_>,
        lock: Lock,
    ) -> Result<(Vec<String>, i64), StoreError> {
        let unseen = self.unseen(connection.get_database_backend(), lock);
        let unseen = connection.query_all_raw(unseen).await?;
        let mut going: Vec<String> = unseen.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        if self.kind != RecordKind::Location || going.is_empty() {
            return Ok((going, 0));
        }
        let referred = referred(connection, self.run, &going, step).await?;
        going.retain(|id| !referred.contains(id));
        Ok((going, i64::try_from(referred.len()).unwrap_or(i64::MAX)))
    }

    /// What the stream did not hold. What was written while the import ran is not taken away: the file could not know.
    fn unseen(&self, backend: DbBackend, lock: Lock) -> Statement {
        let text = format!(
            "SELECT t.id AS id FROM {} t WHERE t.organization = $1 AND t.deleted = FALSE AND t.updated_at < $2",
            self.table.name
        );
        let organization = self.run.organization().as_str();
        let mut sql = Sql::new(text, [organization.into(), self.run.began_at.into()]);
        self.window.push(&mut sql, "t.id");
        sql.push(
            " AND NOT EXISTS (SELECT 1 FROM import_seen s WHERE s.organization = $1 AND s.id = t.id AND s.kind = ",
        );
        sql.bind(number(self.kind).into());
        self.window.push(&mut sql, "s.id");
        sql.push(") ORDER BY t.id");
        if lock == Lock::Yes {
            sql.push(row_lock(backend));
        }
        sql.statement(backend)
    }
}

/// Those of the locations that stay because of charts: before anything goes, where charts will be; then, where they are.
async fn referred(
    connection: &impl ConnectionTrait,
    run: &ImportRun,
    locations: &[String],
    step: Step<'_>,
) -> Result<BTreeSet<String>, StoreError> {
    let organization = run.organization().as_str();
    let mut sql = Sql::new(
        "SELECT l.id AS id FROM location l WHERE l.organization = $1 AND l.id IN ",
        [organization.into()],
    );
    sql.tuple(bulk::padded(locations).map(|id| id.as_str().into()));
    sql.push(
        " AND (EXISTS (SELECT 1 FROM chart c WHERE c.organization = $1 AND c.location = l.id AND c.deleted = FALSE",
    );
    if matches!(step, Step::Count) {
        sql.push(" AND c.updated_at >= ").bind(run.began_at.into());
        sql.push(") OR EXISTS (SELECT 1 FROM import_seen s WHERE s.organization = $1 AND s.id = l.id AND s.kind = ");
        sql.bind(REFERRED.into());
    }
    sql.push("))");
    let rows = connection
        .query_all_raw(sql.statement(connection.get_database_backend()))
        .await?;
    rows.iter().map(|row| get(row, "id")).collect()
}
