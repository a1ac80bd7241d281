//! Answers.

use carepost_proto::eligibility::v1 as proto;

use super::{
    settings::brand_message,
    words::{from_account_status, from_reason, from_relationship},
};
use crate::{
    domain::decision::{ChartAccess, ChartSummary, ComposeOptions, Decision, Denial, Recipient, RegardableChart},
    store::EmailRecipient,
};

/// A decision.
pub(in crate::rpc) fn decision(decision: Decision) -> proto::Decision {
    let party = |(person, name): (carepost_identity::PersonId, _)| proto::Party {
        person: person.to_string(),
        display_name: String::from(name),
    };
    proto::Decision {
        allowed: decision.allowed(),
        denials: decision.denials.iter().map(|of| denial(&decision, of)).collect(),
        parties: decision.parties.into_iter().map(party).collect(),
        chart: decision.chart.map(chart_summary),
        portal_user_connected: decision.portal_user_connected,
        staff_chart_access: decision.staff_chart_access.map(chart_access),
    }
}

fn chart_summary(chart: ChartSummary) -> proto::ChartSummary {
    proto::ChartSummary {
        chart_id: chart.id.into(),
        patient_name: chart.patient_name.into(),
        url: chart.url.map(String::from).unwrap_or_default(),
    }
}

/// What a person may start.
pub(in crate::rpc) fn compose_options(options: ComposeOptions) -> proto::GetComposeOptionsResponse {
    let chart = |regardable: RegardableChart| proto::RegardableChart {
        chart: Some(chart_summary(regardable.chart)),
        location_name: regardable.place.location_name.into(),
        country: regardable.place.country.into(),
    };
    proto::GetComposeOptionsResponse {
        portal: options.portal,
        staff: options.staff,
        charts: options.charts.into_iter().map(chart).collect(),
        country: options.country.map(String::from).unwrap_or_default(),
    }
}

fn denial(decision: &Decision, denial: &Denial) -> proto::Denial {
    proto::Denial {
        reason: from_reason(denial.reason),
        party: denial.party.as_ref().map(ToString::to_string).unwrap_or_default(),
        remedy: denial.reason.remedy().to_owned(),
        remedy_for_sender: decision.remedy_for_sender(denial.reason).to_owned(),
    }
}

fn chart_access(access: ChartAccess) -> proto::ChartAccess {
    proto::ChartAccess {
        no_location_access: access.no_location_access,
        barred: access.barred,
    }
}

/// Somebody in a list of recipients.
pub(in crate::rpc) fn recipient(recipient: Recipient) -> proto::EligibleRecipient {
    proto::EligibleRecipient {
        person: recipient.person.to_string(),
        display_name: recipient.name.into(),
        relationship: recipient.relationship.map(from_relationship).unwrap_or_default(),
    }
}

/// All that an email needs.
pub(in crate::rpc) fn email_recipient(recipient: EmailRecipient) -> proto::GetEmailRecipientResponse {
    let brand = brand_message(recipient.brand);
    proto::GetEmailRecipientResponse {
        status: from_account_status(recipient.status),
        email: recipient.email.map(String::from).unwrap_or_default(),
        locale: recipient
            .locale
            .map(String::from)
            .unwrap_or_else(|| brand.locale.clone()),
        portal_url: brand.portal_url.clone(),
        brand: Some(brand),
    }
}
