//! `carepost.eligibility.v1`: one file for each RPC. Those of the directory are in a folder of their own.

mod batch_check_eligibility;
mod batch_get_names;
mod check_eligibility;
mod convert;
mod directory;
mod get_compose_options;
mod get_email_recipient;
mod list_eligible_recipients;
mod settings;
mod status;

use carepost_proto::eligibility::v1::{
    BatchCheckEligibilityRequest, BatchCheckEligibilityResponse, BatchGetNamesRequest, BatchGetNamesResponse,
    CheckEligibilityRequest, CheckEligibilityResponse, GetComposeOptionsRequest, GetComposeOptionsResponse,
    GetEmailRecipientRequest, GetEmailRecipientResponse, ListEligibleRecipientsRequest, ListEligibleRecipientsResponse,
    eligibility_service_server::EligibilityService,
};
use carepost_rpc::Caller;
use tonic::{Request, Response, Status, async_trait};

use crate::store::Store;

pub use directory::{Directory, ImportLimits};
pub use settings::Administration;

/// What the RPCs of `EligibilityService` work with.
#[derive(Clone, Debug)]
pub struct Eligibility {
    /// The directory and the settings.
    pub store: Store,
}

/// Each RPC: who calls, then the handler of its file.
macro_rules! rpcs {
    ($($rpc:ident: $request:ty => $response:ty;)* ) => {
        #[async_trait]
        impl EligibilityService for Eligibility {
            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let caller = Caller::of(&request)?;
                $rpc::handle(self, &caller, request.into_inner()).await.map(Response::new)
            })*
        }
    };
}

rpcs! {
    check_eligibility: CheckEligibilityRequest => CheckEligibilityResponse;
    batch_check_eligibility: BatchCheckEligibilityRequest => BatchCheckEligibilityResponse;
    list_eligible_recipients: ListEligibleRecipientsRequest => ListEligibleRecipientsResponse;
    get_email_recipient: GetEmailRecipientRequest => GetEmailRecipientResponse;
    get_compose_options: GetComposeOptionsRequest => GetComposeOptionsResponse;
    batch_get_names: BatchGetNamesRequest => BatchGetNamesResponse;
}
