//! `SettingsService`: one file for each RPC.

mod get_brand;
mod get_messaging_settings;
mod list_setting_changes;
mod update_brand;
mod update_messaging_settings;

use carepost_identity::PersonId;
use carepost_proto::{
    common::v1::ErrorReason,
    eligibility::v1::{
        GetBrandRequest, GetBrandResponse, GetMessagingSettingsRequest, GetMessagingSettingsResponse,
        ListSettingChangesRequest, ListSettingChangesResponse, UpdateBrandRequest, UpdateBrandResponse,
        UpdateMessagingSettingsRequest, UpdateMessagingSettingsResponse, settings_service_server::SettingsService,
    },
};
use carepost_rpc::{
    Caller, Violations,
    status::{not_found, refusal, refusal_with},
};
use carepost_runtime::Clock;
use tonic::{Request, Response, Status, async_trait};

use super::{convert, status};
use crate::{
    domain::directory::{ADMINISTRATORS, Etag, SettingsRefusal},
    store::{Store, StoreError, Told, Write},
};

/// What the RPCs of `SettingsService` work with.
#[derive(Clone, Debug)]
pub struct Administration {
    /// The directory and the settings.
    pub store: Store,
    /// Tells when something is changed.
    pub clock: Clock,
}

impl Administration {
    fn write<'a>(&self, caller: &'a Caller) -> Write<'a> {
        Write {
            organization: &caller.organization,
            actor: &caller.actor,
            now: self.clock.now(),
            occasion: &caller.occasion,
        }
    }
}

/// Each RPC: who calls, then the handler of its file. Portal users administer nothing; which staff do, their roles say.
macro_rules! rpcs {
    ($($rpc:ident: $request:ty => $response:ty;)*) => {
        #[async_trait]
        impl SettingsService for Administration {
            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let caller = Caller::of(&request)?;
                if matches!(caller.actor.person(), Some(PersonId::Portal(_))) {
                    return Err(not_for_portal_users());
                }
                $rpc::handle(self, &caller, request.into_inner()).await.map(Response::new)
            })*
        }
    };
}

rpcs! {
    get_messaging_settings: GetMessagingSettingsRequest => GetMessagingSettingsResponse;
    update_messaging_settings: UpdateMessagingSettingsRequest => UpdateMessagingSettingsResponse;
    get_brand: GetBrandRequest => GetBrandResponse;
    update_brand: UpdateBrandRequest => UpdateBrandResponse;
    list_setting_changes: ListSettingChangesRequest => ListSettingChangesResponse;
}

/// An etag that was brought back.
fn etag(violations: &mut Violations, text: String) -> Option<Etag> {
    let given = if text.is_empty() {
        Err("is required")
    } else {
        Ok(Etag::brought(text))
    };
    violations.take("etag", given)
}

/// What the store told, or how the call is refused.
fn told<T>(told: Result<Told<T>, StoreError>) -> Result<T, Status> {
    match told.map_err(|error| status::of_store(&error))? {
        Ok(answer) => Ok(answer),
        Err(SettingsRefusal::NotAdministrator) => Err(role_missing()),
        Err(SettingsRefusal::NoOrganization) => Err(not_found("organization")),
        Err(SettingsRefusal::NoLocation) => Err(not_found("location")),
        Err(SettingsRefusal::Outdated) => Err(refusal(
            ErrorReason::EtagMismatch,
            "it was changed after it was read: read it again",
        )),
    }
}

fn not_for_portal_users() -> Status {
    refusal(
        ErrorReason::CallerNotAllowed,
        "portal users cannot see or change settings: only staff and services can",
    )
}

fn role_missing() -> Status {
    let roles = ADMINISTRATORS
        .map(crate::domain::directory::StaffRole::as_str)
        .join(",");
    let message = "this member of staff needs an active account and one of the roles to see or change settings";
    refusal_with(ErrorReason::RoleMissing, message, &[("roles", roles)])
}
