//! How a call is refused: few codes, each with a documented reason (`carepost.common.v1.ErrorReason`).

use std::{collections::HashMap, error::Error, time::Duration};

use carepost_proto::common::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "carepost";

/// The status code that goes with a reason.
#[must_use]
pub fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::InvalidRequest | ErrorReason::DuplicateRecord | ErrorReason::ImportIncomplete => {
            Code::InvalidArgument
        }
        ErrorReason::TokenMissing | ErrorReason::TokenInvalid | ErrorReason::TokenExpired => Code::Unauthenticated,
        ErrorReason::OrganizationNotAllowed
        | ErrorReason::ScopeMissing
        | ErrorReason::CallerNotAllowed
        | ErrorReason::RoleMissing => Code::PermissionDenied,
        ErrorReason::NotFound => Code::NotFound,
        ErrorReason::RequestIdReused => Code::AlreadyExists,
        ErrorReason::NotEligible
        | ErrorReason::VersionOutdated
        | ErrorReason::ReferenceMissing
        | ErrorReason::StillReferred
        | ErrorReason::RemovalTooLarge
        | ErrorReason::DeliverySent => Code::FailedPrecondition,
        ErrorReason::VersionConflict
        | ErrorReason::EtagMismatch
        | ErrorReason::ImportRunning
        | ErrorReason::NewerMessage => Code::Aborted,
        ErrorReason::RequestTooLarge => Code::OutOfRange,
        ErrorReason::DependencyUnavailable => Code::Unavailable,
        ErrorReason::Overloaded | ErrorReason::RateLimited | ErrorReason::TooManyWatches | ErrorReason::SlowReader => {
            Code::ResourceExhausted
        }
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::Unimplemented => Code::Unimplemented,
        ErrorReason::Internal | ErrorReason::Unspecified => Code::Internal,
    }
}

/// The name of a reason on the wire: without the prefix of the enum.
#[must_use]
pub fn name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

/// A refusal with nothing to add.
#[must_use]
pub fn refusal(reason: ErrorReason, message: &str) -> Status {
    refusal_with(reason, message, &[])
}

/// A refusal with metadata.
#[must_use]
pub fn refusal_with(reason: ErrorReason, message: &str, metadata: &[(&str, String)]) -> Status {
    with_details(reason, message, info(reason, metadata))
}

/// There is no such thing, or it is not the caller's.
#[must_use]
pub fn not_found(what: &str) -> Status {
    refusal(ErrorReason::NotFound, &format!("there is no such {what}"))
}

/// Fields are wrong.
#[must_use]
pub fn invalid_fields(violations: Vec<FieldViolation>) -> Status {
    let mut details = info(ErrorReason::InvalidRequest, &[]);
    details.set_bad_request(violations);
    with_details(ErrorReason::InvalidRequest, "fields of the request are wrong", details)
}

/// The sender may not write now.
#[must_use]
pub fn not_eligible(violations: Vec<PreconditionViolation>) -> Status {
    let total = violations.len();
    let violations = within_headers(violations);
    let omitted = total - violations.len();
    let metadata = if omitted == 0 {
        Vec::new()
    } else {
        vec![("omitted", omitted.to_string())]
    };
    let mut details = info(ErrorReason::NotEligible, &metadata);
    details.set_precondition_failure(violations);
    with_details(ErrorReason::NotEligible, "this message may not be sent now", details)
}

/// Details travel in a header, and clients take 8 KiB of headers in all: the first violations that fit.
fn within_headers(violations: Vec<PreconditionViolation>) -> Vec<PreconditionViolation> {
    const MOST_BYTES: usize = 4_000;
    let mut bytes = 0;
    let size = |violation: &PreconditionViolation| {
        violation.r#type.len() + violation.subject.len() + violation.description.len() + 8
    };
    let fits = |violation: &PreconditionViolation| {
        bytes += size(violation);
        bytes <= MOST_BYTES
    };
    violations.into_iter().take_while(fits).collect()
}

/// A dependency does not answer.
#[must_use]
pub fn unavailable(dependency: &str, retry_after: Duration) -> Status {
    let mut details = info(
        ErrorReason::DependencyUnavailable,
        &[("dependency", dependency.to_owned())],
    );
    details.set_retry_info(Some(retry_after));
    with_details(
        ErrorReason::DependencyUnavailable,
        "a service that this call needs does not answer",
        details,
    )
}

/// The server is busy.
#[must_use]
pub fn overloaded(retry_after: Duration) -> Status {
    retry_later(ErrorReason::Overloaded, "the server is busy", retry_after)
}

/// A refusal that says when to come back.
#[must_use]
pub fn retry_later(reason: ErrorReason, message: &str, retry_after: Duration) -> Status {
    retry_later_with(reason, message, &[], retry_after)
}

/// A refusal with metadata that says when to come back.
#[must_use]
pub fn retry_later_with(
    reason: ErrorReason,
    message: &str,
    metadata: &[(&str, String)],
    retry_after: Duration,
) -> Status {
    let mut details = info(reason, metadata);
    details.set_retry_info(Some(retry_after));
    with_details(reason, message, details)
}

/// The call's deadline passed.
#[must_use]
pub fn deadline_exceeded() -> Status {
    refusal(ErrorReason::DeadlineExceeded, "the deadline of the call passed")
}

/// A fault of ours. The cause is logged here, under the trace of the call, and not told. Causes must not hold health data:
/// typed errors of this suite don't.
#[must_use]
pub fn internal(cause: &dyn Error) -> Status {
    tracing::error!(error = %Chain(cause), "a call failed by a fault of ours");
    refusal(ErrorReason::Internal, "the server failed; the cause is in its log")
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

fn info(reason: ErrorReason, metadata: &[(&str, String)]) -> ErrorDetails {
    let metadata: HashMap<_, _> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    ErrorDetails::with_error_info(name(reason), DOMAIN, metadata)
}

fn with_details(reason: ErrorReason, message: &str, details: ErrorDetails) -> Status {
    Status::with_error_details(code(reason), message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_reason_in_our_domain() {
        let status = refusal_with(
            ErrorReason::ScopeMissing,
            "no",
            &[("scope", "directory.read".to_owned())],
        );
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (status.code(), info.domain.as_str()),
            (Code::PermissionDenied, "carepost")
        );
        assert_eq!(
            (info.reason.as_str(), info.metadata["scope"].as_str()),
            ("SCOPE_MISSING", "directory.read")
        );
    }

    #[test]
    fn many_violations_fit_into_headers_and_say_how_many_are_left_out() {
        let many = (0..100).map(|n| PreconditionViolation::new("REASON", format!("staff/{n}"), "x".repeat(100)));
        let status = not_eligible(many.collect());
        assert!(status.details().len() < 5_500, "{}", status.details().len());
        let details = status.get_error_details();
        let told = details.precondition_failure().unwrap().violations.len();
        let omitted = details.error_info().unwrap().metadata["omitted"]
            .parse::<usize>()
            .unwrap();
        assert_eq!(told + omitted, 100);
    }

    #[test]
    fn an_outage_says_when_to_come_back() {
        let status = unavailable("eligibility", Duration::from_secs(1));
        let delay = status
            .get_error_details()
            .retry_info()
            .and_then(|info| info.retry_delay);
        assert_eq!(
            (status.code(), delay),
            (Code::Unavailable, Some(Duration::from_secs(1)))
        );
    }
}
