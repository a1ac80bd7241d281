//! `CheckEligibility`: whether one message may be sent now, and if not, every reason why.

use carepost_proto::eligibility::v1::{CheckEligibilityRequest, CheckEligibilityResponse};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Eligibility, convert, status};
use crate::domain::decision::decide;

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: CheckEligibilityRequest,
) -> Result<CheckEligibilityResponse, Status> {
    let mut violations = Violations::default();
    let question = convert::question(&mut violations, "question", request.question);
    let questions = [violations.finish(question)?];
    let facts = eligibility.store.read_facts(&caller.organization, &questions).await;
    let facts = facts.map_err(|error| status::of_store(&error))?;
    let mut decisions = questions
        .iter()
        .zip(&facts)
        .map(|(question, facts)| decide(question, facts));
    Ok(CheckEligibilityResponse {
        decision: decisions.next().map(convert::decision),
    })
}
