//! Bindings of every proto of the suite, its descriptor set, and the access table made from the protos.
//!
//! The protos under `proto/` are the API and its documentation; nothing here says more than they do.

/// Who may call one RPC, from the method option `carepost.common.v1.access` that stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcAccess {
    /// The path of the RPC: `/package.Service/Method`.
    pub path: &'static str,
    /// Whether a person may call it, or a service on a person's behalf.
    pub person: bool,
    /// The scope with which a service may call it on its own behalf, if any may.
    pub scope: Option<&'static str>,
    /// Whether the client sends a stream of requests.
    pub client_streaming: bool,
    /// What the audit trail has of it, from the method option `carepost.common.v1.audit`.
    pub audit: common::v1::AuditKind,
}

use common::v1::AuditKind;

/// Every RPC of the suite with who may call it. One that is not here can be called by nobody.
pub const ACCESS_TABLE: &[RpcAccess] = include!(concat!(env!("OUT_DIR"), "/access_table.rs"));

/// The encoded `google.protobuf.FileDescriptorSet` of all protos, with comments, for server reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

macro_rules! bindings {
    ($package:literal) => {
        /// Version 1.
        #[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
        pub mod v1 {
            tonic::include_proto!($package);
        }
    };
}

/// What every service shares.
pub mod common {
    bindings!("carepost.common.v1");
}

/// Events.
pub mod event {
    bindings!("carepost.event.v1");
}

/// Who may write to whom.
pub mod eligibility {
    bindings!("carepost.eligibility.v1");
}

/// Conversations and mailboxes.
pub mod messaging {
    bindings!("carepost.messaging.v1");
}

/// Emails.
pub mod notification {
    bindings!("carepost.notification.v1");
}
