//! `carepost compose`

use carepost_identity::ChartId;
use carepost_proto::messaging::v1::{ConversationKind, GetComposeOptionsRequest};
use clap::Args;
use serde_json::json;

use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, Table, clean, word},
};

/// See `Command::Compose`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  carepost compose --as staff/9999999896 --chart 1021
  carepost compose --as portal/pu-9

JSON: {kinds: [portal, staff], charts: [{chart_id, patient_name, location_name, emergency_number}], \
notice: {text, emergency_number}}")]
pub struct ComposeArgs {
    #[command(flatten)]
    me: Me,
    /// The chart from which I start, or that I chose to regard.
    #[arg(long, value_name = "ID")]
    chart: Option<ChartId>,
}

/// Shows what may be started.
pub async fn run(context: &Context, args: ComposeArgs) -> Result<Report, Failure> {
    let mut messaging = context.messaging(args.me.person.as_ref()).await?;
    let call = messaging.get_compose_options(GetComposeOptionsRequest {
        chart_id: args.chart.as_ref().map(ToString::to_string),
    });
    let options = context.ask(Service::Messaging, call).await?;
    let kinds: Vec<_> = options
        .kinds()
        .map(|kind: ConversationKind| word(kind.as_str_name(), "CONVERSATION_KIND_"))
        .collect();
    let notice = options.notice.clone().unwrap_or_default();
    let may = match kinds.as_slice() {
        [] => "You may not start a conversation here.".to_owned(),
        kinds => format!("You may start: {}.", kinds.join(", ")),
    };
    let mut blocks = vec![context.paint.paint(Style::Yellow, &clean(&notice.text, 1_000)), may];
    if !options.charts.is_empty() {
        let mut table = Table::new(&["REGARDING", "LOCATION", "CHART"]);
        for chart in &options.charts {
            let cells = [&chart.patient_name, &chart.location_name, &chart.chart_id];
            table.row(Style::Plain, cells.map(|cell| clean(cell, 60)));
        }
        blocks.push(table.render(context.paint));
    }
    let charts: Vec<_> = options
        .charts
        .iter()
        .map(|chart| {
            let number = chart.notice.as_ref().map(|notice| &notice.emergency_number);
            json!({
                "chart_id": chart.chart_id, "patient_name": chart.patient_name,
                "location_name": chart.location_name, "emergency_number": number,
            })
        })
        .collect();
    let json = json!({
        "kinds": kinds, "charts": charts,
        "notice": {"text": notice.text, "emergency_number": notice.emergency_number},
    });
    Ok(Report::done(blocks.join("\n"), json))
}
