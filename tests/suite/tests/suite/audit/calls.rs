//! A call of each RPC.

mod conversations;
mod directory;
mod longer;

use carepost_proto::notification::v1 as notification;
use carepost_suite::{
    Suite,
    clients::Metadata,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, smtp::Behaviour};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{Request, Response, Status, client::Grpc, metadata::MetadataMap, service::Interceptor};
use uuid::Uuid;

pub use longer::{import, retry, watch};

use crate::traffic::{PRAIRIE, deliveries};

/// A call that was made, and what the trail is to have of it.
pub struct Made {
    pub id: Uuid,
    pub path: String,
    pub actor: String,
    pub organization: String,
    pub outcome: &'static str,
    pub subjects: Vec<String>,
}

impl Made {
    pub fn service(&self) -> Service {
        service(&self.path)
    }
}

/// The service that has an RPC.
pub fn service(path: &str) -> Service {
    let found = Service::ALL
        .into_iter()
        .find(|service| path.contains(&format!(".{}.", service.name())));
    found.unwrap()
}

/// An RPC as somebody calls it.
pub struct Call<'a> {
    path: &'a str,
    caller: &'a Metadata,
}

impl<'a> Call<'a> {
    pub fn of(path: &'a str, caller: &'a Metadata) -> Self {
        Self { path, caller }
    }

    pub async fn answer<Q, A>(&self, suite: &Suite, request: Q) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client = Grpc::new(suite.channel(service(self.path)));
        client.ready().await.unwrap();
        let (metadata, extensions, ()) = self.caller.clone().call(Request::new(())).unwrap().into_parts();
        let request = Request::from_parts(metadata, extensions, request);
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        client
            .unary(request, PathAndQuery::try_from(self.path).unwrap(), codec)
            .await
    }

    /// The code of a call that is refused before anybody looks at its request.
    pub async fn await_refused(&self, suite: &Suite) -> String {
        let refused = self.answer::<(), ()>(suite, ()).await.expect_err(self.path);
        carepost_runtime::metrics::labels::Code::from(refused.code())
            .word()
            .to_owned()
    }
}

/// The id that an answer has in its metadata.
pub fn call_id(metadata: &MetadataMap) -> Uuid {
    metadata
        .get("carepost-call-id")
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Who calls.
struct Caller {
    metadata: Metadata,
    actor: &'static str,
    organization: &'static str,
}

/// All calls that were made.
struct Calls<'a> {
    suite: &'a Suite,
    made: Vec<Made>,
}

impl<'a> Calls<'a> {
    fn person(&self, actor: &'static str) -> Caller {
        let metadata = Metadata {
            token: Some(self.suite.people.person(PRAIRIE.organization, actor)),
            ..Metadata::default()
        };
        let organization = PRAIRIE.organization;
        Caller {
            metadata,
            actor,
            organization,
        }
    }

    fn service(&self, actor: &'static str, organization: &'static str) -> Caller {
        let metadata = self.suite.service(actor.trim_start_matches("service/"), organization);
        Caller {
            metadata,
            actor,
            organization,
        }
    }

    async fn call<Q, A>(&mut self, caller: &Caller, rpc: &str, request: Q, subjects: &[&str]) -> A
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        self.call_to(caller, rpc, request, subjects, "OK").await
    }

    async fn call_to<Q, A>(
        &mut self,
        caller: &Caller,
        rpc: &str,
        request: Q,
        subjects: &[&str],
        outcome: &'static str,
    ) -> A
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/carepost.{rpc}");
        let answer = Call::of(&path, &caller.metadata).answer(self.suite, request).await;
        let answer = answer.unwrap_or_else(|status| panic!("{path}: {status:?}"));
        self.made.push(Made {
            id: call_id(answer.metadata()),
            path,
            actor: caller.actor.to_owned(),
            organization: caller.organization.to_owned(),
            outcome,
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        });
        answer.into_inner()
    }
}

/// Calls each unary RPC that is recorded, and gives what was done.
pub async fn one_of_each(suite: &Suite) -> Vec<Made> {
    // Emails have to wait, so that there is one to retry.
    suite
        .smtp
        .script(|_, _| Behaviour::RefuseRecipient(450, "4.2.0 busy".to_owned()));
    suite.import(&DirectoryFile::prairie()).await;
    let mut calls = Calls {
        suite,
        made: Vec::new(),
    };
    directory::records(&mut calls).await;
    conversations::conversations(&mut calls).await;
    directory::settings(&mut calls).await;
    let operator = calls.service("service/operator", "prairie");
    let staff = calls.person(PRAIRIE.staff);
    let wanted = notification::UpdatePreferencesRequest {
        email_on_message: Some(false),
    };
    let rpc = "notification.v1.NotificationService/UpdatePreferences";
    let _: notification::UpdatePreferencesResponse = calls.call(&staff, rpc, wanted, &[PRAIRIE.staff]).await;
    until(LONG, async || !deliveries(suite, "prairie").await.is_empty()).await;
    let delivery = deliveries(suite, "prairie").await.pop().unwrap().id;
    let name = format!("deliveries/{delivery}");
    let request = notification::ListDeliveriesRequest::default();
    let rpc = "notification.v1.NotificationService/ListDeliveries";
    let _: notification::ListDeliveriesResponse = calls.call(&operator, rpc, request, &[&name]).await;
    let request = notification::GetDeliveryRequest { delivery_id: delivery };
    let rpc = "notification.v1.NotificationService/GetDelivery";
    let _: notification::GetDeliveryResponse = calls.call(&operator, rpc, request, &[&name]).await;
    calls.made
}
