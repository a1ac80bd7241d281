//! Settings: what holds, who may change it, and what was changed.

use serde_json::{Value, json};

use crate::support::{Home, hospital};

/// Of Prairie, with a setting and a brand of its own.
const BURLINGTON: &str = "0b9875ba-9310-313d-93d4-bf552585d527";

#[test]
fn what_is_set_is_shown_and_in_the_history_also_after_an_import() {
    let home = Home::new();
    let prairie = hospital("prairie");
    let _running = home.run(&["--import", prairie.to_str().unwrap()]);
    let shown = home.json(&["settings", "show"]);
    let care_team = json!({"enabled": true, "audience": "care_team_only"});
    assert_eq!(
        (
            &shown["location_id"],
            &shown["messaging"],
            &shown["messaging_effective"]
        ),
        (&Value::Null, &care_team, &care_team)
    );
    assert_eq!(shown["brand"], Value::Null, "none is set");
    assert_eq!(shown["brand_effective"]["name"], "Prairie Health Network");

    let changed = home.json(&["settings", "messaging", "--off", "--as", "staff/9999877696"]);
    assert_eq!(changed["messaging"], json!({"enabled": false, "audience": null}));
    assert_ne!(changed["etag"], shown["etag"]);
    let brand = [
        "settings",
        "brand",
        "--name",
        "Prairie Health",
        "--phone",
        "+1 555 0100",
        "--neutral",
    ];
    assert_eq!(
        home.json(&brand)["brand"],
        json!({
            "name": "Prairie Health", "logo_url": "", "phone": "+1 555 0100", "neutral": true, "locale": "",
            "portal_url": "",
        })
    );
    home.json(&["import", prairie.to_str().unwrap()]);
    let shown = home.json(&["settings", "show"]);
    assert_eq!(shown["messaging"]["enabled"], false, "an import leaves it alone");

    let told = home.json(&["settings", "history", "--limit", "2"]);
    let (brand, messaging) = (&told["changes"][0], &told["changes"][1]);
    assert_eq!(told["more"], true);
    assert_eq!((&brand["kind"], &brand["before"]), (&json!("brand"), &Value::Null));
    assert_eq!(
        (&messaging["changed_by"], &messaging["seed"], &messaging["before"]),
        (&json!("staff/9999877696"), &json!(false), &care_team)
    );
}

#[test]
fn a_location_follows_again_when_told() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let shown = home.json(&["settings", "show", "--location", BURLINGTON]);
    assert_eq!(shown["messaging"]["audience"], "selected_users");
    let follow = ["settings", "messaging", "--location", BURLINGTON, "--follow"];
    let changed = home.json(&follow);
    assert_eq!(changed["messaging"], Value::Null);
    assert_eq!(changed["messaging_effective"]["audience"], "care_team_only");
    let name = home.json(&["directory", "get", "location", BURLINGTON])["record"]["name"].clone();
    let output = home.carepost(&["settings", "history", "--location", BURLINGTON]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains(&format!("{} ({BURLINGTON})", name.as_str().unwrap())),
        "{told}"
    );
    let output = home.carepost(&["settings", "brand", "--location", BURLINGTON, "--follow"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("is now Prairie Health Network"), "{told}");
}

#[test]
fn who_may_not_and_what_is_wrong_is_told() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let off = ["settings", "messaging", "--off"];
    let told = home.refusal(&[&off[..], &["--as", "staff/9999999896"]].concat(), 3);
    assert!(
        told.contains("super_admin") && told.contains("manage_portal_settings"),
        "{told}"
    );
    let told = home.refusal(&[&off[..], &["--etag", "old"]].concat(), 3);
    assert!(told.contains("changed after it was read"), "{told}");
    let told = home.refusal(&[&off[..], &["--location", "nowhere"]].concat(), 4);
    assert!(told.contains("no such location"), "{told}");
    let brand = ["settings", "brand", "--name", "Prairie", "--logo-url", "nonsense"];
    let told = home.refusal(&brand, 2);
    assert!(told.contains("--logo-url: must be an https URL"), "{told}");
    for wrong in [
        &["settings", "messaging"][..],
        &["settings", "messaging", "--off", "--audience", "care-team-only"],
        &["settings", "messaging", "--follow"],
        &["settings", "messaging", "--audience", "everybody"],
        &["settings", "brand", "--phone", "1"],
    ] {
        assert_eq!(home.carepost(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let shown = home.json(&["settings", "show"]);
    assert_eq!(shown["messaging"]["enabled"], true, "nothing was changed");
}
