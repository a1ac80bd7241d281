//! One record of the trail.

use std::collections::BTreeSet;

use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::Ids;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sea_orm::FromQueryResult;
use uuid::Uuid;

use crate::{
    hash::Hash,
    occasion::Occasion,
    subject::{Subject, joined},
};

/// Who acts for whom, as far as it is known. Of a stranger nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The organization that the caller may speak for.
    pub organization: Option<OrganizationId>,
    /// Who acts.
    pub actor: Option<Actor>,
}

/// One record of the trail. It holds ids and words of the program: nothing that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Record {
    /// The organization; empty if none is known.
    pub organization: String,
    /// When, in whole microseconds.
    pub recorded_at: DateTime<Utc>,
    /// Its id: a UUID of version 7.
    pub id: Uuid,
    /// Who acted: `staff/…`, `portal/…`, `service/…`, `operator/…` or `unknown`.
    pub actor: String,
    /// The service that relayed the person's call, as `service/…`; empty if none did.
    pub via: String,
    /// The IP address at the other end of the connection; empty if there was none.
    pub origin: String,
    /// The path of the RPC, or the operator's command as `operator/…`.
    pub action: String,
    /// The names of what it was about, with spaces between them.
    pub subjects: String,
    /// `OK`, `OK/` and a word, or the code and the reason of a refusal.
    pub outcome: String,
    /// The id of the call: `carepost-call-id` of its answer, `call_id` of its log lines.
    pub request_id: Uuid,
    /// The trace; empty if there is none.
    pub trace_id: String,
    /// How many calls of the same kind it tells of; of a batch of an import, how many records were changed.
    pub count: i32,
}

impl Record {
    /// What came of an occasion, as it noted it.
    #[must_use]
    pub fn of(occasion: &Occasion, at: DateTime<Utc>, outcome: &str) -> Self {
        Self::new(occasion, &occasion.who(), at, &occasion.subjects(), outcome)
    }

    /// What came of a call of somebody.
    #[must_use]
    pub fn new<'a>(
        occasion: &Occasion,
        who: &Who,
        at: DateTime<Utc>,
        subjects: impl IntoIterator<Item = &'a Subject>,
        outcome: &str,
    ) -> Self {
        let at = at.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(at);
        let (actor, via) = names(who.actor.as_ref());
        Self {
            organization: who.organization.as_ref().map(ToString::to_string).unwrap_or_default(),
            recorded_at: at,
            id: Ids.next(at),
            actor,
            via,
            origin: occasion.origin().to_owned(),
            action: occasion.action().to_owned(),
            subjects: joined(subjects),
            outcome: outcome.to_owned(),
            request_id: occasion.id(),
            trace_id: occasion.trace_id().to_owned(),
            count: 1,
        }
    }

    /// A change that is about to be committed with this record: of what the occasion noted, and of more.
    #[must_use]
    pub fn of_change(
        occasion: &Occasion,
        organization: &OrganizationId,
        actor: &Actor,
        at: DateTime<Utc>,
        more: impl IntoIterator<Item = Subject>,
    ) -> Self {
        let who = Who {
            organization: Some(organization.clone()),
            actor: Some(actor.clone()),
        };
        let subjects: BTreeSet<_> = occasion.subjects().into_iter().chain(more).collect();
        Self::new(occasion, &who, at, &subjects, "OK")
    }

    /// What an operator does by a command against the database: `operator` is their name, an id.
    #[must_use]
    pub fn of_operator<'a>(
        occasion: &Occasion,
        organization: &OrganizationId,
        operator: &str,
        at: DateTime<Utc>,
        subjects: impl IntoIterator<Item = &'a Subject>,
    ) -> Self {
        let who = Who {
            organization: Some(organization.clone()),
            actor: None,
        };
        let named = Subject::named("operator", operator);
        Self {
            actor: named.map_or_else(|| "operator/unnamed".to_owned(), |name| name.to_string()),
            ..Self::new(occasion, &who, at, subjects, "OK")
        }
    }
}

/// Who acts, and the service that relays it.
fn names(actor: Option<&Actor>) -> (String, String) {
    match actor {
        None => ("unknown".to_owned(), String::new()),
        Some(Actor::Person(person)) => (person.to_string(), String::new()),
        Some(Actor::Service(service)) => (format!("service/{service}"), String::new()),
        Some(Actor::OnBehalf { service, person }) => (person.to_string(), format!("service/{service}")),
    }
}

/// Where in the chain a record was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its seal, from 1.
    pub seal: i64,
    /// Its place in the seal, from 1.
    pub place: i32,
    /// The hash of the chain up to it.
    pub hash: Hash,
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub record: Record,
    /// Where it was sealed; none before it is.
    pub sealed: Option<Place>,
}
