//! Reads all that an email to a person needs.

use carepost_identity::{ChartId, OrganizationId, PersonId};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    Store, StoreError,
    row::{optional, word},
    settings::defaults,
    settings_rows::{Setting, columns},
    sql::fixed,
};
use crate::domain::directory::{AccountStatus, Brand, Email, Locale};

/// All that an email to a portal user or a member of staff needs.
#[derive(Clone, Debug)]
pub struct EmailRecipient {
    /// The state of the account.
    pub status: AccountStatus,
    /// Where they get email.
    pub email: Option<Email>,
    /// The language that they read, if they have one of their own.
    pub locale: Option<Locale>,
    /// The brand that holds at the chart's location, or without a chart in the organization.
    pub brand: Brand,
}

/// What is read of a portal user.
const PORTAL_USER: &str = "
SELECT organization, id, CASE WHEN deleted = TRUE THEN 'disabled' ELSE status END AS status, email, locale FROM portal_user";

/// What is read of a member of staff, who has no language of their own.
const STAFF: &str = "
SELECT organization, id, CASE WHEN active = TRUE AND deleted = FALSE THEN 'active' ELSE 'disabled' END AS status, email,
  '' AS locale FROM staff";

/// The joins of the statement. A chart that is not known has no location; a deleted one keeps its own, and with it a brand that
/// is neutral.
const JOINS: &str = "
JOIN organization o ON o.organization = u.organization
LEFT JOIN chart c ON c.organization = $1 AND c.id = $3
LEFT JOIN brand own ON own.organization = $1 AND own.location = c.location
LEFT JOIN brand general ON general.organization = $1 AND general.location = ''
WHERE u.organization = $1 AND u.id = $2";

impl Store {
    /// The recipient of an email regarding a chart or none; none if there is no such person.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn email_recipient(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        chart: Option<&ChartId>,
    ) -> Result<Option<EmailRecipient>, StoreError> {
        let (own, general) = (columns::<Brand>("own"), columns::<Brand>("general"));
        let (table, id) = match person {
            PersonId::Portal(id) => (PORTAL_USER, id.as_str()),
            PersonId::Staff(id) => (STAFF, id.as_str()),
        };
        let select = format!(
            "SELECT u.status AS account_status, u.email AS email, u.locale AS locale, o.name AS organization_name,
  o.locale AS organization_locale, o.portal_url AS organization_portal_url, {own}, {general}
FROM ({table}) u{JOINS}"
        );
        let chart = chart.map(|id| id.as_str());
        let values = [organization.as_str().into(), id.into(), chart.into()];
        let statement = fixed(self.database.get_database_backend(), &select, values);
        let row = self.database.query_one_raw(statement).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &QueryResult) -> Result<EmailRecipient, StoreError> {
    let (own, general) = (Brand::read(row, "own_")?, Brand::read(row, "general_")?);
    let defaults = defaults(row)?.ok_or(StoreError::Corrupt("organization"))?;
    Ok(EmailRecipient {
        status: word(row, "account_status", AccountStatus::from_word)?,
        email: optional(row, "email", Email::stored)?,
        locale: optional(row, "locale", Locale::stored)?,
        brand: Brand::effective(own, general, defaults),
    })
}
