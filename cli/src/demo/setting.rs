//! The scene: a suite, two hospitals, and the settings that came with them.

use super::story::{Story, indented};
use crate::{
    directory::DirectoryFile,
    errors::Failure,
    render::{Style, Table},
};

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
    let prairie = DirectoryFile::read(&story.shown.join("prairie.json"))?;
    story.tell(&indented("   ", &format!("\n{}", settings(story, &prairie))));
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

fn settings(story: &Story<'_>, file: &DirectoryFile) -> String {
    let mut table = Table::new(&["WHERE", "MY MESSAGES", "FOR", "BRAND IN EMAILS"]);
    let organization = &file.organization;
    let general = [(
        "everywhere else".to_owned(),
        &organization.messaging,
        &organization.brand,
    )];
    let own = file
        .locations
        .iter()
        .filter(|location| location.messaging.is_some() || location.brand.is_some());
    let own = own.map(|location| (location.name.clone(), &location.messaging, &location.brand));
    for (name, messaging, brand) in own.chain(general) {
        let (is_on, audience) = messaging.as_ref().map_or(("as everywhere", ""), |messaging| {
            let audience = if messaging.audience == "care_team_only" {
                "the care team"
            } else {
                "staff with the role"
            };
            if messaging.enabled {
                ("on", audience)
            } else {
                ("off", "")
            }
        });
        let brand = brand.as_ref().map_or_else(String::new, |brand| brand.name.clone());
        table.row(Style::Plain, [name, is_on.to_owned(), audience.to_owned(), brand]);
    }
    table.render(story.paint)
}
