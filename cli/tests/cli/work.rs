//! What the suite is for: the commands that `carepost run` prints work as printed, and nothing is lost.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use carepost_proto::messaging::v1::{GetUnreadCountRequest, messaging_service_client::MessagingServiceClient};
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::support::{Home, emails, hospital, until};

/// A command as it was printed, given to a shell.
fn paste(home: &Home, line: &str) -> String {
    let mut shell = Command::new("/bin/sh");
    let output = shell
        .args(["-c", line])
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_three_commands_work_as_printed_and_everything_is_there_after_a_restart() {
    let home = Home::new();
    let prairie = hospital("prairie");
    let import = ["--import", prairie.to_str().unwrap()];
    let running = home.run(&import);
    let commands: Vec<String> = serde_json::from_value(running.told["commands"].clone()).unwrap();
    let [send, inbox, reply] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!(paste(&home, send).contains("Sent to portal/pu-9"));
    assert!(paste(&home, inbox).contains("1 unread message."));
    assert!(paste(&home, reply).contains("message 2"));
    assert_eq!(home.json(&["badge", "--as", "staff/9999999896"])["unread_count"], 1);
    assert!(
        until(|| emails(&home.data()).len() == 1),
        "one email, and none for the answer"
    );
    assert!(until(|| states(&home) == ["sent"]), "{:?}", states(&home));
    assert_eq!(running.signal("-INT"), Some(0), "Ctrl-C");

    let running = home.run(&import);
    assert_eq!(running.told["organization"], "prairie");
    assert_eq!(running.told["commands"].as_array().unwrap().len(), 3);
    let shown = home.json(&["show", "--as", "portal/pu-9", "last"]);
    assert_eq!(shown["conversation"]["last_sequence"], 2);
    assert_eq!(shown["messages"][1]["sender"], "portal/pu-9");
    home.json(&["read", "--as", "staff/9999999896", "last"]);
    assert_eq!(home.json(&["badge", "--as", "staff/9999999896"])["unread_count"], 0);
    assert_eq!(running.signal("-TERM"), Some(0));
    assert_eq!(emails(&home.data()).len(), 1);
}

fn states(home: &Home) -> Vec<Value> {
    let listed = home.json(&["deliveries"]);
    let deliveries = listed["deliveries"].as_array().unwrap().iter();
    deliveries.map(|delivery| delivery["state"].clone()).collect()
}

#[test]
fn a_message_with_the_same_request_id_is_sent_once() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let send = [
        "send",
        "--as",
        "staff/9999999896",
        "--to",
        "portal/pu-9",
        "--chart",
        "1021",
        "--request-id",
        "once",
        "Hello",
    ];
    let (first, second) = (home.json(&send), home.json(&send));
    assert_eq!(first["message"]["id"], second["message"]["id"]);
    let inbox = home.json(&["inbox", "--as", "portal/pu-9"]);
    assert_eq!(
        (inbox["conversations"].as_array().unwrap().len(), &inbox["unread_count"]),
        (1, &json!(1))
    );
    let mut other = send;
    other[9] = "Something else";
    let told = home.refusal(&other, 2);
    assert!(told.contains("--request-id"), "{told}");
}

#[test]
fn explain_tells_every_reason_with_its_remedy() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let may = home.json(&[
        "explain",
        "--from",
        "portal/pu-9",
        "--to",
        "staff/9999999896",
        "--chart",
        "1021",
    ]);
    assert_eq!((&may["allowed"], &may["reasons"]), (&json!(true), &json!([])));
    let output = home.carepost(&[
        "explain",
        "--from",
        "staff/9999881391",
        "--to",
        "portal/pu-4",
        "--chart",
        "1018",
    ]);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("MESSAGING_DISABLED") && told.contains("STAFF_NOT_ON_CARE_TEAM"),
        "{told}"
    );
    assert_eq!(told.matches("Remedy: ").count(), 2, "{told}");
    assert!(!told.contains('\x1b'), "no colours without a terminal");
}

#[test]
fn recipients_are_those_of_the_chart_and_pages_are_followed() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("southern").to_str().unwrap()]);
    let listed = home.json(&["recipients", "--as", "staff/s-506", "--chart", "AU-0008"]);
    let recipients = listed["recipients"].as_array().unwrap();
    assert!(
        recipients
            .iter()
            .any(|entry| entry["person"] == "portal/au-92" && entry["relationship"] == "guardian")
    );
    let few = home.json(&["recipients", "--as", "staff/s-506", "--kind", "staff", "--limit", "3"]);
    assert_eq!(
        (few["recipients"].as_array().unwrap().len(), &few["more"]),
        (3, &json!(true))
    );
}

#[test]
fn secrets_are_their_owners_alone_and_tokens_are_good_for_other_clients() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    for name in ["signing-key.pem", "messaging.token", "notification.token"] {
        let mode = fs::metadata(home.data().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let token = home.json(&["token", "--service", "emr", "--minutes", "5"])["token"].clone();
    let file = home.path().join("emr.token");
    fs::write(&file, token.as_str().unwrap()).unwrap();
    let profile = format!(
        "\n[emr]\norganization = \"prairie\"\nmessaging = {}\neligibility = {}\nnotification = {}\ntoken_file = \"{}\"\n",
        running.told["messaging"],
        running.told["eligibility"],
        running.told["notification"],
        file.display()
    );
    let profiles = home.path().join(".config/carepost/profiles.toml");
    let text = fs::read_to_string(&profiles).unwrap() + &profile;
    fs::write(&profiles, text).unwrap();
    let badge = home.json(&["--profile", "emr", "badge", "--as", "portal/pu-9"]);
    assert_eq!(badge["unread_count"], 0, "the EMR acts for people");
    let told = home.refusal(&["--profile", "emr", "deliveries"], 3);
    assert!(told.contains("notifications.read"), "{told}");
    let told = home.refusal(&["token", "--service", "nobody"], 2);
    assert!(told.contains("operator"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_s_token_that_relays_is_told_what_is_wrong() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let token = home.json(&["token", "--as", "staff/9999999896"])["token"].clone();
    let url = running.told["messaging"].as_str().unwrap().to_owned();
    let mut messaging = MessagingServiceClient::connect(url).await.unwrap();
    let mut request = Request::new(GetUnreadCountRequest::default());
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    request
        .metadata_mut()
        .insert("carepost-act-as", "portal/pu-9".parse().unwrap());
    let refused = messaging.get_unread_count(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("leave carepost-act-as out"), "{refused:?}");
}

#[test]
fn a_send_in_vain_names_the_id_under_which_it_can_be_repeated() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let port = running.port("messaging");
    assert_eq!(running.signal("-KILL"), None);
    let send = [
        "send",
        "--as",
        "staff/9999999896",
        "--to",
        "portal/pu-9",
        "--chart",
        "1021",
        "Hello",
    ];
    let told = home.refusal(&send, 5);
    assert!(
        told.contains("--request-id") && told.contains(&port.to_string()),
        "{told}"
    );
}
