//! Writers of one SQLite file, one after the other, in the order in which they came.
//!
//! SQLite lets one write at a time and has no queue: who finds it busy looks again after a while, and may find it busy again,
//! until its patience is over. Under load some calls would fail, though all of them together need little time. PostgreSQL
//! needs none of this.

use std::{
    collections::HashMap,
    ops::Deref,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::{
    sync::{Mutex as Line, OwnedMutexGuard},
    time::timeout,
};

use crate::database::SQLITE_PATIENCE;

/// The lines of this process, by the file that one waits for. Who waits in one, or is served, keeps it.
static LINES: LazyLock<Mutex<HashMap<PathBuf, Weak<Line<()>>>>> = LazyLock::new(Mutex::default);

/// The right to write, until it is dropped. On PostgreSQL it is free.
#[derive(Debug)]
#[must_use = "others write when it is dropped"]
pub struct Turn(#[expect(dead_code, reason = "it is held")] Option<OwnedMutexGuard<()>>);

/// Waits for the turn of a single statement that writes; of a transaction, [`begin`] does.
///
/// # Errors
/// If others write for more than five seconds.
pub async fn turn(database: &DatabaseConnection) -> Result<Turn, DbErr> {
    if database.get_database_backend() != DbBackend::Sqlite {
        return Ok(Turn(None));
    }
    let line = line(
        database
            .get_sqlite_connection_pool()
            .connect_options()
            .get_filename()
            .into(),
    );
    match timeout(SQLITE_PATIENCE, line.lock_owned()).await {
        Ok(turn) => Ok(Turn(Some(turn))),
        Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
    }
}

fn line(file: PathBuf) -> Arc<Line<()>> {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(line) = lines.get(&file).and_then(Weak::upgrade) {
        return line;
    }
    lines.retain(|_, line| line.strong_count() > 0);
    let line = Arc::default();
    lines.insert(file, Arc::downgrade(&line));
    line
}

/// A transaction that writes. Dropped without [`Writing::commit`], it changes nothing.
#[derive(Debug)]
#[must_use = "it is rolled back when it is dropped"]
pub struct Writing {
    // Before the turn: it ends before the next one begins.
    transaction: DatabaseTransaction,
    _turn: Turn,
}

impl Writing {
    /// Commits it.
    ///
    /// # Errors
    /// If the database does not say that it has.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }
}

impl Deref for Writing {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// Begins a transaction that will write. `SQLite` takes its one write lock at once, since a reader that starts to write later
/// may find that it cannot any more; `PostgreSQL` does what it always does.
///
/// # Errors
/// If the database does not answer, or others write to a file for more than five seconds.
pub async fn begin(database: &DatabaseConnection) -> Result<Writing, DbErr> {
    let turn = turn(database).await?;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    Ok(Writing {
        transaction: database.begin_with_options(options).await?,
        _turn: turn,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sea_orm::{ConnectOptions, ConnectionTrait, Database};
    use tokio::{sync::Barrier, task::JoinSet};

    use super::*;

    const WRITERS: usize = 16;
    const ROUNDS: usize = 20;

    // On one thread: nobody is held up between being served and coming again.
    #[tokio::test]
    async fn writers_of_a_file_are_served_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/turns.db?mode=rwc", folder.path().display());
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(u32::try_from(WRITERS).unwrap())
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|options| options.busy_timeout(SQLITE_PATIENCE));
        let database = Database::connect(options).await.unwrap();
        let table = "PRAGMA journal_mode = WAL; CREATE TABLE served (writer INTEGER NOT NULL)";
        database.execute_unprepared(table).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let together = Arc::new(Barrier::new(WRITERS));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (database, served, together) = (database.clone(), Arc::clone(&served), Arc::clone(&together));
            writers.spawn(async move {
                together.wait().await;
                for _ in 0..ROUNDS {
                    let writing = begin(&database).await.unwrap();
                    let insert = format!("INSERT INTO served VALUES ({writer})");
                    writing.execute_unprepared(&insert).await.unwrap();
                    served.lock().unwrap().push(writer);
                    writing.commit().await.unwrap();
                }
            });
        }
        writers.join_all().await;
        let served = served.lock().unwrap();
        assert_eq!(served.len(), WRITERS * ROUNDS);
        // Who has been served goes to the end of the line, so everybody else is served before it is again.
        for round in served.chunks(WRITERS) {
            let mut all = round.to_vec();
            all.sort_unstable();
            assert_eq!(all, (0..WRITERS).collect::<Vec<_>>(), "{served:?}");
        }
    }

    #[tokio::test]
    async fn another_file_has_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Database::connect(format!("sqlite://{}/{name}?mode=rwc", folder.path().display()));
        let (one, same, other) = (open("one.db").await, open("one.db").await, open("other.db").await);
        let (one, same, other) = (one.unwrap(), same.unwrap(), other.unwrap());
        let held = turn(&one).await.unwrap();
        let _free = turn(&other).await.unwrap();
        let waiting = tokio::spawn(async move { turn(&same).await.map(drop) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.unwrap().unwrap();
    }
}
