//! What a service's refusal means for the person at the terminal, and what to do next.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    client::{Context, Service},
    errors::{Exit, Failure, Reason},
    profile::TokenSource,
    render::clean,
};

/// A refusal in words.
pub fn explain(context: &Context, service: Service, status: &Status) -> Failure {
    let details = status.get_error_details();
    let Some(info) = details.error_info().filter(|info| info.domain == "carepost") else {
        return without_details(context, service, status);
    };
    let name = info.reason.as_str();
    let told = |exit, next: &str| Failure::new(exit, name, sentence(status.message()), next);
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
            let next = format!(
                "Use a token for {} {}",
                origin(context, service),
                into_its_file(context)
            );
            Failure::new(
                Exit::Refused,
                name,
                format!("The service {} does not accept the token", service.name()),
                next,
            )
        }
        "ORGANIZATION_NOT_ALLOWED" => told(
            Exit::Refused,
            "The token may not speak for this organization: check --organization",
        ),
        "SCOPE_MISSING" => {
            let scope = info.metadata.get("scope").map_or("", String::as_str);
            told(
                Exit::Refused,
                &format!("Give the service the scope {scope}, or use another token"),
            )
        }
        "CALLER_NOT_ALLOWED" => told(
            Exit::Refused,
            "Use the token of a service for commands of services, and a person's, or --as, for others",
        ),
        "REQUEST_ID_REUSED" => told(Exit::Usage, "Leave --request-id out for a new message"),
        "DEPENDENCY_UNAVAILABLE" => {
            let missing = info.metadata.get("dependency").map_or("it needs", String::as_str);
            let what = format!(
                "The service {} cannot answer: {missing} does not answer it",
                service.name()
            );
            Failure::new(Exit::Unavailable, name, what, "Try again in a moment")
        }
        "ROLE_MISSING" => told(
            Exit::Refused,
            "Act with --as as staff with the role super_admin or manage_portal_settings",
        ),
        "ETAG_MISMATCH" => told(Exit::Refused, "Look at what is set now, and decide again"),
        "STILL_REFERRED" => told(Exit::Refused, "Delete or move what refers to it first"),
        "VERSION_OUTDATED" | "VERSION_CONFLICT" => {
            let stored = info.metadata.get("stored_version").map_or("", String::as_str);
            told(
                Exit::Refused,
                &format!("Version {stored} is stored: a change needs a higher one"),
            )
        }
        "REFERENCE_MISSING" => told(Exit::Refused, "Write what it refers to first"),
        "REMOVAL_TOO_LARGE" => told(
            Exit::Refused,
            "Look at the plan with --dry-run; if it is right, add --allow-large-removal",
        ),
        "IMPORT_RUNNING" => told(Exit::Unavailable, "Wait until it is done"),
        "IMPORT_INCOMPLETE" => told(Exit::Failed, "Import the file again"),
        "REQUEST_TOO_LARGE" => told(Exit::Usage, "Make it smaller"),
        "DELIVERY_SENT" => told(
            Exit::Refused,
            "The mail server took it: `carepost deliveries` with its id shows when, and what the server said",
        ),
        "NEWER_MESSAGE" => told(Exit::Refused, "Look at it with `carepost show`, then archive again"),
        "TOO_MANY_WATCHES" => told(Exit::Refused, "End another `carepost watch`"),
        "OVERLOADED" | "SLOW_READER" | "DEADLINE_EXCEEDED" => told(Exit::Unavailable, "Try again in a moment"),
        _ => told(Exit::Failed, "Look into the log of the service"),
    }
}

/// No answer within the deadline.
pub fn silent(context: &Context, service: Service) -> Failure {
    let what = format!("{} did not answer in time", at(context, service));
    Failure::new(Exit::Unavailable, "NO_ANSWER", what, "Try again, or look into its log")
}

/// A status that no handler of the suite made: nobody is there, or somebody else is.
fn without_details(context: &Context, service: Service, status: &Status) -> Failure {
    let profile = &context.profile;
    let correct = format!(
        "correct `{}` of profile `{}` in {}",
        service.name(),
        profile.name,
        profile.file.display()
    );
    let connected = !matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled
    );
    if connected {
        let what = format!(
            "What answers at {} is not the service {}",
            origin(context, service),
            service.name()
        );
        return Failure::new(Exit::Usage, "WRONG_SERVICE", what, capital(&correct));
    }
    let next = match &profile.tokens {
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

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The address of a service as it is spoken of.
fn origin(context: &Context, service: Service) -> String {
    context.endpoint(service).as_str().trim_end_matches('/').to_owned()
}
