//! `GetUnreadCount`: the badge (I3).

use carepost_proto::messaging::v1::{GetUnreadCountRequest, GetUnreadCountResponse};
use tonic::Status;

use super::{Call, Messaging, convert, status};

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    _request: GetUnreadCountRequest,
) -> Result<GetUnreadCountResponse, Status> {
    let mailbox = messaging.store.mailbox(&call.caller.organization, &call.person).await;
    let mailbox = mailbox.map_err(|error| status::of_store(&error))?;
    Ok(GetUnreadCountResponse {
        mailbox: Some(convert::mailbox(mailbox)),
    })
}
