//! `carepost import`

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use carepost_identity::OrganizationId;
use carepost_proto::eligibility::v1::{ImportDirectoryRequest, ImportDirectoryResponse, ImportRefusal};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    client::{Context, Service},
    directory::{BadRecord, DirectoryFile, Records, name},
    errors::{Exit, Failure},
    refusals,
    render::{Report, Style, Table, clean, count},
};

/// How long a whole import may take.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Progress is shown once for so many records.
const STEP: usize = 50;

/// See `Command::Import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records that are stored like this already are left as they are, so a file can be imported again. Settings and brands are
written only where none were ever set. A record that is refused is named with the reason; the rest is imported, and the exit
code is 3.

Example:
  carepost import tests/data/southern.directory.json --organization southern

JSON: {organization, added, changed, unchanged, refused, refusals: [{kind, id, reason, message}]}")]
pub struct ImportArgs {
    /// The directory: a JSON file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Imports a directory.
pub async fn run(context: &Context, args: ImportArgs) -> Result<Report, Failure> {
    let file = DirectoryFile::read(&args.file)?;
    must_be_meant(context, &file, &args.file)?;
    let organization = file.organization.id.clone();
    let records = Records::from(file);
    let answer = send(context, records.good).await?;
    Ok(report(context, &organization, &args.file, &records.bad, &answer))
}

/// A file of another organization than the one at work is more likely a slip than meant.
fn must_be_meant(context: &Context, file: &DirectoryFile, path: &Path) -> Result<(), Failure> {
    let own = OrganizationId::parse(file.organization.id.as_str());
    let own =
        own.map_err(|error| Failure::usage(format!("{}: organization.id {error}", path.display()), "Correct it"))?;
    let meant = context.organization()?;
    if own == *meant {
        return Ok(());
    }
    let what = format!("{} is the directory of {own}, and you work for {meant}", path.display());
    Err(Failure::usage(
        what,
        format!("If you mean it, add --organization {own}"),
    ))
}

async fn send(context: &Context, records: Vec<ImportDirectoryRequest>) -> Result<ImportDirectoryResponse, Failure> {
    let total = records.len();
    let watched = context.progress;
    let records = stream::iter(records).enumerate().map(move |(index, record)| {
        if watched && (index % STEP == 0 || index + 1 == total) {
            progress(&format!("Sent {} of {total} records", index + 1));
        }
        record
    });
    let mut directory = context.directory()?;
    let call = directory.import_directory(records);
    let answer = tokio::time::timeout(IMPORT_TIMEOUT, call).await;
    if watched {
        progress("");
    }
    match answer {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(refusals::explain(context, Service::Eligibility, &status)),
        Err(_) => Err(refusals::silent(context, Service::Eligibility)),
    }
}

/// One line of a terminal, written over the one before.
fn progress(text: &str) {
    eprint!("\r\x1b[K{text}");
    let _ = std::io::stderr().flush();
}

fn report(
    context: &Context,
    organization: &str,
    file: &Path,
    bad: &[BadRecord],
    answer: &ImportDirectoryResponse,
) -> Report {
    let refused = answer.refused + i64::try_from(bad.len()).unwrap_or(i64::MAX);
    let mut refusals: Vec<_> = bad.iter().map(unsendable).collect();
    refusals.extend(answer.refusals.iter().map(refusal));
    let counts = [
        ("added", answer.added, Style::Green),
        ("changed", answer.changed, Style::Yellow),
        ("unchanged", answer.unchanged, Style::Plain),
        ("refused", refused, Style::Red),
    ];
    let counts: Vec<_> = counts
        .map(|(word, number, style)| {
            let style = if number > 0 { style } else { Style::Dim };
            context.paint.paint(style, &format!("{number} {word}"))
        })
        .into();
    let mut text = format!(
        "Imported {organization} from {}: {}.",
        file.display(),
        counts.join(", ")
    );
    if refused > 0 {
        text.push('\n');
        text.push_str(&refusal_table(&refusals).render(context.paint));
        let untold = refused - i64::try_from(refusals.len()).unwrap_or(refused);
        if untold > 0 {
            text.push_str(&format!("\n… and {} more", count(untold, "refusal")));
        }
    }
    let json = json!({
        "organization": organization, "added": answer.added, "changed": answer.changed,
        "unchanged": answer.unchanged, "refused": refused, "refusals": refusals,
    });
    let exit = if refused > 0 { Exit::Refused } else { Exit::Ok };
    Report { text, json, exit }
}

fn unsendable(bad: &BadRecord) -> Value {
    json!({"kind": name(bad.kind), "id": bad.id, "reason": "INVALID_REQUEST", "message": bad.what})
}

fn refusal(refusal: &ImportRefusal) -> Value {
    let reason = refusal.reason().as_str_name().trim_start_matches("ERROR_REASON_");
    json!({"kind": name(refusal.kind()), "id": refusal.id, "reason": reason, "message": refusal.message})
}

fn refusal_table(refusals: &[Value]) -> Table {
    let mut table = Table::new(&["REFUSED", "ID", "REASON", "WHAT IS WRONG"]);
    for refusal in refusals {
        let cell = |key: &str| clean(refusal.get(key).and_then(Value::as_str).unwrap_or_default(), 200);
        table.row(
            Style::Plain,
            [cell("kind"), cell("id"), cell("reason"), cell("message")],
        );
    }
    table
}
