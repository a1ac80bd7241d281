//! `carepost.notification.v1.NotificationService`: one file for each RPC.

mod convert;
mod get_delivery;
mod get_preferences;
mod list_deliveries;
mod preview_email;
mod retry_delivery;
mod status;
mod update_preferences;

use std::sync::Arc;

use carepost_identity::{PersonId, StaffId};
use carepost_proto::{
    common::v1::ErrorReason,
    notification::v1::{
        GetDeliveryRequest, GetDeliveryResponse, GetPreferencesRequest, GetPreferencesResponse, ListDeliveriesRequest,
        ListDeliveriesResponse, PreviewEmailRequest, PreviewEmailResponse, RetryDeliveryRequest, RetryDeliveryResponse,
        UpdatePreferencesRequest, UpdatePreferencesResponse, notification_service_server::NotificationService,
    },
};
use carepost_rpc::{Caller, status::refusal};
use carepost_runtime::Clock;
use lettre::Address;
use tokio::sync::Notify;
use tonic::{Request, Response, Status, async_trait};

use crate::store::{Store, Write};

/// What the RPCs work with.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The address that emails come from.
    pub from: Address,
    /// Wakes the mailer.
    pub mailer: Arc<Notify>,
}

impl Notification {
    fn write<'a>(&self, caller: &'a Caller) -> Write<'a> {
        Write {
            organization: &caller.organization,
            actor: &caller.actor,
            now: self.clock.now(),
            occasion: &caller.occasion,
        }
    }
}

/// The member of staff who calls. A portal user has no preferences: each message to them sends an email (N1).
fn staff(caller: &Caller) -> Result<&StaffId, Status> {
    match caller.person()? {
        PersonId::Staff(id) => Ok(id),
        PersonId::Portal(_) => Err(refusal(
            ErrorReason::CallerNotAllowed,
            "only staff have preferences: each message to a portal user sends them an email",
        )),
    }
}

/// Each RPC: who calls, then the handler of its file.
macro_rules! rpcs {
    ($($rpc:ident: $request:ty => $response:ty;)*) => {
        #[async_trait]
        impl NotificationService for Notification {
            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let caller = Caller::of(&request)?;
                $rpc::handle(self, &caller, request.into_inner()).await.map(Response::new)
            })*
        }
    };
}

rpcs! {
    get_delivery: GetDeliveryRequest => GetDeliveryResponse;
    list_deliveries: ListDeliveriesRequest => ListDeliveriesResponse;
    retry_delivery: RetryDeliveryRequest => RetryDeliveryResponse;
    preview_email: PreviewEmailRequest => PreviewEmailResponse;
    get_preferences: GetPreferencesRequest => GetPreferencesResponse;
    update_preferences: UpdatePreferencesRequest => UpdatePreferencesResponse;
}
