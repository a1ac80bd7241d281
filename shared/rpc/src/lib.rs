//! What surrounds every RPC: who calls, until when, within which trace; how it is refused; how pages go on; and how a service
//! calls another one.

pub mod authn;
pub mod caller;
pub mod connect;
pub mod deadline;
pub mod guard;
pub mod page;
pub mod peer;
pub mod status;
pub mod trace_context;

mod audit;
mod beside;
mod fields;
mod measure;
mod places;
mod rates;

pub use caller::Caller;
pub use fields::Violations;
