//! The service in this process, on a database of its own.

use std::path::PathBuf;

use carepost_eligibility::{app, settings::Settings};
use carepost_eligibility_migration::Migrator;
use carepost_proto::eligibility::v1::{
    ImportDirectoryRequest, ImportDirectoryResponse, Location, Organization, PutLocationRequest,
    PutOrganizationRequest, directory_service_client::DirectoryServiceClient,
    eligibility_service_client::EligibilityServiceClient,
};
use carepost_runtime::{database, lifecycle::Lifecycle};
use carepost_testkit::{servers::Servers, tokens::TokenIssuer};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

/// Puts a service's token and the organization on every call.
#[derive(Clone)]
pub struct Calling {
    token: String,
    organization: String,
}

impl Interceptor for Calling {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        metadata.insert("carepost-organization", self.organization.parse().unwrap());
        Ok(request)
    }
}

pub type Asking = EligibilityServiceClient<InterceptedService<Channel, Calling>>;
pub type Feeding = DirectoryServiceClient<InterceptedService<Channel, Calling>>;

/// On what the service keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// PostgreSQL.
    Real,
    /// An SQLite file.
    Embedded,
}

/// Makes a test for each column of a function that takes one.
macro_rules! on_both {
    ($test:ident) => {
        mod $test {
            use crate::support::Column;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_real_parts() {
                super::$test(Column::Real).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_embedded_parts() {
                super::$test(Column::Embedded).await;
            }
        }
    };
}
pub(crate) use on_both;

/// A running service. It stops when dropped.
pub struct Service {
    channel: Channel,
    token: String,
    life: Lifecycle,
    _folder: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Service {
    pub async fn start(column: Column, hint: &str) -> Self {
        match column {
            Column::Real => Self::start_on(&Servers::ensure().await, hint).await,
            Column::Embedded => {
                let folder = tempfile::tempdir().unwrap();
                let database = format!("sqlite://{}", folder.path().join("eligibility.db").display());
                Self::start_at(folder, &database).await
            }
        }
    }

    pub async fn start_on(servers: &Servers, hint: &str) -> Self {
        let database = servers.postgres_url(&servers.create_database(hint).await);
        Self::start_at(tempfile::tempdir().unwrap(), &database).await
    }

    async fn start_at(folder: TempDir, database: &str) -> Self {
        let issuer = TokenIssuer::new("cluster");
        issuer.write_jwks(&folder.path().join("jwks.json"));
        let settings = Settings::load(Some(&write_settings(&folder, database))).unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let life = Lifecycle::default();
        let address = app::start(settings, life.clone()).await.unwrap();
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let token = issuer.service("tests");
        Self {
            channel,
            token,
            life,
            _folder: folder,
        }
    }

    /// Begins to stop, as a signal would.
    pub fn stop(&self) {
        self.life.stop();
    }

    fn calling(&self, organization: &str) -> Calling {
        Calling {
            token: self.token.clone(),
            organization: organization.to_owned(),
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

fn write_settings(folder: &TempDir, database: &str) -> PathBuf {
    let jwks = folder.path().join("jwks.json");
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        [database]
        url = "{database}"
        [[identity.issuers]]
        issuer = "cluster"
        jwks_file = "{}"
        organizations = []
        [[identity.services]]
        issuer = "cluster"
        subject = "tests"
        name = "tests"
        scopes = ["directory.read", "directory.write", "eligibility.read"]
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
