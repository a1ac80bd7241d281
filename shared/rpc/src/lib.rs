//! What surrounds every RPC: authentication, caller, deadlines, status details, trace context, page tokens, clients.
