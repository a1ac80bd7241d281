//! An SMTP server that keeps what it is sent and answers as a test's script says, over real TCP on loopback.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

mod certificate;
mod line;
mod login;
mod mail;
mod session;

pub use certificate::Certificate;
pub use login::{Login, Mechanism};
pub use mail::Mail;

use crate::ports;
use session::{Protection, Session};

/// Connections served at once by all servers of a process; one more is answered 421.
const MAX_CONNECTIONS: usize = 256;
static PLACES: Semaphore = Semaphore::const_new(MAX_CONNECTIONS);
/// Mails kept; one more is answered 452.
const MAX_MAILS: usize = 20_000;

/// What the server does about one recipient of one mail. Where the recipients of a mail differ, the first one that is not
/// [`Behaviour::Accept`] decides about its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes the mail.
    Accept,
    /// Answers RCPT with this code (4xx or 5xx) and text.
    RefuseRecipient(u16, String),
    /// Answers the end of the data with this code (4xx or 5xx) and text; the mail is not kept.
    RefuseData(u16, String),
    /// Keeps the mail, then closes the connection without an answer: the client cannot know.
    DropAfterData,
    /// Keeps the mail, then says nothing until the client gives up or the server stops.
    Hang,
    /// Keeps the mail, then closes the connection in the middle of a good answer: the client cannot know.
    HalfAnswer,
}

/// Where a dialogue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The server has yet to greet.
    Greeting,
    /// The client has said EHLO.
    Hello,
    /// It wants TLS: it has said STARTTLS, or connected where TLS begins with the first byte, and nothing can be refused.
    Tls,
    /// It wants to log in.
    Login,
    /// It wants to use the connection for another mail.
    Reset,
    /// It has named the sender.
    Sender,
    /// It has named a recipient.
    Recipient,
    /// It wants to send the data.
    Data,
    /// It sends the data, of which nothing is kept. After a refusal the server closes.
    Content,
    /// It says goodbye.
    Quit,
}

/// What the server does to a whole connection, whoever the recipients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Talks as it should.
    Usual,
    /// As it should, but every answer comes byte by byte.
    InPieces,
    /// Answers this stage with this code (4xx or 5xx) and text, the first time; at the greeting it then closes.
    Refuse(Stage, u16, String),
    /// Says nothing any more from this stage on, until the client gives up or the server stops.
    Hang(Stage),
    /// Closes the connection at this stage, without an answer.
    Drop(Stage),
}

/// Decides by connection: 1 for the first, and so on.
pub type ConnectionScript = Box<dyn Fn(u64) -> Conduct + Send + Sync>;

/// Decides by recipient and attempt: 1 when the server hears of the recipient for the first time, and so on.
pub type Script = Box<dyn Fn(&str, u32) -> Behaviour + Send + Sync>;

/// How clients must speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Without TLS.
    Plain,
    /// TLS by STARTTLS; no mail is taken before it.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// What the server wants and offers beside the usual.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// How clients must log in before they send mail; none: they need not. It is offered over TLS alone.
    pub login: Option<Login>,
    /// Whether addresses may hold any character (SMTPUTF8, RFC 6531).
    pub unicode: bool,
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0 for any.
    pub port: u16,
    /// How clients must speak.
    pub security: Security,
}

impl Default for Options {
    /// Any port, STARTTLS.
    fn default() -> Self {
        Self {
            port: 0,
            security: Security::StartTls,
        }
    }
}

/// A running server. It stops when dropped; [`SmtpServer::stop`] and [`SmtpServer::restart`] play an outage, in which mails,
/// script, port and certificate are kept.
pub struct SmtpServer {
    address: SocketAddr,
    security: Security,
    certificate: Certificate,
    shared: Arc<Shared>,
    running: Mutex<Option<JoinHandle<()>>>,
}

/// What the sessions share.
struct Shared {
    mails: watch::Sender<Vec<Mail>>,
    script: Mutex<Script>,
    connection_script: Mutex<ConnectionScript>,
    features: Mutex<Features>,
    attempts: Mutex<HashMap<String, u32>>,
    refusing: AtomicBool,
    connections: AtomicU64,
}

impl SmtpServer {
    /// Starts a server that accepts everything until [`SmtpServer::script`] says otherwise.
    ///
    /// # Panics
    /// If the port is taken.
    pub async fn start(options: Options) -> Self {
        Self::start_as(options, Certificate::generate()).await
    }

    /// As [`SmtpServer::start`], with this certificate.
    ///
    /// # Panics
    /// If the port is taken.
    pub async fn start_as(options: Options, certificate: Certificate) -> Self {
        let port = if options.port == 0 {
            ports::free_port()
        } else {
            options.port
        };
        let shared = Shared {
            mails: watch::Sender::new(Vec::new()),
            script: Mutex::new(Box::new(|_, _| Behaviour::Accept)),
            connection_script: Mutex::new(Box::new(|_| Conduct::Usual)),
            features: Mutex::default(),
            attempts: Mutex::default(),
            refusing: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        };
        let server = Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            security: options.security,
            certificate,
            shared: Arc::new(shared),
            running: Mutex::new(None),
        };
        server.restart().await;
        server
    }

    /// Where it listens. Its certificate is also good for the name `localhost`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.certificate.ca_pem()
    }

    /// Writes [`SmtpServer::ca_pem`] to a file, for a service to trust.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_ca(&self, path: &Path) {
        std::fs::write(path, self.ca_pem()).expect("the authority's certificate can be written");
    }

    /// Replaces the script, for recipients named from now on.
    pub fn script(&self, script: impl Fn(&str, u32) -> Behaviour + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Replaces the script of connections, for those that come from now on.
    pub fn script_connections(&self, script: impl Fn(u64) -> Conduct + Send + Sync + 'static) {
        *self.shared.connection_script.lock().unwrap() = Box::new(script);
    }

    /// Replaces what it wants and offers, for connections that come from now on.
    pub fn offer(&self, features: Features) {
        *self.shared.features.lock().unwrap() = features;
    }

    /// Whether new connections are answered with 421, from now on.
    pub fn refuse_connections(&self, refuse: bool) {
        self.shared.refusing.store(refuse, Ordering::SeqCst);
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Every mail whose data came whole and was not refused, in order, acknowledged or not.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails.borrow().clone()
    }

    /// Forgets all mails: for who sends more of them than are kept.
    pub fn forget_mails(&self) {
        self.shared.mails.send_modify(Vec::clear);
    }

    /// Those of [`SmtpServer::mails`] to this address, compared without case.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let is_to = |mail: &Mail| mail.to.iter().any(|to| to.eq_ignore_ascii_case(address));
        self.mails().into_iter().filter(is_to).collect()
    }

    /// Waits until the mails received so far satisfy the condition, and returns them.
    ///
    /// # Panics
    /// If they do not before the deadline.
    pub async fn wait_for(&self, condition: impl Fn(&[Mail]) -> bool, deadline: Duration) -> Vec<Mail> {
        let mut mails = self.shared.mails.subscribe();
        let satisfied = tokio::time::timeout(deadline, mails.wait_for(|mails| condition(mails))).await;
        match satisfied {
            Ok(mails) => mails.expect("the server keeps the sender").clone(),
            Err(_) => panic!(
                "{} mails within {deadline:?}, and not the expected ones",
                self.mails().len()
            ),
        }
    }

    /// Stops listening and cuts every connection. Returns when the port is closed.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(task) = running {
            task.abort();
            task.await.ok();
        }
    }

    /// Listens again, on the same port. Does nothing if it does already.
    ///
    /// # Panics
    /// If the port is taken.
    pub async fn restart(&self) {
        if self.running.lock().unwrap().is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the SMTP server's port is free");
        let (security, certificate, shared) = (self.security, self.certificate.clone(), self.shared.clone());
        let task = tokio::spawn(listen(listener, move |stream| {
            serve(stream, security, certificate.clone(), shared.clone())
        }));
        *self.running.lock().unwrap() = Some(task);
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        if let Some(task) = self.running.lock().unwrap().take() {
            task.abort();
        }
    }
}

impl Shared {
    /// What to do about a recipient, who counts as tried once more.
    fn behaviour(&self, recipient: &str) -> Behaviour {
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry(recipient.to_ascii_lowercase()).or_default();
            *attempt += 1;
            *attempt
        };
        self.script.lock().unwrap()(recipient, attempt)
    }

    /// Keeps a mail and tells its place, unless there are too many.
    fn keep(&self, mail: Mail) -> Option<usize> {
        let mut place = None;
        self.mails.send_if_modified(|mails| {
            if mails.len() < MAX_MAILS {
                place = Some(mails.len());
                mails.push(mail);
            }
            place.is_some()
        });
        place
    }

    /// The acknowledgement did not get out.
    fn mark_unacknowledged(&self, place: usize) {
        self.mails.send_modify(|mails| {
            // Gone if all were forgotten meanwhile.
            if let Some(mail) = mails.get_mut(place) {
                mail.acknowledged = false;
            }
        });
    }
}

/// Serves connections until it is aborted, which ends them all.
async fn listen<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut sessions = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            sessions.spawn(serve(stream));
        }
        while sessions.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, security: Security, certificate: Certificate, shared: Arc<Shared>) -> io::Result<()> {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
    let place = PLACES.try_acquire();
    let conduct = if place.is_err() || shared.refusing.load(Ordering::SeqCst) {
        Conduct::Refuse(Stage::Greeting, 421, "localhost not now".to_owned())
    } else {
        shared.connection_script.lock().unwrap()(number)
    };
    let protection = match security {
        Security::Plain => Protection::None,
        Security::StartTls => Protection::Offered,
        Security::Tls => match conduct {
            Conduct::Drop(Stage::Tls) => return Ok(()),
            Conduct::Hang(Stage::Tls) => return line::ignore(stream).await,
            conduct => {
                let stream = certificate.accept(stream).await?;
                let session = Session::new(stream, shared, conduct, Protection::Tls);
                return session.greet_and_run().await.map(drop);
            }
        },
    };
    let session = Session::new(stream, shared.clone(), conduct.clone(), protection);
    let Some(stream) = session.greet_and_run().await? else {
        return Ok(());
    };
    let stream = certificate.accept(stream).await?;
    let session = Session::new(stream, shared, conduct, Protection::Tls);
    session.run().await.map(drop)
}
