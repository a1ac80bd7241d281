//! Private PostgreSQL and RabbitMQ servers, under `target/services/<instance>/` of the workspace, on loopback ports of their
//! own.
//!
//! The instance `main` is shared by all tests and stays up until `carepost-testkit down`. Tests share its servers, not its
//! contents: each makes databases of its own ([`Servers::create_database`]) and prefixes the names of its exchanges and
//! queues ([`Servers::unique_prefix`]). A test that stops a server takes a private instance.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::SystemTime;

mod install;
mod instance;
mod postgres;
mod process;
mod rabbitmq;
mod tls;

use instance::{Instance, Owner, State};
use postgres::Postgres;
use rabbitmq::RabbitMq;

/// The instance that tests share.
pub const SHARED: &str = "main";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Which servers an instance needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// PostgreSQL alone: up in about a second.
    Postgres,
    /// RabbitMQ alone: up in several seconds.
    RabbitMq,
    /// Both, started side by side.
    Both,
}

/// What `carepost-testkit status` shows of an instance.
#[derive(Clone, Debug)]
pub struct Status {
    /// URL of the database `postgres`, if PostgreSQL runs.
    pub postgres_url: Option<String>,
    /// URL of the default virtual host, if RabbitMQ runs.
    pub amqp_url: Option<String>,
}

/// A running instance. A private one is stopped and removed when this is dropped.
#[derive(Debug)]
pub struct Servers {
    instance: Instance,
    state: State,
    private: bool,
}

impl Servers {
    /// The shared instance; what is missing of it is installed and started. Takes milliseconds when it is up.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn ensure() -> Self {
        blocking(|| Self::up(SHARED))
            .await
            .unwrap_or_else(|error| panic!("test servers do not start: {error}"))
    }

    /// An instance for this caller alone, made new, with both servers. See [`Servers::private_parts`].
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn private(name: &str) -> Self {
        Self::private_parts(name, Parts::Both).await
    }

    /// An instance for this caller alone, made new, with the servers that it needs. The name is for people; two callers
    /// may give the same. If this process dies, the next one that asks for a private instance, or `down`, clears it away.
    ///
    /// # Panics
    /// If the name has more than 16 characters or others than a-z, 0-9 and -, or the servers cannot be started.
    pub async fn private_parts(name: &str, parts: Parts) -> Self {
        assert!(
            name.len() <= 16,
            "the name of a private instance has at most 16 characters"
        );
        let name = format!(
            "private-{name}-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let started = move || {
            let instance = Instance::new(&name)?;
            remove_orphans(&instance)?;
            start(instance, parts, Some(Owner::this_process()))
        };
        blocking(started)
            .await
            .unwrap_or_else(|error| panic!("private test servers do not start: {error}"))
    }

    /// Brings a lasting instance up, as `carepost-testkit up` does. Blocks.
    ///
    /// # Errors
    /// If its servers cannot be installed or started; the text holds the end of their log.
    pub fn up(name: &str) -> io::Result<Self> {
        start(Instance::new(name)?, Parts::Both, None)
    }

    /// Stops an instance and removes its data, and clears away private instances that were left behind. Blocks.
    ///
    /// # Errors
    /// If a server cannot be stopped or its data cannot be removed.
    pub fn down(name: &str) -> io::Result<()> {
        let instance = Instance::new(name)?;
        remove_orphans(&instance)?;
        remove(&instance)
    }

    /// What runs of an instance. Blocks for milliseconds.
    ///
    /// # Errors
    /// If the name is not one of an instance.
    pub fn status(name: &str) -> io::Result<Status> {
        let instance = Instance::new(name)?;
        let Some(state) = instance.state() else {
            return Ok(Status {
                postgres_url: None,
                amqp_url: None,
            });
        };
        let postgres = Postgres::new(&state).is_running();
        let rabbitmq = RabbitMq::new(&instance, &state).is_running();
        Ok(Status {
            postgres_url: postgres.then(|| postgres_url(&state, "postgres")),
            amqp_url: rabbitmq.then(|| amqp_url(&state)),
        })
    }

    /// URL of a database, as superuser.
    #[must_use]
    pub fn postgres_url(&self, database: &str) -> String {
        postgres_url(&self.state, database)
    }

    /// URL of the default virtual host, as administrator.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        amqp_url(&self.state)
    }

    /// URL of a database over TLS, with the server's certificate verified.
    #[must_use]
    pub fn postgres_tls_url(&self, database: &str) -> String {
        let (port, ca_file) = (self.state.ports.postgres, self.ca_file());
        let ca_file = ca_file.display();
        format!("postgres://postgres@localhost:{port}/{database}?sslmode=verify-full&sslrootcert={ca_file}")
    }

    /// URL of the default virtual host over TLS. The certificate is of [`Servers::ca_file`].
    #[must_use]
    pub fn amqps_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/%2f", self.state.ports.amqps)
    }

    /// The authority of both servers' certificates, a file of PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        tls::ca_file(&self.state)
    }

    /// Makes an empty database that nobody else has, and returns its name. The hint is part of the name, for people.
    ///
    /// # Panics
    /// If PostgreSQL refuses.
    pub async fn create_database(&self, hint: &str) -> String {
        let name = unique_name(hint, '_');
        self.execute(format!("CREATE DATABASE \"{name}\" TEMPLATE template0"))
            .await;
        name
    }

    /// Removes a database, ending its sessions. One that is gone is fine.
    ///
    /// # Panics
    /// If PostgreSQL refuses.
    pub async fn drop_database(&self, name: &str) {
        self.execute(format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
            .await;
    }

    async fn execute(&self, statement: String) {
        let state = self.state.clone();
        let done = blocking(move || Postgres::new(&state).execute(&statement)).await;
        done.unwrap_or_else(|error| panic!("test database: {error}"));
    }

    /// A prefix for the names of exchanges and queues that nobody else has: at most 60 characters of a-z, 0-9 and -, the last
    /// one a -.
    #[must_use]
    pub fn unique_prefix(&self, hint: &str) -> String {
        unique_name(hint, '-') + "-"
    }

    /// Stops PostgreSQL: sessions end, data are kept. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or PostgreSQL does not stop.
    pub async fn stop_postgres(&self) {
        self.act("stop PostgreSQL", |_, state| Postgres::new(state).stop())
            .await;
    }

    /// Stops PostgreSQL as a crash would. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or PostgreSQL does not stop.
    pub async fn kill_postgres(&self) {
        self.act("kill PostgreSQL", |_, state| Postgres::new(state).kill())
            .await;
    }

    /// Starts PostgreSQL again, on the same port and data. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or PostgreSQL does not start.
    pub async fn start_postgres(&self) {
        self.act("start PostgreSQL", |_, state| start_postgres(state)).await;
    }

    /// Stops RabbitMQ in good order: connections are closed, data are kept. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or RabbitMQ does not stop.
    pub async fn stop_rabbitmq(&self) {
        self.act("stop RabbitMQ", |instance, state| RabbitMq::new(instance, state).stop())
            .await;
    }

    /// Stops RabbitMQ as a crash would. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or RabbitMQ does not stop.
    pub async fn kill_rabbitmq(&self) {
        self.act("kill RabbitMQ", |instance, state| RabbitMq::new(instance, state).kill())
            .await;
    }

    /// Starts RabbitMQ again, on the same port and data. Only on a private instance.
    ///
    /// # Panics
    /// If the instance is shared, or RabbitMQ does not start.
    pub async fn start_rabbitmq(&self) {
        self.act("start RabbitMQ", start_rabbitmq).await;
    }

    async fn act(&self, what: &str, action: impl FnOnce(&Instance, &State) -> io::Result<()> + Send + 'static) {
        assert!(
            self.private,
            "cannot {what}: other tests use this instance; take Servers::private"
        );
        let (instance, state) = (self.instance.clone(), self.state.clone());
        let done = blocking(move || action(&instance, &state)).await;
        done.unwrap_or_else(|error| panic!("cannot {what}: {error}"));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if self.private
            && let Err(error) = remove(&self.instance)
        {
            eprintln!("carepost-testkit: {} is left behind: {error}", self.instance.name);
        }
    }
}

fn start(instance: Instance, parts: Parts, owner: Option<Owner>) -> io::Result<Servers> {
    let _lock = instance.lock()?;
    let mut state = instance.state_or_new(owner)?;
    let (postgres_up, rabbitmq_up) = running(&instance, &state);
    let needs_postgres = parts != Parts::RabbitMq && !postgres_up;
    let needs_rabbitmq = parts != Parts::Postgres && !rabbitmq_up;
    if needs_postgres || needs_rabbitmq {
        let _install_lock = instance.install_lock()?;
        install::install_missing(instance.services())?;
    }
    if !postgres_up && !rabbitmq_up && state.a_stranger_has_a_port() {
        state = instance.with_new_ports(state)?;
    }
    tls::make(&state)?;
    thread::scope(|scope| {
        let postgres = scope.spawn(|| if needs_postgres { start_postgres(&state) } else { Ok(()) });
        let rabbitmq = if needs_rabbitmq {
            start_rabbitmq(&instance, &state)
        } else {
            Ok(())
        };
        postgres
            .join()
            .expect("starting PostgreSQL does not panic")
            .and(rabbitmq)
    })?;
    Ok(Servers {
        instance: instance.clone(),
        state,
        private: owner.is_some(),
    })
}

fn running(instance: &Instance, state: &State) -> (bool, bool) {
    (
        Postgres::new(state).is_running(),
        RabbitMq::new(instance, state).is_running(),
    )
}

fn start_postgres(state: &State) -> io::Result<()> {
    let postgres = Postgres::new(state);
    if postgres.is_running() {
        Ok(())
    } else {
        postgres.start()
    }
}

fn start_rabbitmq(instance: &Instance, state: &State) -> io::Result<()> {
    let rabbitmq = RabbitMq::new(instance, state);
    if rabbitmq.is_running() {
        Ok(())
    } else {
        rabbitmq.start()
    }
}

/// Ends all processes of an instance, at once, because its data go with it.
fn remove(instance: &Instance) -> io::Result<()> {
    let _lock = instance.lock()?;
    let Some(state) = instance.state() else { return Ok(()) };
    Postgres::new(&state).kill()?;
    let rabbitmq = RabbitMq::new(instance, &state);
    rabbitmq.kill()?;
    rabbitmq.end_epmd()?;
    instance.remove(&state)
}

fn remove_orphans(instance: &Instance) -> io::Result<()> {
    instance.orphans().iter().try_for_each(remove)
}

fn postgres_url(state: &State, database: &str) -> String {
    // Where TLS is not the matter, it would only make connections slower.
    format!(
        "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
        state.ports.postgres
    )
}

fn amqp_url(state: &State) -> String {
    format!("amqp://guest:guest@127.0.0.1:{}/%2f", state.ports.amqp)
}

/// A name that no other call gives, here or in another process, made of the hint, the process, a counter and the time.
fn unique_name(hint: &str, separator: char) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            separator
        }
    };
    let hint: String = hint.chars().take(20).map(fits).collect();
    let millis = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| elapsed.as_millis());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(
        "{hint}{separator}{}{separator}{count}{separator}{millis:x}",
        std::process::id()
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("blocking work of the test kit does not panic")
}
