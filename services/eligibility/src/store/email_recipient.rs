//! Reads all that an email to a portal user needs.

use carepost_identity::{ChartId, OrganizationId, PortalUserId};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    Store, StoreError,
    row::{get, optional, word},
    sql::fixed,
};
use crate::domain::directory::{AccountStatus, Brand, Email, Locale, Name, Phone, WebUrl};

/// All that an email to a portal user needs.
#[derive(Clone, Debug)]
pub struct EmailRecipient {
    /// The state of the account.
    pub status: AccountStatus,
    /// Where they get email.
    pub email: Option<Email>,
    /// The language that they read, else the organization's.
    pub locale: Option<Locale>,
    /// The brand: of the chart's location, else of the organization, else one with the organization's name.
    pub brand: Brand,
    /// Where the inbox is, behind login.
    pub portal_url: WebUrl,
}

/// Where the organization is neutral, every location is: its name could reveal as much (docs/adr/0011).
///
/// At most one brand is there for each of the two places; the location's own comes first. A chart that is not known has none.
const SELECT: &str = "
SELECT CASE WHEN u.deleted = TRUE THEN 'disabled' ELSE u.status END AS account_status, u.email AS email,
  CASE WHEN u.locale = '' THEN o.locale ELSE u.locale END AS locale,
  o.name AS organization_name, o.portal_url AS portal_url,
  b.name AS brand_name, b.logo_url AS logo_url, b.phone AS phone,
  b.neutral OR EXISTS (SELECT 1 FROM brand n WHERE n.organization = $1 AND n.location = '' AND n.neutral = TRUE) AS neutral
FROM portal_user u
JOIN organization o ON o.organization = u.organization
LEFT JOIN brand b ON b.organization = u.organization
  AND (b.location = '' OR b.location = (SELECT c.location FROM chart c
    WHERE c.organization = $1 AND c.id = $3 AND c.deleted = FALSE))
WHERE u.organization = $1 AND u.id = $2
ORDER BY CASE WHEN b.location = '' THEN 1 ELSE 0 END
LIMIT 1";

impl Store {
    /// The recipient of an email regarding a chart or none; none if there is no such portal user.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn email_recipient(
        &self,
        organization: &OrganizationId,
        portal_user: &PortalUserId,
        chart: Option<&ChartId>,
    ) -> Result<Option<EmailRecipient>, StoreError> {
        let chart = chart.map(|id| id.as_str());
        let values = [organization.as_str().into(), portal_user.as_str().into(), chart.into()];
        let statement = fixed(self.database.get_database_backend(), SELECT, values);
        let row = self.database.query_one_raw(statement).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &QueryResult) -> Result<EmailRecipient, StoreError> {
    let organization_name = Name::stored(get(row, "organization_name")?);
    Ok(EmailRecipient {
        status: word(row, "account_status", AccountStatus::from_word)?,
        email: optional(row, "email", Email::stored)?,
        locale: optional(row, "locale", Locale::stored)?,
        brand: brand(row, organization_name)?,
        portal_url: WebUrl::stored(get(row, "portal_url")?),
    })
}

fn brand(row: &QueryResult, organization_name: Name) -> Result<Brand, StoreError> {
    let Some(name) = get::<Option<String>>(row, "brand_name")? else {
        return Ok(Brand {
            name: organization_name,
            logo_url: None,
            phone: None,
            neutral: false,
        });
    };
    Ok(Brand {
        name: Name::stored(name),
        logo_url: optional(row, "logo_url", WebUrl::stored)?,
        phone: optional(row, "phone", Phone::stored)?,
        neutral: get(row, "neutral")?,
    })
}
