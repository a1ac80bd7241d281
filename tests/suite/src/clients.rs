//! Calling the suite, as its users do.

use std::net::SocketAddr;

use carepost_proto::{
    eligibility::v1::{
        directory_service_client::DirectoryServiceClient, eligibility_service_client::EligibilityServiceClient,
    },
    messaging::v1::messaging_service_client::MessagingServiceClient,
    notification::v1::notification_service_client::NotificationServiceClient,
};
use carepost_rpc::connect;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{Suite, process::Service};

/// The metadata of a caller: a token, and what goes with it.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The bearer token.
    pub token: Option<String>,
    /// `carepost-organization`.
    pub organization: Option<String>,
    /// `carepost-act-as`.
    pub act_as: Option<String>,
}

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let values = [
            ("authorization", authorization),
            ("carepost-organization", self.organization.clone()),
            ("carepost-act-as", self.act_as.clone()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.parse().unwrap());
            }
        }
        Ok(request)
    }
}

/// A channel with a caller's metadata.
pub type CallerChannel = InterceptedService<Channel, Metadata>;

/// A channel that connects when it is first used, and again when it has to.
pub fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

/// Whether the service at this address says that it is ready.
pub async fn is_ready(address: SocketAddr) -> bool {
    serves(channel(address)).await
}

/// Whether the service behind this channel says that it is ready.
pub async fn serves(channel: Channel) -> bool {
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest::default()).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

impl Suite {
    /// A channel to a service, with a certificate if the suite asks for one.
    pub fn channel(&self, service: Service) -> Channel {
        match &self.tls {
            None => channel(self.address(service)),
            Some(tls) => connect::channel(&self.url(service).parse().unwrap(), tls).unwrap(),
        }
    }

    fn caller(&self, service: Service, metadata: Metadata) -> CallerChannel {
        InterceptedService::new(self.channel(service), metadata)
    }

    /// A person with a token of their own.
    pub fn person(&self, organization: &str, person: &str) -> MessagingServiceClient<CallerChannel> {
        let metadata = Metadata {
            token: Some(self.people.person(organization, person)),
            ..Metadata::default()
        };
        MessagingServiceClient::new(self.caller(Service::Messaging, metadata))
    }

    /// A person whose session the EMR relays.
    pub fn person_by_emr(&self, organization: &str, person: &str) -> MessagingServiceClient<CallerChannel> {
        let metadata = Metadata {
            act_as: Some(person.to_owned()),
            ..self.service("emr", organization)
        };
        MessagingServiceClient::new(self.caller(Service::Messaging, metadata))
    }

    /// The metadata of a service on its own behalf.
    pub fn service(&self, subject: &str, organization: &str) -> Metadata {
        Metadata {
            token: Some(self.services.service(subject)),
            organization: Some(organization.to_owned()),
            act_as: None,
        }
    }

    /// The directory, as the EMR's feed writes it.
    pub fn directory(&self, organization: &str) -> DirectoryServiceClient<CallerChannel> {
        DirectoryServiceClient::new(self.caller(Service::Eligibility, self.service("feed", organization)))
    }

    /// Eligibility, as a service asks it.
    pub fn eligibility(&self, organization: &str) -> EligibilityServiceClient<CallerChannel> {
        EligibilityServiceClient::new(self.caller(Service::Eligibility, self.service("messaging", organization)))
    }

    /// The ledger of emails, as an operator reads it.
    pub fn deliveries(&self, organization: &str) -> NotificationServiceClient<CallerChannel> {
        NotificationServiceClient::new(self.caller(Service::Notification, self.service("operator", organization)))
    }
}
