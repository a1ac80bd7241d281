//! Single records of the directory: listed, shown, written and deleted.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::support::{Home, hospital};

/// A location of Prairie.
const LOCATION: &str = "14832308-0e8e-336d-89bd-b6426a2ad97e";

fn ids(listed: &Value) -> Vec<&str> {
    let records = listed["records"].as_array().unwrap().iter();
    records.map(|entry| entry["record"]["id"].as_str().unwrap()).collect()
}

#[test]
fn lists_are_filtered_bounded_and_follow_pages() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let few = home.json(&["directory", "list", "charts", "--limit", "3"]);
    assert_eq!((ids(&few).len(), &few["more"]), (3, &json!(true)));
    let all = home.json(&["directory", "list", "charts"]);
    assert_eq!((ids(&all).len(), &all["more"]), (57, &json!(false)));
    let admins = home.json(&["directory", "list", "staff", "--role", "super_admin"]);
    assert_eq!(ids(&admins), ["9999877696", "9999960997"]);
    let charts = home.json(&["directory", "list", "charts", "--care-team", "9999999896"]);
    assert_eq!(ids(&charts), ["1021"]);
    let users = home.json(&["directory", "list", "portal-users", "--chart", "1021"]);
    assert!(ids(&users).contains(&"pu-9"), "{users}");
    let output = home.carepost(&["directory", "list", "staff", "--limit", "2"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("ID ") && told.ends_with("There are more: --limit.\n"),
        "{told}"
    );
}

#[test]
fn a_record_is_written_again_as_it_was_shown_and_deleted_with_a_tombstone() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let shown = home.json(&["directory", "get", "chart", "1018"]);
    assert_eq!(
        (&shown["deleted"], &shown["version"]["emr_version"]),
        (&json!(false), &json!(0))
    );
    let mut record = shown["record"].clone();
    record["patient_name"] = json!("Yvone Cummings");
    let file = home.path().join("chart.json");
    fs::write(&file, record.to_string()).unwrap();
    let put = ["directory", "put", "chart", file.to_str().unwrap(), "--version", "3"];
    let written = home.json(&put);
    assert_eq!(
        (&written["outcome"], &written["version"]["emr_version"]),
        (&json!("changed"), &json!(3))
    );
    assert_eq!(home.json(&put)["outcome"], "unchanged");
    assert_eq!(home.json(&["directory", "get", "chart", "1018"])["record"], record);

    let delete = ["directory", "delete", "chart", "1018", "--version", "4"];
    let output = home.carepost(&delete);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Deleted: version 4.\n");
    assert_eq!(home.json(&["directory", "get", "chart", "1018"])["deleted"], true);
    let list = ["directory", "list", "charts"];
    assert!(!ids(&home.json(&list)).contains(&"1018"));
    let deleted = home.json(&[&list[..], &["--show-deleted"]].concat());
    assert!(ids(&deleted).contains(&"1018"));
}

#[test]
fn a_record_is_read_from_standard_input() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let mut command = home.command(&["directory", "put", "location", "-", "--version", "1", "--json"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let record = json!({"id": "new", "name": "New Clinic", "country": "US"}).to_string();
    child.stdin.take().unwrap().write_all(record.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "added");
    let shown = home.json(&["directory", "get", "location", "new"]);
    assert_eq!(shown["record"]["name"], "New Clinic");
}

#[test]
fn what_cannot_be_written_is_told_with_the_way_out() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let file = home.path().join("location.json");
    let put = |name: &str, version: &str, exit| {
        fs::write(
            &file,
            json!({"id": LOCATION, "name": name, "country": "US"}).to_string(),
        )
        .unwrap();
        let put = [
            "directory",
            "put",
            "location",
            file.to_str().unwrap(),
            "--version",
            version,
        ];
        match exit {
            0 => home.json(&put).to_string(),
            exit => home.refusal(&put, exit),
        }
    };
    put("St Francis", "5", 0);
    for (name, version) in [("St Francis", "4"), ("Other", "5")] {
        let told = put(name, version, 3);
        assert!(
            told.contains("Version 5 is stored: a change needs a higher one"),
            "{told}"
        );
    }
    let referred = "4d308916-6e65-3209-ab0c-4aa34d26d01b";
    let told = home.refusal(&["directory", "delete", "location", referred, "--version", "9"], 3);
    assert!(told.contains("Delete or move what refers to it first"), "{told}");
    let told = home.refusal(&["directory", "get", "chart", "nope"], 4);
    assert!(told.contains("no such chart"), "{told}");
    let as_staff = ["directory", "put", "staff", file.to_str().unwrap(), "--version", "1"];
    let told = home.refusal(&as_staff, 2);
    assert!(
        told.contains("location.json:1:") && told.contains("Nothing was written"),
        "{told}"
    );
    let told = home.refusal(&["directory", "put", "staff", "/no/such.json", "--version", "1"], 2);
    assert!(told.contains("no such file"), "{told}");
    for wrong in [
        &["directory", "put", "staff", "x.json"][..],
        &["directory", "delete", "chart", "1021", "--version", "0"],
        &["directory", "list", "staff", "--role", "emperor"],
        &["directory", "list", "patients"],
    ] {
        assert_eq!(home.carepost(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
