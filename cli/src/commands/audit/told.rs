//! How the report of a verified trail is told.

use carepost_audit::{Chain, Fault, Report};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::render::{Paint, Style, Table, count};

/// For people: a table of the chains, and a line for each fault.
pub fn text(name: &str, report: &Report, paint: Paint) -> String {
    if report.chains.is_empty() {
        return format!("The trail of {name} is empty.");
    }
    let mut table = Table::new(&["TRAIL", "ORGANIZATION", "RECORDS", "SEALS", "UNSEALED", "CHAIN"]);
    let mut faults = String::new();
    for chain in &report.chains {
        let (style, state) = if chain.fault_count == 0 {
            (Style::Plain, "whole".to_owned())
        } else {
            (
                Style::Red,
                format!("broken at {}", count(amount(chain.fault_count), "place")),
            )
        };
        let since = chain.unsealed_since.map(|since| format!(", since {}", local(since)));
        table.row(
            style,
            [
                name.to_owned(),
                organization(chain).to_owned(),
                chain.records.to_string(),
                chain.head.map_or(0, |(number, _)| number).to_string(),
                format!("{}{}", chain.unsealed, since.unwrap_or_default()),
                state,
            ],
        );
        for fault in &chain.faults {
            faults.push_str(&format!("\n  {}: {}", organization(chain), sentence(fault)));
        }
        let more = chain.fault_count.saturating_sub(chain.faults.len() as u64);
        if more > 0 {
            faults.push_str(&format!("\n  {}: and {more} more", organization(chain)));
        }
    }
    table.render(paint) + &faults
}

fn organization(chain: &Chain) -> &str {
    // Calls of strangers belong to no organization.
    if chain.organization.is_empty() {
        "-"
    } else {
        &chain.organization
    }
}

fn amount(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

fn sentence(fault: &Fault) -> String {
    match fault {
        Fault::RecordsMissing { seal, from, to } if from == to => format!("seal {seal}: record {from} was removed"),
        Fault::RecordsMissing { seal, from, to } => format!("seal {seal}: records {from} to {to} were removed"),
        Fault::RecordChanged {
            seal,
            place,
            id,
            recorded_at,
        } => format!(
            "seal {seal}: record {place} ({id}, {}) was changed, or is not in its place",
            local(*recorded_at)
        ),
        Fault::RecordAdded { seal, place, id } => format!("seal {seal}: record {place} ({id}) was added"),
        Fault::SealsMissing { from, to } if from == to => format!("seal {from} was removed"),
        Fault::SealsMissing { from, to } => format!("seals {from} to {to} were removed"),
        Fault::SealChanged { number } => format!("seal {number} was changed"),
        Fault::AnchorMissed { number } => format!("seal {number} has not the head that the log names"),
    }
}

/// For scripts.
pub fn entry(name: &str, report: &Report) -> Value {
    let chains: Vec<_> = report.chains.iter().map(chain).collect();
    json!({"service": name, "chains": chains})
}

fn chain(chain: &Chain) -> Value {
    let faults: Vec<_> = chain.faults.iter().map(fault).collect();
    json!({
        "organization": chain.organization, "records": chain.records,
        "seal": chain.head.map(|(number, _)| number), "head": chain.head.map(|(_, head)| head.to_string()),
        "unsealed": chain.unsealed, "unsealed_since": chain.unsealed_since.map(utc),
        "fault_count": chain.fault_count, "faults": faults,
    })
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn fault(fault: &Fault) -> Value {
    match fault {
        Fault::RecordsMissing { seal, from, to } => {
            json!({"fault": "records_missing", "seal": seal, "from": from, "to": to})
        }
        Fault::RecordChanged {
            seal,
            place,
            id,
            recorded_at,
        } => {
            json!({"fault": "record_changed", "seal": seal, "place": place, "id": id.to_string(), "recorded_at": utc(*recorded_at)})
        }
        Fault::RecordAdded { seal, place, id } => {
            json!({"fault": "record_added", "seal": seal, "place": place, "id": id.to_string()})
        }
        Fault::SealsMissing { from, to } => json!({"fault": "seals_missing", "from": from, "to": to}),
        Fault::SealChanged { number } => json!({"fault": "seal_changed", "seal": number}),
        Fault::AnchorMissed { number } => json!({"fault": "anchor_missed", "seal": number}),
    }
}
