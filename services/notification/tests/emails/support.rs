//! The service in this process, and everything around it.

use std::{path::PathBuf, time::Duration};

use carepost_broker::{
    event::Event, publisher::Publisher, settings::BrokerSettings, topology::Topology, trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_notification::{app, settings::Settings};
use carepost_notification_migration::Migrator;
use carepost_proto::{
    event::v1::MessageSent,
    notification::v1::{
        Attempt, Delivery, DeliveryState, GetDeliveryRequest, ListDeliveriesRequest, ListDeliveriesResponse,
        RetryDeliveryRequest, notification_service_client::NotificationServiceClient,
    },
};
use carepost_runtime::{
    Clock, Ids, database,
    lifecycle::{Failure, Lifecycle},
};
use carepost_testkit::{
    proxy::TcpProxy,
    smtp::{Mail, Options, Security, SmtpServer},
    tokens::TokenIssuer,
};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{
    parts::{Column, Parts},
    stub::StubEligibility,
};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ORGANIZATION: &str = "southern";
/// SMTP timeout and lease of the service under test.
pub const TIMEOUT: Duration = Duration::from_millis(1_000);
pub const LEASE: Duration = Duration::from_secs(5);

/// Everything around the service.
pub struct World {
    pub parts: Parts,
    pub smtp: SmtpServer,
    pub eligibility: StubEligibility,
    /// Between the service and eligibility.
    pub eligibility_wire: TcpProxy,
    pub publisher: Publisher,
    pub topology: Topology,
    pub issuer: TokenIssuer,
    pub folder: TempDir,
}

/// A running service.
pub struct Service {
    life: Lifecycle,
    channel: Channel,
    token: String,
}

/// Puts a token on every call, and what goes with a service's: the organization, and whose session it relays.
#[derive(Clone, Default)]
pub struct Credentials {
    pub token: String,
    pub organization: Option<String>,
    pub act_as: Option<String>,
}

impl Interceptor for Credentials {
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

pub type Client = NotificationServiceClient<InterceptedService<Channel, Credentials>>;

impl World {
    pub async fn new(column: Column, hint: &str, security: Security) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(column, hint, folder.path()).await;
        let topology = Topology::new(parts.broker_prefix(), 1_000).unwrap();
        let broker = BrokerSettings::new(&parts.broker_url().parse().unwrap(), hint, topology.clone()).unwrap();
        let (eligibility, eligibility_address) = StubEligibility::start().await;
        let world = Self {
            parts,
            smtp: SmtpServer::start(Options { port: 0, security }).await,
            eligibility,
            eligibility_wire: TcpProxy::start(eligibility_address).await,
            publisher: Publisher::new(broker),
            topology,
            issuer: TokenIssuer::new("https://tests.example"),
            folder,
        };
        world.issuer.write_jwks(&world.file("jwks.json"));
        std::fs::write(world.file("token"), "a token of our own").unwrap();
        std::fs::write(world.file("ca.pem"), world.smtp.ca_pem()).unwrap();
        world
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of settings that reach everything here, with more lines for the section `mail`, or after it.
    pub fn settings_file(&self, mail: &str) -> PathBuf {
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
            [identity]
            issuers = [{{ issuer = "{issuer}", jwks_file = {jwks:?}, organizations = ["*"] }}]
            services = [{{ issuer = "{issuer}", subject = "console", name = "console",
                           scopes = ["notifications.read", "notifications.write"],
                           organizations = ["southern", "prairie"] }},
                        {{ issuer = "{issuer}", subject = "reader", name = "reader",
                           scopes = ["notifications.read"], organizations = ["southern"] }},
                        {{ issuer = "{issuer}", subject = "emr", name = "emr",
                           scopes = ["act_as:staff", "act_as:portal"], organizations = ["southern"] }}]
            [eligibility]
            url = "http://{eligibility}"
            token_file = {token:?}
            timeout_ms = 1000
            [broker]
            url = "{broker}"
            prefix = "{prefix}"
            queue_max_length = 1000
            [mail]
            from = "no-reply@southern.example"
            timeout_ms = {timeout}
            lease_seconds = {lease}
            poll_ms = 50
            retry_first_seconds = 1
            retry_longest_seconds = 1
            {mail}
            "#,
            database = self.parts.database_url(),
            issuer = self.issuer.name(),
            jwks = self.file("jwks.json"),
            eligibility = self.eligibility_wire.address(),
            token = self.file("token"),
            broker = self.parts.broker_url(),
            prefix = self.parts.broker_prefix(),
            timeout = TIMEOUT.as_millis(),
            lease = LEASE.as_secs(),
        );
        let path = self.file("settings.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Where the mail server is, as settings.
    pub fn mail_url(&self, scheme: &str) -> String {
        format!(
            "url = \"{scheme}://localhost:{}\"\nca_file = {:?}",
            self.smtp.address().port(),
            self.file("ca.pem")
        )
    }

    /// Where emails go in this column, as settings: to the mail server here without TLS, or into the folder.
    pub fn mail(&self) -> String {
        match self.parts {
            Parts::Real { .. } => self.mail_url("smtp"),
            Parts::Embedded { .. } => format!("url = \"file://{}\"", self.file("mail").display()),
        }
    }

    /// The emails that came where [`World::mail`] says.
    pub fn mails(&self) -> Vec<Mail> {
        match self.parts {
            Parts::Real { .. } => self.smtp.mails(),
            Parts::Embedded { .. } => crate::folder::mails(&self.file("mail")),
        }
    }

    /// The service, with emails that go as is usual in its column.
    pub async fn serve(&self) -> Service {
        self.serve_with(&self.mail()).await
    }

    /// The service against the mail server here, without TLS, whatever its column.
    pub async fn serve_by_smtp(&self) -> Service {
        self.serve_with(&self.mail_url("smtp")).await
    }

    pub async fn serve_with(&self, mail: &str) -> Service {
        let settings = Settings::load(Some(&self.settings_file(mail))).unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let life = Lifecycle::default();
        // Kept apart, since it is large.
        let address = Box::pin(app::start(settings, life.clone())).await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        Service {
            life,
            channel,
            token: self.issuer.service("console"),
        }
    }

    /// Publishes that a message was sent, and tells the id of the event and of the delivery to the first recipient.
    pub async fn publish(&self, recipients: &[&str]) -> Sent {
        let sent = message_sent(ORGANIZATION, recipients);
        self.publish_event(&sent.event).await;
        sent
    }

    /// Publishes an event. A queue that has just been made may refuse at first: then again, as the relay does.
    pub async fn publish_event(&self, event: &Event) {
        eventually("the event is published", || async {
            self.publisher
                .publish(std::slice::from_ref(event))
                .await
                .iter()
                .all(Result::is_ok)
        })
        .await;
    }

    /// Removes what shared servers would keep.
    pub async fn clear(self) {
        self.parts.clear(&self.topology).await;
    }
}

/// An event that a test made.
pub struct Sent {
    pub event: Event,
    pub message_id: Uuid,
    /// The delivery to the first recipient.
    pub delivery: Uuid,
}

pub fn message_sent(organization: &str, recipients: &[&str]) -> Sent {
    let now = Clock::system().now();
    let (id, message_id) = (Ids.next(now), Ids.next(now));
    let payload = MessageSent {
        event_id: id.to_string(),
        organization_id: organization.to_owned(),
        conversation_id: Ids.next(now).to_string(),
        message_id: message_id.to_string(),
        sender: "staff/nurse".to_owned(),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        chart_id: Some("chart-1".to_owned()),
        send_time: None,
    };
    let organization = OrganizationId::parse(organization).unwrap();
    let event = Event::message_sent(id, organization, &payload, TraceHeaders::default(), now);
    Sent {
        event,
        message_id,
        delivery: Uuid::new_v5(&id, recipients[0].as_bytes()),
    }
}

impl Service {
    pub fn client(&self, organization: &str) -> Client {
        self.client_of(Credentials {
            token: self.token.clone(),
            organization: Some(organization.to_owned()),
            act_as: None,
        })
    }

    pub fn client_of(&self, credentials: Credentials) -> Client {
        NotificationServiceClient::with_interceptor(self.channel.clone(), credentials)
    }

    /// The attempts at a delivery.
    pub async fn attempts(&self, id: Uuid) -> Vec<Attempt> {
        let delivery_id = id.to_string();
        let asked = self
            .client(ORGANIZATION)
            .get_delivery(GetDeliveryRequest { delivery_id })
            .await;
        asked.unwrap().into_inner().attempts
    }

    /// An operator retries a delivery.
    pub async fn retry(&self, id: Uuid) -> Result<Delivery, Status> {
        let delivery_id = id.to_string();
        let asked = self
            .client(ORGANIZATION)
            .retry_delivery(RetryDeliveryRequest { delivery_id })
            .await?;
        Ok(asked.into_inner().delivery.unwrap())
    }

    pub async fn delivery(&self, id: Uuid) -> Option<Delivery> {
        let asked = self
            .client(ORGANIZATION)
            .get_delivery(GetDeliveryRequest {
                delivery_id: id.to_string(),
            })
            .await;
        asked.ok()?.into_inner().delivery
    }

    pub async fn list(&self, request: ListDeliveriesRequest) -> ListDeliveriesResponse {
        self.client(ORGANIZATION)
            .list_deliveries(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Waits until a delivery is as it should be.
    pub async fn wait_for(&self, id: Uuid, what: &str, condition: impl Fn(&Delivery) -> bool) -> Delivery {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.delivery(id).await;
            match found {
                Some(delivery) if condition(&delivery) => return delivery,
                found => assert!(Instant::now() < deadline, "never {what}: {found:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn wait_for_state(&self, id: Uuid, state: DeliveryState) -> Delivery {
        self.wait_for(id, state.as_str_name(), |delivery| delivery.state() == state)
            .await
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        assert_eq!(self.life.finish(Duration::from_secs(20)).await, Ok(()));
    }

    /// Stops it without letting it finish anything.
    pub async fn kill(self) {
        assert_eq!(self.life.finish(Duration::ZERO).await, Err(Failure::Unfinished));
    }
}

/// Asks until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
