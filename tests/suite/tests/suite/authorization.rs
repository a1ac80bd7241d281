//! Every RPC of the descriptor set but health refuses a stranger, a foreign organization and a missing scope.

use std::time::Duration;

use carepost_proto::{ACCESS_TABLE, DESCRIPTOR_SET, RpcAccess};
use carepost_suite::{
    Suite,
    clients::{Metadata, channel},
    process::Service,
};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

/// All RPCs that are declared.
fn declared() -> Vec<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let mut paths = Vec::new();
    for file in set.file {
        for service in &file.service {
            let rpcs = service.method.iter();
            paths.extend(rpcs.map(|rpc| format!("/{}.{}/{}", file.package(), service.name(), rpc.name())));
        }
    }
    paths
}

fn serving(path: &str) -> Service {
    match path.split('.').nth(1) {
        Some("eligibility") => Service::Eligibility,
        Some("messaging") => Service::Messaging,
        Some("notification") => Service::Notification,
        _ => panic!("{path} is of no service"),
    }
}

/// How long a stream of answers is taken.
const STREAM: Duration = Duration::from_secs(5);

/// Calls an RPC with an empty message.
async fn call(suite: &Suite, path: &str, mut caller: Metadata) -> Result<(), Status> {
    let service = if path.starts_with("/carepost.") {
        serving(path)
    } else {
        Service::Messaging
    };
    let mut client = Grpc::new(channel(suite.address(service)));
    client.ready().await.unwrap();
    let mut request = caller.call(Request::new(()))?;
    // A stream of answers would go on.
    request.set_timeout(STREAM);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client
        .unary(request, PathAndQuery::try_from(path).unwrap(), codec)
        .await
        .map(drop)
}

async fn refused(suite: &Suite, path: &str, caller: Metadata) -> (Code, String) {
    let status = call(suite, path, caller).await.expect_err(path);
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

/// Callers who may call this RPC.
fn good(suite: &Suite, access: &RpcAccess) -> Vec<Metadata> {
    let mut callers = Vec::new();
    // Persons who change settings need a role as well: the tests of eligibility ask for it.
    if access.person && !access.path.contains("SettingsService") {
        let token = Some(suite.people.person("prairie", "staff/1"));
        callers.push(Metadata {
            token,
            ..Metadata::default()
        });
        // Portal users have no preferences.
        if !access.path.ends_with("Preferences") {
            callers.push(Metadata {
                act_as: Some("portal/1".to_owned()),
                ..suite.service("emr", "prairie")
            });
        }
    }
    let subject = match access.scope {
        Some("directory.read" | "directory.write") => "feed",
        Some("eligibility.read") => "messaging",
        Some("notifications.read" | "notifications.write" | "settings.write") => "operator",
        None => return callers,
        Some(scope) => panic!("nobody has the scope {scope}"),
    };
    callers.push(suite.service(subject, "prairie"));
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_refuses_whom_it_must() {
    let suite = Suite::start("authorization").await;
    let declared = declared();
    assert!(declared.len() > 20);
    for path in &declared {
        let access = ACCESS_TABLE.iter().find(|access| access.path == path).unwrap();
        for caller in good(&suite, access) {
            if let Err(status) = call(&suite, path, caller).await {
                let denied = [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented];
                assert!(!denied.contains(&status.code()), "{path}: {status:?}");
            }
        }
        strangers_are_refused(&suite, path).await;
        foreign_organizations_are_refused(&suite, access).await;
        missing_scopes_are_refused(&suite, access).await;
    }
}

async fn strangers_are_refused(suite: &Suite, path: &str) {
    let refusal = refused(suite, path, Metadata::default()).await;
    assert_eq!(refusal, (Code::Unauthenticated, "TOKEN_MISSING".to_owned()), "{path}");
    for (wrong, token) in suite.people.bad_ones("prairie", "staff/1") {
        let caller = Metadata {
            token: Some(token),
            ..Metadata::default()
        };
        let (code, reason) = refused(suite, path, caller).await;
        assert_eq!(code, Code::Unauthenticated, "{path}: {wrong}");
        assert!(
            matches!(reason.as_str(), "TOKEN_INVALID" | "TOKEN_EXPIRED"),
            "{path}: {wrong}: {reason}"
        );
    }
    // A good signature of somebody who is neither a person nor a known service.
    for token in [
        suite.services.service("unknown"),
        suite.people.person("prairie", "patient/1"),
    ] {
        let caller = Metadata {
            token: Some(token),
            organization: Some("prairie".to_owned()),
            act_as: None,
        };
        assert_eq!(refused(suite, path, caller).await.0, Code::Unauthenticated, "{path}");
    }
}

async fn foreign_organizations_are_refused(suite: &Suite, access: &RpcAccess) {
    let expected = (Code::PermissionDenied, "ORGANIZATION_NOT_ALLOWED".to_owned());
    let token = Some(suite.people.person("elsewhere", "staff/1"));
    let mut callers = vec![Metadata {
        token,
        ..Metadata::default()
    }];
    for caller in good(suite, access)
        .into_iter()
        .filter(|caller| caller.organization.is_some())
    {
        callers.push(Metadata {
            organization: None,
            ..caller.clone()
        });
        callers.push(Metadata {
            organization: Some("elsewhere".to_owned()),
            ..caller
        });
    }
    for caller in callers {
        assert_eq!(refused(suite, access.path, caller).await, expected, "{}", access.path);
    }
}

async fn missing_scopes_are_refused(suite: &Suite, access: &RpcAccess) {
    let powerless = suite.service("powerless", "prairie");
    let for_somebody = Metadata {
        act_as: Some("staff/1".to_owned()),
        ..powerless.clone()
    };
    let own = if access.scope.is_some() {
        "SCOPE_MISSING"
    } else {
        "CALLER_NOT_ALLOWED"
    };
    let relayed = if access.person {
        "SCOPE_MISSING"
    } else {
        "CALLER_NOT_ALLOWED"
    };
    for (caller, reason) in [(powerless, own), (for_somebody, relayed)] {
        let refusal = refused(suite, access.path, caller).await;
        assert_eq!(refusal, (Code::PermissionDenied, reason.to_owned()), "{}", access.path);
    }
    let person = Metadata {
        token: Some(suite.people.person("prairie", "staff/1")),
        ..Metadata::default()
    };
    if !access.person {
        let refusal = refused(suite, access.path, person.clone()).await;
        assert_eq!(
            refusal,
            (Code::PermissionDenied, "CALLER_NOT_ALLOWED".to_owned()),
            "{}",
            access.path
        );
    }
    // A person speaks for nobody else.
    let other = Metadata {
        act_as: Some("staff/2".to_owned()),
        ..person
    };
    assert_eq!(
        refused(suite, access.path, other).await.0,
        Code::PermissionDenied,
        "{}",
        access.path
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_needs_a_token_and_health_needs_none() {
    let suite = Suite::start("open_doors").await;
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let refusal = refused(&suite, reflection, Metadata::default()).await;
    assert_eq!(refusal.0, Code::Unauthenticated);
    let unknown = "/carepost.messaging.v1.MessagingService/ReadEverything";
    assert_eq!(
        refused(&suite, unknown, Metadata::default()).await.0,
        Code::Unauthenticated
    );
    let person = Metadata {
        token: Some(suite.people.person("prairie", "staff/1")),
        ..Metadata::default()
    };
    let unimplemented = (Code::Unimplemented, "UNIMPLEMENTED".to_owned());
    assert_eq!(refused(&suite, unknown, person.clone()).await, unimplemented);
    // An RPC of the suite that this service does not have.
    let elsewhere = "/carepost.messaging.v2.MessagingService/GetUnreadCount";
    assert_eq!(refused(&suite, elsewhere, person).await, unimplemented);
    for service in Service::ALL {
        assert!(carepost_suite::clients::is_ready(suite.address(service)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_own_tokens_are_rotated_without_a_restart() {
    let suite = Suite::start("rotation").await;
    let path = "/carepost.messaging.v1.MessagingService/GetUnreadCount";
    let old = Metadata {
        token: Some(suite.people.person("prairie", "staff/1")),
        ..Metadata::default()
    };
    call(&suite, path, old.clone()).await.unwrap();
    let next = carepost_testkit::TokenIssuer::eddsa(suite.people.name());
    next.write_jwks(&suite.file("people.json"));
    let new = Metadata {
        token: Some(next.person("prairie", "staff/1")),
        ..Metadata::default()
    };
    let accepted = carepost_suite::wait::until(carepost_suite::wait::LONG, async || {
        call(&suite, path, new.clone()).await.is_ok()
    });
    assert!(accepted.await);
    // The key that was taken away takes its tokens along, remembered or not.
    assert_eq!(refused(&suite, path, old).await.0, Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_tells_of_the_service_that_is_served() {
    let suite = Suite::start("reflection").await;
    for service in Service::ALL {
        let caller = Metadata {
            token: Some(suite.people.person("prairie", "staff/1")),
            ..Metadata::default()
        };
        let channel = InterceptedService::new(channel(suite.address(service)), caller);
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let mut client = ServerReflectionClient::new(channel);
        let answers = client
            .server_reflection_info(futures::stream::iter([request]))
            .await
            .unwrap();
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("no list")
        };
        let mut served: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        served.sort();
        let own = format!("carepost.{}.v1.", service.name());
        let (others, own): (Vec<_>, Vec<_>) = served.into_iter().partition(|name| !name.starts_with(&own));
        assert_eq!(others, ["grpc.health.v1.Health"]);
        assert!(!own.is_empty());
    }
}
