//! The scene: a suite, two hospitals, and the settings that came with them.

use super::story::Story;
use crate::errors::Failure;

/// A location of Prairie where all staff with the role take part.
const BURLINGTON: &str = "0b9875ba-9310-313d-93d4-bf552585d527";
/// A location of Prairie where messaging is off.
const FAMILY_HEALTH: &str = "a4296fd3-474d-3558-9e64-355136ce8b01";

/// A suite of its own.
pub fn a_suite(story: &mut Story<'_>) {
    story.step(
        "Three services",
        "Messaging keeps the conversations, eligibility the directory and the rules, notification the emails. They run in\n\
         this process, each on a port of its own, and talk gRPC as they do in production. Databases and queues are files.",
    );
    let suite = story.suite;
    let mail = story.shown.join("mail");
    story.tell(&format!(
        "\n   messaging     {}\n   eligibility   {}\n   notification  {}\n   emails        {}",
        suite.messaging,
        suite.eligibility,
        suite.notification,
        mail.display()
    ));
}

/// Two imports, and one of them again.
pub async fn two_hospitals(story: &mut Story<'_>) -> Result<(), Failure> {
    story.step(
        "Two hospitals",
        "The directory says who there is: staff, charts with their care teams, and portal users: patients, their guardians\n\
         and guarantors. Nobody in it exists. Nothing crosses from one organization to the other.",
    );
    let (prairie, southern) = (file(story, "prairie"), file(story, "southern"));
    for (organization, file) in [("prairie", &prairie), ("southern", &southern)] {
        let done = story
            .command(&format!("import {file} --organization {organization}"))
            .await?;
        let (added, refused) = (done.number_at("/added"), done.number_at("/refused"));
        story.check(added > 100 && refused == 0, "every record was added, none refused")?;
    }
    let again = story
        .command(&format!("import {prairie} --organization prairie"))
        .await?;
    let (added, changed) = (again.number_at("/added"), again.number_at("/changed"));
    story.check((added, changed) == (0, 0), "imported again, it changes nothing")
}

/// A file of the demo, as it is to be named on the command line.
pub fn file(story: &Story<'_>, name: &str) -> String {
    story.shown.join(format!("{name}.json")).display().to_string()
}

/// Settings of Prairie, and that they are at work.
pub async fn what_the_import_seeded(story: &mut Story<'_>) -> Result<(), Failure> {
    story.step(
        "The settings that came with the import",
        "My Messages is off until somebody enables it. A location's own setting replaces the general one. These came with\n\
         the directory of Prairie, as a beginning; an import never undoes what an administrator chose later.",
    );
    for (location, enabled, audience, what) in [
        ("", true, "care_team_only", "in general: on, for the care team"),
        (
            BURLINGTON,
            true,
            "selected_users",
            "Life Care Center Of Burlington: for all staff with the role",
        ),
        (FAMILY_HEALTH, false, "", "Family Health Medical Group: off"),
    ] {
        let place = if location.is_empty() {
            String::new()
        } else {
            format!(" --location {location}")
        };
        let shown = story.command(&format!("settings show{place}")).await?;
        let is_on = shown.json.pointer("/messaging_effective/enabled") == Some(&enabled.into());
        let who = !enabled || shown.text_at("/messaging_effective/audience") == audience;
        story.check(is_on && who, what)?;
    }
    story.tell("\n   They are at work. Dr. Rowe has the role for portal messages and reaches every location. May she write about three charts?");
    for (chart, user, reason, what) in [
        (
            "1021",
            "pu-9",
            Some("STAFF_NOT_ON_CARE_TEAM"),
            "general setting: the care team only, and she is not on it",
        ),
        (
            "1023",
            "pu-5",
            None,
            "Life Care Center Of Burlington: all staff with the role",
        ),
        (
            "1018",
            "pu-4",
            Some("MESSAGING_DISABLED"),
            "Family Health Medical Group: off",
        ),
    ] {
        let line = format!("explain --from staff/9999881391 --to portal/{user} --chart {chart}");
        let told = story.command(&line).await?.each("reasons", "reason");
        let holds = match reason {
            Some(reason) => told.iter().any(|told| told == reason),
            None => told.is_empty(),
        };
        story.check(holds, what)?;
    }
    Ok(())
}
