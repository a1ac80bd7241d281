//! Remembering what was asked and answered.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use super::{RequestKey, StoreError, entity};
use crate::domain::Answered;

pub(super) async fn remember(
    connection: &impl ConnectionTrait,
    organization: &OrganizationId,
    person: &PersonId,
    request: RequestKey<'_>,
    answered: &Answered,
) -> Result<(), StoreError> {
    let row = entity::request::ActiveModel {
        organization: Set(organization.to_string()),
        person: Set(person.to_string()),
        rpc: Set(request.rpc.to_owned()),
        request_id: Set(request.id.to_owned()),
        digest: Set(request.digest.to_vec()),
        conversation_id: Set(answered.conversation),
        message_id: Set(answered.message),
        sequence: Set(answered.sequence),
        conversation_unread: Set(answered.conversation_unread),
        mailbox_unread: Set(answered.mailbox.unread),
        mailbox_revision: Set(answered.mailbox.revision),
        answered_at: Set(answered.at),
    };
    entity::request::Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
