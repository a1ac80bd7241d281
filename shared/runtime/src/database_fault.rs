//! What went wrong with a statement, without the statement: a database's own words may repeat what was being written.

use sea_orm::{DbErr, RuntimeErr, TransactionError, sqlx};

/// What went wrong with a statement. It is safe to log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseFault {
    /// The database does not answer, is full, or gave the statement up. It may or may not have been carried out.
    #[error("the database does not answer")]
    Unavailable,
    /// A row like this is there already.
    #[error("a row is there already (constraint {constraint})")]
    Conflict {
        /// The name of the unique constraint.
        constraint: String,
    },
    /// Anything else: a fault of ours.
    #[error("the database refused a statement (code {code})")]
    Refused {
        /// SQLSTATE, or what kind of error it was.
        code: String,
    },
}

impl From<DbErr> for DatabaseFault {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable,
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => of_sqlx(error),
            other => Self::Refused {
                code: kind(other).to_owned(),
            },
        }
    }
}

impl<E: std::error::Error + Into<Self>> From<TransactionError<E>> for DatabaseFault {
    fn from(error: TransactionError<E>) -> Self {
        match error {
            TransactionError::Connection(error) => error.into(),
            TransactionError::Transaction(error) => error.into(),
        }
    }
}

fn of_sqlx(error: &sqlx::Error) -> DatabaseFault {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
            DatabaseFault::Unavailable
        }
        E::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.is_unique_violation() {
                let constraint = error.constraint().unwrap_or_else(|| sqlite_table(error.message()));
                return DatabaseFault::Conflict {
                    constraint: constraint.to_owned(),
                };
            }
            if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                return of_sqlite(&code);
            }
            match code.get(..2) {
                // Connection lost; out of resources; stopped by an operator, a shutdown or a timeout; a deadlock.
                Some("08" | "53" | "57" | "40") => DatabaseFault::Unavailable,
                // Read-only: it is no longer the primary.
                _ if code == "25006" => DatabaseFault::Unavailable,
                _ => DatabaseFault::Refused {
                    code: code.into_owned(),
                },
            }
        }
        _ => DatabaseFault::Refused {
            code: "driver".to_owned(),
        },
    }
}

/// `SQLite` does not name its constraints. It tells their columns, and no values: `UNIQUE constraint failed: request.person, …`.
fn sqlite_table(message: &str) -> &str {
    let columns = message.rsplit(": ").next().unwrap_or_default();
    columns.split('.').next().unwrap_or_default()
}

/// The low byte of `SQLite`'s extended codes is the kind of error.
fn of_sqlite(code: &str) -> DatabaseFault {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IO: u32 = 10;
    const FULL: u32 = 13;
    const CANNOT_OPEN: u32 = 14;
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(BUSY | LOCKED | IO | FULL | CANNOT_OPEN) => DatabaseFault::Unavailable,
        _ => DatabaseFault::Refused {
            code: format!("sqlite {code}"),
        },
    }
}

fn kind(error: &DbErr) -> &'static str {
    match error {
        DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => "a stored value is not of its type",
        DbErr::RecordNotFound(_) | DbErr::RecordNotInserted | DbErr::RecordNotUpdated => "a row is not there",
        DbErr::Migration(_) => "migration",
        _ => "sea-orm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_repeats_nothing_of_the_database() {
        let fault = DatabaseFault::from(DbErr::Type("secret".to_owned()));
        assert!(!fault.to_string().contains("secret"), "{fault}");
    }

    #[test]
    fn a_conflict_in_sqlite_is_known_by_its_table() {
        assert_eq!(
            sqlite_table("UNIQUE constraint failed: request.organization, request.person"),
            "request"
        );
    }

    #[test]
    fn a_busy_sqlite_does_not_answer() {
        assert_eq!(of_sqlite("517"), DatabaseFault::Unavailable);
        assert_eq!(
            of_sqlite("1"),
            DatabaseFault::Refused {
                code: "sqlite 1".to_owned()
            }
        );
    }

    #[test]
    fn a_lost_connection_is_no_fault_of_ours() {
        let error = std::sync::Arc::new(sqlx::Error::PoolTimedOut);
        assert_eq!(
            DatabaseFault::from(DbErr::Query(RuntimeErr::SqlxError(error))),
            DatabaseFault::Unavailable
        );
    }
}
