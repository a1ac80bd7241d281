//! A send takes no more than two round trips to PostgreSQL.

use carepost_audit::Occasion;
use carepost_identity::{Actor, OrganizationId, PersonId};
use carepost_messaging::{
    domain::{Body, Decision, Limits, Made, Parties, Start, Subject},
    store::{Opened, RequestKey, Store, Write},
};
use carepost_messaging_migration::Migrator;
use carepost_runtime::{Clock, Ids};
use carepost_testkit::{TcpProxy, servers::Servers};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

const SENDS: u64 = 10;

fn made() -> Made {
    let now = Clock::system().now();
    Made {
        conversation: Ids.next(now),
        message: Ids.next(now),
        event: Ids.next(now),
        now,
    }
}

fn key(id: &str) -> RequestKey<'_> {
    RequestKey {
        rpc: "Reply",
        id,
        digest: [0; 32],
    }
}

async fn connect(url: String) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .test_before_acquire(false)
        .sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// Writes without the service around the store.
pub struct Sender {
    pub store: Store,
    organization: OrganizationId,
    nurse: PersonId,
    doctor: PersonId,
}

impl Sender {
    fn body() -> Body {
        Body::parse("Please come on Monday.", Limits::default()).unwrap()
    }

    pub fn new(database: DatabaseConnection) -> Self {
        Self::between(database, "staff/nurse", "staff/doctor")
    }

    /// Of one member of staff to another.
    pub fn between(database: DatabaseConnection, nurse: &str, doctor: &str) -> Self {
        Self {
            store: Store::new(database),
            organization: OrganizationId::parse("southern").unwrap(),
            nurse: PersonId::parse(nurse).unwrap(),
            doctor: PersonId::parse(doctor).unwrap(),
        }
    }

    pub async fn start(&self) -> Uuid {
        self.start_as("start").await
    }

    pub async fn start_as(&self, request: &str) -> Uuid {
        let doctor = self.doctor.clone();
        let parties = Parties::parse(&self.nurse, std::slice::from_ref(&doctor), None, Limits::default()).unwrap();
        let subject = Subject::parse("", Limits::default()).unwrap();
        let start = Start {
            sender: self.nurse.clone(),
            parties,
            subject,
            body: Self::body(),
        };
        let decision = Decision {
            denials: Vec::new(),
            names: [(self.nurse.clone(), "Nurse".to_owned()), (doctor, "Doctor".to_owned())].into(),
            patient_name: None,
            chart_url: None,
            staff_chart_access: None,
            portal_user_connected: false,
        };
        let made = made();
        let conversation = start.conversation(&self.organization, decision, made).unwrap();
        let actor = Actor::Person(self.nurse.clone());
        let write = Write {
            organization: &self.organization,
            actor: &actor,
            now: made.now,
            occasion: &Occasion::own(made.event, "test"),
        };
        self.store.start(write, key(request), conversation).await.unwrap();
        made.conversation
    }

    pub async fn reply(&self, conversation: Uuid, request: &str) {
        let opened = self
            .store
            .open(&self.organization, &self.nurse, key(request), Some(conversation))
            .await
            .unwrap();
        let Opened::New(Some(thread)) = opened else {
            panic!("the conversation is there")
        };
        let made = made();
        let message = thread.reply(&self.organization, self.nurse.clone(), Self::body(), made);
        let actor = Actor::Person(self.nurse.clone());
        let write = Write {
            organization: &self.organization,
            actor: &actor,
            now: made.now,
            occasion: &Occasion::own(made.event, "test"),
        };
        self.store
            .reply(write, key(request), conversation, message)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_send_takes_two_round_trips() {
    let servers = Servers::ensure().await;
    let name = servers.create_database("round_trips").await;
    let direct = url::Url::parse(&servers.postgres_url(&name)).unwrap();
    let target = format!("127.0.0.1:{}", direct.port().unwrap()).parse().unwrap();
    let proxy = TcpProxy::start(target).await;
    let mut through = direct.clone();
    through.set_port(Some(proxy.address().port())).unwrap();
    let database = connect(through.to_string()).await;
    Migrator::up(&database, None).await.unwrap();
    let sender = Sender::new(database);
    let conversation = sender.start().await;
    // The first one has its statements prepared.
    sender.reply(conversation, "first").await;
    let before = proxy.round_trips();
    for turn in 0..SENDS {
        sender.reply(conversation, &format!("request {turn}")).await;
    }
    // After each statement, when the caller has their answer, the pool sees with an empty exchange that the connection is
    // whole; the one of the last statement before, or of the last one, may fall on either side.
    let expected = SENDS * (2 + 2);
    let counted = proxy.round_trips() - before;
    assert!(
        (expected - 1..=expected + 1).contains(&counted),
        "{counted} for {SENDS} sends"
    );
}
