//! `carepost audit`

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use carepost_audit::{Anchor, CSV_HEADER, Export, Occasion, Record, Scope, Span, insert};
use carepost_runtime::{Clock, DatabaseFault, Ids};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};

use super::{
    database::{DatabaseArgs, Of, Place, must_be_named, organization},
    deliveries::moment,
};
use crate::{
    args::Globals,
    errors::{Exit, Failure},
    render::{Paint, Report, count},
};

mod told;

/// The largest file of anchors: about a hundred thousand lines.
const MAX_ANCHORS: u64 = 64 << 20;

/// See `Command::Audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each service keeps a trail of its own: who did or saw what, on whose behalf, from where, when, and how it ended. These commands read
the databases themselves, so they need no running service; docs/audit.md tells what a trail holds.

The databases are those of the profile's `data`, the folder of `carepost run`. For another one, name it as the service's settings do:

  export CAREPOST_DATABASE__URL=postgres://auditor:password@db.hospital.example/messaging

Examples:
  carepost audit verify
  carepost audit verify --of messaging --anchors messaging.log
  carepost audit export --of messaging --operator compliance-7 --since 2026-11-01 --until 2026-12-01 --file november.jsonl

JSON of verify: {whole, trails: [{service, chains: [{organization, records, seal, head, unsealed, unsealed_since, fault_count,
faults}]}]}, with null for what there is not; of export: {records, file}")]
pub struct AuditArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which service's, of the profile's `data`.
    #[arg(long, global = true, value_enum, conflicts_with_all = ["database", "database_file"])]
    of: Option<Of>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Follow the chains of hashes, and tell where a record was changed, removed, added or moved; then the exit code is 3.
    Verify(VerifyArgs),
    /// Write a span of a trail to a file, in the order of time. That it was is recorded in the trail.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Log lines of the service as JSON, with its "audit records were sealed": chains must have the heads that they name.
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// Who you are to the trail: an id, of letters, digits and - . _
    #[arg(long, value_name = "ID")]
    operator: String,
    /// From this time on.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: DateTime<Utc>,
    /// Before this time [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<DateTime<Utc>>,
    /// Where to. It must not exist yet; it is made readable to you alone.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON document a line.
    Jsonl,
    /// Comma-separated values with a head (RFC 4180).
    Csv,
}

fn trails(globals: &Globals, args: &AuditArgs) -> Result<Vec<Place>, Failure> {
    // A database that is named is one, whosever it is.
    let all = if args.database.is_given() {
        &[Of::Messaging]
    } else {
        Of::value_variants()
    };
    let chosen = all.iter().filter(|one| args.of.is_none_or(|of| of == **one));
    chosen.map(|of| args.database.place(globals, *of)).collect()
}

/// Verifies trails, or exports one.
pub async fn run(globals: &Globals, paint: Paint, args: AuditArgs) -> Result<Report, Failure> {
    let trails = trails(globals, &args)?;
    match args.what {
        What::Verify(what) => verify(globals, paint, &trails, &what).await,
        What::Export(what) => match trails.as_slice() {
            [trail] => export(globals, trail, &what).await,
            _ => Err(Failure::usage(
                "Each service has a trail of its own",
                "Say which one: --of messaging, eligibility or notification",
            )),
        },
    }
}

async fn verify(globals: &Globals, paint: Paint, trails: &[Place], args: &VerifyArgs) -> Result<Report, Failure> {
    let anchors = match &args.anchors {
        None => Vec::new(),
        Some(_) if trails.len() > 1 => {
            return Err(Failure::usage(
                "Each service has heads of its own",
                "Say whose log this is: --of messaging, eligibility or notification",
            ));
        }
        Some(file) => anchors(file)?,
    };
    let scope = Scope {
        organization: globals.organization.as_ref().map(ToString::to_string),
        anchors,
    };
    let (mut texts, mut entries, mut whole) = (Vec::new(), Vec::new(), true);
    for trail in trails {
        let database = trail.open().await?;
        let found = carepost_audit::verify(&database, &scope).await;
        let report = found.map_err(|_: DatabaseFault| trail.unanswered())?;
        whole &= report.is_whole();
        texts.push(told::text(&trail.name, &report, paint));
        entries.push(told::entry(&trail.name, &report));
    }
    if !scope.anchors.is_empty() {
        let heads = i64::try_from(scope.anchors.len()).unwrap_or(i64::MAX);
        texts.push(format!("Held against {} of the log.", count(heads, "head")));
    }
    Ok(Report {
        text: texts.join("\n\n"),
        json: json!({"whole": whole, "trails": entries}),
        exit: if whole { Exit::Ok } else { Exit::Refused },
    })
}

/// The heads that a log names. Other lines are passed over.
fn anchors(file: &Path) -> Result<Vec<Anchor>, Failure> {
    let failed = |error| Failure::file(file, &error);
    if fs::metadata(file).map_err(failed)?.len() > MAX_ANCHORS {
        return Err(Failure::usage(
            format!("{}: is larger than 64 MiB", file.display()),
            "Take out the lines with \"audit records were sealed\"",
        ));
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    let anchors: Vec<_> = text.lines().filter_map(anchor).collect();
    if anchors.is_empty() {
        return Err(Failure::usage(
            format!("{}: no line tells of a seal", file.display()),
            "Give it the service's log as JSON, with the lines \"audit records were sealed\"",
        ));
    }
    Ok(anchors)
}

fn anchor(line: &str) -> Option<Anchor> {
    let line: Value = serde_json::from_str(line.trim()).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    Some(Anchor {
        organization: fields.get("audit_organization")?.as_str()?.to_owned(),
        number: fields.get("number")?.as_i64()?,
        head: fields.get("head")?.as_str()?.parse().ok()?,
    })
}

async fn export(globals: &Globals, trail: &Place, args: &ExportArgs) -> Result<Report, Failure> {
    let now = Clock::system().now();
    let organization = organization(globals)?;
    let span = Span {
        organization: Some(organization.to_string()),
        from: args.since,
        to: args.until.unwrap_or(now),
    };
    if span.from >= span.to {
        return Err(Failure::usage("--since must be before --until", "Correct it"));
    }
    must_be_named(&args.operator)?;
    let database = trail.open().await?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file);
    let file = file.map_err(|error| Failure::file(&args.file, &error))?;
    // Recorded before anything is shown: an export that breaks off has shown something too.
    let occasion = Occasion::own(Ids.next(now), "operator/export");
    let record = Record::of_operator(&occasion, &organization, &args.operator, now, &[]);
    if insert(&database, &[record]).await.is_err() {
        // It is empty, and was made a moment ago.
        let _ = fs::remove_file(&args.file);
        return Err(trail.unanswered());
    }
    let records = write(&database, trail, span, file, args).await?;
    Ok(Report::done(
        format!("Exported {} to {}.", count(records, "record"), args.file.display()),
        json!({"records": records, "file": args.file}),
    ))
}

async fn write(
    database: &DatabaseConnection,
    trail: &Place,
    span: Span,
    file: File,
    args: &ExportArgs,
) -> Result<i64, Failure> {
    let failed = |error| Failure::file(&args.file, &error);
    let mut file = BufWriter::new(file);
    if args.format == Format::Csv {
        write!(file, "{CSV_HEADER}\r\n").map_err(failed)?;
    }
    let mut export = Export::begin(database, span).await.map_err(|_| trail.unanswered())?;
    let mut records = 0;
    while let Some(kept) = export.next().await.map_err(|_| trail.unanswered())? {
        let written = match args.format {
            Format::Jsonl => writeln!(file, "{}", kept.json()),
            Format::Csv => write!(file, "{}\r\n", kept.csv()),
        };
        written.map_err(failed)?;
        records += 1;
    }
    file.flush().map_err(failed)?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(records)
}
