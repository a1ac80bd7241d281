//! What a newcomer is told: where everything is, and three commands that work as printed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use carepost_identity::{ChartId, OrganizationId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1::{
    Action, BatchCheckEligibilityRequest, PortalParties, Question, question::Parties,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{folder::Folder, profile_of, suite::Suite};
use crate::{
    args::Globals,
    client::{Context, Service},
    directory::DirectoryFile,
    errors::Failure,
    keys::write_private,
    profile,
};

const IMPORTED: &str = "imported.json";
/// How many pairs of people are asked about, in one question.
const CANDIDATES: usize = 100;

/// What was imported on the first start.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Imported {
    /// Id of the organization.
    pub organization: String,
    /// People who could write to each other then.
    pub example: Option<Example>,
}

/// A staff member and a portal user who may write to each other, and the chart.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Id of the staff member.
    pub staff: String,
    /// Id of the portal user.
    pub portal_user: String,
    /// Id of the chart.
    pub chart: String,
}

/// What was imported into this folder, if anything was.
pub fn imported(folder: &Folder) -> Option<Imported> {
    let text = fs::read_to_string(folder.path().join(IMPORTED)).ok()?;
    let imported: Imported = serde_json::from_str(&text).ok()?;
    OrganizationId::parse(imported.organization.as_str())
        .is_ok()
        .then_some(imported)
}

/// Notes what was imported, so that it is done once.
pub fn note(folder: &Folder, imported: &Imported) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(imported).unwrap_or_default();
    write_private(&folder.path().join(IMPORTED), &text)
}

/// People of a file who may be able to write to each other: on the care team, connected, active. Guardians come first: that
/// a message to them is about somebody else makes the better example.
pub fn candidates(file: &DirectoryFile) -> Vec<Example> {
    let mut found = Vec::new();
    for relationship in ["guardian", "self", "guarantor"] {
        for user in file.portal_users.iter().filter(|user| user.status == "active") {
            let connections = user.connections.iter();
            for connection in connections.filter(|it| it.relationship == relationship && it.status == "confirmed") {
                let chart = file.charts.iter().find(|chart| chart.id == connection.chart);
                found.extend(chart.iter().flat_map(|chart| &chart.care_team).map(|staff| Example {
                    staff: staff.clone(),
                    portal_user: user.id.clone(),
                    chart: connection.chart.clone(),
                }));
            }
        }
    }
    found.truncate(CANDIDATES);
    found
}

/// The first of them who may write to each other now.
pub async fn allowed(context: &Context, candidates: Vec<Example>) -> Option<Example> {
    let questions: Vec<_> = candidates
        .iter()
        .map(|example| Question {
            action: Action::Start.into(),
            parties: Some(Parties::Portal(PortalParties {
                staff_id: example.staff.clone(),
                portal_user_id: example.portal_user.clone(),
                chart_id: example.chart.clone(),
                sent_by_portal_user: false,
            })),
        })
        .collect();
    if questions.is_empty() {
        return None;
    }
    let mut eligibility = context.eligibility().ok()?;
    let call = eligibility.batch_check_eligibility(BatchCheckEligibilityRequest { questions });
    let decisions = context.ask(Service::Eligibility, call).await.ok()?.decisions;
    candidates
        .into_iter()
        .zip(decisions)
        .find_map(|(example, decision)| decision.allowed.then_some(example))
        .filter(is_printable)
}

fn is_printable(example: &Example) -> bool {
    StaffId::parse(example.staff.as_str()).is_ok()
        && PortalUserId::parse(example.portal_user.as_str()).is_ok()
        && ChartId::parse(example.chart.as_str()).is_ok()
}

/// Writes the profile, and gives the file that it is in.
pub fn write_profile(
    globals: &Globals,
    folder: &Folder,
    suite: &Suite,
    organization: Option<&OrganizationId>,
) -> Result<PathBuf, Failure> {
    let body = profile_of(folder, suite, organization);
    let usual = globals.profiles.clone().map_or_else(profile::default_file, Ok);
    if let Ok(file) = &usual
        && matches!(profile::write(file, "local", &body), Ok(true))
    {
        return Ok(file.clone());
    }
    // Somebody has a profile of that name for something else, or the home folder cannot be written to.
    let file = folder.path().join("profiles.toml");
    profile::write(&file, "local", &body)?;
    Ok(file)
}

/// The three commands to paste.
pub fn commands(globals: &Globals, profiles: &Path, example: &Example) -> [String; 3] {
    let program = std::env::args_os().next().map_or_else(
        || "carepost".to_owned(),
        |program| program.to_string_lossy().into_owned(),
    );
    let mut start = shell_word(&program);
    if profile::default_file().ok().as_deref() != Some(profiles) {
        start.push_str(" --profiles ");
        start.push_str(&shell_word(&profiles.display().to_string()));
    }
    if globals.profile != "local" {
        start.push_str(" --profile local");
    }
    let staff = shell_word(&format!("staff/{}", example.staff));
    let user = shell_word(&format!("portal/{}", example.portal_user));
    let chart = shell_word(&example.chart);
    [
        format!(
            "{start} send --as {staff} --to {user} --chart {chart} --subject \"Your visit\" \"How are you today?\""
        ),
        format!("{start} inbox --as {user}"),
        format!("{start} reply --as {user} last \"Much better, thank you.\""),
    ]
}

/// A word that a shell takes as it is.
fn shell_word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@+,=%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Where everything is, for people.
pub fn text(
    folder: &Folder,
    suite: &Suite,
    organization: Option<&str>,
    profiles: &Path,
    commands: &[String],
) -> String {
    let of = organization.map_or_else(String::new, |organization| {
        format!(", for the organization {organization}")
    });
    let mut text = format!(
        "Carepost is running{of}.\n\n  messaging     {}\n  eligibility   {}\n  notification  {}\n  data          {}\n  \
         mail          {}: a file for each email\n  profile       `local` in {}\n",
        suite.messaging,
        suite.eligibility,
        suite.notification,
        shown(folder.path()),
        shown(&folder.files.mail()),
        shown(profiles),
    );
    if commands.is_empty() {
        text.push_str("\nBring a directory into it with `carepost import FILE --organization ID`.\n");
    } else {
        text.push_str("\nPaste these into another terminal, in the same folder:\n\n");
        for command in commands {
            text.push_str(&format!("  {command}\n"));
        }
    }
    text.push_str("\nCtrl-C stops it. `carepost --help` tells what else there is.");
    text
}

/// A path as one would write it here: below the current folder, or below the home folder.
fn shown(path: &Path) -> String {
    let below = |folder: Option<PathBuf>| path.strip_prefix(folder?.canonicalize().ok()?).ok();
    if let Some(rest) = below(std::env::current_dir().ok()) {
        return rest.display().to_string();
    }
    below(std::env::home_dir()).map_or_else(|| path.display().to_string(), |rest| format!("~/{}", rest.display()))
}

/// The same for scripts.
pub fn json(folder: &Folder, suite: &Suite, organization: Option<&str>, profiles: &Path, commands: &[String]) -> Value {
    json!({
        "messaging": format!("http://{}", suite.messaging),
        "eligibility": format!("http://{}", suite.eligibility),
        "notification": format!("http://{}", suite.notification),
        "data": folder.path(), "mail": folder.files.mail(), "profiles": profiles, "organization": organization,
        "commands": commands,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_are() {
        assert_eq!(shell_word("staff/9999-a.b"), "staff/9999-a.b");
        assert_eq!(shell_word("a b$'c"), "'a b$'\\''c'");
    }
}
