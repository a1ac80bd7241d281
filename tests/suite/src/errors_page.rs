//! docs/errors.md, made from the comments of the protos: the page and the API cannot say different things.

use std::fmt::Write as _;

use carepost_proto::common::v1::{EligibilityReason, ErrorReason};
use carepost_rpc::status;

use crate::protos;

const INTRODUCTION: &str = "# Errors

Made from the protos by `make docs`; a test holds it equal to them.

Every error status has details (`google.rpc.Status.details`, in the trailer `grpc-status-details-bin`):

- always an `ErrorInfo` with the domain `carepost`, one of the reasons below and metadata where noted;
- with INVALID_ARGUMENT a `BadRequest` with the path of each wrong field, and never its content;
- with FAILED_PRECONDITION for `NOT_ELIGIBLE` a `PreconditionFailure`, one violation for each reason;
- with UNAVAILABLE and RESOURCE_EXHAUSTED a `RetryInfo` with the delay after which to call again.

Branch on the status code first, then on the reason; treat a reason that you do not know like its status code alone. A call
that takes a `request_id` is safe to repeat with the same id, whatever became of the first one.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Reasons\n\n| reason | status | meaning |\n|---|---|---|\n");
    for (name, comment) in values("ErrorReason") {
        let reason = ErrorReason::from_str_name(&name).expect("a value of the enum");
        let code = format!("{:?}", status::code(reason));
        let text = comment.split_once(". ").map_or(comment.as_str(), |(_, text)| text);
        writeln!(page, "| `{}` | {} | {text} |", status::name(reason), screaming(&code)).expect("memory");
    }
    page.push_str("\n## Why a message may not be sent (`NOT_ELIGIBLE`)\n\n| type | meaning |\n|---|---|\n");
    for (name, comment) in values("EligibilityReason") {
        EligibilityReason::from_str_name(&name).expect("a value of the enum");
        writeln!(
            page,
            "| `{}` | {comment} |",
            name.trim_start_matches("ELIGIBILITY_REASON_")
        )
        .expect("memory");
    }
    page
}

/// The values of an enum with their comments, but for the one that is never sent.
fn values(name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in protos::files() {
        let kinds = file.enum_type.iter().enumerate();
        for (place, kind) in kinds.filter(|(_, kind)| kind.name() == name) {
            for (number, value) in kind.value.iter().enumerate().skip(1) {
                let words = protos::comment(&file, &[5, place, 2, number]).split_whitespace();
                let comment = words.collect::<Vec<_>>().join(" ");
                assert!(!comment.is_empty(), "{} says what it means", value.name());
                found.push((value.name().to_owned(), comment));
            }
        }
    }
    found
}

/// `NotFound` as `NOT_FOUND`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (place, character) in name.chars().enumerate() {
        if place > 0 && character.is_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_uppercase());
    }
    text
}
