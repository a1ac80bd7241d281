//! What persons and patients are called now.

use carepost_identity::{ChartId, OrganizationId, PersonId};
use carepost_proto::eligibility::v1::BatchGetNamesRequest;

use super::{Eligibility, NoDecision, client};
use crate::domain::{Named, Names};

/// The most persons and charts together whose names are asked at once.
pub const MOST_NAMES: usize = 1_000;

impl Eligibility {
    /// The names of up to [`MOST_NAMES`] persons and charts.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn names(&self, organization: &OrganizationId, of: &Named) -> Result<Names, NoDecision> {
        let request = BatchGetNamesRequest {
            persons: of.persons.iter().map(PersonId::to_string).collect(),
            chart_ids: of.charts.iter().map(ChartId::to_string).collect(),
        };
        let answer = self
            .0
            .call(organization, None, request, |channel, request| async move {
                client(channel).batch_get_names(request).await
            })
            .await?;
        let mut names = Names::default();
        for party in answer.persons {
            let person = PersonId::parse(&party.person).map_err(|_| NoDecision::Answer)?;
            names.persons.insert(person, party.display_name);
        }
        for chart in answer.charts {
            let id = ChartId::parse(chart.chart_id).map_err(|_| NoDecision::Answer)?;
            names.patients.insert(id, chart.patient_name);
        }
        // A name that is empty is none: the copy is better.
        names.persons.retain(|_, name| !name.is_empty());
        names.patients.retain(|_, name| !name.is_empty());
        Ok(names)
    }
}
