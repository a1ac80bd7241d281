//! What members of staff want to be told by email.

use std::collections::BTreeSet;

use carepost_audit::{Subject, Told, insert};
use carepost_identity::{OrganizationId, StaffId};
use carepost_runtime::database::begin;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use super::{Store, StoreError, Write, entity::preference, in_time};

impl Store {
    /// Whether a member of staff wants an email for each message. Who never chose does not.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn email_on_message(&self, organization: &OrganizationId, staff: &StaffId) -> Result<bool, StoreError> {
        let found = preference::Entity::find_by_id((organization.to_string(), staff.to_string()))
            .one(&self.database)
            .await?;
        Ok(found.is_some_and(|row| row.email_on_message))
    }

    /// Sets it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn set_email_on_message(
        &self,
        write: Write<'_>,
        staff: &StaffId,
        email_on_message: bool,
    ) -> Result<(), StoreError> {
        use preference::Column;
        let row = preference::ActiveModel {
            organization: Set(write.organization.to_string()),
            staff: Set(staff.to_string()),
            email_on_message: Set(email_on_message),
            updated_at: Set(write.now),
            updated_by_service: Set(write.actor.service().map(ToString::to_string)),
        };
        let tx = begin(&self.database).await?;
        let changed = [Column::EmailOnMessage, Column::UpdatedAt, Column::UpdatedByService];
        preference::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([Column::Organization, Column::Staff])
                    .update_columns(changed)
                    .to_owned(),
            )
            .exec_without_returning(&*tx)
            .await?;
        let person = staff.clone().into();
        insert(&*tx, &[write.record(Subject::person(&person))]).await?;
        tx.commit().await?;
        write.occasion.tell(Told::Changed);
        Ok(())
    }

    /// Who of these wants an email for each message.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn who_wants_email(
        &self,
        organization: &OrganizationId,
        staff: impl Iterator<Item = &StaffId>,
    ) -> Result<BTreeSet<StaffId>, StoreError> {
        let ids: Vec<_> = staff.map(StaffId::as_str).collect();
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asked = preference::Entity::find()
            .filter(preference::Column::Organization.eq(organization.as_str()))
            .filter(preference::Column::Staff.is_in(ids))
            .filter(preference::Column::EmailOnMessage.eq(true));
        let found = in_time(async { Ok(asked.all(&self.database).await?) }).await?;
        let ids = found.into_iter().map(|row| StaffId::parse(row.staff));
        ids.collect::<Result<_, _>>().map_err(|_| StoreError::Corrupt("staff"))
    }
}
