//! Reads the facts of questions, all in one statement.

use carepost_identity::OrganizationId;
use sea_orm::ConnectionTrait;

use super::{Store, StoreError, bulk, facts, facts::FactRow, sql::Sql};
use crate::domain::decision::{Facts, Question};

impl Store {
    /// The facts of each question, in their order, from one state of the directory.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn read_facts(
        &self,
        organization: &OrganizationId,
        questions: &[Question],
    ) -> Result<Vec<Facts>, StoreError> {
        let (owners, rows): (Vec<_>, Vec<_>) = questions
            .iter()
            .enumerate()
            .flat_map(|(owner, question)| rows(question).map(move |row| (owner, row)))
            .unzip();
        let source = |sql: &mut Sql| {
            let numbered = (0_i64..).zip(bulk::padded(&rows)).map(|(n, row)| {
                let (staff, portal_user, chart, places) = *row;
                vec![n.into(), staff.into(), portal_user.into(), chart.into(), places.into()]
            });
            sql.push("VALUES ").rows(numbered);
        };
        let statement = facts::of(source, organization.as_str()).statement(self.database.get_database_backend());
        let mut answers = vec![Facts::default(); questions.len()];
        for row in &self.database.query_all_raw(statement).await? {
            let row = FactRow::read(row)?;
            let owner = usize::try_from(row.n).ok().and_then(|n| owners.get(n));
            if let Some(facts) = owner.and_then(|owner| answers.get_mut(*owner)) {
                row.add_to(facts);
            }
        }
        Ok(answers)
    }
}

/// A member of staff, the portal user, the chart, and whether the places that the former reaches matter.
type Row<'a> = (&'a str, Option<&'a str>, Option<&'a str>, bool);

/// A row for each member of staff of a question.
fn rows(question: &Question) -> impl Iterator<Item = Row<'_>> {
    let portal_user = question.portal_user().map(|id| id.as_str());
    let chart = question.chart().map(|id| id.as_str());
    let staff = question.staff().enumerate();
    staff.map(move |(place, staff)| (staff.as_str(), portal_user, chart, place == 0 && chart.is_none()))
}
