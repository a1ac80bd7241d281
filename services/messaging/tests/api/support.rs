//! The service in this process, and everything around it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use carepost_messaging::{app, settings::Settings};
use carepost_messaging_migration::Migrator;
use carepost_proto::{
    eligibility::v1::{
        BatchCheckEligibilityRequest, BatchCheckEligibilityResponse, ChartSummary, CheckEligibilityRequest,
        CheckEligibilityResponse, Decision, EligibleRecipient, GetEmailRecipientRequest, GetEmailRecipientResponse,
        ListEligibleRecipientsRequest, ListEligibleRecipientsResponse, Party, Question,
        eligibility_service_server::{EligibilityService, EligibilityServiceServer},
        question::Parties,
    },
    messaging::v1::{
        GetUnreadCountRequest, Mailbox, MarkReadRequest, Message, ReplyRequest, StartConversationRequest,
        messaging_service_client::MessagingServiceClient,
    },
};
use carepost_runtime::{database, lifecycle::Lifecycle};
use carepost_testkit::{servers::Servers, tokens::TokenIssuer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_types::StatusExt;

pub const ORGANIZATION: &str = "southern";
pub const NURSE: &str = "staff/nurse";
pub const DOCTOR: &str = "staff/doctor";
pub const CLERK: &str = "staff/clerk";
pub const GUARDIAN: &str = "portal/guardian";

/// What the eligibility service of a test says.
pub enum Says {
    /// Everybody may write to everybody.
    Yes,
    /// This.
    Decides(Decision),
    /// Nothing: it is down.
    Nothing,
}

/// The eligibility service of a test.
#[derive(Clone)]
pub struct StubEligibility(Arc<(Mutex<Says>, AtomicU64)>);

impl StubEligibility {
    pub fn says(&self, says: Says) {
        *self.0.0.lock().unwrap() = says;
    }

    pub fn asked(&self) -> u64 {
        self.0.1.load(Ordering::SeqCst)
    }

    async fn start() -> (Self, SocketAddr) {
        let stub = Self(Arc::new((Mutex::new(Says::Yes), AtomicU64::new(0))));
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

/// The names of everybody in the question, made from their ids; the patient of a chart likewise.
pub fn names_of(question: &Question) -> (Vec<Party>, Option<ChartSummary>) {
    let (people, chart) = match question.parties.as_ref().unwrap() {
        Parties::Portal(parties) => (
            vec![
                format!("staff/{}", parties.staff_id),
                format!("portal/{}", parties.portal_user_id),
            ],
            Some(parties.chart_id.clone()),
        ),
        Parties::Staff(parties) => {
            let staff = parties.recipient_ids.iter().chain([&parties.sender_id]);
            (
                staff.map(|id| format!("staff/{id}")).collect(),
                parties.chart_id.clone(),
            )
        }
    };
    let parties = people.into_iter().map(|person| Party {
        display_name: format!("Name of {person}"),
        person,
    });
    let chart = chart.map(|chart_id| ChartSummary {
        patient_name: format!("Patient of {chart_id}"),
        chart_id,
    });
    (parties.collect(), chart)
}

#[async_trait]
impl EligibilityService for StubEligibility {
    async fn check_eligibility(
        &self,
        request: Request<CheckEligibilityRequest>,
    ) -> Result<Response<CheckEligibilityResponse>, Status> {
        assert_eq!(request.metadata().get("carepost-organization").unwrap(), ORGANIZATION);
        self.0.1.fetch_add(1, Ordering::SeqCst);
        let (parties, chart) = names_of(request.get_ref().question.as_ref().unwrap());
        let decision = match &*self.0.0.lock().unwrap() {
            Says::Nothing => return Err(Status::unavailable("down")),
            Says::Decides(decision) => decision.clone(),
            Says::Yes => Decision {
                allowed: true,
                parties,
                chart,
                portal_user_connected: true,
                ..Decision::default()
            },
        };
        Ok(Response::new(CheckEligibilityResponse {
            decision: Some(decision),
        }))
    }

    async fn batch_check_eligibility(
        &self,
        _: Request<BatchCheckEligibilityRequest>,
    ) -> Result<Response<BatchCheckEligibilityResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn list_eligible_recipients(
        &self,
        request: Request<ListEligibleRecipientsRequest>,
    ) -> Result<Response<ListEligibleRecipientsResponse>, Status> {
        if !request.get_ref().page_token.is_empty() {
            return Err(Status::invalid_argument("page_token"));
        }
        let guardian = EligibleRecipient {
            person: GUARDIAN.to_owned(),
            display_name: "Guardian".to_owned(),
            relationship: carepost_proto::eligibility::v1::Relationship::Guardian.into(),
        };
        Ok(Response::new(ListEligibleRecipientsResponse {
            recipients: vec![guardian],
            next_page_token: "next".to_owned(),
        }))
    }

    async fn get_email_recipient(
        &self,
        _: Request<GetEmailRecipientRequest>,
    ) -> Result<Response<GetEmailRecipientResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

/// Puts a person's token on every call.
#[derive(Clone)]
pub struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(request)
    }
}

pub type Client = MessagingServiceClient<InterceptedService<Channel, Bearer>>;

/// On what the service keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `PostgreSQL` and `RabbitMQ`.
    Real,
    /// `SQLite` files.
    Embedded,
}

/// Makes a test for each column of a function that takes one.
macro_rules! on_both {
    ($test:ident) => {
        mod $test {
            use crate::support::Column;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_real_parts() {
                super::$test(Column::Real).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_embedded_parts() {
                super::$test(Column::Embedded).await;
            }
        }
    };
}
pub(crate) use on_both;

/// A running service. It stops when dropped.
pub struct Service {
    pub eligibility: StubEligibility,
    issuer: TokenIssuer,
    channel: Channel,
    life: Lifecycle,
    _folder: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Service {
    pub async fn start(column: Column, hint: &str) -> Self {
        let servers = Servers::ensure().await;
        let (eligibility, eligibility_address) = StubEligibility::start().await;
        let issuer = TokenIssuer::new("portal");
        let folder = tempfile::tempdir().unwrap();
        let broker = match column {
            Column::Real => servers.amqp_url(),
            Column::Embedded => format!("sqlite://{}", folder.path().join("broker.db").display()),
        };
        let database = match column {
            Column::Real => servers.postgres_url(&servers.create_database(hint).await),
            Column::Embedded => format!("sqlite://{}", folder.path().join("messaging.db").display()),
        };
        issuer.write_jwks(&folder.path().join("jwks.json"));
        std::fs::write(folder.path().join("token"), "a token").unwrap();
        let parts = Parts {
            database,
            broker,
            prefix: servers.unique_prefix(hint),
            eligibility: eligibility_address,
        };
        let file = write_settings(&folder, &parts);
        let settings = Settings::load(Some(&file)).unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let life = Lifecycle::default();
        let address = app::start(settings, life.clone()).await.unwrap();
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        Self {
            eligibility,
            issuer,
            channel,
            life,
            _folder: folder,
        }
    }

    /// A client of this person.
    pub fn of(&self, person: &str) -> Client {
        self.of_organization(ORGANIZATION, person)
    }

    /// A client of a person of another organization.
    pub fn of_organization(&self, organization: &str, person: &str) -> Client {
        let bearer = Bearer(self.issuer.person(organization, person));
        MessagingServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    /// Starts a portal conversation, and gives its id and first message.
    pub async fn start_portal(&self) -> Message {
        let request = portal_start();
        self.of(NURSE)
            .start_conversation(request)
            .await
            .unwrap()
            .into_inner()
            .message
            .unwrap()
    }

    /// Starts a staff conversation of nurse, doctor and clerk.
    pub async fn start_staff(&self) -> Message {
        let recipients = vec![DOCTOR.to_owned(), CLERK.to_owned()];
        let request = StartConversationRequest {
            recipients,
            chart_id: None,
            ..portal_start()
        };
        self.of(NURSE)
            .start_conversation(request)
            .await
            .unwrap()
            .into_inner()
            .message
            .unwrap()
    }

    pub async fn badge(&self, person: &str) -> i64 {
        self.mailbox(person).await.unread_count
    }

    pub async fn mailbox(&self, person: &str) -> Mailbox {
        self.of(person)
            .get_unread_count(GetUnreadCountRequest {})
            .await
            .unwrap()
            .into_inner()
            .mailbox
            .unwrap()
    }
}

/// What the service is told to use.
struct Parts {
    database: String,
    broker: String,
    prefix: String,
    eligibility: SocketAddr,
}

fn write_settings(folder: &TempDir, parts: &Parts) -> PathBuf {
    let Parts {
        database,
        broker,
        prefix,
        eligibility,
    } = parts;
    let path = folder.path().join("settings.toml");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!(
        r#"
[server]
listen = "127.0.0.1:0"
[database]
url = "{database}"
max_connections = 8
[eligibility]
url = "http://{eligibility}"
token_file = "{token}"
[broker]
url = "{broker}"
prefix = "{prefix}"
[[identity.issuers]]
issuer = "portal"
jwks_file = "{jwks}"
organizations = ["{ORGANIZATION}", "prairie"]
"#,
        token = at("token"),
        jwks = at("jwks.json"),
    );
    std::fs::write(&path, settings).unwrap();
    path
}

/// A request id that no other call has.
pub fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn portal_start() -> StartConversationRequest {
    StartConversationRequest {
        request_id: request_id(),
        recipients: vec![GUARDIAN.to_owned()],
        chart_id: Some("chart-1".to_owned()),
        subject: "Wound check".to_owned(),
        body: "Please come on Monday.".to_owned(),
    }
}

pub fn reply_to(conversation: &str) -> ReplyRequest {
    ReplyRequest {
        request_id: request_id(),
        conversation_id: conversation.to_owned(),
        body: "I will be there.".to_owned(),
    }
}

pub fn read_up_to(conversation: &str, last_seen_sequence: i64) -> MarkReadRequest {
    MarkReadRequest {
        request_id: request_id(),
        conversation_id: conversation.to_owned(),
        last_seen_sequence,
    }
}

/// The paths of the fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.clone())
        .unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// The reasons that a refusal of eligibility names, each with its party.
pub fn reasons(status: &Status) -> Vec<(String, String)> {
    let details = status.get_error_details();
    let violations = details
        .precondition_failure()
        .map(|failed| failed.violations.clone())
        .unwrap_or_default();
    violations
        .into_iter()
        .map(|violation| (violation.r#type, violation.subject))
        .collect()
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

pub fn retry_delay(status: &Status) -> Option<Duration> {
    status
        .get_error_details()
        .retry_info()
        .and_then(|info| info.retry_delay)
}
