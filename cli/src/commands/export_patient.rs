//! `carepost export-patient`

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use carepost_identity::{ChartId, PersonId};
use carepost_messaging::store::export::{Selection, Snapshot};
use carepost_runtime::{Clock, database::DatabaseError};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    lines::{Header, Line},
    paper::Paper,
    recorder::Recorder,
    writing::Writing,
};
use super::database::{DatabaseArgs, Of, Place, must_be_named, organization};
use crate::{
    args::Globals,
    errors::{Exit, Failure},
    render::{Report, count},
};

mod lines;
mod paper;
mod recorder;
mod writing;

/// See `Command::ExportPatient`.
#[derive(Debug, Args)]
#[command(after_help = "\
The command reads messaging's database itself, at one moment, while the service runs or not. That it is used is recorded in the audit
trail before anything is read, every conversation before it is written, and the outcome; what cannot be recorded is not handed out.

  --chart             every conversation that regards the chart, those among staff too (\"kind\" tells which is which). A chart is one
                      episode of care: a patient with several charts takes an export of each.
  --person portal/…   every conversation of the portal user. A guardian's are about all of their patients.
  both                those that regard the chart and have that party. For a member of staff --chart is always needed.

The file is UTF-8 with a JSON document on each line: what was asked; then each conversation in the order of their start, followed by
its messages in the order of their numbers; last the counts and the SHA-256 of everything before that line:

  head -n -1 case.jsonl | sha256sum

The database is that of the profile's `data`, the folder of `carepost run`. For another one, name it as the service's settings do:

  export CAREPOST_DATABASE__URL=postgres://records:password@db.hospital.example/messaging

Examples:
  carepost export-patient --chart 1021 --operator records-7 --reason case-2026-118 --file case.jsonl
  carepost export-patient --person portal/pu-9 --chart 1021 --operator records-7 --reason case-2026-118 --file case.jsonl

Exit code 4: there is no such conversation, and no file; that it was looked for is recorded. 1: messages that were sent are not stored
any more; the file is there, and says which.

JSON: {export_id, file, conversations, messages, missing, sha256}")]
pub struct ExportPatientArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// All conversations that regard this chart.
    #[arg(long, value_name = "ID", required_unless_present = "person")]
    chart: Option<ChartId>,
    /// All conversations of this portal user, or with --chart those with this party: portal/ID or staff/ID.
    #[arg(long, value_name = "PERSON")]
    person: Option<PersonId>,
    /// Who you are to the trail: an id, of letters, digits and - . _
    #[arg(long, value_name = "ID")]
    operator: String,
    /// The reference of what permits it, such as case-2026-118: no name and no diagnosis, since it goes into the audit trail. At most
    /// 40 letters, digits and - . _ / with a digit among them.
    #[arg(long, value_name = "REFERENCE")]
    reason: String,
    /// Where to. It must not exist yet; it is made readable to you alone, and is FILE.part until it is whole.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// How much was exported.
#[derive(Default)]
pub struct Tally {
    /// Conversations.
    pub conversations: i64,
    /// Messages.
    pub messages: i64,
    /// Messages that are not stored any more.
    pub missing: i64,
    /// SHA-256 of all lines but the last.
    pub digest: String,
}

/// Exports conversations.
pub async fn run(globals: &Globals, args: &ExportPatientArgs) -> Result<Report, Failure> {
    let organization = organization(globals)?;
    let selection = selection(args)?;
    must_be_named(&args.operator)?;
    must_be_a_reference(&args.reason)?;
    must_be_free(&args.file)?;
    let mut stop = Stop::new()?;
    let place = args.database.place(globals, Of::Messaging)?;
    // One connection for the records, which are committed while the other one looks at one moment.
    let (records, conversations) = (place.open().await?, place.open().await?);
    let clock = Clock::system();
    let about = (&selection, args.reason.as_str());
    let recorder = Recorder::new(records, clock.clone(), &organization, &args.operator, about);
    let work = async {
        recorder.begin().await?;
        let begun_at = clock.now();
        let snapshot = Snapshot::take(&conversations, organization.clone()).await;
        let snapshot = snapshot.map_err(|error| unsuitable(&error, &place))?;
        let header = header(
            args,
            &recorder,
            Header::new(organization.as_str(), begun_at, snapshot.schema()),
        );
        let watched = std::io::stderr().is_terminal() && !globals.json;
        write(&snapshot, &selection, &recorder, (&args.file, header, watched)).await
    };
    let done = tokio::select! {
        done = work => done,
        () = stop.wait() => Err(Failure::new(Exit::Failed, "STOPPED", "The export was stopped", "Start it again")),
    };
    match done {
        Ok(tally) => Ok(report(&recorder.id(), &args.file, &tally)),
        Err(failure) if recorder.fail(&failure).await => {
            let next = format!("{}. Recorded in the audit trail as {}", failure.next(), recorder.id());
            Err(failure.then(next.trim_start_matches(". ")))
        }
        Err(failure) => Err(failure),
    }
}

fn header<'a>(args: &'a ExportPatientArgs, recorder: &Recorder, header: Header<'a>) -> Header<'a> {
    Header {
        export_id: recorder.id(),
        chart_id: args.chart.as_ref().map(ChartId::as_str),
        person: args.person.as_ref().map(PersonId::to_string),
        operator: &args.operator,
        reason: &args.reason,
        ..header
    }
}

async fn write(
    snapshot: &Snapshot,
    selection: &Selection,
    recorder: &Recorder,
    (out, header, watched): (&Path, Header<'_>, bool),
) -> Result<Tally, Failure> {
    let mut paper = Paper::begin(out)?;
    paper.line(&Line::Export(header))?;
    let writing = Writing {
        snapshot,
        selection,
        recorder,
        paper: &mut paper,
        tally: Tally::default(),
        watched,
    };
    let mut tally = writing.run().await?;
    if tally.conversations == 0 {
        return Err(none_found(selection));
    }
    tally.digest = paper.digest();
    paper.line(&Line::End {
        conversations: tally.conversations,
        messages: tally.messages,
        missing: tally.missing,
        sha256: tally.digest.clone(),
    })?;
    paper.settle()?;
    recorder.end(&tally).await?;
    paper.publish()?;
    Ok(tally)
}

fn selection(args: &ExportPatientArgs) -> Result<Selection, Failure> {
    match (args.chart.clone(), args.person.clone()) {
        (Some(chart), None) => Ok(Selection::Chart(chart)),
        (Some(chart), Some(person)) => Ok(Selection::ChartWith(chart, person)),
        (None, Some(PersonId::Portal(user))) => Ok(Selection::PortalUser(user)),
        (None, _) => Err(Failure::usage(
            "The conversations of a member of staff are about many patients",
            "Add --chart",
        )),
    }
}

/// The trail holds no health data, so what goes into it has no room for any.
fn must_be_a_reference(reason: &str) -> Result<(), Failure> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._/".contains(letter);
    let has_digit = reason.chars().any(|letter| letter.is_ascii_digit());
    if (1..=40).contains(&reason.len()) && reason.chars().all(fits) && has_digit {
        return Ok(());
    }
    Err(Failure::usage(
        "--reason must be a reference of at most 40 letters, digits, - . _ or / with a digit among them",
        "Use the number of the case, such as case-2026-118; it goes into the audit trail, so no name and no diagnosis",
    ))
}

fn must_be_free(out: &Path) -> Result<(), Failure> {
    match out.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Failure::usage(
            format!("{} is there already", out.display()),
            "Name another file: nothing is written over",
        )),
    }
}

fn none_found(selection: &Selection) -> Failure {
    let what = match selection {
        Selection::Chart(chart) => format!("No conversation regards the chart {chart}"),
        Selection::PortalUser(user) => format!("No conversation has the party portal/{user}"),
        Selection::ChartWith(chart, person) => {
            format!("No conversation regards the chart {chart} and has the party {person}")
        }
    };
    let next = "Check the id and the organization. No file was made";
    Failure::new(Exit::NotFound, "NOT_FOUND", what, next)
}

fn unsuitable(error: &DatabaseError, place: &Place) -> Failure {
    match error {
        DatabaseError::Unusable(_) => place.unanswered(),
        DatabaseError::NotMigrated(_) | DatabaseError::Newer(_) => Failure::new(
            Exit::Failed,
            "OTHER_VERSION",
            "The database is not messaging's, or of another version than this program, which might leave something out",
            "Use the `carepost` of the version that runs there",
        ),
    }
}

fn report(id: &str, out: &Path, tally: &Tally) -> Report {
    let (conversations, messages) = (
        count(tally.conversations, "conversation"),
        count(tally.messages, "message"),
    );
    let mut text = format!("Exported {conversations} with {messages} to {}.\n", out.display());
    if tally.missing > 0 {
        let missing = count(tally.missing, "message");
        text.push_str(&format!(
            "{missing} that were sent are not stored any more; the file says which.\n"
        ));
    }
    text.push_str(&format!("SHA-256 without its last line: {}\n", tally.digest));
    text.push_str(&format!(
        "Recorded in messaging's audit trail, with the request_id {id}."
    ));
    let json = json!({
        "export_id": id, "file": out, "conversations": tally.conversations, "messages": tally.messages,
        "missing": tally.missing, "sha256": tally.digest,
    });
    let exit = if tally.missing > 0 { Exit::Failed } else { Exit::Ok };
    Report { text, json, exit }
}

/// Ctrl-C, the signal that ends a pod, and a terminal that is gone.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        let failed = |_| Failure::new(Exit::Failed, "SIGNALS", "Signals cannot be received", "Try again");
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            hangup: signal(SignalKind::hangup()).map_err(failed)?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_reference_and_no_words() {
        for good in ["case-2026-118", "HIM/2026.7_a", "1"] {
            assert!(must_be_a_reference(good).is_ok(), "{good}");
        }
        let long = "1".repeat(41);
        for bad in [
            "",
            "case",
            "hiv-positive",
            "case 7",
            "case-7\n",
            "größe-7",
            "case-7;",
            &long,
        ] {
            assert!(must_be_a_reference(bad).is_err(), "{bad}");
        }
    }
}
