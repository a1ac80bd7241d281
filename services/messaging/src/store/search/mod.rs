//! Search (I5): which conversations of a person have a text, newest activity first.
//!
//! The newest conversations are looked through one by one: what is common is found there, at once. What is not goes to the index
//! of PostgreSQL, which knows the messages of a person that may have a text. On SQLite the rest of the mailbox is looked through
//! as well; so it is on PostgreSQL for words in letters that the locale of the database does not know. Either way it is the
//! person's own mailbox alone that is read, and what is found is the same.

mod read;
mod write;

use std::{collections::HashMap, time::Duration};

use carepost_identity::{OrganizationId, PersonId};
use carepost_runtime::DatabaseFault;
use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IsolationLevel,
    QueryFilter, RuntimeErr, TransactionOptions, TransactionTrait,
};
use tokio::time::Instant;

pub(super) use read::{BY_SYMBOLS, BY_WORDS};
pub(super) use write::{Heading, Searched, write_body};

use self::read::{Looked, Reading};
use super::{
    ConversationPosition, Store, StoreError,
    entity::{conversation, participant},
};
use crate::domain::{Conversation, SearchQuery};

/// How many conversations are looked through at a time: a few milliseconds.
const CHUNK: usize = 100;
/// Into how many shares the time is divided: one is for the newest conversations, the others for the index.
const SHARES: u32 = 3;
/// How far the clock of the database's timeouts may differ from ours.
const INEXACT: Duration = Duration::from_millis(20);
/// PostgreSQL's code of a statement that was given up.
const CANCELED: &str = "57014";

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The text.
    pub query: &'a SearchQuery,
    /// After which conversation to go on.
    pub after: Option<ConversationPosition>,
    /// How many conversations at most.
    pub most: usize,
    /// How long it may take.
    pub within: Duration,
}

/// A conversation that has the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The conversation.
    pub conversation: Conversation,
    /// The newest body that has it, with its sequence. Without one, the subject or a name has it.
    pub body: Option<FoundBody>,
}

/// A body that has the text. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundBody {
    /// The sequence of its message.
    pub sequence: i64,
    /// The body.
    pub text: String,
}

impl std::fmt::Debug for FoundBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundBody")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer to a search.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// It took too long, and was given up.
    #[error("the search took too long")]
    TooLong,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for SearchError {
    fn from(error: DbErr) -> Self {
        let canceled = match &error {
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
                let code = error.as_database_error().and_then(|error| error.code());
                code.as_deref() == Some(CANCELED)
            }
            _ => false,
        };
        if canceled {
            Self::TooLong
        } else {
            Self::Store(error.into())
        }
    }
}

impl Store {
    /// A person's conversations that have a text, newest activity first.
    ///
    /// # Errors
    /// [`SearchError::TooLong`] if it takes longer than it may; else if the database does not answer.
    pub async fn search(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        search: Search<'_>,
    ) -> Result<Vec<Found>, SearchError> {
        let until = Instant::now() + search.within;
        let postgres = self.database.get_database_backend() == DbBackend::Postgres;
        // All statements see the same moment. SQLite does so anyway.
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: postgres.then_some(AccessMode::ReadOnly),
            ..Default::default()
        };
        let transaction = self.database.begin_with_options(options).await?;
        let reading = Reading {
            transaction: &transaction,
            organization,
            person,
            query: search.query,
        };
        let looked = places(&reading, search, until).await?;
        bound(&transaction, until).await?;
        let found = self.read_found(&reading, looked).await;
        let found = found.map_err(|error| late(error, until))?;
        // It has read; whether the end of that is heard does not matter.
        if let Err(error) = transaction.commit().await {
            tracing::debug!(error = %DatabaseFault::from(error), "a search could not be ended");
        }
        Ok(found)
    }

    /// The conversations themselves, in the same order.
    async fn read_found(&self, reading: &Reading<'_>, looked: Vec<Looked>) -> Result<Vec<Found>, SearchError> {
        let ids = looked.iter().map(|place| place.conversation_id);
        let own = participant::Entity::find()
            .find_also_related(conversation::Entity)
            .filter(participant::Column::Organization.eq(reading.organization.as_str()))
            .filter(participant::Column::Person.eq(reading.person.to_string()))
            .filter(participant::Column::ConversationId.is_in(ids))
            .all(reading.transaction)
            .await?;
        let conversations = self
            .with_parties(reading.transaction, reading.organization, own)
            .await?;
        let by_id = conversations
            .into_iter()
            .map(|conversation| (conversation.id, conversation));
        let mut by_id: HashMap<_, _> = by_id.collect();
        let found = looked.into_iter().filter_map(|place| {
            let conversation = by_id.remove(&place.conversation_id)?;
            let body = place.body().map(|(sequence, text)| FoundBody { sequence, text });
            Some(Found { conversation, body })
        });
        Ok(found.collect())
    }
}

/// A read that the database gave up when the time was over took too long. What reads conversations for all who ask does not tell
/// why there is no answer.
fn late(error: SearchError, until: Instant) -> SearchError {
    match error {
        SearchError::Store(StoreError::Database(DatabaseFault::Unavailable)) if Instant::now() + INEXACT >= until => {
            SearchError::TooLong
        }
        error => error,
    }
}

/// The conversations that have the text.
async fn places(reading: &Reading<'_>, search: Search<'_>, until: Instant) -> Result<Vec<Looked>, SearchError> {
    let most = i64::try_from(search.most).unwrap_or(i64::MAX);
    let (mut found, mut after) = (Vec::new(), search.after);
    bound(reading.transaction, until).await?;
    let mut terms = reading.terms().await?;
    loop {
        let Some(chunk) = look(reading, after, terms.is_some(), until).await? else {
            let Some(terms) = terms else {
                return Err(SearchError::TooLong);
            };
            bound(reading.transaction, until).await?;
            return Ok(reading.find(terms, after, most).await?);
        };
        let last = chunk.last().filter(|_| chunk.len() == CHUNK).map(Looked::position);
        found.extend(chunk.into_iter().filter(Looked::has_it));
        let missing = search.most.saturating_sub(found.len());
        let Some(last) = last.filter(|_| missing > 0) else {
            break;
        };
        if let Some(terms) = terms.take() {
            bound(reading.transaction, until).await?;
            let most = i64::try_from(missing).unwrap_or(i64::MAX);
            found.extend(reading.find(terms, Some(last), most).await?);
            break;
        }
        after = Some(last);
    }
    found.truncate(search.most);
    Ok(found)
}

/// Looks the next conversations through. If the index can be asked as well, this gets a share of the time alone, and nothing if
/// that was not enough: conversations can be very long.
async fn look(
    reading: &Reading<'_>,
    after: Option<ConversationPosition>,
    shared: bool,
    until: Instant,
) -> Result<Option<Vec<Looked>>, SearchError> {
    if !shared {
        bound(reading.transaction, until).await?;
        return Ok(Some(reading.look(after, CHUNK as i64).await?));
    }
    let now = Instant::now();
    let share = until.saturating_duration_since(now) / SHARES;
    // What is given up takes its transaction with it, but for a savepoint.
    let savepoint = reading.transaction.begin().await?;
    bound(&savepoint, now + share).await?;
    let inside = Reading {
        transaction: &savepoint,
        ..*reading
    };
    match inside.look(after, CHUNK as i64).await.map_err(SearchError::from) {
        Ok(chunk) => {
            savepoint.commit().await?;
            Ok(Some(chunk))
        }
        Err(SearchError::TooLong) => {
            savepoint.rollback().await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Lets the next statement take no longer than there is time. SQLite is asked for a hundred conversations at a time, and is not
/// asked again once the time is over.
async fn bound(transaction: &DatabaseTransaction, until: Instant) -> Result<(), SearchError> {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    if left == 0 {
        return Err(SearchError::TooLong);
    }
    if transaction.get_database_backend() == DbBackend::Postgres {
        let bound = format!("SET LOCAL statement_timeout = {left}");
        transaction.execute_unprepared(&bound).await?;
    }
    Ok(())
}
