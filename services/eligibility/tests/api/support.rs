//! The service in this process, on a database of its own.

use std::{path::PathBuf, time::Duration};

use carepost_broker::{
    consumer::{Consumer, ConsumerSettings, Received, Verdict},
    settings::BrokerSettings,
};
use carepost_eligibility::{app, settings::Settings};
use carepost_eligibility_migration::Migrator;
use carepost_proto::eligibility::v1::{
    ImportDirectoryRequest, ImportDirectoryResponse, Location, Organization, PutLocationRequest,
    PutOrganizationRequest, directory_service_client::DirectoryServiceClient,
    eligibility_service_client::EligibilityServiceClient, settings_service_client::SettingsServiceClient,
};
use carepost_proto::event::v1::DirectoryChanged;
use carepost_runtime::{Clock, database, lifecycle::Lifecycle};
pub use carepost_testkit::{Column, on_both};
use carepost_testkit::{servers::Servers, tokens::TokenIssuer};
use prost::Message;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt;

/// Puts a token on every call, and of a service the organization and whose session it relays.
#[derive(Clone)]
pub struct Calling {
    token: String,
    organization: Option<String>,
    act_as: Option<String>,
}

impl Interceptor for Calling {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        if let Some(organization) = &self.organization {
            metadata.insert("carepost-organization", organization.parse().unwrap());
        }
        if let Some(person) = &self.act_as {
            metadata.insert("carepost-act-as", person.parse().unwrap());
        }
        Ok(request)
    }
}

pub type Asking = EligibilityServiceClient<InterceptedService<Channel, Calling>>;
pub type Administering = SettingsServiceClient<InterceptedService<Channel, Calling>>;
pub type Feeding = DirectoryServiceClient<InterceptedService<Channel, Calling>>;

/// A running service. It stops when dropped.
pub struct Service {
    channel: Channel,
    issuer: TokenIssuer,
    life: Lifecycle,
    broker: BrokerSettings,
    database: String,
    _folder: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Service {
    pub async fn start(column: Column, hint: &str) -> Self {
        Self::start_with(column, hint, "").await
    }

    /// With more settings.
    pub async fn start_with(column: Column, hint: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = match column {
            Column::Real => {
                let servers = Servers::ensure().await;
                Parts {
                    database: servers.postgres_url(&servers.create_database(hint).await),
                    broker: servers.amqp_url(),
                    prefix: servers.unique_prefix(hint),
                    more: String::new(),
                }
            }
            Column::Embedded => Parts::embedded(&folder),
        };
        let parts = Parts {
            more: more.to_owned(),
            ..parts
        };
        Self::start_at(folder, &parts).await
    }

    /// With the PostgreSQL of these servers, and an embedded broker.
    pub async fn start_on(servers: &Servers, hint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            database: servers.postgres_url(&servers.create_database(hint).await),
            ..Parts::embedded(&folder)
        };
        Self::start_at(folder, &parts).await
    }

    /// With the RabbitMQ of these servers, and an SQLite file.
    pub async fn start_with_broker(servers: &Servers, hint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            broker: servers.amqp_url(),
            prefix: servers.unique_prefix(hint),
            ..Parts::embedded(&folder)
        };
        Self::start_at(folder, &parts).await
    }

    async fn start_at(folder: TempDir, parts: &Parts) -> Self {
        let issuer = TokenIssuer::new("cluster");
        issuer.write_jwks(&folder.path().join("jwks.json"));
        let settings = Settings::load(Some(&write_settings(&folder, parts))).unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let life = Lifecycle::default();
        let broker = settings.broker.clone();
        let address = app::start(settings, life.clone()).await.unwrap();
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        Self {
            channel,
            issuer,
            life,
            broker,
            database: parts.database.clone(),
            _folder: folder,
        }
    }

    /// Does something in the service's database, and says how many rows it was about.
    pub async fn in_database(&self, statement: &str) -> u64 {
        let database = sea_orm::Database::connect(&self.database).await.unwrap();
        let done = database.execute_unprepared(statement).await.unwrap();
        database.close().await.unwrap();
        done.rows_affected()
    }

    /// The URL of the service's database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Begins to stop, as a signal would.
    pub fn stop(&self) {
        self.life.stop();
    }

    fn calling(&self, organization: &str) -> Calling {
        Calling {
            token: self.issuer.service("tests"),
            organization: Some(organization.to_owned()),
            act_as: None,
        }
    }

    /// A client of EligibilityService, for an organization.
    pub fn ask(&self, organization: &str) -> Asking {
        EligibilityServiceClient::with_interceptor(self.channel.clone(), self.calling(organization))
    }

    /// A client of DirectoryService, for an organization.
    pub fn feed(&self, organization: &str) -> Feeding {
        DirectoryServiceClient::with_interceptor(self.channel.clone(), self.calling(organization))
    }

    /// A client of SettingsService, for an organization: a service on its own behalf.
    pub fn administer(&self, organization: &str) -> Administering {
        SettingsServiceClient::with_interceptor(self.channel.clone(), self.calling(organization))
    }

    /// The same as a person, with a token of their own.
    pub fn administer_as(&self, organization: &str, person: &str) -> Administering {
        let calling = Calling {
            token: self.issuer.person(organization, person),
            organization: None,
            act_as: None,
        };
        SettingsServiceClient::with_interceptor(self.channel.clone(), calling)
    }

    /// The same as a person whose session a service relays.
    pub fn administer_for(&self, organization: &str, person: &str) -> Administering {
        let calling = Calling {
            act_as: Some(person.to_owned()),
            ..self.calling(organization)
        };
        SettingsServiceClient::with_interceptor(self.channel.clone(), calling)
    }

    /// Whether the service says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = HealthClient::new(self.channel.clone())
            .check(HealthCheckRequest::default())
            .await
            .unwrap();
        answer.into_inner().status() == ServingStatus::Serving
    }

    /// What the service publishes, from now on and from before.
    pub fn events(&self) -> Events {
        let (kept, received) = mpsc::unbounded_channel();
        let handler = move |event: Received| {
            let _ = kept.send(event);
            std::future::ready(Verdict::Done)
        };
        let settings = ConsumerSettings {
            concurrency: 1,
            ..ConsumerSettings::new(self.broker.topology().directory_changed_queue())
        };
        let stop = CancellationToken::new();
        let consumer = Consumer::new(self.broker.clone(), Clock::system());
        tokio::spawn(consumer.run(settings, handler, stop.clone()));
        Events {
            received,
            _stop: stop.drop_guard(),
        }
    }

    /// Imports, and gives the answer.
    pub async fn import(&self, organization: &str, requests: Vec<ImportDirectoryRequest>) -> ImportDirectoryResponse {
        let stream = futures::stream::iter(requests);
        self.feed(organization)
            .import_directory(stream)
            .await
            .unwrap()
            .into_inner()
    }

    /// An organization with the location `l1`.
    pub async fn with_location(&self, id: &str) -> Feeding {
        let mut feed = self.feed(id);
        let organization = PutOrganizationRequest {
            organization: Some(organization(id)),
            version: 1,
        };
        feed.put_organization(organization).await.unwrap();
        let location = PutLocationRequest {
            location: Some(location("l1")),
            version: 1,
        };
        feed.put_location(location).await.unwrap();
        feed
    }
}

/// The events of a service, as messaging would get them.
pub struct Events {
    received: mpsc::UnboundedReceiver<Received>,
    _stop: DropGuard,
}

impl Events {
    /// The next one.
    pub async fn next(&mut self) -> DirectoryChanged {
        self.next_raw().await.1
    }

    /// The next one, with its payload as it was published.
    pub async fn next_raw(&mut self) -> (Received, DirectoryChanged) {
        let received = tokio::time::timeout(Duration::from_secs(30), self.received.recv()).await;
        let received = received.unwrap().unwrap();
        let event = DirectoryChanged::decode(received.body.as_slice()).unwrap();
        assert_eq!(received.message_id.as_deref(), Some(event.event_id.as_str()));
        (received, event)
    }
}

/// What the service is told to use.
struct Parts {
    database: String,
    broker: String,
    prefix: String,
    more: String,
}

impl Parts {
    fn embedded(folder: &TempDir) -> Self {
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        Self {
            database: url("eligibility.db"),
            broker: url("broker.db"),
            prefix: String::new(),
            more: String::new(),
        }
    }
}

fn write_settings(folder: &TempDir, parts: &Parts) -> PathBuf {
    let Parts {
        database,
        broker,
        prefix,
        more,
    } = parts;
    let jwks = folder.path().join("jwks.json");
    let text = format!(
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
        [broker]
        url = "{broker}"
        prefix = "{prefix}"
        {more}
        [[identity.issuers]]
        issuer = "cluster"
        jwks_file = "{}"
        organizations = ["*"]
        [[identity.services]]
        issuer = "cluster"
        subject = "tests"
        name = "tests"
        scopes = ["directory.read", "directory.write", "eligibility.read", "settings.write", "act_as:staff", "act_as:portal"]
        organizations = ["*"]
        "#,
        jwks.display()
    );
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    file
}

pub fn organization(id: &str) -> Organization {
    Organization {
        id: id.to_owned(),
        name: "Southern Care".to_owned(),
        country: "AU".to_owned(),
        portal_url: "https://portal.example.org/messages".to_owned(),
        locale: "en-AU".to_owned(),
    }
}

pub fn location(id: &str) -> Location {
    Location {
        id: id.to_owned(),
        name: "Clinic".to_owned(),
        country: String::new(),
    }
}

/// The reason of a refusal, without the enum's prefix.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The paths of the wrong fields.
pub fn wrong_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.clone())
        .unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}
