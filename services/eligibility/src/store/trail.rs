//! What the audit trail has of the directory and the settings: its records are written by the transactions that make the changes.

use carepost_audit::{MOST_SUBJECTS, Record, Subject, Told, Who, insert};
use sea_orm::DatabaseTransaction;

use super::{Store, StoreError, Write};
use crate::domain::directory::RecordKind;

/// Under which name records of a kind are subjects.
pub(crate) fn kind_word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Organization => "organizations",
        RecordKind::Location => "locations",
        RecordKind::Staff => "staff",
        RecordKind::Chart => "charts",
        RecordKind::PortalUser => "portal",
        RecordKind::MessagingSettings => "messaging-settings",
        RecordKind::Brand => "brands",
    }
}

/// A record of the directory, or a setting of a place. That of the organization has its id; an id that is none names nothing.
pub(crate) fn subject(write: Write<'_>, kind: RecordKind, id: &str) -> Option<Subject> {
    let id = if id.is_empty() { write.organization.as_str() } else { id };
    Subject::named(kind_word(kind), id)
}

/// Writes records of what a transaction changed: as many as it takes to name all of it.
pub(super) async fn record(tx: &DatabaseTransaction, write: Write<'_>, changed: &[Subject]) -> Result<(), StoreError> {
    let of_part = |part: &[Subject]| Record {
        count: i32::try_from(part.len()).unwrap_or(i32::MAX),
        ..of(write, part, "OK")
    };
    let records: Vec<_> = changed.chunks(MOST_SUBJECTS).map(of_part).collect();
    insert(tx, &records).await?;
    Ok(())
}

fn of(write: Write<'_>, subjects: &[Subject], outcome: &str) -> Record {
    let who = Who {
        organization: Some(write.organization.clone()),
        actor: Some(write.actor.clone()),
    };
    Record::new(write.occasion, &who, write.now, subjects, outcome)
}

impl Store {
    /// Writes that an import begins. Each group of it that is committed has records of its own, and so has its end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn record_begin(&self, write: Write<'_>) -> Result<(), StoreError> {
        let organization = Subject::organization(write.organization);
        insert(&self.database, &[of(write, &[organization], "OK/BEGUN")]).await?;
        write.occasion.tell(Told::Begun);
        Ok(())
    }
}

/// Notes that what a call changed is committed with its records. An import is told of once more when it ends.
pub(super) fn told(write: Write<'_>) {
    if write.occasion.told() != Told::Begun {
        write.occasion.tell(Told::Changed);
    }
}
