//! Candidates for a list of recipients, each with the facts of a start to them, in one statement.
//!
//! The conditions here are necessary ones, so that pages come out nearly full. Who is in the list, the decision says.

use carepost_identity::OrganizationId;
use sea_orm::{ConnectionTrait, Value};

use super::{Store, StoreError, facts, facts::FactRow, sql::Sql};
use crate::domain::decision::{Candidate, Facts, NameQuery, Position, RecipientList};

/// Portal users with an active account and a confirmed connection. `$2` is the member of staff, `$3` the chart, `$4` and `$5`
/// the position, `$6` how many at most, and `{named}` is where names are looked at; so they are in all three.
const PORTAL_USERS: &str = "
SELECT row_number() OVER (ORDER BY u.sort_name, u.id), $2, u.id, $3, FALSE
FROM connection k JOIN portal_user u ON u.organization = $1 AND u.id = k.portal_user
WHERE k.organization = $1 AND k.chart = $3 AND k.status = 'confirmed'
  AND u.status = 'active' AND u.deleted = FALSE AND (u.sort_name, u.id) > ($4, $5)
  {named}
ORDER BY u.sort_name, u.id LIMIT $6";

/// Active staff who reach the location, of the audience that is chosen there: from the care team, which is small, or along
/// the names of all staff. `$2` is the portal user.
const STAFF_FOR_PORTAL_USER: &str = "
WITH place AS (
  SELECT c.location AS location,
    CASE WHEN own.organization IS NULL THEN general.audience ELSE own.audience END AS audience
  FROM chart c
  LEFT JOIN messaging_setting own ON own.organization = $1 AND own.location = c.location
  LEFT JOIN messaging_setting general ON general.organization = $1 AND general.location = ''
  WHERE c.organization = $1 AND c.id = $3 AND c.deleted = FALSE),
team AS (
  SELECT s.sort_name AS sort_name, s.id AS id
  FROM chart_staff cs JOIN staff s ON s.organization = $1 AND s.id = cs.staff
  WHERE (SELECT audience FROM place) = 'care_team_only'
    AND cs.organization = $1 AND cs.chart = $3 AND cs.care_team = TRUE
    AND s.active = TRUE AND s.deleted = FALSE AND (s.sort_name, s.id) > ($4, $5)
    {named}
    AND (s.all_locations = TRUE OR EXISTS (SELECT 1 FROM staff_location sl
      WHERE sl.organization = $1 AND sl.staff = s.id AND sl.location = (SELECT location FROM place)))
  ORDER BY s.sort_name, s.id LIMIT $6),
selected AS (
  SELECT s.sort_name AS sort_name, s.id AS id FROM staff s
  WHERE (SELECT audience FROM place) = 'selected_users' AND s.organization = $1
    AND s.active = TRUE AND s.deleted = FALSE AND (s.sort_name, s.id) > ($4, $5)
    {named}
    AND EXISTS (SELECT 1 FROM staff_role r
      WHERE r.organization = $1 AND r.staff = s.id AND r.role = 'available_for_portal_messages')
    AND (s.all_locations = TRUE OR EXISTS (SELECT 1 FROM staff_location sl
      WHERE sl.organization = $1 AND sl.staff = s.id AND sl.location = (SELECT location FROM place)))
  ORDER BY s.sort_name, s.id LIMIT $6)
SELECT row_number() OVER (ORDER BY either.sort_name, either.id), either.id, $2, $3, FALSE
FROM (SELECT sort_name, id FROM team UNION ALL SELECT sort_name, id FROM selected) AS either";

/// Row 0 is the sender, `$2`; then other active staff who are not barred from the chart, if there is one.
const STAFF_FOR_STAFF: &str = "
SELECT 0, $2, CAST(NULL AS text), $3, $3 IS NULL
UNION ALL
SELECT * FROM (
  SELECT row_number() OVER (ORDER BY s.sort_name, s.id), s.id, CAST(NULL AS text), $3, FALSE
  FROM staff s
  WHERE s.organization = $1 AND s.id <> $2
    AND s.active = TRUE AND s.deleted = FALSE AND (s.sort_name, s.id) > ($4, $5)
    {named}
    AND NOT EXISTS (SELECT 1 FROM chart_staff cs
      WHERE cs.organization = $1 AND cs.chart = $3 AND cs.staff = s.id AND cs.barred = TRUE)
  ORDER BY s.sort_name, s.id LIMIT $6) AS others";

/// With the pattern of a query. Without one the condition is left out: a planner that takes it for rare would sort all names.
const NAMED: &str = "AND folded_name LIKE $7 ESCAPE '!'";

impl Store {
    /// The next candidates with such a name after a position, in the order of the list; fewer than `limit` if there are no more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn candidates(
        &self,
        organization: &OrganizationId,
        list: &RecipientList,
        query: &NameQuery,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Candidate>, StoreError> {
        let (select, person, chart) = match list {
            RecipientList::PortalUsersForStaff(staff, chart) => (PORTAL_USERS, staff.as_str(), Some(chart)),
            RecipientList::StaffForPortalUser(user, chart) => (STAFF_FOR_PORTAL_USER, user.as_str(), Some(chart)),
            RecipientList::StaffForStaff(sender, chart) => (STAFF_FOR_STAFF, sender.as_str(), chart.as_ref()),
        };
        let source = |sql: &mut Sql| {
            let position = [after.sort_name.as_str(), after.id.as_str()].map(Value::from);
            let parties = [person.into(), chart.map(|id| id.as_str()).into()];
            sql.hold(parties.into_iter().chain(position).chain([i64::from(limit).into()]));
            if query.is_empty() {
                sql.push(&select.replace("{named}", ""));
            } else {
                sql.hold([pattern(query).into()])
                    .push(&select.replace("{named}", NAMED));
            }
        };
        let statement = facts::of(source, organization.as_str()).statement(self.database.get_database_backend());
        let rows = self.database.query_all_raw(statement).await?;
        let mut rows = rows.iter().map(FactRow::read).collect::<Result<Vec<_>, _>>()?;
        let sender = match list {
            RecipientList::StaffForStaff(..) if !rows.is_empty() => Some(rows.remove(0)),
            _ => None,
        };
        let of_portal_users = matches!(list, RecipientList::PortalUsersForStaff(..));
        let made = rows
            .into_iter()
            .map(|row| candidate(row, sender.as_ref(), of_portal_users));
        made.collect::<Option<_>>().ok_or(StoreError::Corrupt("candidate"))
    }
}

/// For LIKE: the query somewhere. What means something to LIKE means itself in a query.
fn pattern(query: &NameQuery) -> String {
    let mut pattern = String::with_capacity(query.as_str().len() + 2);
    pattern.push('%');
    for character in query.as_str().chars() {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn candidate(row: FactRow, sender: Option<&FactRow>, is_portal_user: bool) -> Option<Candidate> {
    let (person, position) = row.candidate(is_portal_user)?;
    let mut facts = Facts::default();
    row.add_to(&mut facts);
    if let Some(sender) = sender {
        sender.clone().add_to(&mut facts);
    }
    Some(Candidate {
        person,
        position,
        facts,
    })
}
