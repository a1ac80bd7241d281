//! The facts of decisions, in one statement: so a decision sees every change that was acknowledged before it began (D2).
//!
//! The statement begins with its questions, as rows of `q`: a number, a member of staff, a portal user and a chart, each of
//! the latter absent where the question has none, and whether the settings of the locations that the member of staff reaches
//! matter. Where the rows come from differs: from a question, or from the candidates of a list.

use carepost_identity::{PersonId, PortalUserId, StaffId};
use sea_orm::QueryResult;

use super::{
    StoreError,
    row::{get, id, messaging, optional, word},
    sql::Sql,
};
use crate::domain::{
    decision::{ChartFacts, Facts, Places, PortalUserFacts, Position, StaffFacts},
    directory::{AccountStatus, ConnectionStatus, Messaging, Name, Relationship, WebUrl},
};

/// Raw facts, one row for each of `q`. `$1` is the organization.
const FACTS: &str = "
SELECT q.n AS n, q.chart AS chart_id,
  general.enabled AS general_enabled, general.audience AS general_audience,
  c.patient_name AS patient_name, c.url AS chart_url, own.enabled AS own_enabled, own.audience AS own_audience,
  s.id AS staff, s.name AS staff_name, s.sort_name AS staff_sort_name,
  s.active = TRUE AND s.deleted = FALSE AS staff_active, s.all_locations AS all_locations,
  r.role IS NOT NULL AS available, sl.location IS NOT NULL AS lists_location,
  COALESCE(cs.care_team, FALSE) AS on_care_team, COALESCE(cs.barred, FALSE) AS barred,
  u.id AS portal_user, u.name AS portal_user_name, u.sort_name AS portal_user_sort_name,
  CASE WHEN u.deleted = TRUE THEN 'disabled' ELSE u.status END AS account_status,
  k.relationship AS relationship, k.status AS connection_status,
  CASE WHEN q.places THEN EXISTS (SELECT 1 FROM location l
    JOIN messaging_setting m ON m.organization = $1 AND m.location = l.id
    WHERE l.organization = $1 AND l.deleted = FALSE AND m.enabled = TRUE) ELSE FALSE END AS any_enables,
  CASE WHEN q.places THEN EXISTS (SELECT 1 FROM location l
    WHERE l.organization = $1 AND l.deleted = FALSE AND NOT EXISTS (SELECT 1 FROM messaging_setting m
      WHERE m.organization = $1 AND m.location = l.id)) ELSE FALSE END AS any_follows,
  CASE WHEN q.places THEN EXISTS (SELECT 1 FROM staff_location sl
    JOIN location l ON l.organization = $1 AND l.id = sl.location AND l.deleted = FALSE
    JOIN messaging_setting m ON m.organization = $1 AND m.location = l.id
    WHERE sl.organization = $1 AND sl.staff = s.id AND m.enabled = TRUE) ELSE FALSE END AS listed_enables,
  CASE WHEN q.places THEN EXISTS (SELECT 1 FROM staff_location sl
    JOIN location l ON l.organization = $1 AND l.id = sl.location AND l.deleted = FALSE
    WHERE sl.organization = $1 AND sl.staff = s.id AND NOT EXISTS (SELECT 1 FROM messaging_setting m
      WHERE m.organization = $1 AND m.location = l.id)) ELSE FALSE END AS listed_follows
FROM q
LEFT JOIN chart c ON c.organization = $1 AND c.id = q.chart AND c.deleted = FALSE
LEFT JOIN messaging_setting own ON own.organization = $1 AND own.location = c.location
LEFT JOIN messaging_setting general ON general.organization = $1 AND general.location = ''
LEFT JOIN staff s ON s.organization = $1 AND s.id = q.staff
LEFT JOIN staff_role r ON r.organization = $1 AND r.staff = q.staff AND r.role = 'available_for_portal_messages'
LEFT JOIN staff_location sl ON sl.organization = $1 AND sl.staff = q.staff AND sl.location = c.location
LEFT JOIN chart_staff cs ON cs.organization = $1 AND cs.chart = q.chart AND cs.staff = q.staff
LEFT JOIN portal_user u ON u.organization = $1 AND u.id = q.portal_user
LEFT JOIN connection k ON k.organization = $1 AND k.portal_user = q.portal_user AND k.chart = q.chart";

/// The statement with the rows of `q` from this source: a select whose first bound value is the organization.
pub(super) fn of(source: impl FnOnce(&mut Sql), organization: &str) -> Sql {
    let mut sql = questions(source, organization);
    sql.push(FACTS).push(" ORDER BY q.n");
    sql
}

/// The same, with columns of other tables beside the facts: those that `joins` adds to the rows, `f`.
pub(super) fn with(columns: &str, joins: &str, source: impl FnOnce(&mut Sql), organization: &str) -> Sql {
    let mut sql = questions(source, organization);
    sql.push("SELECT f.*, ").push(columns).push(" FROM (").push(FACTS);
    sql.push(") AS f ").push(joins).push(" ORDER BY f.n");
    sql
}

fn questions(source: impl FnOnce(&mut Sql), organization: &str) -> Sql {
    let mut sql = Sql::new(
        "WITH q (n, staff, portal_user, chart, places) AS (",
        [organization.into()],
    );
    source(&mut sql);
    sql.push(")");
    sql
}

/// One row of the answer.
#[derive(Clone)]
pub(super) struct FactRow {
    pub n: i64,
    general: Option<Messaging>,
    chart: Option<ChartFacts>,
    pub staff: Option<(StaffId, Position, StaffFacts)>,
    pub portal_user: Option<(PortalUserId, Position, PortalUserFacts)>,
    all_places: Places,
}

impl FactRow {
    pub fn read(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self {
            n: get(row, "n")?,
            general: messaging(row, "general_enabled", "general_audience")?,
            chart: chart(row)?,
            staff: staff(row)?,
            portal_user: portal_user(row)?,
            all_places: places(row, "any_enables", "any_follows")?,
        })
    }

    /// The facts of a question that this row is part of.
    pub fn add_to(self, facts: &mut Facts) {
        facts.general = self.general;
        facts.chart = self.chart.or(facts.chart.take());
        facts.staff.extend(self.staff.map(|(id, _, staff)| (id, staff)));
        facts.portal_user = self.portal_user.map(|(_, _, user)| user).or(facts.portal_user.take());
        if self.all_places != Places::default() {
            facts.all_places = self.all_places;
        }
    }

    /// Whom a row of a list is about: the portal user or the member of staff that it was made for.
    pub fn candidate(&self, is_portal_user: bool) -> Option<(PersonId, Position)> {
        if is_portal_user {
            let (id, position, _) = self.portal_user.as_ref()?;
            Some((id.clone().into(), position.clone()))
        } else {
            let (id, position, _) = self.staff.as_ref()?;
            Some((id.clone().into(), position.clone()))
        }
    }
}

fn chart(row: &QueryResult) -> Result<Option<ChartFacts>, StoreError> {
    let Some(patient_name) = get::<Option<String>>(row, "patient_name")? else {
        return Ok(None);
    };
    Ok(Some(ChartFacts {
        patient_name: Name::stored(patient_name),
        url: optional(row, "chart_url", WebUrl::stored)?,
        location_setting: messaging(row, "own_enabled", "own_audience")?,
    }))
}

fn staff(row: &QueryResult) -> Result<Option<(StaffId, Position, StaffFacts)>, StoreError> {
    let Some(name) = get::<Option<String>>(row, "staff_name")? else {
        return Ok(None);
    };
    let facts = StaffFacts {
        name: Name::stored(name),
        active: get(row, "staff_active")?,
        available_for_portal_messages: get(row, "available")?,
        all_locations: get(row, "all_locations")?,
        lists_location: get(row, "lists_location")?,
        on_care_team: get(row, "on_care_team")?,
        barred: get(row, "barred")?,
        listed_places: places(row, "listed_enables", "listed_follows")?,
    };
    Ok(Some((
        id(row, "staff")?,
        position(row, "staff_sort_name", "staff")?,
        facts,
    )))
}

fn portal_user(row: &QueryResult) -> Result<Option<(PortalUserId, Position, PortalUserFacts)>, StoreError> {
    let Some(name) = get::<Option<String>>(row, "portal_user_name")? else {
        return Ok(None);
    };
    let connection = match get::<Option<String>>(row, "relationship")? {
        None => None,
        Some(_) => Some((
            word(row, "relationship", Relationship::from_word)?,
            word(row, "connection_status", ConnectionStatus::from_word)?,
        )),
    };
    let facts = PortalUserFacts {
        name: Name::stored(name),
        status: word(row, "account_status", AccountStatus::from_word)?,
        connection,
    };
    let position = position(row, "portal_user_sort_name", "portal_user")?;
    Ok(Some((id(row, "portal_user")?, position, facts)))
}

fn position(row: &QueryResult, sort_name: &str, id: &str) -> Result<Position, StoreError> {
    Ok(Position {
        sort_name: get(row, sort_name)?,
        id: get(row, id)?,
    })
}

fn places(row: &QueryResult, enables: &str, follows: &str) -> Result<Places, StoreError> {
    Ok(Places {
        own_setting_enables: get(row, enables)?,
        follows_general: get(row, follows)?,
    })
}
