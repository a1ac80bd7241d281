//! An import that takes away what the file no longer has: planned first, bounded, and agreed to.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{Home, hospital};

/// Prairie with so many of its charts, without the first ones.
fn without_charts(home: &Home, fewer: usize) -> PathBuf {
    let text = fs::read_to_string(hospital("prairie")).unwrap();
    let mut directory: Value = serde_json::from_str(&text).unwrap();
    directory["charts"].as_array_mut().unwrap().drain(..fewer);
    // Nobody may refer to a chart that is not in the file.
    let left = directory["charts"].as_array().unwrap().iter();
    let left: Vec<_> = left.map(|chart| chart["id"].clone()).collect();
    for user in directory["portal_users"].as_array_mut().unwrap() {
        let connections = user["connections"].as_array_mut().unwrap();
        connections.retain(|connection| left.contains(&connection["chart"]));
    }
    let file = home.path().join(format!("without-{fewer}.json"));
    fs::write(&file, directory.to_string()).unwrap();
    file
}

fn charts(home: &Home) -> usize {
    let listed = home.json(&["directory", "list", "charts"]);
    listed["records"].as_array().unwrap().len()
}

fn chart_removal(told: &Value) -> &Value {
    let removals = told["removals"].as_array().unwrap();
    removals.iter().find(|removal| removal["kind"] == "chart").unwrap()
}

#[test]
fn the_plan_is_shown_and_nothing_goes_until_it_is_agreed_to() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let file = without_charts(&home, 2);
    let import = ["import", file.to_str().unwrap(), "--reconcile"];
    let plan = home.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(plan["dry_run"], true);
    assert_eq!(
        chart_removal(&plan),
        &json!({"kind": "chart", "stored": 57, "removed": 2, "kept": 0})
    );
    assert_eq!(plan["removed_records"].as_array().unwrap().len(), 2);
    let output = home.carepost(&[&import[..], &["--dry-run"]].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("Would import prairie") && told.contains("Would go: 2 of 57"),
        "{told}"
    );
    let told = home.refusal(&import, 2);
    assert!(told.contains("--dry-run") && told.contains("--yes"), "{told}");
    assert_eq!(charts(&home), 57, "nothing went");

    let done = home.json(&[&import[..], &["--yes"]].concat());
    assert_eq!(
        (&done["dry_run"], &chart_removal(&done)["removed"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(charts(&home), 55);

    // The plan of the whole file names what would come back.
    let whole = hospital("prairie");
    let import = ["import", whole.to_str().unwrap(), "--reconcile"];
    let plan = home.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(
        (&plan["restored"], &plan["restored_records"]),
        (&json!(2), &done["removed_records"])
    );
    let output = home.carepost(&[&import[..], &["--dry-run"]].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("Would come back: 2 deleted records: chart "), "{told}");
}

#[test]
fn a_large_removal_needs_a_word_of_its_own() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let file = without_charts(&home, 20);
    let import = ["import", file.to_str().unwrap(), "--reconcile", "--yes"];
    let told = home.refusal(&import, 3);
    assert!(
        told.contains("10 %") && told.contains("--allow-large-removal"),
        "{told}"
    );
    assert_eq!(charts(&home), 57, "nothing went");
    home.json(&[&import[..], &["--allow-large-removal"]].concat());
    assert_eq!(charts(&home), 37);
}

#[test]
fn a_file_with_a_fault_is_not_reconciled() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let text = fs::read_to_string(hospital("prairie")).unwrap();
    let file = home.path().join("faulty.json");
    fs::write(&file, text.replacen("\"super_admin\"", "\"emperor\"", 1)).unwrap();
    let told = home.refusal(&["import", file.to_str().unwrap(), "--reconcile", "--yes"], 2);
    assert!(told.contains("there is no `emperor`"), "{told}");
    for wrong in [&["--yes"][..], &["--allow-large-removal"]] {
        let import = [&["import", file.to_str().unwrap()], wrong].concat();
        assert_eq!(home.carepost(&import).status.code(), Some(2), "{wrong:?}");
    }
}
