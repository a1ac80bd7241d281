//! The service in this process, and everything around it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use carepost_broker::settings::BrokerSettings;
use carepost_messaging::settings::Settings;
use carepost_messaging_migration::Migrator;
use carepost_proto::messaging::v1::{
    Conversation, GetConversationRequest, GetUnreadCountRequest, Mailbox, MarkReadRequest, Message, ReplyRequest,
    StartConversationRequest, messaging_service_client::MessagingServiceClient,
};
use carepost_runtime::{database, lifecycle::Failure};
pub use carepost_testkit::{Column, on_both};
use carepost_testkit::{servers::Servers, tokens::TokenIssuer};
use sea_orm::DatabaseConnection;
use tempfile::TempDir;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

use crate::replica::through;
pub use crate::{
    replica::Replica,
    stub::{Says, StubEligibility},
};

pub const ORGANIZATION: &str = "southern";
pub const NURSE: &str = "staff/nurse";
pub const DOCTOR: &str = "staff/doctor";
pub const CLERK: &str = "staff/clerk";
pub const GUARDIAN: &str = "portal/guardian";

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

/// A running service.
pub struct Service {
    pub eligibility: StubEligibility,
    /// The broker that it uses.
    pub broker: BrokerSettings,
    pub issuer: TokenIssuer,
    process: Replica,
    file: PathBuf,
    _folder: TempDir,
}

/// How a service differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Sections of settings that the usual ones do not have.
    pub settings: String,
    /// Where it reaches the database, if not directly. Only on real parts.
    pub database: Option<SocketAddr>,
    /// Where it reaches the broker, if not directly. Only on real parts.
    pub broker: Option<SocketAddr>,
}

impl Service {
    pub async fn start(column: Column, hint: &str) -> Self {
        Self::start_as(column, hint, Plan::default()).await
    }

    pub async fn start_as(column: Column, hint: &str, plan: Plan) -> Self {
        let servers = Servers::ensure().await;
        let (eligibility, eligibility_address) = StubEligibility::start().await;
        let issuer = TokenIssuer::new("portal");
        let folder = tempfile::tempdir().unwrap();
        let broker = match column {
            Column::Real => through(plan.broker, servers.amqp_url()),
            Column::Embedded => format!("sqlite://{}", folder.path().join("broker.db").display()),
        };
        let database = match column {
            Column::Real => through(
                plan.database,
                servers.postgres_url(&servers.create_database(hint).await),
            ),
            Column::Embedded => format!("sqlite://{}", folder.path().join("messaging.db").display()),
        };
        issuer.write_jwks(&folder.path().join("jwks.json"));
        std::fs::write(folder.path().join("token"), "a token").unwrap();
        let parts = Parts {
            database,
            broker,
            prefix: servers.unique_prefix(hint),
            eligibility: eligibility_address,
            more: plan.settings,
        };
        let file = write_settings(&folder, &parts);
        let settings = Settings::load(Some(&file)).unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let broker = settings.broker.clone();
        let process = Replica::start(settings).await;
        Self {
            eligibility,
            broker,
            issuer,
            process,
            file,
            _folder: folder,
        }
    }

    /// Another process of the service, with the same settings.
    pub async fn another(&self) -> Replica {
        Replica::start(Settings::load(Some(&self.file)).unwrap()).await
    }

    /// The same, with other settings: each text is replaced by the one beside it.
    pub async fn another_with(&self, changes: &[(&str, &str)]) -> Replica {
        let mut text = std::fs::read_to_string(&self.file).unwrap();
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        let file = self.file.with_file_name("another.toml");
        std::fs::write(&file, text).unwrap();
        Replica::start(Settings::load(Some(&file)).unwrap()).await
    }

    /// Its database, to look at rows.
    pub async fn database(&self) -> DatabaseConnection {
        let settings = Settings::load(Some(&self.file)).unwrap();
        database::connect::<Migrator>(&settings.database).await.unwrap()
    }

    /// Stops it, and waits until it has ended in good order.
    pub async fn stop(&self) -> Result<(), Failure> {
        self.process.life.clone().finish(Duration::from_secs(15)).await
    }

    /// A client of a person at another process.
    pub fn of_at(&self, replica: &Replica, person: &str) -> Client {
        self.with_token(&replica.channel, self.issuer.person(ORGANIZATION, person))
    }

    /// A connection to it.
    pub fn channel(&self) -> Channel {
        self.process.channel.clone()
    }

    /// A client with this token.
    pub fn of_token(&self, token: String) -> Client {
        self.with_token(&self.process.channel, token)
    }

    fn with_token(&self, channel: &Channel, token: String) -> Client {
        MessagingServiceClient::with_interceptor(channel.clone(), Bearer(token))
    }

    /// A client of a person on a connection of its own, with the least room for what it does not read.
    pub fn of_alone(&self, person: &str) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.process.address)).unwrap();
        let channel = channel.initial_stream_window_size(65_535).connect_lazy();
        self.with_token(&channel, self.issuer.person(ORGANIZATION, person))
    }

    /// A client of this person.
    pub fn of(&self, person: &str) -> Client {
        self.of_organization(ORGANIZATION, person)
    }

    /// A client of a person of another organization.
    pub fn of_organization(&self, organization: &str, person: &str) -> Client {
        self.with_token(&self.process.channel, self.issuer.person(organization, person))
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

    /// A conversation, as this person opens it.
    pub async fn open(&self, person: &str, id: &str) -> Conversation {
        let request = GetConversationRequest {
            conversation_id: id.to_owned(),
        };
        let opened = self.of(person).get_conversation(request).await;
        opened.unwrap().into_inner().conversation.unwrap()
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
    more: String,
}

fn write_settings(folder: &TempDir, parts: &Parts) -> PathBuf {
    let Parts {
        database,
        broker,
        prefix,
        eligibility,
        more,
    } = parts;
    let path = folder.path().join("settings.toml");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!(
        r#"
[server]
listen = "127.0.0.1:0"
person_calls_per_second = 1000000
person_burst = 1000000
organization_calls_per_second = 1000000
organization_burst = 1000000
service_calls_per_second = 1000000
service_burst = 1000000
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
{more}
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
