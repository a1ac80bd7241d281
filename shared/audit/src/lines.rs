//! Records as lines: of JSON, and of comma-separated values.

use chrono::SecondsFormat;
use serde_json::json;

use crate::record::Kept;

/// The first line of comma-separated values.
pub const CSV_HEADER: &str = "recorded_at,organization,actor,via,origin,action,subjects,outcome,count,request_id,trace_id,id,\
                              seal_number,seal_place,seal_hash";

impl Kept {
    /// As one line of JSON, without the end of the line. Subjects are a list; the seal is null before there is one.
    #[must_use]
    pub fn json(&self) -> String {
        let record = &self.record;
        let subjects: Vec<_> = record.subjects.split_whitespace().collect();
        let seal = self
            .sealed
            .map(|place| json!({"number": place.seal, "place": place.place, "hash": place.hash.to_string()}));
        json!({
            "recorded_at": self.time(),
            "organization": record.organization,
            "actor": record.actor,
            "via": record.via,
            "origin": record.origin,
            "action": record.action,
            "subjects": subjects,
            "outcome": record.outcome,
            "count": record.count,
            "request_id": record.request_id.to_string(),
            "trace_id": record.trace_id,
            "id": record.id.to_string(),
            "seal": seal,
        })
        .to_string()
    }

    /// As one line of comma-separated values (RFC 4180), without the end of the line: see [`CSV_HEADER`].
    #[must_use]
    pub fn csv(&self) -> String {
        let record = &self.record;
        let [number, place, hash] = self.sealed.map_or_else(Default::default, |place| {
            [place.seal.to_string(), place.place.to_string(), place.hash.to_string()]
        });
        let cells = [
            &self.time(),
            &record.organization,
            &record.actor,
            &record.via,
            &record.origin,
            &record.action,
            &record.subjects,
            &record.outcome,
            &record.count.to_string(),
            &record.request_id.to_string(),
            &record.trace_id,
            &record.id.to_string(),
            &number,
            &place,
            &hash,
        ];
        cells.map(|cell| quoted(cell)).join(",")
    }

    fn time(&self) -> String {
        self.record.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

/// A spreadsheet takes what begins with one of these signs for a formula; ids are the EMR's own and could.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    let sign = if formula { "'" } else { "" };
    format!("\"{sign}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::record::Record;

    fn kept() -> Kept {
        let record = Record {
            organization: "=prairie".to_owned(),
            recorded_at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(1),
            actor: "staff/a,\"b".to_owned(),
            via: String::new(),
            origin: "10.0.0.1".to_owned(),
            action: "/s/m".to_owned(),
            subjects: "charts/1 charts/2".to_owned(),
            outcome: "OK".to_owned(),
            request_id: Uuid::from_u128(2),
            trace_id: String::new(),
            count: 1,
        };
        Kept { record, sealed: None }
    }

    #[test]
    fn a_line_of_json_is_read_as_it_was_written() {
        let line = kept().json();
        assert!(!line.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["subjects"], json!(["charts/1", "charts/2"]));
        assert_eq!((&read["actor"], &read["seal"]), (&json!("staff/a,\"b"), &json!(null)));
        assert_eq!(read["recorded_at"], "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_line_of_values_has_a_cell_for_each_name_and_no_formula() {
        let line = kept().csv();
        let start =
            "1970-01-01T00:00:00.000000Z,\"'=prairie\",\"staff/a,\"\"b\",,10.0.0.1,/s/m,charts/1 charts/2,OK,1,";
        assert!(line.starts_with(start), "{line}");
        assert_eq!(
            line.replace("a,", "a").split(',').count(),
            CSV_HEADER.split(',').count()
        );
    }
}
