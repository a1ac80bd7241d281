//! The whole path: a reply over gRPC through messaging and eligibility, its event through the outbox and RabbitMQ to
//! notification, and the email to a mail server. Three processes, as the suite's tests start them.

use std::{
    fs,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use carepost_proto::messaging::v1::{
    ReplyRequest, StartConversationRequest, messaging_service_client::MessagingServiceClient,
};
use carepost_suite::{
    Plan, Suite, clients,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::Servers;
use futures::{StreamExt as _, stream};
use sea_orm::DatabaseConnection;
use tokio::runtime::Runtime;
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::{
    cpu::{Cpu, Snapshot},
    database,
    hospital::{self, BODY, CONVERSATIONS, ORGANIZATION},
    load::{CONNECTIONS, IN_FLIGHT, Measured, WARM_UP, closed_loop, scattered},
    progress,
};

/// How long to wait until everybody has been told.
const SETTLE: Duration = Duration::from_secs(60);
const SENT: &str = "state = 'sent'";
const NOT_SENT: &str = "state <> 'sent'";
/// How many conversations are started at once.
const STARTED_AT_ONCE: usize = 16;

/// A conversation, and what its member of staff calls with.
struct Conversation {
    id: String,
    authorization: AsciiMetadataValue,
}

/// The suite with a hospital in it.
pub struct WholePath {
    suite: Suite,
    conversations: Arc<Vec<Conversation>>,
    messaging: DatabaseConnection,
    notification: DatabaseConnection,
    replies: Arc<AtomicU64>,
}

/// A reply under way.
type Answering = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// What was measured, and what was left to do when the load ended.
pub struct Replies {
    /// The replies.
    pub measured: Measured,
    /// Processor time while they were counted.
    pub cpu: Cpu,
    /// How many events were in the outbox.
    pub outbox: i64,
    /// How long until there were none. None: too long.
    pub drained: Option<Duration>,
    /// How many emails were sent while the load ran, warm-up included.
    pub emails: i64,
    /// How many of its deliveries were not sent by then, of those that were recorded.
    pub deliveries_left: i64,
}

impl WholePath {
    /// Starts it, and waits until all is quiet.
    pub async fn start(servers: Servers) -> Self {
        let suite = Suite::start_on(servers, "bench", Plan::default()).await;
        log_as_in_production(&suite).await;
        progress("directory and conversations");
        let report = suite.import(&hospital::directory()).await;
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
        let conversations = Arc::new(start_conversations(&suite).await);
        let connect = async |service| database::connect(&suite.servers.postgres_url(suite.database(service))).await;
        let (messaging, notification) = (connect(Service::Messaging).await, connect(Service::Notification).await);
        let eligibility = connect(Service::Eligibility).await;
        let path = Self {
            suite,
            conversations,
            messaging,
            notification,
            replies: Arc::default(),
        };
        assert!(path.settled().await, "emails are not sent: {}", path.suite.logs());
        for fresh in [&path.messaging, &path.notification, &eligibility] {
            database::execute(fresh, "VACUUM ANALYZE").await;
        }
        eligibility.close().await.expect("it was open");
        path
    }

    /// The suite.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The servers.
    pub fn servers(&self) -> &Servers {
        &self.suite.servers
    }

    /// Measures at each number of replies in flight, each time from quiet on.
    pub fn measure(&self, load: &Runtime, span: Duration) -> Vec<Replies> {
        let all = IN_FLIGHT.map(|in_flight| {
            progress("waiting until all emails are sent");
            if !load.block_on(self.settled()) {
                progress("they are not, after a minute: what follows has that work beside it");
            }
            progress(&format!("replies through the whole path, {in_flight} in flight"));
            load.block_on(self.measure_one(in_flight, span))
        });
        all.into()
    }

    async fn measure_one(&self, in_flight: usize, span: Duration) -> Replies {
        let sent_before = self.deliveries(SENT).await;
        let (measured, cpu) = tokio::join!(self.load(in_flight, span), self.watch(span));
        let (outbox, ended) = (self.outbox().await, Instant::now());
        let emails = self.deliveries(SENT).await - sent_before;
        let deliveries_left = self.deliveries(NOT_SENT).await;
        let drained = until(SETTLE, async || self.outbox().await == 0).await;
        Replies {
            measured,
            cpu,
            outbox,
            drained: drained.then(|| ended.elapsed()),
            emails,
            deliveries_left,
        }
    }

    /// Has messaging's records of the audit trail written, or not: a trigger leaves them out. The service does not know.
    pub async fn record(&self, on: bool) {
        let sql = if on {
            "DROP TRIGGER IF EXISTS audit_record_left_out ON audit_record"
        } else {
            "CREATE OR REPLACE FUNCTION audit_left_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE OR REPLACE TRIGGER audit_record_left_out BEFORE INSERT ON audit_record \
             FOR EACH ROW EXECUTE FUNCTION audit_left_out()"
        };
        database::execute(&self.messaging, sql).await;
    }

    /// How many records messaging's audit trail has.
    pub async fn records(&self) -> i64 {
        database::value(&self.messaging, "SELECT count(*) FROM audit_record").await
    }

    /// Replies, so many in flight.
    pub async fn load(&self, in_flight: usize, span: Duration) -> Measured {
        closed_loop(in_flight, span, self.caller(None)).await
    }

    /// What makes a reply, by the number of its caller.
    pub fn caller(&self, deadline: Option<Duration>) -> impl Fn(usize) -> Answering + Send + Sync + use<> {
        let address = self.suite.address(Service::Messaging);
        let channels: [_; CONNECTIONS] = std::array::from_fn(|_| clients::channel(address));
        let (conversations, replies) = (Arc::clone(&self.conversations), Arc::clone(&self.replies));
        move |caller| {
            let number = scattered(replies.fetch_add(1, Ordering::Relaxed));
            let conversation = &conversations[(number % CONVERSATIONS) as usize];
            let mut request = Request::new(ReplyRequest {
                request_id: format!("{number:036}"),
                conversation_id: conversation.id.clone(),
                body: BODY.to_owned(),
            });
            let metadata = request.metadata_mut();
            metadata.insert("authorization", conversation.authorization.clone());
            if let Some(deadline) = deadline {
                request.set_timeout(deadline);
            }
            let mut client = MessagingServiceClient::new(channels[caller % CONNECTIONS].clone());
            Box::pin(async move { client.reply(request).await.map(drop) })
        }
    }

    /// Processor time of the span that is counted.
    async fn watch(&self, span: Duration) -> Cpu {
        tokio::time::sleep(WARM_UP).await;
        let databases = Service::ALL.map(|service| self.suite.database(service));
        let before = Snapshot::take(&self.messaging, databases).await;
        tokio::time::sleep(span.saturating_sub(before.taken.elapsed())).await;
        Snapshot::take(&self.messaging, databases).await.since(&before)
    }

    async fn outbox(&self) -> i64 {
        database::value(&self.messaging, "SELECT count(*) FROM outbox").await
    }

    async fn deliveries(&self, state: &str) -> i64 {
        database::value(
            &self.notification,
            &format!("SELECT count(*) FROM delivery WHERE {state}"),
        )
        .await
    }

    /// Waits until every message has its email. False if that takes too long.
    pub async fn settled(&self) -> bool {
        until(SETTLE, async || {
            let messages: i64 = database::value(&self.messaging, "SELECT count(*) FROM message").await;
            self.outbox().await == 0 && self.deliveries(SENT).await >= messages
        })
        .await
    }

    /// Ends the services and removes their databases.
    pub async fn end(self) {
        for service in Service::ALL {
            self.suite.kill(service);
        }
        for database in Service::ALL.map(|service| self.suite.database(service)) {
            self.suite.servers.drop_database(database).await;
        }
    }
}

/// The suite's tests have their services log everything, to look for what must not be there.
pub async fn log_as_in_production(suite: &Suite) {
    for service in Service::ALL {
        suite.stop(service).await;
        let path = suite.file(&service.settings());
        let settings = fs::read_to_string(&path).expect("the settings of the suite");
        let quiet = settings.lines().map(|line| {
            if line.starts_with("log_filter") {
                "log_filter = \"info,sqlx=warn,lapin=error\""
            } else {
                line
            }
        });
        fs::write(&path, quiet.collect::<Vec<_>>().join("\n")).expect("the settings can be written");
        suite.start_service(service).await;
    }
}

async fn start_conversations(suite: &Suite) -> Vec<Conversation> {
    let channel = clients::channel(suite.address(Service::Messaging));
    let started = stream::iter(1..=CONVERSATIONS).map(|number| {
        let token = suite.people.person(ORGANIZATION, &hospital::staff(number));
        let authorization: AsciiMetadataValue = format!("Bearer {token}").parse().expect("a token is ASCII");
        let mut request = Request::new(StartConversationRequest {
            request_id: format!("start-{number}"),
            recipients: vec![hospital::portal_user(number)],
            chart_id: Some(hospital::chart(number)),
            subject: "A question".to_owned(),
            body: "How are you?".to_owned(),
        });
        request.metadata_mut().insert("authorization", authorization.clone());
        let mut client = MessagingServiceClient::new(channel.clone());
        async move {
            let answer = tokio::time::timeout(LONG, client.start_conversation(request)).await;
            let answer = answer.expect("an answer in time").expect("the conversation is started");
            Conversation {
                id: answer.into_inner().conversation_id,
                authorization,
            }
        }
    });
    started.buffer_unordered(STARTED_AT_ONCE).collect().await
}
