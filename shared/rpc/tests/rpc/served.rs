//! A server with the guard at its door and a service whose calls take as long as a test wants.

use std::{
    convert::Infallible,
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use carepost_audit::{Writer, schema};
use carepost_rpc::{
    authn::{Authenticator, IdentitySettings, Keys},
    deadline::grpc_timeout,
    guard::GuardLayer,
};
use carepost_runtime::{
    Clock,
    database::open_file,
    health,
    lifecycle::Lifecycle,
    server::{self, ServerSettings},
    settings::Reader,
};
use carepost_testkit::TokenIssuer;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use sea_orm::DatabaseConnection;
use sea_orm_migration::SchemaManager;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tonic::{body::Body, server::NamedService};

/// Settings that are never reached, unless a test says otherwise.
pub const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nmax_concurrent_calls = 10000\nmax_waiting_calls = 0\n\
    max_wait_ms = 60000\nmax_connections = 1000\nconnection_patience_seconds = 60\nmax_connection_idle_seconds = 600\n\
    max_connection_grace_seconds = 3600\ncall_timeout_ms = 60000\nmax_request_bytes = 262144\ngrace_seconds = 120\n\
    max_connection_age_seconds = 600\nkeepalive_seconds = 60\nallow_plaintext = false\n\
    person_calls_per_second = 100000\nperson_burst = 100000\nservice_calls_per_second = 100000\nservice_burst = 100000\n\
    organization_calls_per_second = 100000\norganization_burst = 100000\n";

pub const GET_UNREAD_COUNT: &str = "/carepost.messaging.v1.MessagingService/GetUnreadCount";
pub const LIST_MESSAGES: &str = "/carepost.messaging.v1.MessagingService/ListMessages";
pub const WATCH_INBOX: &str = "/carepost.messaging.v1.MessagingService/WatchInbox";
/// How large the answer of `ListMessages` is here: more than a kernel keeps for a connection.
pub const LARGE: usize = 32 * 1_024 * 1_024;

/// What the service does, and has seen.
pub struct Work {
    /// A call of `GetUnreadCount` takes one of these before it answers.
    pub gate: Semaphore,
    /// How many calls the service works on.
    pub under_way: AtomicUsize,
    /// How many it has begun.
    pub begun: AtomicUsize,
    /// How many answers are held that have not been handed over.
    pub held: AtomicUsize,
    /// What the last caller left as time.
    pub left: Mutex<Option<Duration>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            gate: Semaphore::new(0),
            under_way: AtomicUsize::default(),
            begun: AtomicUsize::default(),
            held: AtomicUsize::default(),
            left: Mutex::default(),
        }
    }
}

impl Work {
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

/// Counts as long as it is there.
struct Counted(Arc<Work>, fn(&Work) -> &AtomicUsize);

impl Counted {
    fn new(work: &Arc<Work>, counter: fn(&Work) -> &AtomicUsize) -> Self {
        counter(work).fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(work), counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1(&self.0).fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
struct Worker(Arc<Work>);

impl NamedService for Worker {
    const NAME: &'static str = "carepost.messaging.v1.MessagingService";
}

impl tower::Service<Request<Body>> for Worker {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let work = Arc::clone(&self.0);
        Box::pin(async move {
            work.begun.fetch_add(1, Ordering::SeqCst);
            let _under_way = Counted::new(&work, |work| &work.under_way);
            *work.left.lock().unwrap() = grpc_timeout(request.headers());
            let path = request.uri().path().to_owned();
            let body = match path.as_str() {
                WATCH_INBOX => Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
                    Result<hyper::body::Frame<Bytes>, Infallible>,
                >())),
                LIST_MESSAGES => large(&work),
                _ => {
                    // A body that breaks off is no matter here.
                    let _ = request.into_body().collect().await;
                    work.gate.acquire().await.unwrap().forget();
                    return Ok(tonic::Status::ok("").into_http());
                }
            };
            let mut answer = Response::new(body);
            let kind = http::HeaderValue::from_static("application/grpc");
            answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            Ok(answer)
        })
    }
}

fn large(work: &Arc<Work>) -> Body {
    let held = Counted::new(work, |work| &work.held);
    let body = Full::new(Bytes::from(vec![0; LARGE]));
    Body::new(body.map_frame(move |frame| {
        let _ = &held;
        frame
    }))
}

/// A server, and who may call it.
pub struct Served {
    pub port: u16,
    pub work: Arc<Work>,
    pub people: TokenIssuer,
    /// To end it, for those who look at what is left.
    pub life: Lifecycle,
    /// With the audit trail.
    pub database: DatabaseConnection,
    _folder: TempDir,
}

impl Served {
    /// A server with these lines in its section `server`.
    pub async fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let people = TokenIssuer::new("people");
        let keys = folder.path().join("keys.json");
        people.write_jwks(&keys);
        let mut over = format!("[server]\n{lines}\n[identity]\naudience = \"carepost\"\nservices = []\n");
        write!(
            over,
            "[[identity.issuers]]\nissuer = \"people\"\njwks_file = {keys:?}\norganizations = [\"prairie\"]\n"
        )
        .unwrap();
        let mut reader = Reader::embedded(SERVER, &over).unwrap();
        let settings = ServerSettings::read(&mut reader);
        let identity = IdentitySettings::read(&mut reader);
        let (settings, identity) = reader.finish((settings, identity)).unwrap();
        let keys = Keys::load(&identity).await;
        let (incoming, life, work) = (
            settings.bind().await.unwrap(),
            Lifecycle::default(),
            Arc::<Work>::default(),
        );
        let database = open_file(&folder.path().join("audit.db"), Duration::from_secs(5))
            .await
            .unwrap();
        schema::create(&SchemaManager::new(&database)).await.unwrap();
        let (trail, writer) = Writer::new(database.clone(), Clock::system());
        life.spawn("audit", writer.run(life.stopping(), Duration::from_secs(2)));
        let authenticator = Authenticator::new(identity, keys, Clock::system());
        let guard = GuardLayer::new(authenticator, trail, &settings);
        let port = incoming.address().port();
        let (_, health) = health::service();
        let router = settings.builder().layer(guard).add_service(health);
        let reflection = server::reflection(carepost_proto::DESCRIPTOR_SET, &[Worker::NAME]).unwrap();
        let serving = router
            .add_service(reflection)
            .add_service(Worker(Arc::clone(&work)))
            .serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());
        life.spawn("server", server::run(serving, life.stopping(), Duration::from_secs(1)));
        Self {
            port,
            work,
            people,
            life,
            database,
            _folder: folder,
        }
    }

    /// The token of a person.
    pub fn token(&self) -> String {
        self.people.person("prairie", "staff/1")
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), looking).await.is_ok(),
        "{what}"
    );
}
