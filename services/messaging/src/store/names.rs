//! The copies of names in conversations (D2).

use std::collections::{BTreeMap, HashMap};

use carepost_identity::{ChartId, OrganizationId, PersonId};
use carepost_runtime::database::begin;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{
    Store, StoreError, Write,
    entity::{conversation, mailbox as mailboxes, participant},
    mailbox, rows,
    search::Heading,
};
use crate::domain::{Named, Names, Parties};

/// How many names one statement compares. Each is a condition with an index of its own.
pub(crate) const NAMES_AT_ONCE: usize = 100;

/// A conversation in which the patient has another name.
#[derive(Debug)]
pub struct OtherPatient {
    /// The conversation.
    pub id: Uuid,
    /// Of a portal conversation, its parties, as the portal user replies.
    pub portal: Option<Parties>,
}

impl Store {
    /// Those of these persons and charts who are in a conversation of the organization.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn in_conversations(&self, organization: &OrganizationId, named: &Named) -> Result<Named, StoreError> {
        // Whoever is in a conversation has a mailbox: one row, however many conversations.
        let persons: Vec<String> = mailboxes::Entity::find()
            .select_only()
            .column(mailboxes::Column::Person)
            .filter(mailboxes::Column::Organization.eq(organization.as_str()))
            .filter(mailboxes::Column::Person.is_in(named.persons.iter().map(PersonId::to_string)))
            .into_tuple()
            .all(&self.database)
            .await?;
        let charts: Vec<Option<String>> = conversation::Entity::find()
            .select_only()
            .column(conversation::Column::ChartId)
            .distinct()
            .filter(conversation::Column::Organization.eq(organization.as_str()))
            .filter(conversation::Column::ChartId.is_in(named.charts.iter().map(ChartId::as_str)))
            .into_tuple()
            .all(&self.database)
            .await?;
        Ok(Named {
            persons: persons.iter().map(|id| rows::person(id)).collect::<Result<_, _>>()?,
            charts: charts
                .into_iter()
                .flatten()
                .map(rows::chart)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Some conversations in which one of these persons has another name: about `most` for each hundred names.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn with_other_persons(
        &self,
        organization: &OrganizationId,
        names: &Names,
        most: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        use participant::Column as P;
        let mut found = Vec::new();
        let persons: Vec<_> = names.persons.iter().collect();
        for some in persons.chunks(NAMES_AT_ONCE) {
            let differs = some.iter().fold(Condition::any(), |any, (person, name)| {
                let other = P::DisplayName.ne(name.as_str());
                any.add(Condition::all().add(P::Person.eq(person.to_string())).add(other))
            });
            let query = participant::Entity::find().select_only().column(P::ConversationId);
            let query = query.filter(P::Organization.eq(organization.as_str())).filter(differs);
            let ids: Vec<Uuid> = query.limit(most).into_tuple().all(&self.database).await?;
            found.extend(ids);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The next conversations after this one, by id, in which one of these patients has another name, at most so many. A
    /// hundred patients are few enough for one statement.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn with_other_patients(
        &self,
        organization: &OrganizationId,
        patients: &BTreeMap<ChartId, String>,
        after: Uuid,
        most: u64,
    ) -> Result<Vec<OtherPatient>, StoreError> {
        use conversation::Column as C;
        let differs = patients.iter().fold(Condition::any(), |any, (chart, name)| {
            let other = C::PatientName.ne(name.as_str());
            any.add(Condition::all().add(C::ChartId.eq(chart.as_str())).add(other))
        });
        let found = conversation::Entity::find()
            .filter(C::Organization.eq(organization.as_str()))
            .filter(differs)
            .filter(C::Id.gt(after))
            .order_by_asc(C::Id)
            .limit(most)
            .all(&self.database)
            .await?;
        let portal = found.iter().filter(|row| row.kind == rows::PORTAL).map(|row| row.id);
        let mut parties = self.portal_users(organization, portal.collect()).await?;
        let others = found.into_iter().map(|row| {
            let reader = parties.remove(&row.id);
            Ok(OtherPatient {
                id: row.id,
                portal: match (row.kind, reader, row.chart_id) {
                    (rows::STAFF, ..) => None,
                    (_, Some((user, staff)), Some(chart)) => {
                        let parties = Parties::between(&user, &[staff], Some(rows::chart(chart)?));
                        Some(parties.ok_or(StoreError::Corrupt("conversation"))?)
                    }
                    _ => return Err(StoreError::Corrupt("conversation")),
                },
            })
        });
        others.collect()
    }

    /// The portal user and the member of staff of each of these portal conversations.
    async fn portal_users(
        &self,
        organization: &OrganizationId,
        conversations: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, (PersonId, PersonId)>, StoreError> {
        use participant::Column as P;
        if conversations.is_empty() {
            return Ok(HashMap::new());
        }
        let found: Vec<(Uuid, String)> = participant::Entity::find()
            .select_only()
            .columns([P::ConversationId, P::Person])
            .filter(P::Organization.eq(organization.as_str()))
            .filter(P::ConversationId.is_in(conversations))
            .into_tuple()
            .all(&self.database)
            .await?;
        let (mut users, mut staff) = (Vec::new(), HashMap::new());
        for (id, person) in found {
            match rows::person(&person)? {
                user @ PersonId::Portal(_) => users.push((id, user)),
                member @ PersonId::Staff(_) => {
                    staff.insert(id, member);
                }
            }
        }
        let pairs = users
            .into_iter()
            .filter_map(|(id, user)| Some((id, (user, staff.remove(&id)?))));
        Ok(pairs.collect())
    }

    /// Writes these names into a conversation. If any of its copies was another one, this is a change of the conversation for
    /// everybody in it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn rename(&self, write: Write<'_>, id: Uuid, names: &Names) -> Result<(), StoreError> {
        let transaction = begin(&self.database).await?;
        let key = (write.organization.to_string(), id);
        let conversation = conversation::Entity::find_by_id(key)
            .lock_exclusive()
            .one(&*transaction)
            .await?;
        let conversation = conversation.ok_or(StoreError::Corrupt("conversation"))?;
        let participants = participant::Entity::find()
            .filter(participant::Column::Organization.eq(write.organization.as_str()))
            .filter(participant::Column::ConversationId.eq(id))
            .order_by_asc(participant::Column::Person)
            .lock_exclusive()
            .all(&*transaction)
            .await?;
        let mut copies = Copies {
            conversation,
            participants,
            new_patient_name: false,
        };
        if copies.replace(names)? {
            copies.store(&transaction, write).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// A conversation with all its names, locked.
struct Copies {
    conversation: conversation::Model,
    participants: Vec<participant::Model>,
    new_patient_name: bool,
}

impl Copies {
    /// Whether anything was another name.
    fn replace(&mut self, names: &Names) -> Result<bool, StoreError> {
        if let Some(chart) = self.conversation.chart_id.clone() {
            let copy = self.conversation.patient_name.get_or_insert_default();
            if let Some(name) = names.other_patient_than(&rows::chart(chart)?, copy) {
                name.clone_into(copy);
                self.new_patient_name = true;
            }
        }
        let mut replaced = self.new_patient_name;
        for row in &mut self.participants {
            if let Some(name) = names.other_than(&rows::person(&row.person)?, &row.display_name) {
                name.clone_into(&mut row.display_name);
                replaced = true;
            }
        }
        Ok(replaced)
    }

    /// Writes the names and what is made of them, and stamps the change on everybody's mailbox, in the order of their ids.
    async fn store(self, transaction: &DatabaseTransaction, write: Write<'_>) -> Result<(), StoreError> {
        let heading = Heading::of_rows(&self.conversation, &self.participants);
        heading
            .write(transaction, write.organization, self.conversation.id)
            .await?;
        if self.new_patient_name {
            let mut row: conversation::ActiveModel = self.conversation.into();
            row.reset(conversation::Column::PatientName);
            row.update(transaction).await?;
        }
        for participant in self.participants {
            let person = rows::person(&participant.person)?;
            let mailbox = mailbox::change(transaction, write.organization, &person, 0).await?;
            let mut row: participant::ActiveModel = participant.into();
            row.reset(participant::Column::DisplayName);
            row.revision = Set(mailbox.revision);
            row.update(transaction).await?;
        }
        Ok(())
    }
}
