//! Whether two people know each other from a conversation.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{ConnectionTrait, Statement};

use super::{Store, StoreError};

const SHARE: &str = "
    SELECT 1 FROM participant mine
    JOIN participant theirs
      ON theirs.organization = mine.organization AND theirs.conversation_id = mine.conversation_id
    WHERE mine.organization = $1 AND mine.person = $2 AND theirs.person = $3
    LIMIT 1";

impl Store {
    /// Whether there is a conversation that both are in.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn share_conversation(
        &self,
        organization: &OrganizationId,
        one: &PersonId,
        other: &PersonId,
    ) -> Result<bool, StoreError> {
        let values = [
            organization.as_str().into(),
            one.to_string().into(),
            other.to_string().into(),
        ];
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), SHARE, values);
        Ok(self.database.query_one_raw(statement).await?.is_some())
    }
}
