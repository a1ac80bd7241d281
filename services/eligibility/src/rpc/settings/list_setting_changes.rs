//! `ListSettingChanges`: every change that was ever made, newest first (S4).

use carepost_identity::{LocationId, OrganizationId};
use carepost_proto::eligibility::v1::{
    ListSettingChangesRequest, ListSettingChangesResponse, list_setting_changes_request::Place,
};
use carepost_rpc::{Caller, Violations, page::List};
use chrono::DateTime;
use tonic::Status;
use uuid::Uuid;

use super::{Administration, convert, told};
use crate::{
    domain::directory::{ChangesOf, SettingChange},
    store::ChangePosition,
};

/// Microseconds and id: what a token holds.
type Written = (i64, String);

pub(super) async fn handle(
    administration: &Administration,
    caller: &Caller,
    request: ListSettingChangesRequest,
) -> Result<ListSettingChangesResponse, Status> {
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size);
    let of = changes_of(&mut violations, request.place);
    let asked = of.and_then(|of| {
        let list = list(&caller.organization, &of);
        let position = violations.take("page_token", list.position(&request.page_token))?;
        Some((of, list, position.and_then(read)))
    });
    let (of, list, before) = violations.finish(asked)?;
    // One more than fits tells whether there is a next page.
    let found = administration
        .store
        .setting_changes(&caller.organization, &caller.actor, &of, before, size + 1)
        .await;
    let mut changes = told(found)?;
    let more = changes.len() > size as usize;
    changes.truncate(size as usize);
    let last = changes.last().filter(|_| more);
    Ok(ListSettingChangesResponse {
        next_page_token: last.map(|last| list.token(&written(last))).unwrap_or_default(),
        changes: changes.into_iter().map(convert::setting_change).collect(),
    })
}

fn changes_of(violations: &mut Violations, place: Option<Place>) -> Option<ChangesOf> {
    match place {
        None => Some(ChangesOf::Everything),
        Some(Place::General(true)) => Some(ChangesOf::General),
        Some(Place::General(false)) => {
            violations.add("general", "must be true if given");
            None
        }
        Some(Place::LocationId(id)) => violations
            .take("location_id", LocationId::parse(id))
            .map(ChangesOf::Location),
    }
}

fn list(organization: &OrganizationId, of: &ChangesOf) -> List {
    let (kind, location) = match of {
        ChangesOf::Everything => ("all", ""),
        ChangesOf::General => ("general", ""),
        ChangesOf::Location(id) => ("location", id.as_str()),
    };
    List::new(&["ListSettingChanges", organization.as_str(), kind, location])
}

fn written(change: &SettingChange) -> Written {
    (change.changed_at.timestamp_micros(), change.id.to_string())
}

fn read((micros, id): Written) -> Option<ChangePosition> {
    Some((DateTime::from_timestamp_micros(micros)?, Uuid::parse_str(&id).ok()?))
}
