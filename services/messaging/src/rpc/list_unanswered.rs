//! `ListUnanswered`: the portal conversations that wait for an answer, counted for each member of staff, inactive staff first.

use carepost_identity::{OrganizationId, StaffId};
use carepost_proto::messaging::v1 as proto;
use carepost_rpc::{Caller, Violations, deadline::Deadline, page::List};
use chrono::{DateTime, TimeDelta, Utc};
use tonic::Status;

use super::{Messaging, convert::timestamp, status};
use crate::domain::{Activity, Bands, Place, Unanswered, Waiting};

/// The longest span that can be asked for.
const LONGEST: TimeDelta = TimeDelta::days(3_650);

/// What is asked for.
#[derive(Debug)]
struct Page {
    older_than: TimeDelta,
    size: usize,
    after: Option<After>,
    list: List,
}

/// Where the page before this one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct After {
    place: Place,
    /// Whether inactive staff came first: if not, they do not on the pages after it.
    by_activity: bool,
}

/// As a token holds it: whether inactive staff come first, whether this one is inactive, since when (microseconds), who.
type Token = (bool, bool, i64, String);

pub(super) async fn handle(
    messaging: &Messaging,
    caller: &Caller,
    deadline: Deadline,
    request: proto::ListUnansweredRequest,
) -> Result<proto::ListUnansweredResponse, Status> {
    let page = parse(&caller.organization, &request)?;
    let now = messaging.clock.now();
    let found = messaging
        .store
        .unanswered(&caller.organization, now, now - page.older_than)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let activities = activities(messaging, caller, deadline, &page, &found).await?;
    let by_activity = activities.is_some() && page.after.as_ref().is_none_or(|after| after.by_activity);
    let rows = found.by_staff.into_iter().enumerate().map(|(row, waiting)| {
        let activity = activities.as_ref().and_then(|known| known.get(row).copied());
        (waiting, activity.unwrap_or(Activity::Unknown))
    });
    let (rows, next) = cut(&page, by_activity, rows.collect());
    Ok(proto::ListUnansweredResponse {
        staff: rows
            .into_iter()
            .map(|(waiting, activity)| shown(waiting, activity))
            .collect(),
        next_page_token: next.map(|next| page.list.token(&token(&next))).unwrap_or_default(),
        total: Some(counted(found.total)),
        staff_count: found.staff_count,
    })
}

/// Who is active, in the order of what was found. Nothing if that is unknown, as long as the list can go on without.
async fn activities(
    messaging: &Messaging,
    caller: &Caller,
    deadline: Deadline,
    page: &Page,
    found: &Unanswered,
) -> Result<Option<Vec<Activity>>, Status> {
    let patience = Deadline::after(deadline.remaining() / 2);
    let staff = found.by_staff.iter().map(|waiting| &waiting.staff);
    let asked = messaging.eligibility.activity(&caller.organization, patience, staff);
    match asked.await {
        Ok(activities) => Ok(Some(activities)),
        // In another order, its further pages would leave somebody out.
        Err(error) if page.after.as_ref().is_some_and(|after| after.by_activity) => Err(status::of_no_decision(&error)),
        Err(error) => {
            tracing::warn!(%error, staff = found.by_staff.len(), "who is active is unknown");
            Ok(None)
        }
    }
}

/// The rows of the page in their order, and where it ends if there are more.
fn cut(page: &Page, by_activity: bool, rows: Vec<(Waiting, Activity)>) -> (Vec<(Waiting, Activity)>, Option<After>) {
    let place = |(waiting, activity): &(Waiting, Activity)| {
        Place::of(waiting, if by_activity { *activity } else { Activity::Unknown })
    };
    let mut placed: Vec<_> = rows.into_iter().map(|row| (place(&row), row)).collect();
    if let Some(after) = &page.after {
        placed.retain(|(place, _)| *place > after.place);
    }
    placed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = placed.len() > page.size;
    placed.truncate(page.size);
    let last = placed.last().filter(|_| more).map(|(place, _)| After {
        place: place.clone(),
        by_activity,
    });
    (placed.into_iter().map(|(_, row)| row).collect(), last)
}

fn parse(organization: &OrganizationId, request: &proto::ListUnansweredRequest) -> Result<Page, Status> {
    let mut violations = Violations::default();
    let older_than = violations.take("older_than", span(request.older_than.unwrap_or_default()));
    let size = violations.page_size(request.page_size);
    let bound = format!("{older_than:?}");
    let list = List::new(&["ListUnanswered", organization.as_str(), &bound]);
    let after = violations.take("page_token", list.position::<Token>(&request.page_token));
    let after = after
        .flatten()
        .and_then(|token| violations.take("page_token", read(token)));
    violations.finish(older_than.map(|older_than| Page {
        older_than,
        size: size as usize,
        after,
        list,
    }))
}

fn span(given: prost_types::Duration) -> Result<TimeDelta, &'static str> {
    let nanos = u32::try_from(given.nanos).ok();
    let span = nanos.and_then(|nanos| TimeDelta::new(given.seconds, nanos));
    span.filter(|span| (TimeDelta::zero()..=LONGEST).contains(span))
        .ok_or("must be from 0 to 3,650 days")
}

fn token(after: &After) -> Token {
    let (is_inactive, since, staff) = after.place.parts();
    (
        after.by_activity,
        is_inactive,
        since.timestamp_micros(),
        staff.to_string(),
    )
}

fn read((by_activity, is_inactive, micros, staff): Token) -> Result<After, &'static str> {
    let since = DateTime::<Utc>::from_timestamp_micros(micros);
    let parts = since.zip(StaffId::parse(staff).ok());
    let (since, staff) = parts.ok_or("is not a page token of this list")?;
    Ok(After {
        place: Place::new(is_inactive, since, staff),
        by_activity,
    })
}

fn shown(waiting: Waiting, activity: Activity) -> proto::UnansweredByStaff {
    let activity = match activity {
        Activity::Active => proto::StaffActivity::Active,
        Activity::Inactive => proto::StaffActivity::Inactive,
        Activity::Unknown => proto::StaffActivity::Unknown,
    };
    proto::UnansweredByStaff {
        staff_id: waiting.staff.into(),
        activity: activity.into(),
        waiting: Some(counted(waiting.bands)),
        waiting_since: Some(timestamp(waiting.since)),
    }
}

fn counted(bands: Bands) -> proto::WaitingConversations {
    proto::WaitingConversations {
        count: bands.count(),
        under_1_day: bands.under_1_day,
        days_1_to_3: bands.days_1_to_3,
        days_3_to_7: bands.days_3_to_7,
        days_7_to_30: bands.days_7_to_30,
        over_30_days: bands.over_30_days,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Duration;

    use super::*;

    fn request(seconds: i64, nanos: i32) -> proto::ListUnansweredRequest {
        proto::ListUnansweredRequest {
            older_than: Some(Duration { seconds, nanos }),
            ..Default::default()
        }
    }

    fn parsed(request: &proto::ListUnansweredRequest) -> Result<Page, Status> {
        parse(&OrganizationId::parse("southern").unwrap(), request)
    }

    #[test]
    fn a_span_is_neither_negative_nor_endless() {
        assert_eq!(parsed(&Default::default()).unwrap().older_than, TimeDelta::zero());
        let hour = parsed(&request(3_600, 5)).unwrap().older_than;
        assert_eq!(hour, TimeDelta::hours(1) + TimeDelta::nanoseconds(5));
        assert!(parsed(&request(3_650 * 86_400, 0)).is_ok());
        for (seconds, nanos) in [
            (-1, 0),
            (0, -1),
            (i64::MAX, 0),
            (3_650 * 86_400, 1),
            (0, i32::MAX),
            (i64::MIN, i32::MIN),
        ] {
            assert!(parsed(&request(seconds, nanos)).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_token_leads_back_to_its_place_in_its_own_list_alone() {
        let first = parsed(&request(60, 0)).unwrap();
        assert_eq!(first.after, None);
        let since = DateTime::from_timestamp_micros(7).unwrap();
        let after = After {
            place: Place::new(true, since, StaffId::parse("nurse").unwrap()),
            by_activity: true,
        };
        let page_token = first.list.token(&token(&after));
        let next = |seconds| proto::ListUnansweredRequest {
            page_token: page_token.clone(),
            ..request(seconds, 0)
        };
        assert_eq!(parsed(&next(60)).unwrap().after, Some(after));
        assert!(parsed(&next(61)).is_err());
        assert!(parse(&OrganizationId::parse("prairie").unwrap(), &next(60)).is_err());
    }
}
