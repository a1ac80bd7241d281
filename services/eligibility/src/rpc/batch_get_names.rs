//! `BatchGetNames`: the names of persons and charts as they are now, for who keeps copies of them (D2).

use carepost_identity::{ChartId, PersonId};
use carepost_proto::eligibility::v1::{BatchGetNamesRequest, BatchGetNamesResponse, ChartSummary, Party};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Eligibility, status};

const MAX_NAMES: usize = 1_000;
/// The most wrong ids that are noted: the answer must stay small.
const MAX_NOTED: usize = 10;

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: BatchGetNamesRequest,
) -> Result<BatchGetNamesResponse, Status> {
    let mut violations = Violations::default();
    if request.persons.len() + request.chart_ids.len() > MAX_NAMES {
        violations.add("persons", format!("must with chart_ids be at most {MAX_NAMES}"));
        return violations.finish(None);
    }
    let persons = ids(&mut violations, "persons", &request.persons, |text| {
        PersonId::parse(text)
    });
    let charts = ids(&mut violations, "chart_ids", &request.chart_ids, |text| {
        ChartId::parse(text)
    });
    let (persons, charts) = violations.finish(persons.zip(charts))?;
    let names = eligibility.store.names(&caller.organization, &persons, &charts).await;
    let names = names.map_err(|error| status::of_store(&error))?;
    let party = |person: &PersonId| {
        Some(Party {
            display_name: names.persons.get(person)?.clone().into(),
            person: person.to_string(),
        })
    };
    let chart = |id: &ChartId| {
        Some(ChartSummary {
            patient_name: names.charts.get(id)?.clone().into(),
            chart_id: id.to_string(),
            url: String::new(),
        })
    };
    Ok(BatchGetNamesResponse {
        persons: persons.iter().filter_map(party).collect(),
        charts: charts.iter().filter_map(chart).collect(),
    })
}

fn ids<T, E: std::fmt::Display>(
    violations: &mut Violations,
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let mut ids = Vec::with_capacity(texts.len());
    let mut wrong = 0;
    for (place, text) in texts.iter().enumerate() {
        match violations.take(&format!("{field}[{place}]"), parse(text)) {
            Some(id) => ids.push(id),
            None => wrong += 1,
        }
        if wrong == MAX_NOTED {
            break;
        }
    }
    (wrong == 0).then_some(ids)
}
