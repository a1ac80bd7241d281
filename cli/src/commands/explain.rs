//! `carepost explain`

use carepost_identity::{ChartId, PersonId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1::{
    Action, CheckEligibilityRequest, Decision, Denial, PortalParties, Question, StaffParties, question::Parties,
};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    client::{Context, Service},
    errors::{Exit, Failure},
    render::{Report, Style, clean},
};

/// See `Command::Explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
It asks as a service, and is told everything. The exit code is 0 if they may write, and 3 if not: \"no\" is an answer, on
standard output.

Examples:
  carepost explain --from staff/9999999896 --to portal/pu-9 --chart 1021
  carepost explain --from portal/pu-9 --to staff/9999999896 --chart 1021 --reply
  carepost explain --from staff/9999999896 --to staff/9999997791 --to staff/9999979294

JSON: {allowed, reasons: [{reason, party, meaning, remedy}], parties: [{person, display_name}], \
chart: {chart_id, patient_name} or null, may_see_chart: true, false or null}")]
pub struct ExplainArgs {
    /// Who writes: staff/ID or portal/ID.
    #[arg(long, value_name = "PERSON")]
    from: PersonId,
    /// To whom. Again for each further member of staff.
    #[arg(long, value_name = "PERSON", required = true)]
    to: Vec<PersonId>,
    /// Id of the chart.
    #[arg(long, value_name = "ID")]
    chart: Option<ChartId>,
    /// Ask for a reply in a conversation that they have, instead of a new one.
    #[arg(long)]
    reply: bool,
}

/// Tells why somebody can or can't write to somebody.
pub async fn run(context: &Context, args: ExplainArgs) -> Result<Report, Failure> {
    let question = Question {
        action: if args.reply { Action::Reply } else { Action::Start }.into(),
        parties: Some(parties(&args)?),
    };
    let mut eligibility = context.eligibility()?;
    let request = CheckEligibilityRequest {
        question: Some(question),
    };
    let call = eligibility.check_eligibility(request);
    let decision = context
        .ask(Service::Eligibility, call)
        .await?
        .decision
        .unwrap_or_default();
    Ok(Report {
        text: text(context, &args, &decision),
        json: json(&decision),
        exit: if decision.allowed { Exit::Ok } else { Exit::Refused },
    })
}

fn parties(args: &ExplainArgs) -> Result<Parties, Failure> {
    let portal = |staff: &StaffId, user: &PortalUserId, sent_by_portal_user| {
        let unnamed = || {
            Failure::usage(
                "A message between staff and a portal user regards a chart",
                "Name it with --chart",
            )
        };
        Ok(Parties::Portal(PortalParties {
            staff_id: staff.to_string(),
            portal_user_id: user.to_string(),
            chart_id: args.chart.as_ref().ok_or_else(unnamed)?.to_string(),
            sent_by_portal_user,
        }))
    };
    match (&args.from, args.to.as_slice()) {
        (PersonId::Staff(staff), [PersonId::Portal(user)]) => return portal(staff, user, false),
        (PersonId::Portal(user), [PersonId::Staff(staff)]) => return portal(staff, user, true),
        _ => {}
    }
    let colleagues: Option<Vec<_>> = args.to.iter().map(staff_id).collect();
    let (Some(sender_id), Some(recipient_ids)) = (staff_id(&args.from), colleagues) else {
        let next = "Ask about staff and one portal user, or about staff alone";
        return Err(Failure::usage("Nobody writes to these together", next));
    };
    Ok(Parties::Staff(StaffParties {
        sender_id,
        recipient_ids,
        chart_id: args.chart.as_ref().map(ToString::to_string),
    }))
}

fn staff_id(person: &PersonId) -> Option<String> {
    match person {
        PersonId::Staff(id) => Some(id.to_string()),
        PersonId::Portal(_) => None,
    }
}

fn text(context: &Context, args: &ExplainArgs, decision: &Decision) -> String {
    let who = |person: &PersonId| name(decision, &person.to_string());
    let to: Vec<_> = args.to.iter().map(who).collect();
    let chart = args.chart.as_ref().map_or_else(String::new, |id| {
        let patient = decision.chart.as_ref().map(|chart| clean(&chart.patient_name, 60));
        format!(
            " regarding {} (chart {id})",
            patient.unwrap_or_else(|| "an unknown patient".to_owned())
        )
    });
    let may = if decision.allowed { "may" } else { "may not" };
    let style = if decision.allowed { Style::Green } else { Style::Red };
    let how = if args.reply { "reply to" } else { "write to" };
    let mut text = format!(
        "{} {} {how} {}{chart}.",
        who(&args.from),
        context.paint.paint(style, may),
        to.join(" and ")
    );
    for denial in &decision.denials {
        let (reason, meaning) = in_words(denial);
        let about = if denial.party.is_empty() {
            String::new()
        } else {
            format!("{} ", name(decision, &denial.party))
        };
        let reason = context.paint.paint(Style::Bold, reason);
        let remedy = clean(&denial.remedy, 500);
        text.push_str(&format!("\n  {reason}\n      {about}{meaning}\n      Remedy: {remedy}"));
    }
    text
}

fn name(decision: &Decision, person: &str) -> String {
    let known = decision.parties.iter().find(|party| party.person == person);
    known.map_or_else(
        || person.to_owned(),
        |party| format!("{} ({person})", clean(&party.display_name, 60)),
    )
}

/// The name of a reason, and what it says.
fn in_words(denial: &Denial) -> (&'static str, &'static str) {
    use carepost_proto::common::v1::EligibilityReason as Reason;
    let reason = denial.reason();
    let meaning = match reason {
        Reason::Unspecified => "There is a reason that this version does not know.",
        Reason::UnknownChart => "There is no such chart in the organization.",
        Reason::UnknownStaff => "is no member of staff of the organization.",
        Reason::UnknownPortalUser => "is no portal user of the organization.",
        Reason::MessagingDisabled => "My Messages is not enabled for the location.",
        Reason::StaffInactive => "has no active account.",
        Reason::StaffLacksRole => "lacks the role available_for_portal_messages.",
        Reason::StaffNoLocationAccess => "does not reach the chart's location.",
        Reason::StaffBarredFromChart => "is barred from the chart.",
        Reason::StaffNotOnCareTeam => {
            "is not on the chart's care team, and the location lets only the care team write."
        }
        Reason::PortalAccountNotActive => "has no active portal account.",
        Reason::PortalUserNotConnected => "has no confirmed connection to the chart.",
        Reason::RecipientInactive => "has no active account.",
        Reason::RecipientBarredFromChart => "is barred from the chart.",
        Reason::NoActiveRecipient => "None of the others has an active account.",
    };
    (reason.as_str_name().trim_start_matches("ELIGIBILITY_REASON_"), meaning)
}

fn json(decision: &Decision) -> Value {
    let reasons: Vec<_> = decision
        .denials
        .iter()
        .map(|denial| {
            let (reason, meaning) = in_words(denial);
            json!({"reason": reason, "party": denial.party, "meaning": meaning, "remedy": denial.remedy})
        })
        .collect();
    let parties: Vec<_> = decision
        .parties
        .iter()
        .map(|party| json!({"person": party.person, "display_name": party.display_name}))
        .collect();
    let chart = decision.chart.as_ref();
    let access = decision.staff_chart_access.as_ref();
    json!({
        "allowed": decision.allowed, "reasons": reasons, "parties": parties,
        "chart": chart.map(|chart| json!({"chart_id": chart.chart_id, "patient_name": chart.patient_name})),
        "may_see_chart": access.map(|access| !access.no_location_access && !access.barred),
    })
}
