//! Among staff, and what a place on the care team means.

use std::fs;

use carepost_proto::eligibility::v1::GetChartRequest;

use super::{mail::Mailbox, setting::file, story::Story};
use crate::{
    client::Service,
    errors::{Exit, Failure},
};

/// A message to two colleagues, with the link to the chart.
pub async fn two_colleagues(story: &mut Story<'_>) -> Result<(), Failure> {
    story.step(
        "Two colleagues",
        "Staff write to each other too, here about the same chart. Who may see the chart gets a link to it in the EMR; a\n\
         portal user never does. No email: staff have the badge.",
    );
    let line = "send --as staff/9999999896 --to staff/9999881391 --to staff/9999890897 --chart 1021 --subject \"Tonight\" \
                \"Could one of you look after him tonight?\"";
    let conversation = story.command(line).await?.text_at("/conversation_id").to_owned();
    let link = chart_link(story, "1021").await?;
    for (colleague, name) in [("9999881391", "Dr. Rowe"), ("9999890897", "Dr. Lindgren")] {
        let shown = story
            .command(&format!("show --as staff/{colleague} {conversation}"))
            .await?;
        story.check(
            shown.text_at("/conversation/regarding/chart_id") == "1021",
            &format!("{name} has it, with the chart"),
        )?;
        let told = shown.text_at("/conversation/regarding/view_patient_url");
        story.check(
            told == link && !link.is_empty(),
            &format!("{name} gets the View Patient link {link}"),
        )?;
    }
    let badge = story.command("badge --as staff/9999890897").await?;
    story.check(badge.number_at("/unread_count") == 1, "the badge has told him")
}

/// Where the EMR shows a chart, as the directory has it.
async fn chart_link(story: &Story<'_>, chart_id: &str) -> Result<String, Failure> {
    let context = story.context(None)?;
    let mut directory = context.directory()?;
    let chart_id = chart_id.to_owned();
    let call = directory.get_chart(GetChartRequest { chart_id });
    let record = context.ask(Service::Eligibility, call).await?.record;
    Ok(record.and_then(|record| record.chart).unwrap_or_default().url)
}

/// The EMR takes the doctor off the care team.
pub async fn the_place_is_lost(story: &mut Story<'_>, conversation: &str) -> Result<(), Failure> {
    story.step(
        "Off the care team",
        "The EMR takes Dr. Feil off the care team of chart 1021. That holds from the next call on: he may not write any\n\
         more, and is told why, and what would mend it. What was written stays readable.",
    );
    let changed = write_without_feil(story)?;
    let done = story
        .command(&format!("import {changed} --organization prairie"))
        .await?;
    story.check(done.number_at("/changed") == 1, "one record changed")?;
    let line = format!("reply --as staff/9999999896 {conversation} \"One more thing.\"");
    let failure = story.refused(&line).await?;
    let told: Vec<_> = failure.reasons.iter().map(|reason| reason.name.as_str()).collect();
    story.check(told == ["STAFF_NOT_ON_CARE_TEAM"], "refused, for exactly this reason")?;
    let line = "explain --from staff/9999999896 --to portal/pu-9 --chart 1021 --reply";
    let explained = story.command(line).await?;
    story.check(explained.exit == Exit::Refused, "an operator sees the same")?;
    let shown = story
        .command(&format!("show --as staff/9999999896 {conversation}"))
        .await?;
    let messages = shown
        .json
        .get("messages")
        .and_then(|messages| messages.as_array())
        .map_or(0, Vec::len);
    story.check(messages == 2, "both messages are still there to read")?;
    let ability = |key: &str| shown.text_at(&format!("/conversation/reply_ability/{key}")).to_owned();
    story.check(
        ability("state") == "denied" && ability("denials/0/reason") == "STAFF_NOT_ON_CARE_TEAM",
        "the conversation itself says that he can't reply, and why",
    )?;
    story.check(!ability("denials/0/remedy").is_empty(), "and what would mend it")
}

/// Prairie's directory without the doctor on the care team of his only chart in this story.
fn write_without_feil(story: &Story<'_>) -> Result<String, Failure> {
    let path = file(story, "prairie-changed");
    let mut directory: serde_json::Value = serde_json::from_str(super::PRAIRIE).unwrap_or_default();
    let charts = directory.get_mut("charts").and_then(|charts| charts.as_array_mut());
    for chart in charts.into_iter().flatten() {
        if chart.get("id").is_some_and(|id| id == "1021") {
            chart["care_team"] = serde_json::json!([]);
        }
    }
    fs::write(&path, directory.to_string()).map_err(|error| Failure::file(path.as_ref(), &error))?;
    Ok(path)
}

/// And puts him back.
pub async fn and_found_again(story: &mut Story<'_>, mailbox: &mut Mailbox, conversation: &str) -> Result<(), Failure> {
    story.step(
        "Back again",
        "The EMR puts him back, and the next message goes through.",
    );
    let done = story
        .command(&format!("import {} --organization prairie", file(story, "prairie")))
        .await?;
    story.check(done.number_at("/changed") == 1, "one record changed")?;
    let line = format!("reply --as staff/9999999896 {conversation} \"One more thing: call me if it itches.\"");
    let sent = story.command(&line).await?;
    story.check(
        sent.number_at("/message/sequence") == 3,
        "it is message 3: the refused one left no gap",
    )?;
    let mail = mailbox.next_to("lucia.streich.8@example.org").await;
    story.check(mail.is_some(), "a second email has told her")
}
