//! Statements with bound values. Their texts are constants and numbers of places; what comes from outside is only ever bound.

use sea_orm::{DbBackend, Statement, Value};

/// A statement under construction. Without `Debug`: its values are names and addresses.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A statement that begins with this text, and has these values as `$1`, `$2`, …
    pub fn new(text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self {
            text: text.into(),
            values: values.into_iter().collect(),
        }
    }

    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value in its place.
    pub fn bind(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        self.text.push_str(&format!("${}", self.values.len()));
        self
    }

    /// Values that the text refers to by their number.
    pub fn hold(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        self.values.extend(values);
        self
    }

    /// Values in parentheses: a row, or what `IN` is followed by.
    pub fn tuple(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        let mut separator = "(";
        for value in values {
            self.push(separator).bind(value);
            separator = ", ";
        }
        self.push(")")
    }

    /// Rows after one another, as `VALUES` has them.
    pub fn rows(&mut self, rows: impl IntoIterator<Item = Vec<Value>>) -> &mut Self {
        let mut separator = "";
        for row in rows {
            self.push(separator).tuple(row);
            separator = ", ";
        }
        self
    }

    pub fn statement(self, backend: DbBackend) -> Statement {
        Statement::from_sql_and_values(backend, self.text, self.values)
    }
}

/// A statement of a constant text.
pub(super) fn fixed(backend: DbBackend, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(backend, text, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        let mut sql = Sql::new("SELECT $1 WHERE x IN ", ["a".into()]);
        sql.tuple([1_i64.into(), 2_i64.into()]).push(" OR (x, y) IN ");
        sql.rows([vec![3_i64.into()], vec![4_i64.into()]]);
        assert_eq!(sql.text, "SELECT $1 WHERE x IN ($2, $3) OR (x, y) IN ($4), ($5)");
        assert_eq!(sql.values.len(), 5);
    }
}
