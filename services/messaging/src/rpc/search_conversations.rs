//! `SearchConversations`: the caller's conversations that have a text, newest activity first (I5).

use std::time::Duration;

use carepost_proto::{
    common::v1::ErrorReason,
    messaging::v1::{self as proto, SearchConversationsRequest, SearchConversationsResponse, SearchResult},
};
use carepost_rpc::{
    Violations,
    deadline::Deadline,
    page::List,
    status::{overloaded, refusal},
};
use carepost_runtime::metrics::metrics;
use chrono::DateTime;
use tokio::{sync::SemaphorePermit, time::timeout};
use tonic::Status;
use uuid::Uuid;

use super::{Call, Messaging, reply_ability::show, status};
use crate::{
    domain::{SearchQuery, Snippet, SnippetSource},
    store::{ConversationPosition, Found, Search, SearchError},
};

/// How long a search waits for its place.
const TURN: Duration = Duration::from_millis(200);
/// How long a client that got none should wait.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: SearchConversationsRequest,
) -> Result<SearchConversationsResponse, Status> {
    let organization = &call.caller.organization;
    let asked = parse(&call, &request)?;
    let mut found = {
        let _place = place(messaging, call.deadline).await?;
        let search = Search {
            query: &asked.query,
            after: asked.after,
            // One more than the page tells whether there is another page.
            most: asked.size + 1,
            within: messaging.search_timeout.min(call.deadline.remaining()),
        };
        let found = messaging.store.search(organization, &call.person, search).await;
        found.map_err(|error| refused(&error))?
    };
    let more = found.len() > asked.size;
    found.truncate(asked.size);
    found.iter().for_each(|found| call.note_shown(&found.conversation));
    let last = found.last().filter(|_| more);
    let last = last.map(|last| ConversationPosition::of(&last.conversation));
    let token = last.map(|last| {
        asked
            .list
            .token(&(last.last_message_at.timestamp_micros(), last.id.to_string()))
    });
    Ok(SearchConversationsResponse {
        results: results(messaging, &call, &asked.query, found).await,
        next_page_token: token.unwrap_or_default(),
    })
}

/// A place at the database: early refused rather than queued, since other calls need connections, too.
async fn place(messaging: &Messaging, deadline: Deadline) -> Result<SemaphorePermit<'_>, Status> {
    let taken = timeout(TURN.min(deadline.remaining()), messaging.searches.acquire()).await;
    match taken {
        Ok(Ok(place)) => Ok(place),
        _ => Err(overloaded(RETRY)),
    }
}

/// What is asked for.
struct Asked {
    list: List,
    query: SearchQuery,
    size: usize,
    after: Option<ConversationPosition>,
}

fn parse(call: &Call, request: &SearchConversationsRequest) -> Result<Asked, Status> {
    let mut violations = Violations::default();
    let size = usize::try_from(violations.page_size(request.page_size)).unwrap_or_default();
    let query = violations.take("query", SearchQuery::parse(&request.query));
    // A token is only held against a query that is one.
    let asked = query.and_then(|query| {
        let person = call.person.to_string();
        let organization = call.caller.organization.as_str();
        let list = List::new(&["SearchConversations", organization, &person, query.folded()]);
        let position = violations.take("page_token", list.position::<(i64, Uuid)>(&request.page_token))?;
        let after = position.and_then(|(micros, id)| {
            Some(ConversationPosition {
                last_message_at: DateTime::from_timestamp_micros(micros)?,
                id,
            })
        });
        Some(Asked {
            list,
            query,
            size,
            after,
        })
    });
    violations.finish(asked)
}

fn refused(error: &SearchError) -> Status {
    match error {
        SearchError::TooLong => {
            metrics().search_timed_out();
            refusal(
                ErrorReason::DeadlineExceeded,
                "the search takes too long: be more precise",
            )
        }
        SearchError::Store(error) => status::of_store(error),
    }
}

/// Conversations as `ListConversations` shows them, each with where the text was found.
async fn results(messaging: &Messaging, call: &Call, query: &SearchQuery, found: Vec<Found>) -> Vec<SearchResult> {
    let (conversations, bodies): (Vec<_>, Vec<_>) =
        found.into_iter().map(|found| (found.conversation, found.body)).unzip();
    let standings = messaging.reply_abilities(call, &conversations).await;
    let shown = conversations.into_iter().zip(bodies).zip(standings);
    let results = shown.filter_map(|((conversation, body), standing)| {
        let body = body.as_ref().map(|body| (body.sequence, body.text.as_str()));
        let snippet = Snippet::of(query, &conversation, body);
        if snippet.is_none() {
            tracing::error!(conversation = %conversation.id, "what is found by is not what is stored");
        }
        Some(SearchResult {
            snippet: Some(of_snippet(snippet?)),
            conversation: Some(show(conversation, standing)),
        })
    });
    results.collect()
}

fn of_snippet(snippet: Snippet) -> proto::Snippet {
    let (source, sequence, person) = match snippet.source {
        SnippetSource::Body(sequence) => (proto::SnippetSource::Body, sequence, String::new()),
        SnippetSource::Subject => (proto::SnippetSource::Subject, 0, String::new()),
        SnippetSource::ParticipantName(person) => (proto::SnippetSource::ParticipantName, 0, person.to_string()),
        SnippetSource::PatientName => (proto::SnippetSource::PatientName, 0, String::new()),
    };
    let place = |characters: usize| i32::try_from(characters).unwrap_or(i32::MAX);
    proto::Snippet {
        source: source.into(),
        sequence,
        person,
        match_start: place(snippet.match_start),
        match_length: place(snippet.match_length),
        text: snippet.text,
    }
}
