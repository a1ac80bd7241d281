//! `carepost unanswered`

use carepost_proto::messaging::v1::{
    ListUnansweredRequest, ListUnansweredResponse, StaffActivity, UnansweredByStaff, WaitingConversations,
};
use chrono::TimeDelta;
use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::pages;
use crate::{
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, Table, count, local, rfc3339, word},
};

/// The longest span that can be asked for, in days.
const LONGEST: i64 = 3_650;

/// See `Command::Unanswered`.
#[derive(Debug, Args)]
#[command(after_help = "\
A conversation waits if its newest message is the portal user's, and has waited since their first one that no message of the \
staff member follows. Inactive staff come first: nobody reads what was written to them. Then comes who has let somebody wait \
longest. These are counts and ids of staff; no mailbox is opened.

Examples:
  carepost unanswered
  carepost unanswered --older-than 3d
  carepost --json unanswered --older-than 12h

JSON: {more, staff_count, total: W, staff: [{staff_id, activity: active, inactive or unknown, waiting: W, waiting_since}]}, \
W = {count, under_1_day, days_1_to_3, days_3_to_7, days_7_to_30, over_30_days}; total and staff_count are of all pages")]
pub struct UnansweredArgs {
    /// Only what has waited at least so long: 90m, 12h, 3d, 2w.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    older_than: Option<TimeDelta>,
    /// How many members of staff at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

/// A whole number with its unit.
fn span(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("must be a number with m, h, d or w, such as 3d, and at most {LONGEST} days");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let number: i64 = digits.parse().map_err(|_| wrong())?;
    let span = match text.strip_prefix(digits) {
        Some("m") => TimeDelta::try_minutes(number),
        Some("h") => TimeDelta::try_hours(number),
        Some("d") => TimeDelta::try_days(number),
        Some("w") => TimeDelta::try_weeks(number),
        _ => None,
    };
    let allowed = TimeDelta::zero()..=TimeDelta::days(LONGEST);
    span.filter(|span| allowed.contains(span)).ok_or_else(wrong)
}

/// Lists what waits, by member of staff.
pub async fn run(context: &Context, args: UnansweredArgs) -> Result<Report, Failure> {
    let mut operators = context.operators()?;
    let older_than = args.older_than.map(|span| prost_types::Duration {
        seconds: span.num_seconds(),
        nanos: 0,
    });
    let mut all = ListUnansweredResponse::default();
    let page = async |page_size, page_token| {
        let request = ListUnansweredRequest {
            older_than,
            page_size,
            page_token,
        };
        let call = operators.list_unanswered(request);
        let page = context.ask(Service::Messaging, call).await?;
        (all.total, all.staff_count) = (page.total, page.staff_count);
        Ok((page.staff, page.next_page_token))
    };
    let (staff, next_page_token) = pages(usize::from(args.limit), String::new(), page).await?;
    (all.staff, all.next_page_token) = (staff, next_page_token);
    let text = if all.staff.is_empty() {
        nothing(args.older_than.is_some())
    } else {
        list(context, &all)
    };
    Ok(Report::done(text, json(&all)))
}

fn nothing(of_an_age: bool) -> String {
    let so_long = if of_an_age { " so long" } else { "" };
    format!("No portal message waits{so_long} for an answer.")
}

fn list(context: &Context, all: &ListUnansweredResponse) -> String {
    let mut table = Table::new(&[
        "STAFF", "ACTIVE", "WAITING", "<1D", "1-3D", "3-7D", "7-30D", ">30D", "SINCE",
    ]);
    for row in &all.staff {
        let active = match row.activity() {
            StaffActivity::Active => "yes",
            StaffActivity::Inactive => "no",
            _ => "unknown",
        };
        let who = [format!("staff/{}", row.staff_id), active.to_owned()];
        let waiting = numbers(row.waiting).map(|number| number.to_string());
        let since = local(row.waiting_since);
        table.row(style(row), who.into_iter().chain(waiting).chain([since]));
    }
    let total = numbers(all.total).map(|number| number.to_string());
    let everybody = [String::from("all"), String::new()];
    table.row(Style::Bold, everybody.into_iter().chain(total).chain([String::new()]));
    let waiting = all.total.map_or(0, |total| total.count);
    let wait = if waiting == 1 { "waits" } else { "wait" };
    let staff = match all.staff_count {
        1 => "1 member of staff".to_owned(),
        number => format!("{number} members of staff"),
    };
    let mut text = table.render(context.paint);
    text += &format!("\n{} {wait} for {staff}.", count(waiting, "conversation"));
    if all.staff.iter().any(|row| row.activity() == StaffActivity::Unknown) {
        text += "\nWho is active is unknown, so inactive staff are not first: eligibility does not answer. Try again.";
    }
    if !all.next_page_token.is_empty() {
        text += "\nThere are more: --limit.";
    }
    text
}

/// Nobody will answer, or nobody has for a week.
fn style(row: &UnansweredByStaff) -> Style {
    let waiting = row.waiting.unwrap_or_default();
    match row.activity() {
        StaffActivity::Inactive => Style::Red,
        _ if waiting.days_7_to_30 + waiting.over_30_days > 0 => Style::Yellow,
        _ => Style::Plain,
    }
}

fn numbers(waiting: Option<WaitingConversations>) -> [i64; 6] {
    let waiting = waiting.unwrap_or_default();
    [
        waiting.count,
        waiting.under_1_day,
        waiting.days_1_to_3,
        waiting.days_3_to_7,
        waiting.days_7_to_30,
        waiting.over_30_days,
    ]
}

fn json(all: &ListUnansweredResponse) -> Value {
    let staff = all.staff.iter().map(|row| {
        json!({
            "staff_id": row.staff_id,
            "activity": word(row.activity().as_str_name(), "STAFF_ACTIVITY_"),
            "waiting": waiting(row.waiting),
            "waiting_since": rfc3339(row.waiting_since),
        })
    });
    json!({
        "more": !all.next_page_token.is_empty(),
        "staff_count": all.staff_count,
        "total": waiting(all.total),
        "staff": staff.collect::<Vec<_>>(),
    })
}

fn waiting(waiting: Option<WaitingConversations>) -> Value {
    let [count, under_1_day, days_1_to_3, days_3_to_7, days_7_to_30, over_30_days] = numbers(waiting);
    json!({
        "count": count, "under_1_day": under_1_day, "days_1_to_3": days_1_to_3, "days_3_to_7": days_3_to_7,
        "days_7_to_30": days_7_to_30, "over_30_days": over_30_days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_its_unit() {
        for (text, minutes) in [
            ("90m", 90),
            ("12h", 720),
            ("3d", 4_320),
            ("2w", 20_160),
            ("0d", 0),
            ("3650d", 5_256_000),
        ] {
            assert_eq!(span(text), Ok(TimeDelta::minutes(minutes)), "{text}");
        }
        for text in [
            "",
            "3",
            "d",
            "-3d",
            "3.5d",
            "3y",
            "3dd",
            "3 d",
            "3651d",
            "99999999999999999999d",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
        let large = format!("{}w", i64::MAX);
        assert!(span(&large).is_err());
    }
}
