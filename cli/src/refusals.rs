//! What a service's refusal means for the person at the terminal, and what to do next.

mod tls;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    client::{Context, Service},
    errors::{Exit, Failure, Reason, capital},
    profile::TokenSource,
    render::clean,
};

/// What is left to do when a service does not say what is wrong.
const LOOK_INTO_THE_LOG: &str = "Look into the log of the service";

/// A refusal in words.
pub fn explain(context: &Context, service: Service, status: &Status) -> Failure {
    let details = status.get_error_details();
    let Some(info) = details.error_info().filter(|info| info.domain == "carepost") else {
        return without_details(context, service, status);
    };
    let name = info.reason.as_str();
    let metadata = |key: &str| info.metadata.get(key).map(String::as_str);
    let told = |exit, next: &str| Failure::new(exit, name, sentence(status.message()), next);
    if let Some((exit, next)) = advice(name) {
        return told(exit, next);
    }
    match name {
        "INVALID_REQUEST" => Failure::new(Exit::Usage, name, wrong_fields(&details), "Correct it and try again"),
        "NOT_ELIGIBLE" => {
            told(Exit::Refused, "`carepost recipients` lists whom you may write to now").with_reasons(reasons(&details))
        }
        "NOT_FOUND" => told(
            Exit::NotFound,
            match service {
                Service::Messaging => "Check the id, --as and --organization: what is not yours reads alike",
                Service::Eligibility | Service::Notification => "Check the id and --organization",
            },
        ),
        "TOKEN_EXPIRED" => told(Exit::Refused, &format!("Get a new one {}", into_its_file(context))),
        "TOKEN_INVALID" | "TOKEN_MISSING" => {
            let what = format!("The service {} does not accept the token", service.name());
            let next = format!(
                "Use a token for {} {}",
                origin(context, service),
                into_its_file(context)
            );
            Failure::new(Exit::Refused, name, what, next)
        }
        "SCOPE_MISSING" => {
            let scope = metadata("scope").unwrap_or_default();
            let next = format!("Give the service the scope {scope}, or use another token");
            told(Exit::Refused, &next)
        }
        "DEPENDENCY_UNAVAILABLE" => {
            let missing = metadata("dependency").unwrap_or("it needs");
            let what = format!(
                "The service {} cannot answer: {missing} does not answer it",
                service.name()
            );
            Failure::new(Exit::Unavailable, name, what, "Try again in a moment")
        }
        "VERSION_OUTDATED" | "VERSION_CONFLICT" => {
            let stored = metadata("stored_version").unwrap_or_default();
            let next = format!("Version {stored} is stored: a change needs a higher one");
            told(Exit::Refused, &next)
        }
        "UNIMPLEMENTED" => wrong_service(context, service),
        _ => told(Exit::Failed, LOOK_INTO_THE_LOG),
    }
}

/// What to do about a refusal whose message says all that there is to know.
fn advice(reason: &str) -> Option<(Exit, &'static str)> {
    Some(match reason {
        "ORGANIZATION_NOT_ALLOWED" => (
            Exit::Refused,
            "The token may not speak for this organization: check --organization",
        ),
        "CALLER_NOT_ALLOWED" => (
            Exit::Refused,
            "Use the token of a service for commands of services, and a person's, or --as, for others",
        ),
        "ROLE_MISSING" => (
            Exit::Refused,
            "Act with --as as staff with the role super_admin or manage_portal_settings",
        ),
        "REQUEST_ID_REUSED" => (Exit::Usage, "Leave --request-id out for a new message"),
        "ETAG_MISMATCH" => (Exit::Refused, "Look at what is set now, and decide again"),
        "STILL_REFERRED" => (Exit::Refused, "Delete or move what refers to it first"),
        "REFERENCE_MISSING" => (Exit::Refused, "Write what it refers to first"),
        "DUPLICATE_RECORD" => (Exit::Refused, "Keep one of the two records"),
        "REMOVAL_TOO_LARGE" => (
            Exit::Refused,
            "Look at the plan with --dry-run; if it is right, add --allow-large-removal",
        ),
        "IMPORT_RUNNING" => (Exit::Unavailable, "Wait until it is done"),
        "IMPORT_INCOMPLETE" => (Exit::Failed, "Import the file again"),
        "REQUEST_TOO_LARGE" => (Exit::Usage, "Make it smaller"),
        "DELIVERY_SENT" => (
            Exit::Refused,
            "The mail server took it: `carepost deliveries` with its id shows when, and what the server said",
        ),
        "NEWER_MESSAGE" => (Exit::Refused, "Look at it with `carepost show`, then archive again"),
        "TOO_MANY_WATCHES" => (Exit::Refused, "End another `carepost watch`"),
        "OVERLOADED" | "RATE_LIMITED" | "SLOW_READER" | "DEADLINE_EXCEEDED" => {
            (Exit::Unavailable, "Try again in a moment")
        }
        _ => return None,
    })
}

/// No answer within the deadline.
pub fn silent(context: &Context, service: Service) -> Failure {
    let what = format!("{} did not answer in time", at(context, service));
    Failure::new(Exit::Unavailable, "NO_ANSWER", what, "Try again, or look into its log")
}

/// A status that no handler of the suite made: nobody is there, or somebody else is.
fn without_details(context: &Context, service: Service, status: &Status) -> Failure {
    if let Some(failure) = tls::explain(context, service, status) {
        return failure;
    }
    let connected = !matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled
    );
    if connected {
        return wrong_service(context, service);
    }
    let correct = correct(context, service);
    let next = match &context.profile.tokens {
        TokenSource::Folder(folder) => {
            format!("Start it with `carepost run --data {}`, or {correct}", folder.display())
        }
        TokenSource::File(_) => format!("Try again in a moment, or {correct}"),
    };
    Failure::new(
        Exit::Unavailable,
        "NO_ANSWER",
        format!("{} does not answer", at(context, service)),
        next,
    )
}

/// Somebody else answers.
fn wrong_service(context: &Context, service: Service) -> Failure {
    let what = format!(
        "What answers at {} is not the service {}",
        origin(context, service),
        service.name()
    );
    Failure::new(Exit::Usage, "WRONG_SERVICE", what, capital(&correct(context, service)))
}

/// Where to correct the address of a service.
fn correct(context: &Context, service: Service) -> String {
    let profile = &context.profile;
    let in_the_clear = context.endpoint(service).scheme() == "http";
    let tls = if in_the_clear && matches!(profile.tokens, TokenSource::File(_)) {
        " (https:// if it has a certificate)"
    } else {
        ""
    };
    format!(
        "correct `{}` of profile `{}` in {}{tls}",
        service.name(),
        profile.name,
        profile.file.display(),
    )
}

fn at(context: &Context, service: Service) -> String {
    format!("The service {} at {}", service.name(), origin(context, service))
}

fn into_its_file(context: &Context) -> String {
    match &context.profile.tokens {
        TokenSource::File(file) => format!("and write it into {}", file.display()),
        TokenSource::Folder(folder) => format!("of this suite: the profile's `data` is {}", folder.display()),
    }
}

fn wrong_fields(details: &ErrorDetails) -> String {
    let violations = details.bad_request().map(|request| request.field_violations.clone());
    let fields: Vec<_> = violations
        .unwrap_or_default()
        .iter()
        .take(10)
        .map(|violation| {
            // The one description that names another field.
            let what = violation.description.replace("create_time_from", "--since");
            format!("{} {what}", option(&violation.field))
        })
        .collect();
    if fields.is_empty() {
        return "The request is wrong".to_owned();
    }
    format!("The request is wrong: {}", clean(&fields.join("; "), 1_000))
}

/// The option of the command line that a field is from; of others, the field.
fn option(field: &str) -> &str {
    match field.split('[').next().unwrap_or_default() {
        "recipients" => "--to:",
        "chart_id" => "--chart:",
        "subject" => "--subject:",
        "from_sequence" => "--from:",
        "last_seen_sequence" => "--seen:",
        "after_sequence" => "--after:",
        "after_position" => "--after:",
        "conversation_id" => "CONVERSATION:",
        "query" => "TEXT:",
        "page_size" => "--limit:",
        "page_token" => "--page:",
        "older_than" => "--older-than:",
        "delivery_id" => "DELIVERY:",
        "message_id" => "--message:",
        "recipient" => "--to:",
        "create_time_from" => "--since:",
        "create_time_to" => "--until:",
        "locale" | "brand.locale" => "--locale:",
        "brand.name" => "--name:",
        "brand.logo_url" => "--logo-url:",
        "brand.phone" => "--phone:",
        "brand.portal_url" => "--portal-url:",
        "link" => "--link:",
        "location_id" => "--location:",
        "etag" => "--etag:",
        "messaging_settings.audience" | "settings.audience" => "--audience:",
        "version" => "--version:",
        "body" => "TEXT:",
        "kind" => "--kind:",
        "request_id" => "--request-id:",
        _ => field,
    }
}

fn reasons(details: &ErrorDetails) -> Vec<Reason> {
    let violations = details.precondition_failure().map(|failure| failure.violations.clone());
    violations
        .unwrap_or_default()
        .into_iter()
        .map(|violation| Reason {
            name: clean(&violation.r#type, 100),
            party: clean(&violation.subject, 200),
            remedy: clean(&violation.description, 500),
        })
        .collect()
}

fn sentence(text: &str) -> String {
    capital(&clean(text, 500))
}

/// The address of a service as it is spoken of.
fn origin(context: &Context, service: Service) -> String {
    context.endpoint(service).as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use carepost_proto::common::v1::ErrorReason;
    use carepost_runtime::Clock;

    use super::*;
    use crate::{profile::Profile, render::Paint};

    #[test]
    fn every_reason_but_a_fault_of_the_server_says_what_to_do() {
        let url: url::Url = "http://127.0.0.1:1".parse().unwrap();
        let profile = Profile {
            name: "local".to_owned(),
            file: "profiles.toml".into(),
            organization: None,
            me: None,
            messaging: url.clone(),
            eligibility: url.clone(),
            notification: url,
            tokens: TokenSource::File("token".into()),
            tls: carepost_rpc::connect::ClientTls::default(),
        };
        let context = Context {
            profile,
            organization: None,
            clock: Clock::system(),
            paint: Paint(false),
            progress: false,
            json: false,
        };
        let reasons = (1..).map_while(|number| ErrorReason::try_from(number).ok());
        let mut count = 0;
        for reason in reasons {
            let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
            let details = ErrorDetails::with_error_info(name, "carepost", []);
            let status = Status::with_error_details(Code::Unknown, "it is so", details);
            let next = explain(&context, Service::Messaging, &status).next().to_owned();
            let unknown = next.is_empty() || next == LOOK_INTO_THE_LOG;
            assert_eq!(unknown, reason == ErrorReason::Internal, "{name}");
            count += 1;
        }
        assert!(count > 30, "{count}");
    }
}
