//! `carepost deliveries`

use carepost_identity::PersonId;
use carepost_proto::notification::v1::{Delivery, DeliveryState, GetDeliveryRequest, ListDeliveriesRequest};
use clap::{Args, ValueEnum, value_parser};
use serde_json::{Value, json};

use super::page_size;
use crate::{
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, Table, clean, local, rfc3339, word},
};

/// See `Command::Deliveries`.
#[derive(Debug, Args)]
#[command(after_help = "\
There is one delivery for each message and portal user. None holds an address or a word of a message.

Examples:
  carepost deliveries --to portal/pu-9
  carepost deliveries --state failed
  carepost deliveries 5f0a2a3c-7f0e-5f9e-9a53-0c8a7b1f8a11

JSON: {more, deliveries: [D]} or, for one, D = {id, message_id, recipient, state, attempt_count, unknown_outcome_count, \
last_code, last_answer, suppression_reason or null, create_time, update_time, next_attempt_time or null}")]
pub struct DeliveriesArgs {
    /// Show this one.
    #[arg(value_name = "DELIVERY", conflicts_with_all = ["message", "to", "state"])]
    id: Option<String>,
    /// Only about this message.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only to this portal user.
    #[arg(long, value_name = "PERSON")]
    to: Option<PersonId>,
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
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

/// Lists deliveries, or shows one.
pub async fn run(context: &Context, args: DeliveriesArgs) -> Result<Report, Failure> {
    let mut notification = context.notification()?;
    if let Some(delivery_id) = args.id {
        let call = notification.get_delivery(GetDeliveryRequest { delivery_id });
        let delivery = context
            .ask(Service::Notification, call)
            .await?
            .delivery
            .unwrap_or_default();
        return Ok(Report::done(one(context, &delivery), json(&delivery)));
    }
    let mut deliveries = Vec::new();
    let mut page_token = String::new();
    let limit = usize::from(args.limit);
    while deliveries.len() < limit {
        let state = args.state.map_or(DeliveryState::Unspecified, DeliveryState::from);
        let request = ListDeliveriesRequest {
            message_id: args.message.clone().unwrap_or_default(),
            recipient: args.to.as_ref().map(ToString::to_string).unwrap_or_default(),
            state: state.into(),
            page_size: page_size(limit, deliveries.len()),
            page_token,
            ..Default::default()
        };
        let call = notification.list_deliveries(request);
        let page = context.ask(Service::Notification, call).await?;
        deliveries.extend(page.deliveries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let more = !page_token.is_empty();
    let entries: Vec<_> = deliveries.iter().map(json).collect();
    Ok(Report::done(
        list(context, &deliveries, more),
        json!({"more": more, "deliveries": entries}),
    ))
}

fn list(context: &Context, deliveries: &[Delivery], more: bool) -> String {
    if deliveries.is_empty() {
        return "No deliveries.".to_owned();
    }
    let mut table = Table::new(&["STATE", "TO", "RECORDED", "ATTEMPTS", "UNKNOWN", "DELIVERY"]);
    for delivery in deliveries {
        table.row(
            style(delivery.state()),
            [
                state(delivery),
                delivery.recipient.clone(),
                local(delivery.create_time),
                delivery.attempt_count.to_string(),
                delivery.unknown_outcome_count.to_string(),
                delivery.id.clone(),
            ],
        );
    }
    let more = if more { "\nThere are more: --limit." } else { "" };
    format!("{}{more}", table.render(context.paint))
}

fn one(context: &Context, delivery: &Delivery) -> String {
    let mut table = Table::new(&["DELIVERY", ""]);
    let answer = match delivery.last_code {
        0 => clean(&delivery.last_answer, 500),
        code => format!("{code} {}", clean(&delivery.last_answer, 500)),
    };
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
    row(Style::Plain, "last answer", answer);
    row(Style::Plain, "recorded", local(delivery.create_time));
    row(Style::Plain, "last change", local(delivery.update_time));
    row(Style::Plain, "next attempt", local(delivery.next_attempt_time));
    table.render(context.paint)
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
        "next_attempt_time": rfc3339(delivery.next_attempt_time),
    })
}
