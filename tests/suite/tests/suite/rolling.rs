//! A rolling restart: two replicas of each service are restarted in turn under load, and no call fails.
//!
//! The client does what gRPC's documentation recommends: a deadline, and up to five tries of what is UNAVAILABLE or was never
//! sent, with a growing pause, under one `request_id`.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use carepost_proto::messaging::v1::{
    GetUnreadCountRequest, ListConversationsRequest, ReplyRequest, messaging_service_client::MessagingServiceClient,
};
use carepost_suite::{
    Suite,
    clients::{self, CallerChannel, Metadata},
    process::{Service, binary},
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, ports::free_port};
use futures::future::join_all;
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Request, Response, Status, service::interceptor::InterceptedService};

use crate::traffic::{PRAIRIE, begin, request_id, settle};

const TRIES: u32 = 5;
const WORKERS: usize = 6;

/// Forwards each connection to a replica that takes it, as a headless Service's names do for who tries one after the other.
struct Balancer(SocketAddr);

impl Balancer {
    async fn start(targets: [SocketAddr; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut client, _)) = listener.accept().await {
                turn += 1;
                tokio::spawn(async move {
                    for target in [targets[turn % 2], targets[(turn + 1) % 2]] {
                        if let Ok(mut server) = TcpStream::connect(target).await {
                            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                            return;
                        }
                    }
                });
            }
        });
        Self(address)
    }
}

/// One replica, restarted on its own port.
struct Replica {
    service: Service,
    address: SocketAddr,
    settings: String,
    child: Option<Child>,
}

impl Replica {
    async fn start(suite: &Suite, service: Service, address: SocketAddr, eligibility: SocketAddr) -> Self {
        let text = fs::read_to_string(suite.file(&service.settings())).unwrap();
        let asked = format!("url = \"http://{}\"", suite.address(Service::Eligibility));
        let text = text
            .replace(&asked, &format!("url = \"http://{eligibility}\""))
            .replace(
                &format!("listen = \"{}\"", suite.address(service)),
                &format!("listen = \"{address}\""),
            );
        let settings = suite.file(&format!("{}-{}.toml", service.name(), address.port()));
        fs::write(&settings, text).unwrap();
        let mut replica = Self {
            service,
            address,
            settings: settings.display().to_string(),
            child: None,
        };
        replica.serve().await;
        replica
    }

    async fn serve(&mut self) {
        let child = Command::new(binary())
            .args([self.service.name(), "--config", &self.settings, "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let ready = until(LONG, async || clients::is_ready(self.address).await).await;
        assert!(ready, "{} does not become ready again", self.service.name());
    }

    async fn restart(&mut self) {
        let mut child = self.child.take().unwrap();
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(told.unwrap().success());
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap();
        assert_eq!(
            ended.unwrap().code(),
            Some(0),
            "{} ends in good order",
            self.service.name()
        );
        self.serve().await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the workers have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    calls: AtomicU64,
    tries: AtomicU64,
}

type Client = MessagingServiceClient<CallerChannel>;

impl Seen {
    /// Waits for this many more calls.
    async fn more(&self, calls: u64) {
        let goal = self.calls.load(Ordering::Relaxed) + calls;
        let enough = until(LONG, async || self.calls.load(Ordering::Relaxed) >= goal).await;
        assert!(enough, "the load has ended");
    }

    /// One call, tried again where gRPC's documentation says that it may be.
    async fn call<A>(&self, mut call: impl AsyncFnMut() -> Result<Response<A>, Status>) -> A {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut failures = 0;
        loop {
            self.tries.fetch_add(1, Ordering::Relaxed);
            let status = match call().await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => status,
            };
            failures += 1;
            // tonic gives what the connection refused to take as other codes than UNAVAILABLE.
            let unsent = status
                .source()
                .is_some_and(|source| source.is::<tonic::transport::Error>());
            assert!(
                (status.code() == Code::Unavailable || unsent) && failures < TRIES,
                "a call failed after {failures} tries: {status:?}"
            );
            tokio::time::sleep(Duration::from_millis(50 << failures)).await;
        }
    }

    async fn work(&self, mut client: Client, conversation: String) -> BTreeSet<String> {
        let mut accepted = BTreeSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            let reply = ReplyRequest {
                request_id: request_id(),
                conversation_id: conversation.clone(),
                body: "Under load.".to_owned(),
            };
            let answer = self.call(async || client.reply(within(reply.clone())).await).await;
            accepted.insert(answer.message.unwrap().id);
            let list = ListConversationsRequest::default();
            self.call(async || client.list_conversations(within(list.clone())).await)
                .await;
            self.call(async || client.get_unread_count(within(GetUnreadCountRequest {})).await)
                .await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        accepted
    }
}

fn within<Q>(question: Q) -> Request<Q> {
    let mut request = Request::new(question);
    request.set_timeout(Duration::from_secs(10));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_two_replicas_each_fails_no_call() {
    let suite = Suite::start("rolling").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    let first: Vec<_> = Service::ALL.map(|service| suite.address(service)).into();
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }
    let pairs: Vec<_> = first
        .iter()
        .map(|address| [*address, SocketAddr::from(([127, 0, 0, 1], free_port()))])
        .collect();
    let eligibility = Balancer::start(pairs[Service::Eligibility as usize]).await;
    let messaging = Balancer::start(pairs[Service::Messaging as usize]).await;
    let mut replicas = Vec::new();
    for service in Service::ALL {
        for address in pairs[service as usize] {
            replicas.push(Replica::start(&suite, service, address, eligibility.0).await);
        }
    }

    let seen = Seen::default();
    let workers = (0..WORKERS).map(|n| {
        let person = [PRAIRIE.staff, PRAIRIE.portal_user][n % 2];
        let metadata = Metadata {
            token: Some(suite.people.person("prairie", person)),
            ..Metadata::default()
        };
        let client = Client::new(InterceptedService::new(clients::channel(messaging.0), metadata));
        seen.work(client, conversation.clone())
    });
    let restarts = async {
        seen.more(100).await;
        for replica in &mut replicas {
            replica.restart().await;
            seen.more(100).await;
        }
        seen.stop.store(true, Ordering::Relaxed);
    };
    let (accepted, ()) = tokio::join!(join_all(workers), restarts);
    let accepted: BTreeSet<_> = accepted.into_iter().flatten().collect();
    let (calls, tries) = (seen.calls.load(Ordering::Relaxed), seen.tries.load(Ordering::Relaxed));
    assert!(calls >= 700, "{calls} calls in {tries} tries");
    settle(&suite, PRAIRIE, &conversation, &accepted).await;
}
