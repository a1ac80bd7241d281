//! Calling the three services: with the right token, within a deadline, and again where that is safe.

use std::{future::Future, time::Duration};

use carepost_identity::{OrganizationId, PersonId};
use carepost_proto::{
    eligibility::v1::{
        GetPortalUserRequest, GetStaffRequest, directory_service_client::DirectoryServiceClient,
        eligibility_service_client::EligibilityServiceClient, settings_service_client::SettingsServiceClient,
    },
    messaging::v1::{messaging_service_client::MessagingServiceClient, operator_service_client::OperatorServiceClient},
    notification::v1::notification_service_client::NotificationServiceClient,
};
use carepost_rpc::connect;
use carepost_runtime::{Backoff, Clock, Ids};
use tokio::time::{Instant, timeout};
use tonic::{
    Code, Request, Response, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;
use url::Url;

use crate::{
    credentials::{self, Metadata},
    errors::{Exit, Failure, capital},
    profile::Profile,
    refusals,
    render::Paint,
};

const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a call with a request id is tried again.
const TRYING: Duration = Duration::from_secs(20);
const TRIES: u32 = 5;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));

/// A channel with a caller's metadata.
pub type Through = InterceptedService<Channel, Metadata>;

/// The three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Conversations and mailboxes.
    Messaging,
    /// Directory and rules.
    Eligibility,
    /// Emails.
    Notification,
}

impl Service {
    /// Its name, in profiles too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messaging => "messaging",
            Self::Eligibility => "eligibility",
            Self::Notification => "notification",
        }
    }
}

/// What every command has.
pub struct Context {
    /// Where the services are, and who I am.
    pub profile: Profile,
    /// For which organization.
    pub organization: Option<OrganizationId>,
    /// The time.
    pub clock: Clock,
    /// Whether text is marked.
    pub paint: Paint,
    /// Whether somebody watches the progress on standard error.
    pub progress: bool,
    /// Whether a script reads the answers.
    pub json: bool,
}

impl Context {
    /// The organization, or how to name one.
    pub fn organization(&self) -> Result<&OrganizationId, Failure> {
        self.organization.as_ref().ok_or_else(|| {
            let what = format!("The profile `{}` names no organization", self.profile.name);
            Failure::usage(
                what,
                "Name one with --organization, or add `organization` to the profile",
            )
        })
    }

    /// Messaging, as a person: the one of `--as`, else the profile's.
    pub async fn messaging(&self, person: Option<&PersonId>) -> Result<MessagingServiceClient<Through>, Failure> {
        let organization = self.organization()?;
        let person = person.or(self.profile.me.as_ref());
        let metadata = credentials::person(&self.profile, organization, person, self.clock.now())?;
        if let (Some(person), true) = (person, metadata.is_embedded) {
            self.must_exist(person).await?;
        }
        Ok(MessagingServiceClient::new(self.through(Service::Messaging, metadata)?))
    }

    /// Eligibility, as a service.
    pub fn eligibility(&self) -> Result<EligibilityServiceClient<Through>, Failure> {
        self.as_service(Service::Eligibility, credentials::OPERATOR)
            .map(EligibilityServiceClient::new)
    }

    /// The directory, as a service.
    pub fn directory(&self) -> Result<DirectoryServiceClient<Through>, Failure> {
        self.as_service(Service::Eligibility, credentials::FEED)
            .map(DirectoryServiceClient::new)
    }

    /// The settings: as a person if one is named, by `--as` or the profile; else as a service.
    pub async fn settings(&self, person: Option<&PersonId>) -> Result<SettingsServiceClient<Through>, Failure> {
        let Some(person) = person.or(self.profile.me.as_ref()) else {
            let through = self.as_service(Service::Eligibility, credentials::OPERATOR)?;
            return Ok(SettingsServiceClient::new(through));
        };
        let metadata = credentials::person(&self.profile, self.organization()?, Some(person), self.clock.now())?;
        if metadata.is_embedded {
            self.must_exist(person).await?;
        }
        Ok(SettingsServiceClient::new(
            self.through(Service::Eligibility, metadata)?,
        ))
    }

    /// The ledger of emails, as a service.
    pub fn notification(&self) -> Result<NotificationServiceClient<Through>, Failure> {
        self.as_service(Service::Notification, credentials::OPERATOR)
            .map(NotificationServiceClient::new)
    }

    /// Notification, as a person: for their own preferences.
    pub async fn notification_of(
        &self,
        person: Option<&PersonId>,
    ) -> Result<NotificationServiceClient<Through>, Failure> {
        let person = person.or(self.profile.me.as_ref());
        let metadata = credentials::person(&self.profile, self.organization()?, person, self.clock.now())?;
        if let (Some(person), true) = (person, metadata.is_embedded) {
            self.must_exist(person).await?;
        }
        let through = self.through(Service::Notification, metadata)?;
        Ok(NotificationServiceClient::new(through))
    }

    /// What operators see of messaging, as a service.
    pub fn operators(&self) -> Result<OperatorServiceClient<Through>, Failure> {
        self.as_service(Service::Messaging, credentials::OPERATOR)
            .map(OperatorServiceClient::new)
    }

    fn as_service(&self, service: Service, name: &str) -> Result<Through, Failure> {
        let metadata = credentials::service(&self.profile, self.organization()?, name, self.clock.now())?;
        self.through(service, metadata)
    }

    fn through(&self, service: Service, metadata: Metadata) -> Result<Through, Failure> {
        Ok(InterceptedService::new(self.channel(service)?, metadata))
    }

    fn channel(&self, service: Service) -> Result<Channel, Failure> {
        let (url, tls) = (self.endpoint(service), &self.profile.tls);
        let checked = if url.scheme() == "https" { tls.check() } else { Ok(()) };
        checked.and_then(|()| connect::channel(url, tls)).map_err(|error| {
            let profile = &self.profile;
            let next = format!("Correct profile `{}` in {}", profile.name, profile.file.display());
            Failure::usage(capital(&error.to_string()), next)
        })
    }

    /// Where a service is.
    pub fn endpoint(&self, service: Service) -> &Url {
        match service {
            Service::Messaging => &self.profile.messaging,
            Service::Eligibility => &self.profile.eligibility,
            Service::Notification => &self.profile.notification,
        }
    }

    /// An embedded suite signs for anybody: somebody whom the directory does not know is a slip of the pen.
    async fn must_exist(&self, person: &PersonId) -> Result<(), Failure> {
        let mut directory = self.directory()?;
        let found = match person {
            PersonId::Staff(id) => {
                let staff_id = id.as_str().to_owned();
                let call = directory.get_staff(GetStaffRequest { staff_id });
                timeout(CALL_TIMEOUT, call).await.map(|answer| answer.map(drop))
            }
            PersonId::Portal(id) => {
                let portal_user_id = id.as_str().to_owned();
                let call = directory.get_portal_user(GetPortalUserRequest { portal_user_id });
                timeout(CALL_TIMEOUT, call).await.map(|answer| answer.map(drop))
            }
        };
        // Reading goes on while the directory cannot be asked.
        match found {
            Ok(Err(status)) if status.code() == Code::NotFound => Err(Failure::new(
                Exit::NotFound,
                "UNKNOWN_PERSON",
                format!("There is no {person} in {}", self.organization()?),
                "Check the id and --organization, or import a directory with `carepost import`",
            )),
            _ => Ok(()),
        }
    }

    /// One call, within its deadline.
    pub async fn ask<A>(
        &self,
        service: Service,
        call: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, Failure> {
        match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(refusals::explain(self, service, &status)),
            Err(_) => Err(refusals::silent(self, service)),
        }
    }

    /// A call with a request id: one that got no answer is made again with the same id, within bounds.
    pub async fn insist<A>(
        &self,
        service: Service,
        id: &str,
        call: impl AsyncFn() -> Result<Response<A>, Status>,
    ) -> Result<A, Failure> {
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let (failure, pause) = match timeout(CALL_TIMEOUT, call()).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => (refusals::explain(self, service, &status), asked_pause(&status)),
                Err(_) => (refusals::silent(self, service), Duration::ZERO),
            };
            failures += 1;
            if failure.exit != Exit::Unavailable {
                return Err(failure);
            }
            let pause = pause.max(BACKOFF.delay(failures));
            if failures == TRIES || begun.elapsed() + pause > TRYING {
                let next = format!(
                    "{}. If you repeat it, add --request-id {id}: it is then done once",
                    failure.next()
                );
                return Err(failure.then(next));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// The id of one intended change: the given one, or a new one.
pub fn request_id(given: Option<&String>, clock: &Clock) -> String {
    given.cloned().unwrap_or_else(|| Ids.next(clock.now()).to_string())
}

fn asked_pause(status: &Status) -> Duration {
    let delay = status
        .get_error_details()
        .retry_info()
        .and_then(|info| info.retry_delay);
    delay.unwrap_or_default().min(Duration::from_secs(5))
}

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}
