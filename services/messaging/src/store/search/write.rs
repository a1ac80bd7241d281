//! What is written to be found again.

use carepost_folding::fold;
use carepost_identity::OrganizationId;
use carepost_messaging_migration::search::{heading, symbols, tokens};
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use super::super::{
    StoreError,
    entity::{conversation, participant},
};
use crate::domain::{Body, NewConversation};

const WRITE_HEADING: &str =
    "UPDATE conversation SET participants = $3, folded = $4, symbols = $5 WHERE organization = $1 AND id = $2";

/// The participants never change, so the conversation's are the message's.
const WRITE_BODY: &str = "
    UPDATE message SET folded = $4, symbols = $5, participants =
        (SELECT c.participants FROM conversation c WHERE c.organization = $1 AND c.id = $2)
    WHERE organization = $1 AND conversation_id = $2 AND sequence = $3";

/// A text as it is searched.
pub(in crate::store) struct Searched {
    /// The text, folded.
    pub(in crate::store) folded: String,
    /// What of it has symbols.
    pub(in crate::store) symbols: String,
}

impl Searched {
    pub(in crate::store) fn of_body(body: &Body) -> Self {
        Self::of_folded(fold(body.as_str()))
    }

    fn of_folded(folded: String) -> Self {
        let symbols = symbols(&folded);
        Self { folded, symbols }
    }
}

/// The search columns of a conversation.
pub(in crate::store) struct Heading {
    /// The tokens of who is in it.
    pub(in crate::store) participants: String,
    /// Names and subject.
    pub(in crate::store) text: Searched,
}

impl Heading {
    /// Of a conversation about to be written.
    pub(in crate::store) fn of_new(organization: &OrganizationId, new: &NewConversation) -> Self {
        let persons: Vec<_> = new.participants.iter().map(|party| party.person.to_string()).collect();
        let names = new.participants.iter().map(|party| party.display_name.as_str());
        let patient = new.regarding.as_ref().map(|regarding| regarding.patient_name.as_str());
        Self {
            participants: tokens(organization.as_str(), persons.iter().map(String::as_str)),
            text: Searched::of_folded(heading(names, patient, new.subject.as_str())),
        }
    }

    /// Of one that is stored, from its rows as they are to be: for whoever changes a name in it. `parties` are all of them, by id,
    /// locked together with the conversation.
    pub(in crate::store) fn of_rows(conversation: &conversation::Model, parties: &[participant::Model]) -> Self {
        let names = parties.iter().map(|party| party.display_name.as_str());
        Self {
            participants: tokens(
                &conversation.organization,
                parties.iter().map(|party| party.person.as_str()),
            ),
            text: Searched::of_folded(heading(
                names,
                conversation.patient_name.as_deref(),
                &conversation.subject,
            )),
        }
    }

    pub(in crate::store) async fn write(
        self,
        connection: &impl ConnectionTrait,
        organization: &OrganizationId,
        conversation: Uuid,
    ) -> Result<(), StoreError> {
        let values = [
            organization.as_str().into(),
            conversation.into(),
            self.participants.into(),
            self.text.folded.into(),
            self.text.symbols.into(),
        ];
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), WRITE_HEADING, values);
        connection.execute_raw(statement).await?;
        Ok(())
    }
}

/// Writes the search columns of a message that was just inserted.
pub(in crate::store) async fn write_body(
    connection: &impl ConnectionTrait,
    organization: &OrganizationId,
    conversation: Uuid,
    sequence: i64,
    body: &Body,
) -> Result<(), StoreError> {
    let text = Searched::of_body(body);
    let values = [
        organization.as_str().into(),
        conversation.into(),
        sequence.into(),
        text.folded.into(),
        text.symbols.into(),
    ];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), WRITE_BODY, values);
    connection.execute_raw(statement).await?;
    Ok(())
}
