//! `carepost directory`

mod list;

use std::{io::Read as _, path::PathBuf};

use carepost_proto::eligibility::v1::{
    DeleteChartRequest, DeleteLocationRequest, DeleteOrganizationRequest, DeletePortalUserRequest, DeleteStaffRequest,
    GetChartRequest, GetLocationRequest, GetOrganizationRequest, GetPortalUserRequest, GetStaffRequest,
    PutChartRequest, PutLocationRequest, PutOrganizationRequest, PutPortalUserRequest, PutStaffRequest, RecordVersion,
    WriteOutcome, directory_service_client::DirectoryServiceClient, import_directory_request::Record,
};
use clap::{Args, Subcommand, value_parser};
use serde_json::json;

use self::list::{ListArgs, Row};
use crate::{
    client::{Context, Service, Through},
    directory::single::{self, Kind},
    errors::{Exit, Failure},
    render::{Report, word},
};

type Client = DirectoryServiceClient<Through>;

/// The largest record that is read, in bytes; the service takes less.
const MAX_RECORD: u64 = 1_024 * 1_024;

/// See `Command::Directory`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  carepost directory list staff --role available_for_portal_messages
  carepost directory list charts --location south --limit 10
  carepost directory get chart 1021
  carepost directory put staff staff.json --version 7
  carepost directory delete chart 1021 --version 8

Records are in the format of the directory's files. A version is the EMR's own number: an older one never overwrites a newer.

JSON of get: {record, version: {emr_version, import_counter}, deleted, update_time}; of list: {more, records: [the same]};
of put and delete: {outcome: added, changed or unchanged, version}")]
pub struct DirectoryArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List records of a kind, by id.
    List(ListArgs),
    /// Show one record, deleted ones too.
    Get(GetArgs),
    /// Write one record, whole.
    Put(PutArgs),
    /// Delete one record; a tombstone with the version stays.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct GetArgs {
    /// The kind of record.
    #[arg(value_enum)]
    kind: Kind,
    /// Its id; of the organization, none.
    #[arg(value_name = "ID", default_value = "", hide_default_value = true)]
    id: String,
}

#[derive(Debug, Args)]
struct PutArgs {
    /// The kind of record.
    #[arg(value_enum)]
    kind: Kind,
    /// A JSON file, or `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The EMR's version number of the record.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i64).range(1..))]
    version: i64,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// The kind of record.
    #[arg(value_enum)]
    kind: Kind,
    /// Its id; of the organization, none.
    #[arg(value_name = "ID", default_value = "", hide_default_value = true)]
    id: String,
    /// The EMR's version number of the deletion.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i64).range(1..))]
    version: i64,
}

/// Lists, shows, writes or deletes records.
pub async fn run(context: &Context, args: DirectoryArgs) -> Result<Report, Failure> {
    let client = context.directory()?;
    match args.what {
        What::List(args) => list::run(context, client, args).await,
        What::Get(args) => get(context, client, args).await,
        What::Put(args) => put(context, client, args).await,
        What::Delete(args) => delete(context, client, args).await,
    }
}

async fn get(context: &Context, mut client: Client, args: GetArgs) -> Result<Report, Failure> {
    let id = args.id;
    let row = match args.kind {
        Kind::Organization => {
            let call = client.get_organization(GetOrganizationRequest {});
            let record = context.ask(Service::Eligibility, call).await?.record;
            record.map(Row::from)
        }
        Kind::Location => {
            let call = client.get_location(GetLocationRequest { location_id: id });
            context.ask(Service::Eligibility, call).await?.record.map(Row::from)
        }
        Kind::Staff => {
            let call = client.get_staff(GetStaffRequest { staff_id: id });
            context.ask(Service::Eligibility, call).await?.record.map(Row::from)
        }
        Kind::Chart => {
            let call = client.get_chart(GetChartRequest { chart_id: id });
            context.ask(Service::Eligibility, call).await?.record.map(Row::from)
        }
        Kind::PortalUser => {
            let call = client.get_portal_user(GetPortalUserRequest { portal_user_id: id });
            context.ask(Service::Eligibility, call).await?.record.map(Row::from)
        }
    };
    let row = row.ok_or_else(|| Failure::new(Exit::NotFound, "NOT_FOUND", "There is no such record", ""))?;
    let pretty = serde_json::to_string_pretty(&row.record).unwrap_or_default();
    let text = format!("{}\n{pretty}", row.state());
    Ok(Report::done(text, row.json()))
}

async fn put(context: &Context, mut client: Client, args: PutArgs) -> Result<Report, Failure> {
    let name = args.file.display().to_string();
    let record = single::parse(args.kind, &name, &bytes(&args.file)?)?;
    let version = args.version;
    let (outcome, stored) = match record {
        Record::Organization(record) => {
            let call = client.put_organization(PutOrganizationRequest {
                organization: Some(record),
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Record::Location(record) => {
            let call = client.put_location(PutLocationRequest {
                location: Some(record),
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Record::Staff(record) => {
            let call = client.put_staff(PutStaffRequest {
                staff: Some(record),
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Record::Chart(record) => {
            let call = client.put_chart(PutChartRequest {
                chart: Some(record),
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Record::PortalUser(record) => {
            let call = client.put_portal_user(PutPortalUserRequest {
                portal_user: Some(record),
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        _ => return Err(Failure::usage("This is no record", "")),
    };
    Ok(written(None, outcome, stored))
}

async fn delete(context: &Context, mut client: Client, args: DeleteArgs) -> Result<Report, Failure> {
    let (id, version) = (args.id, args.version);
    let (outcome, stored) = match args.kind {
        Kind::Organization => {
            let call = client.delete_organization(DeleteOrganizationRequest { version });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Kind::Location => {
            let call = client.delete_location(DeleteLocationRequest {
                location_id: id,
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Kind::Staff => {
            let call = client.delete_staff(DeleteStaffRequest { staff_id: id, version });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Kind::Chart => {
            let call = client.delete_chart(DeleteChartRequest { chart_id: id, version });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
        Kind::PortalUser => {
            let call = client.delete_portal_user(DeletePortalUserRequest {
                portal_user_id: id,
                version,
            });
            let answer = context.ask(Service::Eligibility, call).await?;
            (answer.outcome(), answer.version)
        }
    };
    Ok(written(Some("Deleted"), outcome, stored))
}

fn bytes(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::file(file, &error);
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MAX_RECORD)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(MAX_RECORD).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

fn written(done: Option<&str>, outcome: WriteOutcome, stored: Option<RecordVersion>) -> Report {
    let stored = stored.unwrap_or_default();
    let outcome = word(outcome.as_str_name(), "WRITE_OUTCOME_");
    let text = match outcome.as_str() {
        "unchanged" => format!("Nothing to do: it is so already, in version {}.", stored.emr_version),
        "added" => format!("{}: version {}.", done.unwrap_or("Added"), stored.emr_version),
        _ => format!("{}: version {}.", done.unwrap_or("Changed"), stored.emr_version),
    };
    let version = json!({"emr_version": stored.emr_version, "import_counter": stored.import_counter});
    Report::done(text, json!({"outcome": outcome, "version": version}))
}
