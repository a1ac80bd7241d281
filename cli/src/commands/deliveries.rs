//! `carepost deliveries`

use carepost_identity::PersonId;
use carepost_proto::notification::v1::{
    Attempt, Delivery, DeliveryState, GetDeliveryRequest, ListDeliveriesRequest, RetryDeliveryRequest,
};
use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _, Utc};
use clap::{Args, Subcommand, ValueEnum, value_parser};
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::pages;
use crate::{
    client::{Context, Service},
    errors::{Exit, Failure},
    render::{Report, Style, Table, clean, local, rfc3339, word},
};

/// See `Command::Deliveries`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
There is one delivery for each message and portal user, and for each member of staff who asked for emails. None holds an address
or a word of a message. Times are local: 2026-11-22, \"2026-11-22 18:00\", or RFC 3339.

Examples:
  carepost deliveries --to portal/pu-9 --latest       # did she get it?
  carepost deliveries --state failed --since 2026-11-22
  carepost deliveries 5f0a2a3c-7f0e-5f9e-9a53-0c8a7b1f8a11
  carepost deliveries retry 5f0a2a3c-7f0e-5f9e-9a53-0c8a7b1f8a11

JSON: {more, next_page, deliveries: [D]} or, for one, D and {attempts: [{number, outcome, begin_time, end_time or null, code, \
answer}]}; D = {id, message_id, recipient, state, attempt_count, unknown_outcome_count, last_code, last_answer, suppression_reason \
or null, create_time, update_time, next_attempt_time or null, retry_time or null}"
)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Show this one, with every attempt.
    #[arg(value_name = "DELIVERY", conflicts_with_all = ["message", "to", "state", "since", "until", "page", "latest"])]
    id: Option<String>,
    /// Only about this message.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only to this person.
    #[arg(long, value_name = "PERSON")]
    to: Option<PersonId>,
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only recorded at this time or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<DateTime<Utc>>,
    /// Only recorded before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<DateTime<Utc>>,
    /// Show the newest of them, with every attempt.
    #[arg(long, conflicts_with = "page")]
    latest: bool,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Go on from the `next_page` of the list before.
    // A token may begin with a hyphen.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    page: Option<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try one now that failed, was suppressed or waits. Refused for what was sent.
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
It is recorded at once and tried by the service a moment later: look at it again to see what came of it. Who has no active account
still gets nothing.

Example:
  carepost deliveries retry 5f0a2a3c-7f0e-5f9e-9a53-0c8a7b1f8a11

JSON: as in `deliveries`, without attempts")]
struct RetryArgs {
    /// Its id.
    #[arg(value_name = "DELIVERY")]
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Not tried yet.
    Pending,
    /// Being tried now.
    Sending,
    /// Accepted by the mail server.
    Sent,
    /// Will be tried again.
    Retrying,
    /// Refused for good.
    Failed,
    /// Not sent: the account was not active.
    Suppressed,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Sending => Self::Sending,
            State::Sent => Self::Sent,
            State::Retrying => Self::Retrying,
            State::Failed => Self::Failed,
            State::Suppressed => Self::Suppressed,
        }
    }
}

/// Lists deliveries, shows one, or tries one again.
pub async fn run(context: &Context, args: DeliveriesArgs) -> Result<Report, Failure> {
    match (&args.what, &args.id) {
        (Some(What::Retry(retry)), _) => again(context, retry.id.clone()).await,
        (None, Some(id)) => get(context, id.clone()).await,
        (None, None) => find(context, &args).await,
    }
}

async fn again(context: &Context, delivery_id: String) -> Result<Report, Failure> {
    let mut notification = context.notification()?;
    let call = notification.retry_delivery(RetryDeliveryRequest { delivery_id });
    let answer = context.ask(Service::Notification, call).await?;
    let delivery = answer.delivery.unwrap_or_default();
    let text = format!("It will be tried now.\n{}", one(context, &delivery));
    Ok(Report::done(text, json(&delivery)))
}

async fn get(context: &Context, delivery_id: String) -> Result<Report, Failure> {
    let mut notification = context.notification()?;
    let call = notification.get_delivery(GetDeliveryRequest { delivery_id });
    let answer = context.ask(Service::Notification, call).await?;
    let delivery = answer.delivery.unwrap_or_default();
    let text = format!("{}{}", one(context, &delivery), attempts(context, &answer.attempts));
    let mut json = json(&delivery);
    if let Value::Object(fields) = &mut json {
        let attempts = answer.attempts.iter().map(attempt_json).collect();
        fields.insert("attempts".to_owned(), Value::Array(attempts));
    }
    Ok(Report::done(text, json))
}

async fn find(context: &Context, args: &DeliveriesArgs) -> Result<Report, Failure> {
    let mut notification = context.notification()?;
    let limit = if args.latest { 1 } else { usize::from(args.limit) };
    let page = async |page_size, page_token| {
        let state = args.state.map_or(DeliveryState::Unspecified, DeliveryState::from);
        let request = ListDeliveriesRequest {
            message_id: args.message.clone().unwrap_or_default(),
            recipient: args.to.as_ref().map(ToString::to_string).unwrap_or_default(),
            state: state.into(),
            page_size,
            page_token,
            create_time_from: args.since.map(timestamp),
            create_time_to: args.until.map(timestamp),
        };
        let call = notification.list_deliveries(request);
        let page = context.ask(Service::Notification, call).await?;
        Ok((page.deliveries, page.next_page_token))
    };
    let (deliveries, page_token) = pages(limit, args.page.clone().unwrap_or_default(), page).await?;
    if let (true, Some(newest)) = (args.latest, deliveries.first()) {
        return get(context, newest.id.clone()).await;
    }
    let entries: Vec<_> = deliveries.iter().map(json).collect();
    let json = json!({"more": !page_token.is_empty(), "next_page": page_token, "deliveries": entries});
    let text = list(context, &deliveries, &page_token);
    if args.latest {
        let next = "See `carepost deliveries`: one is recorded a moment after the message is sent";
        return Err(Failure::new(
            Exit::NotFound,
            "NOT_FOUND",
            "There is no such delivery",
            next,
        ));
    }
    Ok(Report::done(text, json))
}

/// A time as people write it.
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN)));
    // Of a time that a change of the clocks skips or repeats, the first; of one that is skipped, none.
    let time = local.ok().and_then(|time| Local.from_local_datetime(&time).earliest());
    time.map(|time| time.to_utc())
        .ok_or_else(|| "write it as 2026-11-22, \"2026-11-22 18:00\", or 2026-11-22T18:00:00Z".to_owned())
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

fn list(context: &Context, deliveries: &[Delivery], next_page: &str) -> String {
    if deliveries.is_empty() {
        return "No deliveries.".to_owned();
    }
    let mut table = Table::new(&[
        "STATE",
        "TO",
        "RECORDED",
        "CHANGED",
        "ATTEMPTS",
        "LAST ANSWER",
        "DELIVERY",
    ]);
    for delivery in deliveries {
        table.row(
            style(delivery.state()),
            [
                state(delivery),
                delivery.recipient.clone(),
                local(delivery.create_time),
                local(delivery.update_time),
                delivery.attempt_count.to_string(),
                clean(&answer(delivery.last_code, &delivery.last_answer), 40),
                delivery.id.clone(),
            ],
        );
    }
    let more = match next_page {
        "" => String::new(),
        token => format!("\nThere are more: --limit, or --page {token}"),
    };
    format!("{}{more}", table.render(context.paint))
}

fn one(context: &Context, delivery: &Delivery) -> String {
    let mut table = Table::new(&["DELIVERY", ""]);
    let mut row = |style, name: &str, value: String| {
        if !value.is_empty() {
            table.row(style, [name.to_owned(), value]);
        }
    };
    row(Style::Plain, "id", delivery.id.clone());
    row(Style::Plain, "message", delivery.message_id.clone());
    row(Style::Plain, "to", delivery.recipient.clone());
    row(style(delivery.state()), "state", state(delivery));
    row(Style::Plain, "why not", suppression(delivery).unwrap_or_default());
    row(Style::Plain, "attempts", delivery.attempt_count.to_string());
    row(
        Style::Plain,
        "of unknown outcome",
        delivery.unknown_outcome_count.to_string(),
    );
    row(
        Style::Plain,
        "last answer",
        answer(delivery.last_code, &delivery.last_answer),
    );
    row(Style::Plain, "recorded", local(delivery.create_time));
    row(Style::Plain, "last change", local(delivery.update_time));
    row(Style::Plain, "next attempt", local(delivery.next_attempt_time));
    row(Style::Plain, "retried", local(delivery.retry_time));
    table.render(context.paint)
}

fn attempts(context: &Context, attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["ATTEMPT", "BEGUN", "ENDED", "OUTCOME", "ANSWER"]);
    for attempt in attempts {
        table.row(
            Style::Plain,
            [
                attempt.number.to_string(),
                local(attempt.begin_time),
                local(attempt.end_time),
                outcome(attempt),
                answer(attempt.code, &attempt.answer),
            ],
        );
    }
    format!("\n\n{}", table.render(context.paint))
}

fn outcome(attempt: &Attempt) -> String {
    word(attempt.outcome().as_str_name(), "ATTEMPT_OUTCOME_")
}

/// What the mail server said, or what went wrong.
fn answer(code: i32, text: &str) -> String {
    match code {
        0 => clean(text, 500),
        code => format!("{code} {}", clean(text, 500)),
    }
}

fn attempt_json(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number, "outcome": outcome(attempt).replace(' ', "_"),
        "begin_time": rfc3339(attempt.begin_time), "end_time": rfc3339(attempt.end_time),
        "code": attempt.code, "answer": attempt.answer,
    })
}

fn style(state: DeliveryState) -> Style {
    match state {
        DeliveryState::Sent => Style::Green,
        DeliveryState::Failed => Style::Red,
        DeliveryState::Retrying | DeliveryState::Suppressed => Style::Yellow,
        _ => Style::Plain,
    }
}

fn state(delivery: &Delivery) -> String {
    word(delivery.state().as_str_name(), "DELIVERY_STATE_")
}

fn suppression(delivery: &Delivery) -> Option<String> {
    let reason = word(delivery.suppression_reason().as_str_name(), "SUPPRESSION_REASON_");
    Some(reason).filter(|reason| reason != "unspecified")
}

fn json(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id, "message_id": delivery.message_id, "recipient": delivery.recipient,
        "state": state(delivery), "attempt_count": delivery.attempt_count,
        "unknown_outcome_count": delivery.unknown_outcome_count, "last_code": delivery.last_code,
        "last_answer": delivery.last_answer, "suppression_reason": suppression(delivery),
        "create_time": rfc3339(delivery.create_time), "update_time": rfc3339(delivery.update_time),
        "next_attempt_time": rfc3339(delivery.next_attempt_time), "retry_time": rfc3339(delivery.retry_time),
    })
}
