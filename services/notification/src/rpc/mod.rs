//! `carepost.notification.v1.NotificationService`: one file for each RPC.

mod convert;
mod get_delivery;
mod list_deliveries;
mod status;

use carepost_proto::notification::v1::{
    GetDeliveryRequest, GetDeliveryResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    notification_service_server::NotificationService,
};
use carepost_rpc::Caller;
use tonic::{Request, Response, Status, async_trait};

use crate::store::Store;

/// What the RPCs work with.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The ledger.
    pub store: Store,
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
}
