//! The whole suite, as an operator runs it: three processes, a PostgreSQL, a RabbitMQ and a mail server, on loopback.
//!
//! Everything is seen and done from outside: over gRPC, by signals, in the mail server's mailbox.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: what cannot be set up fails loudly"
)]

pub mod api_page;
pub mod broker;
pub mod clients;
pub mod configuration_page;
pub mod errors_page;
pub mod otlp;
pub mod process;
pub mod protos;
pub mod scrape;
pub mod settings;
pub mod wait;

use std::{fs, net::SocketAddr, path::PathBuf, sync::Mutex};

use carepost_rpc::connect::ClientTls;
use carepost_testkit::{
    DirectoryFile, Servers, SmtpServer, TokenIssuer,
    ports::free_port,
    smtp::{Options, Security},
};
use tempfile::TempDir;

use crate::process::{Process, Service};

/// How a suite differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Where traces go.
    pub otlp: Option<SocketAddr>,
    /// The mail server, if not [`Suite::smtp`].
    pub mail: Option<MailServer>,
    /// Whether everything goes over TLS, and each caller of a service needs a certificate.
    pub tls: bool,
    /// How often a person may call, a second and at once; so often that nobody notices by default.
    pub person_calls: Option<u32>,
    /// Whether the services keep their data in SQLite files.
    pub sqlite: bool,
}

/// A mail server that takes mail by STARTTLS.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// Where it listens; its certificate is for this address.
    pub address: SocketAddr,
    /// The certificate of the authority to trust, in PEM.
    pub ca_pem: String,
}

/// A running suite. It ends when dropped.
pub struct Suite {
    /// PostgreSQL and RabbitMQ.
    pub servers: Servers,
    /// The mail server; nobody uses it if the plan names another.
    pub smtp: SmtpServer,
    /// Who makes the tokens of persons, for `prairie` and `southern`.
    pub people: TokenIssuer,
    /// Who makes the tokens of services.
    pub services: TokenIssuer,
    /// What the names of this suite's exchanges and queues begin with.
    pub prefix: String,
    ports: [u16; 3],
    databases: [String; 3],
    /// What a caller needs, if everything goes over TLS.
    pub tls: Option<ClientTls>,
    sqlite: bool,
    folder: TempDir,
    running: Mutex<Vec<Process>>,
}

impl Suite {
    /// A suite on the shared PostgreSQL and RabbitMQ, with databases and queues of its own.
    pub async fn start(hint: &str) -> Self {
        Self::start_on(Servers::ensure().await, hint, Plan::default()).await
    }

    /// A suite on these servers.
    pub async fn start_on(servers: Servers, hint: &str, plan: Plan) -> Self {
        let mut databases = [const { String::new() }; 3];
        for (service, database) in Service::ALL.into_iter().zip(&mut databases) {
            *database = servers.create_database(&format!("{hint}_{}", service.name())).await;
        }
        let folder = tempfile::tempdir().expect("a folder for settings and logs");
        let suite = Self {
            tls: plan.tls.then(|| settings::certificates(folder.path())),
            smtp: SmtpServer::start(Options {
                port: 0,
                security: Security::StartTls,
            })
            .await,
            people: TokenIssuer::new("people"),
            services: TokenIssuer::eddsa("services"),
            prefix: servers.unique_prefix(hint),
            ports: [free_port(), free_port(), free_port()],
            databases,
            sqlite: plan.sqlite,
            folder,
            running: Mutex::default(),
            servers,
        };
        settings::write(&suite, &plan);
        for service in Service::ALL {
            suite.migrate(service);
        }
        for service in Service::ALL {
            suite.start_service(service).await;
        }
        suite
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[service as usize]))
    }

    /// The URL of a service.
    pub fn url(&self, service: Service) -> String {
        match self.tls {
            None => format!("http://{}", self.address(service)),
            Some(_) => format!("https://localhost:{}", self.address(service).port()),
        }
    }

    /// The name of a service's database.
    pub fn database(&self, service: Service) -> &str {
        &self.databases[service as usize]
    }

    /// The URL of a service's database.
    pub fn database_url(&self, service: Service) -> String {
        match (self.sqlite, &self.tls) {
            (true, _) => format!("sqlite://{}", self.file(&format!("{}.db", service.name())).display()),
            (false, Some(_)) => self.servers.postgres_tls_url(self.database(service)),
            (false, None) => self.servers.postgres_url(self.database(service)),
        }
    }

    /// A file of this suite.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn migrate(&self, service: Service) {
        let status = process::command(self, service, "migrate")
            .status()
            .expect("the service can be run");
        assert!(
            status.success(),
            "{} could not migrate: {}",
            service.name(),
            self.logs()
        );
    }

    /// Starts a service, and waits until it is ready.
    pub async fn start_service(&self, service: Service) {
        let process = Process::start(self, service);
        self.running.lock().unwrap().push(process);
        let ready = wait::until(wait::LONG, async || clients::serves(self.channel(service)).await).await;
        assert!(ready, "{} does not become ready: {}", service.name(), self.logs());
    }

    /// Kills a service, as `kill -9` does.
    pub fn kill(&self, service: Service) {
        self.running.lock().unwrap().retain_mut(|process| {
            if process.service == service {
                process.kill();
            }
            process.service != service
        });
    }

    /// Asks a service to stop, and gives its exit code.
    pub async fn stop(&self, service: Service) -> Option<i32> {
        let mut process = {
            let mut running = self.running.lock().unwrap();
            let place = running
                .iter()
                .position(|process| process.service == service)
                .expect("it runs");
            running.swap_remove(place)
        };
        process.terminate();
        tokio::task::spawn_blocking(move || process.wait()).await.unwrap()
    }

    /// All that the services have logged so far.
    pub fn logs(&self) -> String {
        Service::ALL
            .map(|service| fs::read_to_string(self.file(&service.log())).unwrap_or_default())
            .join("\n")
    }

    /// Imports the directory of a hospital, as the EMR's feed does.
    pub async fn import(&self, file: &DirectoryFile) -> carepost_proto::eligibility::v1::ImportDirectoryResponse {
        let requests = file.import_requests();
        let mut directory = self.directory(file.organization_id());
        directory
            .import_directory(futures::stream::iter(requests))
            .await
            .unwrap()
            .into_inner()
    }
}
