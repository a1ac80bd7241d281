//! What the audit trail has of a call: written here for all that write no record of their own.

use carepost_audit::{Occasion, Record, Told, Trail, Unrecorded};
use carepost_proto::{RpcAccess, common::v1::AuditKind};
use carepost_runtime::metrics::labels::Code;
use http::{Request, Response};
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};
use tonic_types::StatusExt;
use uuid::Uuid;

/// What a call of a path that is none of ours does: a client could make any path up.
const OTHER: &str = "other";

/// The occasion of a call.
pub(crate) fn occasion(id: Uuid, access: Option<&RpcAccess>, request: &Request<Body>, trace_id: String) -> Occasion {
    let connection = request.extensions().get::<TcpConnectInfo>();
    let origin = connection.and_then(TcpConnectInfo::remote_addr);
    let path = access.map_or(OTHER, |access| access.path);
    Occasion::call(id, path, origin.map(|origin| origin.ip()), trace_id)
}

/// Writes that a call was answered well, if that is to be recorded and was not, and waits for it.
pub(crate) async fn answered(trail: &Trail, access: Option<&RpcAccess>, occasion: &Occasion) -> Result<(), Unrecorded> {
    let kind = access.map_or(AuditKind::None, |access| access.audit);
    let outcome = match (kind, occasion.told()) {
        (AuditKind::Reading, _) | (AuditKind::Change, Told::Begun) => "OK",
        (AuditKind::Change, Told::Nothing) => "OK/UNCHANGED",
        (AuditKind::Change, Told::Changed) | (AuditKind::None | AuditKind::Unspecified, _) => return Ok(()),
    };
    trail.keep(Record::of(occasion, trail.now(), outcome)).await
}

/// Writes soon that a call was refused, if it was.
pub(crate) fn ended(trail: &Trail, occasion: &Occasion, response: &Response<Body>) {
    let Some(refused) = Status::from_header_map(response.headers()) else {
        return;
    };
    let code = Code::from(refused.code());
    if code == Code::Ok {
        return;
    }
    let info = refused.get_details_error_info();
    let reason = info.map(|info| format!("/{}", info.reason)).unwrap_or_default();
    let outcome = format!("{}{reason}", code.word());
    trail.refuse(Record::of(occasion, trail.now(), &outcome));
}
