//! The statements of a search. A query is compared literally with folded text (`strpos`, `instr`); the index of PostgreSQL only
//! tells where to look.

use carepost_identity::{OrganizationId, PersonId};
use carepost_messaging_migration::search::{token, with_symbols};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::super::ConversationPosition;
use crate::domain::SearchQuery;

/// The person's conversations, newest activity first, each with its newest body that has the query, if one has. Others' messages
/// are not touched. The parameters are $1 organization, $2 person, $3 query, $4 how many, and those of the condition.
macro_rules! look {
    ($condition:literal) => {
        concat!(
            "SELECT hit.conversation_id, hit.last_message_at, hit.named, m.sequence, m.body
            FROM (
                SELECT p.organization, p.conversation_id, p.last_message_at,
                       CASE WHEN strpos(c.folded, $3) > 0 THEN CAST(1 AS bigint) ELSE CAST(0 AS bigint) END AS named,
                       (SELECT b.sequence FROM message b
                        WHERE b.organization = p.organization AND b.conversation_id = p.conversation_id
                          AND strpos(b.folded, $3) > 0
                        ORDER BY b.sequence DESC LIMIT 1) AS sequence
                FROM participant p
                JOIN conversation c ON c.organization = p.organization AND c.id = p.conversation_id
                WHERE p.organization = $1 AND p.person = $2 ",
            $condition,
            "
                ORDER BY p.last_message_at DESC, p.conversation_id DESC LIMIT $4
            ) AS hit
            LEFT JOIN message m ON m.organization = hit.organization AND m.conversation_id = hit.conversation_id
                               AND m.sequence = hit.sequence
            ORDER BY hit.last_message_at DESC, hit.conversation_id DESC"
        )
    };
}

const FIRST: &str = look!("");
/// $5 and $6: the position.
const AFTER: &str = look!("AND (p.last_message_at, p.conversation_id) < ($5, $6)");
/// $5: ids.
const AMONG: &str = look!("AND p.conversation_id = ANY($5)");

/// Which of a person's conversations after a position have the query, as the index of PostgreSQL finds them. $1 organization,
/// $2 person, $3 the query or a pattern of it, $4 how many, $5 the keys that a message must have: the person's token and what of
/// the query has symbols; $6 and $7 the position.
macro_rules! indexed {
    ($folded_has:literal) => {
        concat!(
            "SELECT p.conversation_id
            FROM participant p
            JOIN (
                SELECT m.conversation_id FROM message m
                WHERE string_to_array(m.participants || m.symbols, E'\\n') @> $5 AND ",
            $folded_has,
            " AND m.organization = $1
                UNION
                SELECT m.id FROM conversation m
                WHERE string_to_array(m.participants || m.symbols, E'\\n') @> $5 AND ",
            $folded_has,
            " AND m.organization = $1
            ) AS found ON found.conversation_id = p.conversation_id
            WHERE p.organization = $1 AND p.person = $2 AND (p.last_message_at, p.conversation_id) < ($6, $7)
            ORDER BY p.last_message_at DESC, p.conversation_id DESC LIMIT $4"
        )
    };
}

pub(in crate::store) const BY_WORDS: &str = indexed!("m.folded LIKE $3");
/// For a query of which `pg_trgm` knows nothing: it would have the whole index read.
pub(in crate::store) const BY_SYMBOLS: &str = indexed!("strpos(m.folded, $3) > 0");

/// A position that is before every conversation.
const BEFORE_ALL: ConversationPosition = ConversationPosition {
    // In the year 9999: what PostgreSQL's own greatest time is has no place in a `DateTime`.
    last_message_at: match DateTime::from_timestamp(253_370_764_800, 0) {
        Some(time) => time,
        None => DateTime::UNIX_EPOCH,
    },
    id: Uuid::max(),
};

/// A conversation that was looked at.
#[derive(FromQueryResult)]
pub(super) struct Looked {
    pub(super) conversation_id: Uuid,
    last_message_at: DateTime<Utc>,
    named: i64,
    sequence: Option<i64>,
    body: Option<String>,
}

impl Looked {
    pub(super) fn position(&self) -> ConversationPosition {
        ConversationPosition {
            last_message_at: self.last_message_at,
            id: self.conversation_id,
        }
    }

    /// Whether it has the query.
    pub(super) fn has_it(&self) -> bool {
        self.named != 0 || self.sequence.is_some()
    }

    /// The newest body that has it, with its sequence.
    pub(super) fn body(self) -> Option<(i64, String)> {
        self.sequence.zip(self.body)
    }
}

/// What the index is asked.
pub(super) struct Terms {
    keys: Vec<String>,
    /// Whether it knows anything of the text itself.
    words: bool,
}

#[derive(FromQueryResult)]
struct Id {
    conversation_id: Uuid,
}

/// Reads within one snapshot.
pub(super) struct Reading<'a> {
    pub(super) transaction: &'a DatabaseTransaction,
    pub(super) organization: &'a OrganizationId,
    pub(super) person: &'a PersonId,
    pub(super) query: &'a SearchQuery,
}

impl Reading<'_> {
    /// The next conversations after a position.
    pub(super) async fn look(&self, after: Option<ConversationPosition>, most: i64) -> Result<Vec<Looked>, DbErr> {
        let (sql, more) = match after {
            None => (FIRST, Vec::new()),
            Some(position) => (AFTER, vec![position.last_message_at.into(), position.id.into()]),
        };
        let text = self.query.folded();
        Looked::find_by_statement(self.statement(sql, text, most, more))
            .all(self.transaction)
            .await
    }

    /// Those of these conversations.
    async fn look_among(&self, ids: Vec<Uuid>) -> Result<Vec<Looked>, DbErr> {
        let most = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let text = self.query.folded();
        Looked::find_by_statement(self.statement(AMONG, text, most, vec![ids.into()]))
            .all(self.transaction)
            .await
    }

    /// What to ask the index. None if there is no index, or it knows nothing of the query.
    pub(super) async fn terms(&self) -> Result<Option<Terms>, DbErr> {
        if self.transaction.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let symbols = with_symbols(self.query.folded());
        let words = match word(self.query, symbols.is_empty()) {
            Some(word) => word.is_ascii() || self.is_known(word).await?,
            None => false,
        };
        let token = token(self.organization.as_str(), &self.person.to_string());
        let keys = symbols.into_iter().chain([token]).collect::<Vec<_>>();
        Ok((words || keys.len() > 1).then_some(Terms { keys, words }))
    }

    /// Whether `pg_trgm` knows letters other than those of ASCII depends on the locale of the database.
    async fn is_known(&self, word: &str) -> Result<bool, DbErr> {
        let known = "SELECT 1 AS known WHERE cardinality(show_trgm($1)) > 0";
        let known = Statement::from_sql_and_values(DbBackend::Postgres, known, [word.into()]);
        Ok(self.transaction.query_one_raw(known).await?.is_some())
    }

    /// Conversations after a position, or all, that have the query, by the index.
    pub(super) async fn find(
        &self,
        terms: Terms,
        after: Option<ConversationPosition>,
        most: i64,
    ) -> Result<Vec<Looked>, DbErr> {
        let after = after.unwrap_or(BEFORE_ALL);
        let more = vec![terms.keys.into(), after.last_message_at.into(), after.id.into()];
        let statement = if terms.words {
            self.statement(BY_WORDS, &pattern(self.query), most, more)
        } else {
            self.statement(BY_SYMBOLS, self.query.folded(), most, more)
        };
        let found = Id::find_by_statement(statement).all(self.transaction).await?;
        self.look_among(found.into_iter().map(|row| row.conversation_id).collect())
            .await
    }

    fn statement(&self, sql: &str, text: &str, most: i64, more: Vec<Value>) -> Statement {
        let backend = self.transaction.get_database_backend();
        let common = [
            self.organization.as_str().into(),
            self.person.to_string().into(),
            text.into(),
            most.into(),
        ];
        let sql = match backend {
            DbBackend::Sqlite => sql.replace("strpos", "instr"),
            _ => sql.to_owned(),
        };
        Statement::from_sql_and_values(backend, sql, common.into_iter().chain(more))
    }
}

/// Letters or digits of a query of which `pg_trgm` may know something: three in a row. In a query without symbols (`plain`), which
/// has a space then, the beginning of its last word is as good.
fn word(query: &SearchQuery, plain: bool) -> Option<&str> {
    let long = |word: &&str| word.chars().count() >= 3;
    let other = |character: char| character.is_ascii() || !character.is_alphanumeric();
    let mut ascii = query
        .folded()
        .split(|character: char| !character.is_ascii_alphanumeric());
    let last = || query.folded().rsplit(' ').next().filter(|_| plain);
    ascii
        .find(long)
        .or_else(|| query.folded().split(other).find(long))
        .or_else(last)
}

/// What `LIKE` compares with: the query, literally, anywhere.
fn pattern(query: &SearchQuery) -> String {
    let mut pattern = String::from("%");
    for character in query.folded().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_literal() {
        let query = SearchQuery::parse("50%_a\\b 'x\"").unwrap();
        assert_eq!(pattern(&query), "%50\\%\\_a\\\\b 'x\"%");
    }

    #[test]
    fn what_pg_trgm_knows_is_three_in_a_row_or_the_beginning_of_a_word() {
        for (text, known) in [
            ("abc", Some("abc")),
            ("a-bcd", Some("bcd")),
            ("αβγ", Some("αβγ")),
            ("aαβγ b", Some("αβγ")),
            ("中文字x", Some("中文字")),
            ("ab cd ef", Some("ef")),
            ("???", None),
            ("a-b c", None),
            ("💊💊💊", None),
        ] {
            let query = SearchQuery::parse(text).unwrap();
            let plain = with_symbols(query.folded()).is_empty();
            assert_eq!(word(&query, plain), known, "{text}");
        }
    }
}
