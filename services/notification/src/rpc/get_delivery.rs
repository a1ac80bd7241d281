//! `GetDelivery`: one delivery with its attempts (N5).

use carepost_audit::Subject;
use carepost_proto::notification::v1::{GetDeliveryRequest, GetDeliveryResponse};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{Notification, convert, status};

/// The most attempts in an answer: the last ones.
const MAX_ATTEMPTS: u64 = 100;

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    request: GetDeliveryRequest,
) -> Result<GetDeliveryResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.uuid("delivery_id", &request.delivery_id);
    let id = violations.finish(id)?;
    caller.occasion.note(Subject::delivery(id));
    let found = notification.store.delivery(&caller.organization, id).await;
    let Some(delivery) = found.map_err(|error| status::of_store(&error))? else {
        return Err(not_found("delivery"));
    };
    let attempts = notification
        .store
        .attempts(&caller.organization, &delivery, MAX_ATTEMPTS)
        .await;
    let attempts = attempts.map_err(|error| status::of_store(&error))?;
    Ok(GetDeliveryResponse {
        delivery: Some(convert::delivery(delivery)),
        attempts: attempts.into_iter().map(convert::attempt).collect(),
    })
}
