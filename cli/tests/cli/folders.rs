//! Folders, unread, search, and what one may start.

use serde_json::{Value, json};

use crate::support::{Home, Running, hospital};

const DOCTOR: &str = "staff/9999999896";
const GUARDIAN: &str = "portal/pu-9";

/// A suite with one conversation, and its id.
fn with_a_message(home: &Home) -> (Running, String) {
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let send = ["send", "--as", DOCTOR, "--to", GUARDIAN, "--chart", "1021"];
    let sent = home.json(&[&send[..], &["--subject", "Biopsy", "It was benign, Zoë."]].concat());
    let id = sent["conversation_id"].as_str().unwrap().to_owned();
    (running, id)
}

/// The conversations of a list.
fn listed(home: &Home, person: &str, more: &[&str]) -> Vec<Value> {
    let inbox = home.json(&[&["inbox", "--as", person], more].concat());
    let conversations = inbox["conversations"].as_array().unwrap().iter();
    conversations.map(|conversation| conversation["id"].clone()).collect()
}

#[test]
fn an_archived_conversation_comes_back_with_a_new_message_or_when_told() {
    let home = Home::new();
    let (_running, id) = with_a_message(&home);
    let archived = home.json(&["archive", "--as", DOCTOR, &id]);
    assert_eq!(archived["conversation_id"], json!(id));
    assert_eq!(archived["mailbox"]["unread_count"], 0);
    assert!(archived["mailbox"]["revision"].is_i64());
    assert!(listed(&home, DOCTOR, &[]).is_empty());
    assert_eq!(listed(&home, DOCTOR, &["--archived"]), [json!(id)]);
    assert_eq!(listed(&home, GUARDIAN, &[]), [json!(id)], "to others nothing changed");

    home.json(&["unarchive", "--as", DOCTOR, &id]);
    assert_eq!(listed(&home, DOCTOR, &[]), [json!(id)]);
    home.json(&["archive", "--as", DOCTOR, "last"]);
    home.json(&["reply", "--as", GUARDIAN, &id, "Thank you."]);
    assert_eq!(listed(&home, DOCTOR, &["--unread"]), [json!(id)]);

    let told = home.refusal(&["archive", "--as", DOCTOR, &id, "--seen", "1"], 3);
    assert!(
        told.contains("newer message") && told.contains("carepost show"),
        "{told}"
    );
    let told = home.refusal(&["archive", "--as", "portal/pu-3", &id], 4);
    assert!(told.contains("no such conversation"), "{told}");
}

#[test]
fn unread_counts_again_from_the_message_named() {
    let home = Home::new();
    let (_running, id) = with_a_message(&home);
    home.json(&["reply", "--as", DOCTOR, &id, "Call me if it itches."]);
    home.json(&["read", "--as", GUARDIAN, &id]);
    assert!(listed(&home, GUARDIAN, &["--unread"]).is_empty());
    let unread = home.json(&["unread", "--as", GUARDIAN, &id]);
    assert_eq!(
        (&unread["unread_count"], &unread["mailbox"]["unread_count"]),
        (&json!(1), &json!(1))
    );
    let unread = home.json(&["unread", "--as", GUARDIAN, &id, "--from", "1"]);
    assert_eq!(unread["unread_count"], 2);
    let told = home.refusal(&["unread", "--as", GUARDIAN, &id, "--from", "99"], 2);
    assert!(told.contains("no such message") && told.contains("--from:"), "{told}");
}

#[test]
fn search_finds_what_is_mine_and_marks_the_match() {
    let home = Home::new();
    let (_running, id) = with_a_message(&home);
    let found = home.json(&["search", "--as", GUARDIAN, "ZOE"]);
    assert_eq!(found["more"], false);
    assert_eq!(found["results"][0]["conversation"]["id"], json!(id));
    let snippet = &found["results"][0]["snippet"];
    assert_eq!((&snippet["source"], &snippet["sequence"]), (&json!("body"), &json!(1)));
    let text: Vec<char> = snippet["text"].as_str().unwrap().chars().collect();
    let place = |key: &str| usize::try_from(snippet[key].as_u64().unwrap()).unwrap();
    let start = place("match_start");
    let marked: String = text[start..start + place("match_length")].iter().collect();
    assert_eq!(marked, "Zoë");
    let output = home.carepost(&["search", "--as", GUARDIAN, "zoe"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("[Zoë]"));

    assert_eq!(
        home.json(&["search", "--as", "portal/pu-3", "biopsy"])["results"],
        json!([])
    );
    for wrong in ["zo", "   "] {
        let told = home.refusal(&["search", "--as", GUARDIAN, wrong], 2);
        assert!(told.contains("at least 3 characters"), "{told}");
    }
}

#[test]
fn a_conversation_says_whether_one_can_reply_and_where_the_patient_is() {
    let home = Home::new();
    let (_running, id) = with_a_message(&home);
    let shown = home.json(&["show", "--as", DOCTOR, &id]);
    let conversation = &shown["conversation"];
    assert_eq!(
        conversation["reply_ability"],
        json!({"state": "allowed", "denials": []})
    );
    let link = "https://emr.example.org/patients/1021";
    assert_eq!(conversation["regarding"]["view_patient_url"], link);
    let shown = home.json(&["show", "--as", GUARDIAN, &id]);
    assert_eq!(shown["conversation"]["regarding"]["view_patient_url"], "", "staff only");

    home.json(&["settings", "messaging", "--off"]);
    let shown = home.json(&["show", "--as", DOCTOR, &id]);
    let ability = &shown["conversation"]["reply_ability"];
    let location = home.json(&["settings", "show", "--location", "4d308916-6e65-3209-ab0c-4aa34d26d01b"]);
    assert_eq!(location["messaging_effective"]["enabled"], false);
    assert_eq!(
        (&ability["state"], &ability["denials"][0]["reason"]),
        (&json!("denied"), &json!("MESSAGING_DISABLED"))
    );
    let output = home.carepost(&["show", "--as", DOCTOR, &id]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("You can't reply now:\n  MESSAGING_DISABLED: ")
            && told.contains(&format!("View patient: {link}")),
        "{told}"
    );
}

#[test]
fn what_may_be_started_is_told_with_the_number_for_emergencies() {
    let home = Home::new();
    let (_running, _) = with_a_message(&home);
    let options = home.json(&["compose", "--as", DOCTOR, "--chart", "1021"]);
    assert_eq!(options["kinds"], json!(["portal", "staff"]));
    assert_eq!(options["notice"]["emergency_number"], "911");
    let options = home.json(&["compose", "--as", GUARDIAN]);
    assert_eq!(options["kinds"], json!(["portal"]));
    assert_eq!(
        options["charts"],
        json!([{
            "chart_id": "1021", "patient_name": "Rocky Streich", "location_name": "Select Specialty Hospital Wichita",
            "emergency_number": "911",
        }])
    );
    let output = home.carepost(&["compose", "--as", DOCTOR, "--chart", "nope"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("You may not start a conversation here."), "{told}");
    let named = home.json(&["recipients", "--as", DOCTOR, "--kind", "staff", "--name", "rowe"]);
    assert_eq!(named["recipients"].as_array().unwrap().len(), 1);
    assert_eq!(named["recipients"][0]["person"], "staff/9999881391");
}

#[test]
fn last_is_the_newest_in_the_folder_that_the_command_is_about() {
    let home = Home::new();
    let (_running, id) = with_a_message(&home);
    let told = home.refusal(&["unarchive", "--as", DOCTOR, "last"], 4);
    assert!(told.contains("no archived conversation"), "{told}");
    home.json(&["archive", "--as", DOCTOR, "last"]);
    let told = home.refusal(&["archive", "--as", DOCTOR, "last"], 4);
    assert!(told.contains("no active conversation"), "{told}");
    assert_eq!(
        home.json(&["show", "--as", DOCTOR, "last"])["conversation"]["id"],
        json!(id)
    );
    assert_eq!(
        home.json(&["unarchive", "--as", DOCTOR, "last"])["conversation_id"],
        json!(id)
    );
    assert_eq!(listed(&home, DOCTOR, &[]), [json!(id)]);
}
