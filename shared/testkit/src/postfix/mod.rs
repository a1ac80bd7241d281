//! A private instance of a real mail server, Debian's postfix, on loopback.
//!
//! It takes mail for `example.org` over TLS, into one mailbox. Nothing leaves it: it relays for nobody, and it has no
//! part that could connect to another mail server. Postfix runs as root, and so must who starts it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::ports;

mod attendant;
mod certificate;
mod folder;
mod guard;
mod install;
mod processes;
mod settings;
#[cfg(test)]
mod tests;

use attendant::Attendant;
use folder::Folder;
use guard::Guard;

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How long a command of postfix may take, in seconds.
const COMMAND_SECONDS: &str = "60";
const PAUSE: Duration = Duration::from_millis(20);
/// A mail goes through them in this order: whoever looks in this order overlooks none that moves on meanwhile.
const QUEUES: [&str; 4] = ["maildrop", "incoming", "active", "deferred"];

/// A running postfix. It is stopped and all of it removed when this is dropped, and soon after this process has died without
/// that; what is left even so is ended by the next process that starts a postfix.
#[derive(Debug)]
pub struct PostfixServer {
    addresses: Addresses,
    ca_pem: String,
    _attendants: [Attendant; 2],
    // Dropped in this order: the guard needs the folder's lock.
    folder: Folder,
    guard: Guard,
}

/// Where an instance listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For TLS by STARTTLS.
    pub starttls: SocketAddr,
    /// For TLS from the first byte.
    pub tls: SocketAddr,
    /// For TLS by STARTTLS and a login, by PLAIN or LOGIN.
    pub login: SocketAddr,
}

impl Addresses {
    fn free() -> Self {
        let [starttls, tls, login] =
            std::array::from_fn(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free_port())));
        Self { starttls, tls, login }
    }
}

impl PostfixServer {
    /// The one address of `example.org` whose mail is refused for good, with 550 and an answer that names the address.
    pub const REFUSED: &str = settings::REFUSED;
    /// The one address of `example.org` whose first mail is put off, with 450.
    pub const GREYLISTED: &str = settings::GREYLISTED;
    /// Who may log in.
    pub const USERNAME: &str = settings::USERNAME;
    /// The password for it.
    pub const PASSWORD: &str = settings::PASSWORD;

    /// Starts one, in one to three seconds; the package is installed first if it is missing.
    ///
    /// # Panics
    /// If it cannot be installed or started.
    pub async fn start() -> Self {
        Self::start_as(&["localhost", "127.0.0.1"]).await
    }

    /// As [`PostfixServer::start`], with a certificate for these names.
    ///
    /// # Panics
    /// If it cannot be installed or started.
    pub async fn start_as(names: &'static [&'static str]) -> Self {
        tokio::task::spawn_blocking(|| Self::start_blocking(names))
            .await
            .expect("starting postfix does not panic")
            .unwrap_or_else(|error| panic!("postfix does not start: {error}"))
    }

    fn start_blocking(names: &[&str]) -> io::Result<Self> {
        let folder = {
            let _lock = folder::lock()?;
            install::install_if_missing()?;
            folder::orphans()?.iter().try_for_each(clear)?;
            Folder::new()?
        };
        let guard = Guard::start(folder.path())?;
        let certificate = certificate::sign(names).map_err(io::Error::other)?;
        let addresses = Addresses::free();
        let server = Self {
            addresses,
            ca_pem: certificate.ca_pem.clone(),
            _attendants: [Attendant::login(folder.path())?, Attendant::greylist(folder.path())?],
            folder,
            guard,
        };
        settings::write(server.folder.path(), addresses, &certificate)?;
        control(server.folder.path(), "start")?;
        if poll(START_DEADLINE, || greets(addresses.starttls)) {
            Ok(server)
        } else {
            Err(io::Error::other(format!("it does not greet: {}", server.log())))
        }
    }

    /// Where it takes mail over STARTTLS. Its certificate is for 127.0.0.1 and `localhost`, unless others were given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses.starttls
    }

    /// All places where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The mails to this address that lie in the mailbox, oldest first, as delivered: with the headers that postfix adds, and
    /// lines ended by LF alone. Addresses are compared without case.
    ///
    /// # Panics
    /// If the mailbox cannot be read.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        let is_to = |mail: &String| {
            let header = mail.lines().find_map(|line| line.strip_prefix("X-Original-To: "));
            header.is_some_and(|to| to.eq_ignore_ascii_case(address))
        };
        self.mails().into_iter().filter(is_to).collect()
    }

    /// All mails, as [`PostfixServer::mails_to`] gives them.
    ///
    /// # Panics
    /// If the mailbox cannot be read.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let mailbox = self.folder.path().join(settings::MAILBOX).join("new");
        let mut files = entries(&mailbox);
        // Their names begin with the time.
        files.sort();
        let text = |file: &PathBuf| String::from_utf8_lossy(&fs::read(file).expect("a mail can be read")).into_owned();
        files.iter().map(text).collect()
    }

    /// Waits until a mail to this address is in the mailbox, and gives all to it.
    ///
    /// # Panics
    /// If none is before the deadline.
    pub async fn wait_for_mail(&self, address: &str, deadline: Duration) -> Vec<String> {
        wait("no such mail", deadline, || {
            Some(self.mails_to(address)).filter(|mails| !mails.is_empty())
        })
        .await
    }

    /// Waits until every mail that was taken so far is in the mailbox, or thrown away.
    ///
    /// # Panics
    /// If one is still under way at the deadline.
    pub async fn wait_until_delivered(&self, deadline: Duration) {
        let queue = self.folder.path().join("queue");
        let is_empty = || QUEUES.iter().all(|name| entries(&queue.join(name)).is_empty());
        wait("mails are still under way", deadline, || is_empty().then_some(())).await;
    }

    /// What it has logged. There are addresses in it.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mail.log")).unwrap_or_default()
    }
}

impl Drop for PostfixServer {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.folder) {
            eprintln!("carepost-testkit: postfix is left behind: {error}");
        }
        // It ends what is left.
        self.guard.let_go();
    }
}

/// Stops what runs in the folder, and removes it.
fn clear(folder: &Folder) -> io::Result<()> {
    let idle = || processes::of(folder.path()).is_empty();
    if !idle() {
        // It fails where the start had not come far; what counts is that nothing is left.
        control(folder.path(), "stop").ok();
        if !poll(STOP_DEADLINE, idle) {
            processes::kill(folder.path())?;
        }
        if !poll(STOP_DEADLINE, idle) {
            let left = processes::of(folder.path());
            return Err(io::Error::other(format!("processes {left:?} cannot be ended")));
        }
    }
    folder.remove()
}

/// Runs `postfix <word>`, bounded by `timeout`. Its output goes to a file: the server would keep a pipe open.
fn control(folder: &Path, word: &str) -> io::Result<()> {
    let log = folder.join("commands.log");
    let mut command = Command::new("timeout");
    command
        .args([COMMAND_SECONDS, "/usr/sbin/postfix", "-c"])
        .arg(folder.join("config"))
        .arg(word)
        .current_dir("/");
    run(&mut command, &log).map_err(|error| {
        let logged = fs::read_to_string(folder.join("mail.log")).unwrap_or_default();
        io::Error::other(format!("{error}\n{logged}"))
    })
}

/// Runs a command to its end, its output appended to the log.
fn run(command: &mut Command, log: &Path) -> io::Result<()> {
    let out = File::options().create(true).append(true).open(log)?;
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .status()?;
    if status.success() {
        return Ok(());
    }
    let told = fs::read_to_string(log)?;
    Err(io::Error::other(format!("{status}: {told}")))
}

/// Whether a client is greeted.
fn greets(address: SocketAddr) -> bool {
    let greeting = || -> io::Result<[u8; 4]> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut code = [0; 4];
        stream.read_exact(&mut code)?;
        Ok(code)
    };
    greeting().is_ok_and(|code| &code == b"220 ")
}

/// The files of a folder; none if it does not exist yet.
fn entries(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("a folder of postfix cannot be read: {error}"),
    }
}

/// Asks again and again; whether the answer was yes before the deadline.
fn poll(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}

async fn wait<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "postfix: {what} after {deadline:?}");
        sleep(PAUSE).await;
    }
}
