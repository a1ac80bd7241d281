//! `DirectoryService`: the RPCs of each kind of record share a file.

mod chart;
mod import_answer;
mod import_directory;
mod list;
mod location;
mod organization;
mod portal_user;
mod staff;

use std::{sync::Arc, time::Duration};

use carepost_audit::Subject;
use carepost_proto::eligibility::v1::{
    DeleteChartRequest, DeleteChartResponse, DeleteLocationRequest, DeleteLocationResponse, DeleteOrganizationRequest,
    DeleteOrganizationResponse, DeletePortalUserRequest, DeletePortalUserResponse, DeleteStaffRequest,
    DeleteStaffResponse, GetChartRequest, GetChartResponse, GetLocationRequest, GetLocationResponse,
    GetOrganizationRequest, GetOrganizationResponse, GetPortalUserRequest, GetPortalUserResponse, GetStaffRequest,
    GetStaffResponse, ImportDirectoryRequest, ImportDirectoryResponse, ListChartsRequest, ListChartsResponse,
    ListLocationsRequest, ListLocationsResponse, ListOrganizationsRequest, ListOrganizationsResponse,
    ListPortalUsersRequest, ListPortalUsersResponse, ListStaffRequest, ListStaffResponse, PutChartRequest,
    PutChartResponse, PutLocationRequest, PutLocationResponse, PutOrganizationRequest, PutOrganizationResponse,
    PutPortalUserRequest, PutPortalUserResponse, PutStaffRequest, PutStaffResponse,
    directory_service_server::DirectoryService,
};
use carepost_rpc::Caller;
use carepost_runtime::{Clock, Ids};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::status;
use crate::{
    domain::{
        directory::{EmrVersion, Entry, Incoming, Record, RecordKind},
        version::Written,
    },
    store::{Listed, Store, Write, kind_word},
};

/// How many imports a process takes at once: each writes as fast as the database takes it.
const MAX_IMPORTS: usize = 4;

/// The bounds of imports.
#[derive(Clone, Copy, Debug)]
pub struct ImportLimits {
    /// How long a client may take from one record to the next.
    pub idle: Duration,
    /// How long an import may take in all.
    pub longest: Duration,
}

/// What the RPCs of `DirectoryService` work with.
#[derive(Clone, Debug)]
pub struct Directory {
    store: Store,
    clock: Clock,
    stopping: CancellationToken,
    imports: Arc<Semaphore>,
    import_limits: ImportLimits,
    ids: Ids,
}

impl Directory {
    /// With this store, until the process stops.
    #[must_use]
    pub fn new(store: Store, clock: Clock, stopping: CancellationToken, import_limits: ImportLimits) -> Self {
        let imports = Arc::new(Semaphore::new(MAX_IMPORTS));
        Self {
            store,
            clock,
            stopping,
            imports,
            import_limits,
            ids: Ids,
        }
    }

    fn write<'a>(&self, caller: &'a Caller) -> Write<'a> {
        Write {
            organization: &caller.organization,
            actor: &caller.actor,
            now: self.clock.now(),
            occasion: &caller.occasion,
        }
    }

    /// Puts one record, as every Put does.
    async fn put(&self, caller: &Caller, record: Record, version: EmrVersion) -> Result<Written, Status> {
        note(caller, record.kind(), record.id());
        let entry = Entry::Record(Incoming::new(record, Some(version)));
        let verdicts = self.store.write_entries(self.write(caller), &[&entry]).await;
        let verdict = verdicts.map_err(|error| status::of_store(&error))?.pop();
        let verdict = verdict.ok_or_else(|| carepost_rpc::status::internal(&NoVerdict))?;
        verdict.map_err(status::of_write)
    }
}

impl Directory {
    /// Deletes one record, as every Delete does.
    async fn delete(
        &self,
        caller: &Caller,
        kind: RecordKind,
        id: &str,
        version: EmrVersion,
    ) -> Result<Written, Status> {
        note(caller, kind, id);
        let deleted = self.store.delete(self.write(caller), kind, id, version).await;
        deleted
            .map_err(|error| status::of_store(&error))?
            .map_err(status::of_delete)
    }
}

/// Notes for the audit trail that a call is about a record.
fn note(caller: &Caller, kind: RecordKind, id: &str) {
    caller.occasion.note_all(Subject::named(kind_word(kind), id));
}

/// Notes that the records of a page are shown.
fn note_all<T>(caller: &Caller, kind: RecordKind, found: &Listed<T>) {
    found.records.iter().for_each(|kept| note(caller, kind, &kept.id));
}

#[derive(Debug, thiserror::Error)]
#[error("a written record has no verdict")]
struct NoVerdict;

/// Each RPC: who calls, then its handler in the file of its kind.
macro_rules! rpcs {
    ($($rpc:ident = $kind:ident::$handler:ident: $request:ty => $response:ty;)*) => {
        #[async_trait]
        impl DirectoryService for Directory {
            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let caller = Caller::of(&request)?;
                $kind::$handler(self, &caller, request.into_inner()).await.map(Response::new)
            })*
        }
    };
}

rpcs! {
    put_organization = organization::put: PutOrganizationRequest => PutOrganizationResponse;
    put_location = location::put: PutLocationRequest => PutLocationResponse;
    put_staff = staff::put: PutStaffRequest => PutStaffResponse;
    put_chart = chart::put: PutChartRequest => PutChartResponse;
    put_portal_user = portal_user::put: PutPortalUserRequest => PutPortalUserResponse;
    get_organization = organization::get: GetOrganizationRequest => GetOrganizationResponse;
    get_location = location::get: GetLocationRequest => GetLocationResponse;
    get_staff = staff::get: GetStaffRequest => GetStaffResponse;
    get_chart = chart::get: GetChartRequest => GetChartResponse;
    get_portal_user = portal_user::get: GetPortalUserRequest => GetPortalUserResponse;
    list_organizations = organization::list: ListOrganizationsRequest => ListOrganizationsResponse;
    list_locations = location::list: ListLocationsRequest => ListLocationsResponse;
    list_staff = staff::list: ListStaffRequest => ListStaffResponse;
    list_charts = chart::list: ListChartsRequest => ListChartsResponse;
    list_portal_users = portal_user::list: ListPortalUsersRequest => ListPortalUsersResponse;
    delete_organization = organization::delete: DeleteOrganizationRequest => DeleteOrganizationResponse;
    delete_location = location::delete: DeleteLocationRequest => DeleteLocationResponse;
    delete_staff = staff::delete: DeleteStaffRequest => DeleteStaffResponse;
    delete_chart = chart::delete: DeleteChartRequest => DeleteChartResponse;
    delete_portal_user = portal_user::delete: DeletePortalUserRequest => DeletePortalUserResponse;
    import_directory = import_directory::handle: Streaming<ImportDirectoryRequest> => ImportDirectoryResponse;
}
