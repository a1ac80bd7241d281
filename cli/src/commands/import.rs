//! `carepost import`

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use carepost_identity::OrganizationId;
use carepost_proto::eligibility::v1::{
    ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, ImportRefusal, ImportTrailer, Removal,
    import_directory_request::Record,
};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::confirm;
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
/// How many of the records that go are named to people.
const NAMED: usize = 10;

/// See `Command::Import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records that are stored like this already are left as they are, so a file can be imported again. Settings and brands are
written only where none were ever set. A record that is refused is named with the reason; the rest is imported, and the exit
code is 3.

With --reconcile, the file is the whole directory: what it no longer has is deactivated. The plan is shown first, and carried
out if you say yes, or with --yes.

Examples:
  carepost import tests/data/southern.directory.json --organization southern
  carepost import --dry-run --reconcile tests/data/prairie.directory.json

JSON: {organization, dry_run, added, changed, unchanged, refused, refusals: [{kind, id, reason, message}],
removals: [{kind, stored, removed, kept}], removed_records: [{kind, id}], restored, restored_records: [{kind, id}]}")]
pub struct ImportArgs {
    /// The directory: a JSON file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Deactivate what the file no longer has.
    #[arg(long)]
    reconcile: bool,
    /// Let more than 10 % of a kind of record go.
    #[arg(long, requires = "reconcile")]
    allow_large_removal: bool,
    /// With --reconcile: carry the plan out without asking.
    #[arg(long, requires = "reconcile")]
    yes: bool,
}

impl ImportArgs {
    /// An import that only adds and changes.
    pub fn of(file: PathBuf) -> Self {
        Self {
            file,
            dry_run: false,
            reconcile: false,
            allow_large_removal: false,
            yes: false,
        }
    }

    fn options(&self, validate_only: bool) -> ImportOptions {
        ImportOptions {
            reconcile: self.reconcile,
            validate_only,
            allow_large_removal: self.allow_large_removal,
        }
    }
}

/// Imports a directory.
pub async fn run(context: &Context, args: ImportArgs) -> Result<Report, Failure> {
    let file = DirectoryFile::read(&args.file)?;
    must_be_meant(context, &file, &args.file)?;
    let organization = file.organization.id.clone();
    let records = Records::from(file);
    if let (true, Some(bad)) = (args.reconcile, records.bad.first()) {
        let what = format!("{} {} is no record: {}", name(bad.kind), clean(&bad.id, 128), bad.what);
        return Err(Failure::usage(
            what,
            "Correct it: only a file without faults can be reconciled",
        ));
    }
    let told = |answer: &ImportDirectoryResponse| report(context, &organization, &args.file, &records.bad, answer);
    if args.dry_run || args.reconcile && !args.yes {
        let plan = send(context, &records.good, args.options(true)).await?;
        let planned = told(&plan);
        if args.dry_run || !confirmed(&planned)? {
            return Ok(planned);
        }
    }
    let answer = send(context, &records.good, args.options(false)).await?;
    Ok(told(&answer))
}

/// Shows the plan to whoever is at the terminal, and asks.
fn confirmed(plan: &Report) -> Result<bool, Failure> {
    let question = format!("{}\nCarry it out?", plan.text);
    confirm(&question, "Look at the plan with --dry-run, then add --yes")
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

async fn send(
    context: &Context,
    records: &[ImportDirectoryRequest],
    options: ImportOptions,
) -> Result<ImportDirectoryResponse, Failure> {
    let total = records.len();
    let watched = context.progress;
    let request = |record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    };
    let record_count = i64::try_from(total).unwrap_or(i64::MAX);
    let first = request(Record::Options(options));
    let last = request(Record::Trailer(ImportTrailer { record_count }));
    let records = stream::iter(records.to_vec()).enumerate().map(move |(index, record)| {
        if watched && (index % STEP == 0 || index + 1 == total) {
            progress(&format!("Sent {} of {total} records", index + 1));
        }
        record
    });
    let records = stream::iter([first]).chain(records).chain(stream::iter([last]));
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
pub(super) fn progress(text: &str) {
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
    let done = if answer.validate_only {
        "Would import"
    } else {
        "Imported"
    };
    let mut text = format!("{done} {organization} from {}: {}.", file.display(), counts.join(", "));
    text.push_str(&removals(context, answer));
    text.push_str(&restored(answer));
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
        "unchanged": answer.unchanged, "refused": refused, "refusals": refusals, "dry_run": answer.validate_only,
        "removals": answer.removals.iter().map(removal_json).collect::<Vec<_>>(),
        "removed_records": answer.removed_records.iter()
            .map(|record| json!({"kind": name(record.kind()), "id": record.id})).collect::<Vec<_>>(),
        "restored": answer.restored,
        "restored_records": answer.restored_records.iter()
            .map(|record| json!({"kind": name(record.kind()), "id": record.id})).collect::<Vec<_>>(),
    });
    let exit = if refused > 0 { Exit::Refused } else { Exit::Ok };
    Report { text, json, exit }
}

/// What goes, of each kind, and the first of the records.
fn removals(context: &Context, answer: &ImportDirectoryResponse) -> String {
    let (going, kept): (Vec<_>, Vec<_>) = (
        answer.removals.iter().filter(|removal| removal.removed > 0).collect(),
        answer.removals.iter().filter(|removal| removal.kept > 0).collect(),
    );
    let mut text = String::new();
    let goes = if answer.validate_only { "Would go" } else { "Gone" };
    for removal in going {
        let line = format!(
            "\n{goes}: {} of {}",
            removal.removed,
            count(removal.stored, &format!("{} record", name(removal.kind())))
        );
        text.push_str(&context.paint.paint(Style::Red, &line));
        let ids = answer
            .removed_records
            .iter()
            .filter(|record| record.kind() == removal.kind());
        let ids: Vec<_> = ids.take(NAMED).map(|record| clean(&record.id, 128)).collect();
        let dots = if removal.removed > NAMED as i64 { ", …" } else { "" };
        text.push_str(&format!(": {}{dots}", ids.join(", ")));
    }
    for removal in kept {
        let still = count(removal.kept, &format!("{} record", name(removal.kind())));
        text.push_str(&format!("\nKept: {still} that others still refer to."));
    }
    text
}

/// How many deleted records come back, and the first of them.
fn restored(answer: &ImportDirectoryResponse) -> String {
    if answer.restored == 0 {
        return String::new();
    }
    let back = if answer.validate_only {
        "Would come back"
    } else {
        "Back"
    };
    let records = answer.restored_records.iter().take(NAMED);
    let records: Vec<_> = records
        .map(|record| format!("{} {}", name(record.kind()), clean(&record.id, 128)))
        .collect();
    let dots = if answer.restored > NAMED as i64 { ", …" } else { "" };
    let deleted = count(answer.restored, "deleted record");
    format!("\n{back}: {deleted}: {}{dots}", records.join(", "))
}

fn removal_json(removal: &Removal) -> Value {
    json!({
        "kind": name(removal.kind()), "stored": removal.stored, "removed": removal.removed, "kept": removal.kept,
    })
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
