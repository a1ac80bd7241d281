//! `carepost.messaging.v1.OperatorService`.

use std::time::Duration;

use carepost_proto::messaging::v1::{
    ListUnansweredRequest, ListUnansweredResponse, operator_service_server::OperatorService,
};
use carepost_rpc::{Caller, deadline::Deadline};
use tonic::{Request, Response, Status, async_trait};

use super::{Messaging, list_unanswered};

#[async_trait]
impl OperatorService for Messaging {
    async fn list_unanswered(
        &self,
        request: Request<ListUnansweredRequest>,
    ) -> Result<Response<ListUnansweredResponse>, Status> {
        let caller = Caller::of(&request)?;
        let deadline = Deadline::of(&request, Duration::from_secs(10));
        list_unanswered::handle(self, &caller, deadline, request.into_inner())
            .await
            .map(Response::new)
    }
}
