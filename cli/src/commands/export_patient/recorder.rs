//! What the audit trail is told of an export.

use std::time::Duration;

use carepost_audit::{Occasion, Record, Subject, insert};
use carepost_identity::OrganizationId;
use carepost_messaging::store::export::{ExportedConversation, Selection};
use carepost_runtime::{Clock, Ids};
use sea_orm::DatabaseConnection;
use tokio::time::timeout;

use super::Tally;
use crate::errors::{Exit, Failure};

/// How long the trail may take for a record.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the records of one export. All have its id as their `request_id`.
pub struct Recorder {
    database: DatabaseConnection,
    clock: Clock,
    occasion: Occasion,
    organization: OrganizationId,
    operator: String,
}

impl Recorder {
    /// Of an export that this operator makes for this reason. Both are made of few kinds of signs.
    pub fn new(
        database: DatabaseConnection,
        clock: Clock,
        organization: &OrganizationId,
        operator: &str,
        (selection, reason): (&Selection, &str),
    ) -> Self {
        let occasion = Occasion::own(Ids.next(clock.now()), "operator/export-patient");
        occasion.note_all(subjects(selection));
        occasion.note_all(Subject::named("reasons", reason));
        Self {
            database,
            clock,
            occasion,
            organization: organization.clone(),
            operator: operator.to_owned(),
        }
    }

    /// The id of the export.
    pub fn id(&self) -> String {
        self.occasion.id().to_string()
    }

    /// That it begins. Nothing of it is read before.
    pub async fn begin(&self) -> Result<(), Failure> {
        self.write("OK/BEGUN", Vec::new(), 1).await
    }

    /// That these conversations are in it. None is written before.
    pub async fn show(&self, conversations: &[ExportedConversation]) -> Result<(), Failure> {
        let named = conversations.iter().map(|one| Subject::conversation(one.id)).collect();
        self.write("OK/SHOWN", named, conversations.len()).await
    }

    /// That it is whole, with its size and the digest of its file.
    pub async fn end(&self, tally: &Tally) -> Result<(), Failure> {
        let size = [
            ("exported-conversations", tally.conversations.to_string()),
            ("exported-messages", tally.messages.to_string()),
            ("export-sha256", tally.digest.clone()),
        ];
        let size = size.iter().filter_map(|(kind, value)| Subject::named(kind, value));
        self.write("OK", size.collect(), 1).await
    }

    /// That it failed. The failure is told whether or not this could be recorded, which is given back.
    pub async fn fail(&self, failure: &Failure) -> bool {
        let outcome = match failure.exit {
            Exit::NotFound => "NOT_FOUND",
            Exit::Unavailable => "UNAVAILABLE",
            _ => "ABORTED",
        };
        self.write(outcome, Vec::new(), 1).await.is_ok()
    }

    async fn write(&self, outcome: &str, more: Vec<Subject>, count: usize) -> Result<(), Failure> {
        let now = self.clock.now();
        let subjects = self.occasion.subjects().into_iter().chain(more).collect::<Vec<_>>();
        let record = Record {
            outcome: outcome.to_owned(),
            count: i32::try_from(count).unwrap_or(i32::MAX),
            ..Record::of_operator(&self.occasion, &self.organization, &self.operator, now, &subjects)
        };
        let written = timeout(PATIENCE, insert(&self.database, &[record])).await;
        if matches!(written, Ok(Ok(()))) {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Unavailable,
            "UNAVAILABLE",
            "The audit trail cannot be written, so nothing is handed out",
            "Check whether the database answers, and whether your role may add records to its table audit_record",
        ))
    }
}

fn subjects(selection: &Selection) -> Vec<Subject> {
    match selection {
        Selection::Chart(chart) => vec![Subject::chart(chart)],
        Selection::PortalUser(user) => vec![Subject::person(&user.clone().into())],
        Selection::ChartWith(chart, person) => vec![Subject::chart(chart), Subject::person(person)],
    }
}
