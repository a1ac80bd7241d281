//! Portal conversations that wait for an answer, counted: by age, and by who is to answer.

use std::cmp::Reverse;

use carepost_identity::{PersonId, StaffId};
use carepost_proto::common::v1::EligibilityReason;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, Parties};

/// How many conversations wait, by how long they have waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bands {
    /// Less than 1 day.
    pub under_1_day: i64,
    /// 1 day or more, less than 3: a weekend.
    pub days_1_to_3: i64,
    /// 3 days or more, less than 7.
    pub days_3_to_7: i64,
    /// 7 days or more, less than 30.
    pub days_7_to_30: i64,
    /// 30 days or more: mostly threads that ended with a word of thanks, which would hide what is only a week old.
    pub over_30_days: i64,
}

impl Bands {
    /// Where a band ends and the next one begins, in days.
    const EDGES: [i64; 4] = [1, 3, 7, 30];

    /// The moments of these edges, latest first: who has waited since then or before is in the older band.
    #[must_use]
    pub fn edges(now: DateTime<Utc>) -> [DateTime<Utc>; 4] {
        Self::EDGES.map(|days| now - TimeDelta::days(days))
    }

    /// Of the counts of all bands, youngest first.
    #[must_use]
    pub fn of(counts: [i64; 5]) -> Self {
        let [under_1_day, days_1_to_3, days_3_to_7, days_7_to_30, over_30_days] = counts;
        Self {
            under_1_day,
            days_1_to_3,
            days_3_to_7,
            days_7_to_30,
            over_30_days,
        }
    }

    /// All of them.
    #[must_use]
    pub fn count(self) -> i64 {
        self.under_1_day + self.days_1_to_3 + self.days_3_to_7 + self.days_7_to_30 + self.over_30_days
    }
}

/// What waits for one member of staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who is to answer.
    pub staff: StaffId,
    /// Since when the one waits that has waited longest.
    pub since: DateTime<Utc>,
    /// How many wait.
    pub bands: Bands,
}

/// What waits in an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// By member of staff, longest wait first. Those with the shortest waits may be left out.
    pub by_staff: Vec<Waiting>,
    /// How many members of staff there are, those left out included.
    pub staff_count: i64,
    /// What waits for all of them.
    pub total: Bands,
}

/// Whether a member of staff is active now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// They are.
    Active,
    /// They are not, or there is nobody of this id.
    Inactive,
    /// Eligibility does not say.
    Unknown,
}

impl Activity {
    /// What a decision about a message of theirs says of its sender.
    #[must_use]
    pub fn of_sender(decision: &Decision) -> Self {
        let gone = |reason| {
            matches!(
                reason,
                EligibilityReason::StaffInactive | EligibilityReason::UnknownStaff
            )
        };
        if decision.denials.iter().any(|denial| gone(denial.reason)) {
            Self::Inactive
        } else {
            Self::Active
        }
    }
}

/// A message of a member of staff that nobody sends: whether they may is asked to learn whether they are active. As a reply
/// among staff without a chart, it is about nothing else that could be unknown first. To whom it goes does not matter.
#[must_use]
pub fn any_reply_of(staff: &StaffId) -> Option<Parties> {
    let other = if staff.as_str() == "0" { "1" } else { "0" };
    let other = StaffId::parse(other).ok()?;
    Parties::between(&PersonId::Staff(staff.clone()), &[other.into()], None)
}

/// A place in the list: inactive staff first if that is known, then the longest wait, then the lower id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    is_inactive: Reverse<bool>,
    since: DateTime<Utc>,
    staff: StaffId,
}

impl Place {
    /// A place that was told before.
    #[must_use]
    pub fn new(is_inactive: bool, since: DateTime<Utc>, staff: StaffId) -> Self {
        Self {
            is_inactive: Reverse(is_inactive),
            since,
            staff,
        }
    }

    /// Of what waits for a member of staff. With everybody's activity unknown, the wait alone counts.
    #[must_use]
    pub fn of(waiting: &Waiting, activity: Activity) -> Self {
        Self::new(activity == Activity::Inactive, waiting.since, waiting.staff.clone())
    }

    /// What it is made of: whether the member of staff is among the inactive, since when, and who.
    #[must_use]
    pub fn parts(&self) -> (bool, DateTime<Utc>, &StaffId) {
        (self.is_inactive.0, self.since, &self.staff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Denial;

    fn decision(reasons: &[EligibilityReason]) -> Decision {
        let denial = |reason: &EligibilityReason| Denial {
            reason: *reason,
            party: None,
            remedy: String::new(),
        };
        Decision {
            denials: reasons.iter().map(denial).collect(),
            names: [].into(),
            patient_name: None,
            chart_url: None,
            staff_chart_access: None,
            portal_user_connected: false,
        }
    }

    #[test]
    fn only_who_is_gone_is_inactive() {
        use EligibilityReason as Reason;
        for (reasons, activity) in [
            (&[][..], Activity::Active),
            (
                &[Reason::MessagingDisabled, Reason::NoActiveRecipient],
                Activity::Active,
            ),
            (&[Reason::MessagingDisabled, Reason::StaffInactive], Activity::Inactive),
            (&[Reason::UnknownStaff], Activity::Inactive),
        ] {
            assert_eq!(Activity::of_sender(&decision(reasons)), activity, "{reasons:?}");
        }
    }

    #[test]
    fn nobody_is_asked_whether_they_may_write_to_themselves() {
        for id in ["0", "1", "nurse"] {
            let parties = any_reply_of(&StaffId::parse(id).unwrap()).unwrap();
            assert_eq!(parties.everybody().len(), 2, "{id}");
            assert_eq!(parties.chart(), None);
        }
    }

    #[test]
    fn inactive_staff_come_first_then_the_longest_wait_then_the_lower_id() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let waiting = |staff: &str, seconds| Waiting {
            staff: StaffId::parse(staff).unwrap(),
            since: at(seconds),
            bands: Bands::default(),
        };
        let places = [
            Place::of(&waiting("d", 9), Activity::Inactive),
            Place::of(&waiting("a", 1), Activity::Active),
            Place::of(&waiting("b", 1), Activity::Active),
            Place::of(&waiting("a", 2), Activity::Active),
        ];
        assert!(places.is_sorted());
        let unknown = Place::of(&waiting("d", 9), Activity::Unknown);
        assert!(unknown > places[3], "by the wait alone");
    }

    #[test]
    fn a_band_begins_where_the_one_before_ends() {
        let now = DateTime::from_timestamp(100 * 86_400, 0).unwrap();
        let ages = Bands::edges(now).map(|edge| (now - edge).num_days());
        assert_eq!(ages, Bands::EDGES);
        assert_eq!(Bands::of([1, 2, 3, 4, 5]).count(), 15);
        assert_eq!(Bands::of([1, 2, 3, 4, 5]).over_30_days, 5);
    }
}
