//! `RetryDelivery`: a delivery is due at once (N5).

use carepost_audit::Subject;
use carepost_proto::{
    common::v1::ErrorReason,
    notification::v1::{RetryDeliveryRequest, RetryDeliveryResponse},
};
use carepost_rpc::{
    Caller, Violations,
    status::{not_found, refusal},
};
use tonic::Status;

use super::{Notification, convert, status};
use crate::domain::Retry;

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    request: RetryDeliveryRequest,
) -> Result<RetryDeliveryResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.uuid("delivery_id", &request.delivery_id);
    let id = violations.finish(id)?;
    caller.occasion.note(Subject::delivery(id));
    let retried = notification.store.retry(notification.write(caller), id).await;
    let Some((retry, delivery)) = retried.map_err(|error| status::of_store(&error))? else {
        return Err(not_found("delivery"));
    };
    match retry {
        Retry::Refuse => {
            return Err(refusal(
                ErrorReason::DeliverySent,
                "the email was sent: it is not sent again",
            ));
        }
        Retry::Anew | Retry::Now => {
            tracing::info!(delivery = %id, anew = retry == Retry::Anew, "an operator retries a delivery");
            notification.mailer.notify_one();
        }
        Retry::Leave => {}
    }
    Ok(RetryDeliveryResponse {
        delivery: Some(convert::delivery(delivery)),
    })
}
