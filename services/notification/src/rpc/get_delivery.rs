//! `GetDelivery`: one delivery (N5).

use carepost_proto::notification::v1::{GetDeliveryRequest, GetDeliveryResponse};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{Notification, convert, status};

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    request: GetDeliveryRequest,
) -> Result<GetDeliveryResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.uuid("delivery_id", &request.delivery_id);
    let id = violations.finish(id)?;
    let found = notification.store.delivery(&caller.organization, id).await;
    match found.map_err(|error| status::of_store(&error))? {
        Some(delivery) => Ok(GetDeliveryResponse {
            delivery: Some(convert::delivery(delivery)),
        }),
        None => Err(not_found("delivery")),
    }
}
