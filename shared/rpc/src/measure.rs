//! How long each call took and how it ended, as metrics.

use carepost_proto::ACCESS_TABLE;
use carepost_runtime::metrics::{
    labels::{Code, Rpc},
    metrics,
};
use http::Response;
use tokio::time::Instant;
use tonic::body::Body;

/// A call under way. One that is dropped before its end was cancelled by its caller.
pub(crate) struct Measured {
    rpc: Rpc,
    begun: Instant,
    code: Code,
}

impl Measured {
    /// Begins to measure a call of this path. All that are none of ours count together: a client could make any path up.
    pub(crate) fn begin(path: &str) -> Self {
        let access = ACCESS_TABLE.iter().find(|access| access.path == path);
        Self {
            rpc: access.map_or(Rpc::OTHER, |access| Rpc::of(access.path)),
            begun: Instant::now(),
            code: Code::Cancelled,
        }
    }

    /// Ends with this answer: its code is in the headers, unless it is a good one or a stream's.
    pub(crate) fn end<E>(mut self, answer: &Result<Response<Body>, E>) {
        self.code = match answer {
            Ok(response) => match response.headers().get("grpc-status") {
                Some(code) => tonic::Code::from_bytes(code.as_bytes()).into(),
                None => Code::Ok,
            },
            Err(_) => Code::Internal,
        };
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        metrics().served(self.rpc, self.code, self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls of an RPC ended so.
    fn count(method: &str, code: &str) -> u64 {
        let text = metrics().text().unwrap();
        let labels = format!("method=\"{method}\",code=\"{code}\"");
        let line = text
            .lines()
            .find(|line| line.starts_with("carepost_rpc_served_seconds_count") && line.contains(&labels));
        line.map_or(0, |line| line.split_whitespace().last().unwrap().parse().unwrap())
    }

    #[test]
    fn a_call_counts_by_its_method_and_its_code() {
        let path = "/carepost.messaging.v1.MessagingService/MarkUnread";
        Measured::begin(path).end::<()>(&Ok(Response::new(Body::empty())));
        let refused = tonic::Status::not_found("no").into_http::<Body>();
        Measured::begin(path).end::<()>(&Ok(refused));
        drop(Measured::begin(path));
        for code in ["OK", "NOT_FOUND", "CANCELLED"] {
            assert_eq!(count("MarkUnread", code), 1, "{code}");
        }
    }

    #[test]
    fn a_path_that_somebody_made_up_is_no_label() {
        drop(Measured::begin("/made.up/Xmadeupx"));
        assert!(!metrics().text().unwrap().contains("Xmadeupx"));
        assert!(count("other", "CANCELLED") > 0);
    }
}
