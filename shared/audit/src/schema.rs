//! The tables of the trail, in the database of each service.
//!
//! | table | |
//! |---|---|
//! | `audit_record` | the records; the last three columns, `seal_number`, `seal_place` and `seal_hash`, are null until a sealer fills them once |
//! | `audit_seal` | the seals of each organization, numbered from 1 |
//!
//! Triggers refuse to delete or to change a row, but for the filling of the null columns; `docs/audit.md` has the privileges that
//! keep the service's own role from going around them.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary, binary_null, integer, integer_null, text, timestamp_with_time_zone, uuid,
    },
    sea_orm::DbBackend,
};

/// The columns of a record that an `INSERT` gives, in this order.
pub const COLUMNS: &str =
    "organization, recorded_at, id, actor, via, origin, action, subjects, outcome, request_id, trace_id, count";

/// Makes the tables with all that keeps them. To be called by a migration of the service.
///
/// # Errors
/// If the database refuses.
pub async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    manager.create_table(record(backend)).await?;
    manager.create_table(seal(backend)).await?;
    let connection = manager.get_connection();
    for statement in INDEXES {
        connection.execute_unprepared(statement).await?;
    }
    let triggers: &[&str] = match backend {
        DbBackend::Sqlite => &ON_SQLITE,
        _ => &ON_POSTGRES,
    };
    for statement in triggers {
        connection.execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Keyed as it is asked for: a span of an organization, in the order of time.
fn record(backend: DbBackend) -> TableCreateStatement {
    let mut key = Index::create();
    key.col("organization").col("recorded_at").col("id");
    Table::create()
        .table("audit_record")
        .col(organization(backend))
        .col(timestamp_with_time_zone("recorded_at"))
        .col(uuid("id"))
        .col(text("actor"))
        .col(text("via"))
        .col(text("origin"))
        .col(text("action"))
        .col(text("subjects"))
        .col(text("outcome"))
        .col(uuid("request_id"))
        .col(text("trace_id"))
        .col(integer("count"))
        .col(big_integer_null("seal_number"))
        .col(integer_null("seal_place"))
        .col(binary_null("seal_hash"))
        .primary_key(&mut key)
        .check(Expr::cust("(seal_number IS NULL) = (seal_place IS NULL)"))
        .check(Expr::cust("(seal_number IS NULL) = (seal_hash IS NULL)"))
        .take()
}

fn seal(backend: DbBackend) -> TableCreateStatement {
    let mut key = Index::create();
    key.col("organization").col("number");
    Table::create()
        .table("audit_seal")
        .col(organization(backend))
        .col(big_integer("number"))
        .col(timestamp_with_time_zone("sealed_at"))
        .col(integer("records"))
        .col(binary("head"))
        .primary_key(&mut key)
        .take()
}

/// Compared bytewise, whatever language the database speaks.
fn organization(backend: DbBackend) -> ColumnDef {
    let mut column = text("organization");
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

/// What is not sealed yet, for the sealer: it is short. What is, in the order of the chain, for who verifies it.
const INDEXES: [&str; 2] = [
    "CREATE INDEX audit_record_unsealed ON audit_record (organization, recorded_at, id) WHERE seal_number IS NULL",
    "CREATE UNIQUE INDEX audit_record_chain ON audit_record (organization, seal_number, seal_place)
     WHERE seal_number IS NOT NULL",
];

const ON_POSTGRES: [&str; 4] = [
    "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
     END $$",
    "CREATE TRIGGER audit_record_stays BEFORE DELETE OR TRUNCATE ON audit_record
     FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_record_is_sealed_once BEFORE UPDATE ON audit_record FOR EACH ROW
     WHEN (OLD.seal_number IS NOT NULL OR NEW.seal_number IS NULL
        OR (OLD.organization, OLD.recorded_at, OLD.id, OLD.actor, OLD.via, OLD.origin, OLD.action, OLD.subjects,
            OLD.outcome, OLD.request_id, OLD.trace_id, OLD.count)
        IS DISTINCT FROM
           (NEW.organization, NEW.recorded_at, NEW.id, NEW.actor, NEW.via, NEW.origin, NEW.action, NEW.subjects,
            NEW.outcome, NEW.request_id, NEW.trace_id, NEW.count))
     EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_seal_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
     FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
];

/// `INSERT OR REPLACE` removes rows without their triggers, so it has its own.
const ON_SQLITE: [&str; 6] = [
    "CREATE TRIGGER audit_record_stays BEFORE DELETE ON audit_record
     BEGIN SELECT RAISE(ABORT, 'audit_record is append-only'); END",
    "CREATE TRIGGER audit_record_is_not_replaced BEFORE INSERT ON audit_record
     WHEN EXISTS (SELECT 1 FROM audit_record r WHERE r.organization = NEW.organization
        AND r.recorded_at = NEW.recorded_at AND r.id = NEW.id)
     BEGIN SELECT RAISE(ABORT, 'audit_record is append-only'); END",
    "CREATE TRIGGER audit_record_is_sealed_once BEFORE UPDATE ON audit_record
     WHEN OLD.seal_number IS NOT NULL OR NEW.seal_number IS NULL
        OR (OLD.organization, OLD.recorded_at, OLD.id, OLD.actor, OLD.via, OLD.origin, OLD.action, OLD.subjects,
            OLD.outcome, OLD.request_id, OLD.trace_id, OLD.count)
        IS NOT
           (NEW.organization, NEW.recorded_at, NEW.id, NEW.actor, NEW.via, NEW.origin, NEW.action, NEW.subjects,
            NEW.outcome, NEW.request_id, NEW.trace_id, NEW.count)
     BEGIN SELECT RAISE(ABORT, 'audit_record is append-only'); END",
    "CREATE TRIGGER audit_seal_stays BEFORE DELETE ON audit_seal
     BEGIN SELECT RAISE(ABORT, 'audit_seal is append-only'); END",
    "CREATE TRIGGER audit_seal_is_not_changed BEFORE UPDATE ON audit_seal
     BEGIN SELECT RAISE(ABORT, 'audit_seal is append-only'); END",
    "CREATE TRIGGER audit_seal_is_not_replaced BEFORE INSERT ON audit_seal
     WHEN EXISTS (SELECT 1 FROM audit_seal s WHERE s.organization = NEW.organization AND s.number = NEW.number)
     BEGIN SELECT RAISE(ABORT, 'audit_seal is append-only'); END",
];
