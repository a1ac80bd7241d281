//! Who is active now.

use carepost_identity::{OrganizationId, StaffId};
use carepost_rpc::deadline::Deadline;

use super::{Eligibility, NoDecision};
use crate::domain::{Activity, any_reply_of};

impl Eligibility {
    /// Whether these members of staff are active, in their order. It is what decides about their messages: nobody can be active
    /// here and inactive there.
    ///
    /// # Errors
    /// If there is no answer about all of them in time.
    pub async fn activity(
        &self,
        organization: &OrganizationId,
        deadline: Deadline,
        staff: impl Iterator<Item = &StaffId>,
    ) -> Result<Vec<Activity>, NoDecision> {
        let replies: Option<Vec<_>> = staff.map(any_reply_of).collect();
        let replies = replies.ok_or(NoDecision::Answer)?;
        let decisions = self.check_replies(organization, deadline, &replies).await?;
        Ok(decisions.iter().map(Activity::of_sender).collect())
    }
}
