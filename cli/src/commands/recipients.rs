//! `carepost recipients`

use carepost_identity::{ChartId, PersonId};
use carepost_proto::messaging::v1::{ConversationKind, ListRecipientsRequest, Recipient};
use clap::{Args, ValueEnum, value_parser};
use serde_json::json;

use super::pages;
use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, Table, clean, word},
};

/// See `Command::Recipients`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  carepost recipients --as staff/9999999896 --chart 1021    # portal users of this chart
  carepost recipients --as staff/9999999896 --kind staff    # colleagues
  carepost recipients --as portal/pu-9 --chart 1021         # the staff that a portal user may write to

JSON: {more, recipients: [{person, display_name, relationship or null}]}")]
pub struct RecipientsArgs {
    #[command(flatten)]
    me: Me,
    /// The chart that the message will regard.
    #[arg(long, value_name = "ID")]
    chart: Option<ChartId>,
    /// Which kind of conversation [default: portal with a chart, else staff].
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only people with this text in their name, whatever its case and accents.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// How many people at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Staff and a portal user, regarding a chart.
    Portal,
    /// Staff only.
    Staff,
}

/// Lists whom I may write to.
pub async fn run(context: &Context, args: RecipientsArgs) -> Result<Report, Failure> {
    let me = args.me.person.as_ref().or(context.profile.me.as_ref());
    let is_portal = matches!(me, Some(PersonId::Portal(_))) || args.chart.is_some();
    let kind = args.kind.unwrap_or(if is_portal { Kind::Portal } else { Kind::Staff });
    if kind == Kind::Portal && args.chart.is_none() {
        let what = "A message between staff and a portal user regards a chart";
        return Err(Failure::usage(what, "Name it with --chart"));
    }
    let mut messaging = context.messaging(me).await?;
    let page = async |page_size, page_token| {
        let kind = match kind {
            Kind::Portal => ConversationKind::Portal,
            Kind::Staff => ConversationKind::Staff,
        };
        let request = ListRecipientsRequest {
            kind: kind.into(),
            chart_id: args.chart.as_ref().map(ToString::to_string),
            page_size,
            page_token,
            name_query: args.name.clone().unwrap_or_default(),
        };
        let page = context
            .ask(Service::Messaging, messaging.list_recipients(request))
            .await?;
        Ok((page.recipients, page.next_page_token))
    };
    let (recipients, page_token) = pages(usize::from(args.limit), String::new(), page).await?;
    Ok(report(context, &recipients, !page_token.is_empty()))
}

fn report(context: &Context, recipients: &[Recipient], more: bool) -> Report {
    let mut table = Table::new(&["PERSON", "NAME", "IS"]);
    let mut entries = Vec::new();
    for recipient in recipients {
        let is = word(recipient.relationship().as_str_name(), "RELATIONSHIP_");
        let is = Some(is).filter(|is| is != "unspecified");
        entries.push(json!({
            "person": recipient.person, "display_name": recipient.display_name, "relationship": is,
        }));
        let is = is.unwrap_or_else(|| "staff".to_owned());
        table.row(
            Style::Plain,
            [recipient.person.clone(), clean(&recipient.display_name, 60), is],
        );
    }
    let mut text = table.render(context.paint);
    if recipients.is_empty() {
        "Nobody. `carepost explain` tells why somebody is not here.".clone_into(&mut text);
    } else if more {
        text.push_str("\nThere are more: --limit.");
    }
    Report::done(text, json!({"more": more, "recipients": entries}))
}
