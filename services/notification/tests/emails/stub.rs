//! The eligibility service of a test.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use carepost_proto::eligibility::v1::{
    AccountStatus, BatchCheckEligibilityRequest, BatchCheckEligibilityResponse, BatchGetNamesRequest,
    BatchGetNamesResponse, Brand, CheckEligibilityRequest, CheckEligibilityResponse, GetComposeOptionsRequest,
    GetComposeOptionsResponse, GetEmailRecipientRequest, GetEmailRecipientResponse, ListEligibleRecipientsRequest,
    ListEligibleRecipientsResponse,
    eligibility_service_server::{EligibilityService, EligibilityServiceServer},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

/// Persons by organization and name, and the trace context of each call.
#[derive(Clone, Default)]
pub struct StubEligibility(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    persons: HashMap<(String, String), GetEmailRecipientResponse>,
    traces: Vec<String>,
}

/// An active account with this address.
pub fn active(email: &str) -> GetEmailRecipientResponse {
    GetEmailRecipientResponse {
        status: AccountStatus::Active.into(),
        email: email.to_owned(),
        locale: "en-US".to_owned(),
        brand: Some(Brand {
            name: "Southern Clinics".to_owned(),
            ..Brand::default()
        }),
        portal_url: "https://portal.southern.example/inbox".to_owned(),
    }
}

impl StubEligibility {
    /// Puts a portal user into the directory.
    pub fn put(&self, organization: &str, portal_user: &str, answer: GetEmailRecipientResponse) {
        self.put_person(organization, format!("portal/{portal_user}"), answer);
    }

    /// Puts a member of staff into it.
    pub fn put_staff(&self, organization: &str, staff: &str, answer: GetEmailRecipientResponse) {
        self.put_person(organization, format!("staff/{staff}"), answer);
    }

    fn put_person(&self, organization: &str, person: String, answer: GetEmailRecipientResponse) {
        let key = (organization.to_owned(), person);
        self.0.lock().unwrap().persons.insert(key, answer);
    }

    /// The trace contexts of the calls so far.
    pub fn traces(&self) -> Vec<String> {
        self.0.lock().unwrap().traces.clone()
    }

    /// Serves it.
    pub async fn start() -> (Self, SocketAddr) {
        let stub = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = EligibilityServiceServer::new(stub.clone());
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        (stub, address)
    }
}

#[async_trait]
impl EligibilityService for StubEligibility {
    async fn get_email_recipient(
        &self,
        request: Request<GetEmailRecipientRequest>,
    ) -> Result<Response<GetEmailRecipientResponse>, Status> {
        let metadata = |name: &str| request.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(metadata("authorization"), "Bearer a token of our own");
        let question = request.get_ref();
        let staff = question.staff_id.as_ref().map(|id| format!("staff/{id}"));
        let person = staff.unwrap_or_else(|| format!("portal/{}", question.portal_user_id));
        let asked = (metadata("carepost-organization"), person);
        let mut known = self.0.lock().unwrap();
        let trace = request.metadata().get("traceparent");
        known
            .traces
            .extend(trace.map(|trace| trace.to_str().unwrap().to_owned()));
        let known = known.persons.get(&asked).cloned();
        known
            .map(Response::new)
            .ok_or_else(|| Status::not_found("no such person"))
    }

    async fn get_compose_options(
        &self,
        _: Request<GetComposeOptionsRequest>,
    ) -> Result<Response<GetComposeOptionsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn batch_get_names(
        &self,
        _: Request<BatchGetNamesRequest>,
    ) -> Result<Response<BatchGetNamesResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn check_eligibility(
        &self,
        _: Request<CheckEligibilityRequest>,
    ) -> Result<Response<CheckEligibilityResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn batch_check_eligibility(
        &self,
        _: Request<BatchCheckEligibilityRequest>,
    ) -> Result<Response<BatchCheckEligibilityResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn list_eligible_recipients(
        &self,
        _: Request<ListEligibleRecipientsRequest>,
    ) -> Result<Response<ListEligibleRecipientsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}
