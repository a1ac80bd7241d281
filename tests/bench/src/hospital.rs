//! The hospital that is measured with: as many staff, charts and portal users as conversations, so that what waits for each
//! other does so by chance, as in life: a member of staff does not send two messages at once.

use carepost_testkit::DirectoryFile;
use serde_json::{Value, json};

/// How many conversations there are, and parties of each kind.
pub const CONVERSATIONS: u64 = 1_000;
/// One of those for whom the issuers of the suite may speak.
pub const ORGANIZATION: &str = "prairie";
/// What every message says.
pub const BODY: &str = "Thank you for telling me. Please keep the wound dry until Thursday, change the dressing once a day, and call \
     the clinic if it becomes warm or red. We will look at it together at the next visit.";
/// How many are on the care team of each chart.
const CARE_TEAM: u64 = 5;

/// The member of staff of a conversation, by its number from 1.
pub fn staff(number: u64) -> String {
    format!("staff/s-{number}")
}

/// The portal user of a conversation.
pub fn portal_user(number: u64) -> String {
    format!("portal/p-{number}")
}

/// The chart that a conversation regards.
pub fn chart(number: u64) -> String {
    format!("c-{number}")
}

/// Its directory.
pub fn directory() -> DirectoryFile {
    let each = |make: fn(u64) -> Value| -> Vec<Value> { (1..=CONVERSATIONS).map(make).collect() };
    let directory = json!({
        "organization": {
            "id": ORGANIZATION, "name": "Prairie Health Network", "country": "US",
            "messaging": {"enabled": true, "audience": "care_team_only"}, "brand": {"name": "My Prairie Care"},
        },
        "locations": [{"id": "main", "name": "Main Street"}],
        "staff": each(|number| json!({
            "id": format!("s-{number}"), "name": format!("Nurse {number}"), "active": true,
            "roles": ["available_for_portal_messages"], "all_locations": false, "locations": ["main"],
        })),
        "charts": each(|number| json!({
            "id": chart(number), "patient_id": format!("patient-{number}"), "patient_name": format!("Patient {number}"),
            "location": "main", "care_team": care_team(number), "barred_staff": [],
        })),
        "portal_users": each(|number| json!({
            "id": format!("p-{number}"), "name": format!("Guardian {number}"), "status": "active",
            "email": format!("guardian-{number}@example.org"),
            "connections": [{"chart": chart(number), "relationship": "guardian", "status": "confirmed"}],
        })),
    });
    serde_json::from_value(directory).expect("a directory")
}

fn care_team(number: u64) -> Vec<String> {
    (number..number + CARE_TEAM)
        .map(|member| format!("s-{}", (member - 1) % CONVERSATIONS + 1))
        .collect()
}
