//! Portal messages without an answer, as operators see them.

use serde_json::{Value, json};

use crate::support::{Home, hospital};

const DOCTOR: &str = "staff/9999999896";
const GUARDIAN: &str = "portal/pu-9";

fn said(home: &Home, arguments: &[&str]) -> String {
    let output = home.carepost(arguments);
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{failed}");
    String::from_utf8(output.stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn what_waits_is_counted_and_who_has_left_is_marked() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    assert_eq!(said(&home, &["unanswered"]), "No portal message waits for an answer.\n");
    home.json(&[
        "send",
        "--as",
        GUARDIAN,
        "--to",
        DOCTOR,
        "--chart",
        "1021",
        "A secret question",
    ]);
    home.json(&["reply", "--as", GUARDIAN, "last", "Are you there?"]);
    let told = said(&home, &["unanswered"]);
    let lines: Vec<_> = told.lines().collect();
    let [head, row, all, sum] = &lines[..] else {
        panic!("{told}")
    };
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        [
            "STAFF", "ACTIVE", "WAITING", "<1D", "1-3D", "3-7D", "7-30D", ">30D", "SINCE"
        ]
    );
    assert!(row.starts_with("staff/9999999896  yes     1        1    0 "), "{row}");
    assert!(all.starts_with("all                       1        1    0 "), "{all}");
    assert_eq!(*sum, "1 conversation waits for 1 member of staff.");
    for secret in ["pu-9", "1021", "secret", "Feil"] {
        assert!(!told.contains(secret), "{told}");
    }
    let none = said(&home, &["unanswered", "--older-than", "3d"]);
    assert_eq!(none, "No portal message waits so long for an answer.\n");

    home.json(&["directory", "delete", "staff", "9999999896", "--version", "9"]);
    let told = said(&home, &["unanswered"]);
    assert!(told.contains("staff/9999999896  no "), "{told}");
}

#[test]
fn the_shape_for_scripts_is_stable() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let nothing = home.json(&["unanswered", "--older-than", "12h"]);
    let none = json!({
        "count": 0, "under_1_day": 0, "days_1_to_3": 0, "days_3_to_7": 0, "days_7_to_30": 0, "over_30_days": 0,
    });
    assert_eq!(
        nothing,
        json!({"more": false, "staff_count": 0, "total": none, "staff": []})
    );
    let sent = home.json(&["send", "--as", GUARDIAN, "--to", DOCTOR, "--chart", "1021", "Hello"]);
    let waiting = home.json(&["unanswered"]);
    assert_eq!((&waiting["more"], &waiting["staff_count"]), (&json!(false), &json!(1)));
    assert_eq!(keys(&waiting["total"]), keys(&none));
    let row = &waiting["staff"][0];
    assert_eq!(keys(row), ["activity", "staff_id", "waiting", "waiting_since"]);
    assert_eq!(
        (&row["staff_id"], &row["activity"]),
        (&json!("9999999896"), &json!("active"))
    );
    assert_eq!(row["waiting"], waiting["total"]);
    assert_eq!(
        (&row["waiting"]["count"], &row["waiting"]["under_1_day"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(row["waiting_since"], sent["message"]["send_time"]);

    home.json(&["reply", "--as", DOCTOR, "last", "Hello"]);
    assert_eq!(home.json(&["unanswered"])["staff_count"], 0);
}

#[test]
fn a_wrong_span_is_refused_and_the_help_has_an_example() {
    let home = Home::new();
    for wrong in ["3", "3y", "4000d"] {
        let output = home.carepost(&["unanswered", "--older-than", wrong]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("such as 3d"));
    }
    assert!(said(&home, &["unanswered", "--help"]).contains("carepost unanswered --older-than 3d"));
}
