//! `BatchCheckEligibility`: many questions, answered from one state of the directory.

use carepost_proto::eligibility::v1::{BatchCheckEligibilityRequest, BatchCheckEligibilityResponse};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Eligibility, convert, status};
use crate::domain::decision::{Question, decide};

const MAX_QUESTIONS: usize = 100;

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: BatchCheckEligibilityRequest,
) -> Result<BatchCheckEligibilityResponse, Status> {
    let questions = questions(request)?;
    let facts = eligibility.store.read_facts(&caller.organization, &questions).await;
    let facts = facts.map_err(|error| status::of_store(&error))?;
    let decisions = questions
        .iter()
        .zip(&facts)
        .map(|(question, facts)| decide(question, facts));
    Ok(BatchCheckEligibilityResponse {
        decisions: decisions.map(convert::decision).collect(),
    })
}

/// The first malformed question ends the reading: the names of all wrong fields of a hundred could be too long for an answer.
fn questions(request: BatchCheckEligibilityRequest) -> Result<Vec<Question>, Status> {
    let mut violations = Violations::default();
    if !(1..=MAX_QUESTIONS).contains(&request.questions.len()) {
        violations.add("questions", format!("must be 1 to {MAX_QUESTIONS}"));
        return violations.finish(None);
    }
    let mut questions = Vec::with_capacity(request.questions.len());
    for (place, question) in request.questions.into_iter().enumerate() {
        match convert::question(&mut violations, &format!("questions[{place}]"), Some(question)) {
            Some(question) => questions.push(question),
            None => return violations.finish(None),
        }
    }
    violations.finish(Some(questions))
}
