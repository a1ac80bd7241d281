//! What operators and staff ask about emails.

use serde_json::{Value, json};

use crate::support::{Home, hospital, until};

const DOCTOR: &str = "staff/9999999896";
const GUARDIAN: &str = "portal/pu-9";

fn said(home: &Home, arguments: &[&str]) -> String {
    let output = home.carepost(arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A message to the guardian, and its delivery once it is sent.
fn sent(home: &Home) -> (Value, Value) {
    let send = ["send", "--as", DOCTOR, "--to", GUARDIAN, "--chart", "1021", "A secret"];
    let message = home.json(&send)["message"]["id"].clone();
    let of = ["deliveries", "--message", message.as_str().unwrap()];
    assert!(until(|| home.json(&of)["deliveries"][0]["state"] == "sent"));
    let delivery = home.json(&of)["deliveries"][0].clone();
    (message, delivery)
}

#[test]
fn one_command_tells_whether_she_got_it() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let told = home.refusal(&["deliveries", "--to", GUARDIAN, "--latest"], 4);
    assert!(told.contains("no such delivery"), "{told}");
    let (message, delivery) = sent(&home);
    let told = said(&home, &["deliveries", "--to", GUARDIAN, "--latest"]);
    assert!(
        told.contains("sent") && told.contains("ATTEMPT") && told.contains("accepted"),
        "{told}"
    );
    assert!(!told.contains("secret") && !told.contains('@'), "{told}");
    let one = home.json(&["deliveries", delivery["id"].as_str().unwrap()]);
    assert_eq!((&one["message_id"], &one["attempt_count"]), (&message, &json!(1)));
    let [attempt] = &one["attempts"].as_array().unwrap()[..] else {
        panic!("{one}")
    };
    assert_eq!(
        (&attempt["number"], &attempt["outcome"]),
        (&json!(1), &json!("accepted"))
    );
    assert!(attempt["begin_time"].is_string() && attempt["end_time"].is_string());
}

#[test]
fn what_was_sent_is_not_tried_again() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let (_, delivery) = sent(&home);
    let told = home.refusal(&["deliveries", "retry", delivery["id"].as_str().unwrap()], 3);
    assert!(told.contains("sent") && told.contains("took it"), "{told}");
    let told = home.refusal(&["deliveries", "retry", "01a2049f-0656-5fd2-9f55-2289d6781849"], 4);
    assert!(!told.contains("--as"), "no person asks here: {told}");
}

#[test]
fn deliveries_are_filtered_by_time_and_paged() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let (_, first) = sent(&home);
    let (_, second) = sent(&home);
    let ids = |more: &[&str]| {
        let listed = home.json(&[&["deliveries"], more].concat());
        let ids = listed["deliveries"].as_array().unwrap().iter();
        ids.map(|delivery| delivery["id"].clone()).collect::<Vec<_>>()
    };
    let between = second["create_time"].as_str().unwrap();
    assert_eq!(ids(&["--since", between]), [second["id"].clone()]);
    assert_eq!(ids(&["--until", between]), [first["id"].clone()]);
    assert_eq!(ids(&["--until", "2020-01-31"]), Vec::<Value>::new());
    assert_eq!(ids(&["--since", "2020-01-31 18:00", "--state", "sent"]).len(), 2);
    let page = home.json(&["deliveries", "--limit", "1"]);
    assert_eq!(
        (&page["more"], &page["deliveries"][0]["id"]),
        (&json!(true), &second["id"])
    );
    assert_eq!(
        ids(&["--page", page["next_page"].as_str().unwrap()]),
        [first["id"].clone()]
    );
    let told = home.refusal(&["deliveries", "--since", between, "--until", "2020-01-31"], 2);
    assert!(told.contains("--until:") && !told.contains("create_time"), "{told}");
    for forged in ["forged", "-forged"] {
        let told = home.refusal(&["deliveries", "--page", forged], 2);
        assert!(told.contains("--page:") && !told.contains("page_token"), "{told}");
    }
    assert_eq!(
        home.carepost(&["deliveries", "--since", "yesterday"]).status.code(),
        Some(2)
    );
}

#[test]
fn staff_choose_whether_they_get_emails() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let show = ["preferences", "show", "--as", DOCTOR];
    assert_eq!(home.json(&show), json!({"email_on_message": false}));
    let set = ["preferences", "set", "--as", DOCTOR, "--email", "on"];
    assert_eq!(home.json(&set), json!({"email_on_message": true}));
    assert!(said(&home, &show).contains("one for each message"));
    home.refusal(&["preferences", "show", "--as", GUARDIAN], 3);
}

#[test]
fn an_email_is_previewed_in_both_languages_and_without_its_brand() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let english = home.json(&["preview-email", "--locale", "en"]);
    let spanish = home.json(&["preview-email", "--locale", "es"]);
    assert_ne!(english["subject"], spanish["subject"]);
    assert!(
        english["text"].as_str().unwrap().contains("Prairie Health Network"),
        "{english}"
    );
    assert!(english["headers"].as_array().is_some_and(|headers| !headers.is_empty()));
    let neutral = home.json(&["preview-email", "--neutral"]);
    assert!(!neutral.to_string().contains("Prairie Health Network"), "{neutral}");
    let file = home.path().join("preview.html");
    let told = said(&home, &["preview-email", "--html", file.to_str().unwrap()]);
    assert!(
        told.contains("Subject") && std::fs::read_to_string(&file).unwrap().contains("<html"),
        "{told}"
    );
    let told = home.refusal(&["preview-email", "--locale", "xx"], 2);
    assert!(told.contains("--locale:"), "{told}");
    home.refusal(&["preview-email", "--location", "no-such-place"], 4);
}
