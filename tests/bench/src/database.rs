//! Looking into PostgreSQL.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TryGetable};

/// One connection to this database.
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("PostgreSQL answers")
}

/// The rows of a query, each read by a function.
pub async fn rows<T>(database: &DatabaseConnection, sql: &str, read: impl Fn(&sea_orm::QueryResult) -> T) -> Vec<T> {
    let statement = Statement::from_string(database.get_database_backend(), sql.to_owned());
    let rows = database.query_all_raw(statement).await;
    rows.expect("the query is answered").iter().map(read).collect()
}

/// The only value of a query.
pub async fn value<T: TryGetable>(database: &DatabaseConnection, sql: &str) -> T {
    let mut values = rows(database, sql, |row| column(row, 0)).await;
    values.pop().expect("a query with one row")
}

/// The value of a row at this place, from 0.
pub fn column<T: TryGetable>(row: &sea_orm::QueryResult, place: usize) -> T {
    row.try_get_by(place).expect("a column of this type")
}

/// Runs statements that give nothing, without a transaction around them.
pub async fn execute(database: &DatabaseConnection, sql: &str) {
    database.execute_unprepared(sql).await.expect("the statement is done");
}
