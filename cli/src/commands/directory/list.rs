//! `carepost directory list`

use carepost_identity::{ChartId, LocationId, StaffId};
use carepost_proto::eligibility::v1::{
    AccountStatus, ChartRecord, ListChartsRequest, ListLocationsRequest, ListOrganizationsRequest,
    ListPortalUsersRequest, ListStaffRequest, LocationRecord, OrganizationRecord, PortalUserRecord, RecordVersion,
    StaffRecord, StaffRole,
};
use clap::{Args, ValueEnum, value_parser};
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::Client;
use crate::{
    client::{Context, Service},
    commands::pages,
    directory::single,
    errors::Failure,
    render::{Report, Style, Table, clean, local, rfc3339},
};

/// What to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The kind of records.
    #[arg(value_enum)]
    kind: Kinds,
    /// Deleted records too.
    #[arg(long)]
    show_deleted: bool,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Staff: only active ones (true), or not (false).
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// Staff: only with this role.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Option<StaffRole>,
    /// Staff who reach this location; charts of it.
    #[arg(long, value_name = "ID")]
    location: Option<LocationId>,
    /// Charts of this patient.
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Charts with this member of staff on the care team.
    #[arg(long, value_name = "ID")]
    care_team: Option<StaffId>,
    /// Portal users with this account status.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<AccountStatus>,
    /// Portal users with a connection to this chart.
    #[arg(long, value_name = "ID")]
    chart: Option<ChartId>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kinds {
    /// The organization.
    Organizations,
    /// Sites.
    Locations,
    /// EMR users.
    Staff,
    /// Episodes of care.
    Charts,
    /// Logins of patients and contacts.
    PortalUsers,
}

fn role(text: &str) -> Result<StaffRole, String> {
    let role = StaffRole::from_str_name(&format!("STAFF_ROLE_{}", text.to_uppercase()));
    role.ok_or_else(|| "available_for_portal_messages, super_admin or manage_portal_settings".to_owned())
}

fn status(text: &str) -> Result<AccountStatus, String> {
    let status = AccountStatus::from_str_name(&format!("ACCOUNT_STATUS_{}", text.to_uppercase()));
    status.ok_or_else(|| "not_invited, invited, accepted, active or disabled".to_owned())
}

/// One record of any kind, as it is stored.
pub struct Row {
    /// In the format of the files.
    pub record: Value,
    version: RecordVersion,
    deleted: bool,
    update_time: Option<Timestamp>,
}

impl Row {
    /// For scripts.
    pub fn json(&self) -> Value {
        json!({
            "record": self.record,
            "version": {"emr_version": self.version.emr_version, "import_counter": self.version.import_counter},
            "deleted": self.deleted, "update_time": rfc3339(self.update_time),
        })
    }

    /// Version and time, for people.
    pub fn state(&self) -> String {
        let deleted = if self.deleted { ", deleted" } else { "" };
        let version = &self.version;
        let imports = match version.import_counter {
            0 => String::new(),
            count => format!(".{count}"),
        };
        format!(
            "Version {}{imports}{deleted}, {}",
            version.emr_version,
            local(self.update_time)
        )
    }

    fn text(&self, key: &str) -> String {
        clean(self.record.get(key).and_then(Value::as_str).unwrap_or_default(), 60)
    }
}

/// A record of a kind as a row.
macro_rules! rows {
    ($($kind:ident: $field:ident;)*) => {
        $(impl From<$kind> for Row {
            fn from(stored: $kind) -> Self {
                Self {
                    record: single::$field(&stored.$field.unwrap_or_default()),
                    version: stored.version.unwrap_or_default(),
                    deleted: stored.deleted,
                    update_time: stored.update_time,
                }
            }
        })*
    };
}

rows! {
    OrganizationRecord: organization;
    LocationRecord: location;
    StaffRecord: staff;
    ChartRecord: chart;
    PortalUserRecord: portal_user;
}

/// Lists the records of a kind.
pub async fn run(context: &Context, mut client: Client, args: ListArgs) -> Result<Report, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let page = async |size, token| next(context, &mut client, &args, size, token).await;
    let (rows, token) = pages(limit, String::new(), page).await?;
    let more = !token.is_empty();
    let mut table = Table::new(&["ID", "NAME", "VERSION", "CHANGED"]);
    for row in &rows {
        let name = Some(row.text("name")).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| row.text("patient_name"));
        let style = if row.deleted { Style::Dim } else { Style::Plain };
        let version = row.state();
        let version = version
            .trim_start_matches("Version ")
            .rsplit_once(", ")
            .map_or("", |(version, _)| version);
        table.row(
            style,
            [row.text("id"), name, version.to_owned(), local(row.update_time)],
        );
    }
    let text = match (rows.is_empty(), more) {
        (true, _) => "None.".to_owned(),
        (false, false) => table.render(context.paint),
        (false, true) => format!("{}\nThere are more: --limit.", table.render(context.paint)),
    };
    let records: Vec<_> = rows.iter().map(Row::json).collect();
    Ok(Report::done(text, json!({"more": more, "records": records})))
}

async fn next(
    context: &Context,
    client: &mut Client,
    args: &ListArgs,
    page_size: i32,
    page_token: String,
) -> Result<(Vec<Row>, String), Failure> {
    let show_deleted = args.show_deleted;
    let location_id = args.location.as_ref().map(ToString::to_string).unwrap_or_default();
    let service = Service::Eligibility;
    Ok(match args.kind {
        Kinds::Organizations => {
            let request = ListOrganizationsRequest {
                page_size,
                page_token,
                show_deleted,
            };
            let page = context.ask(service, client.list_organizations(request)).await?;
            (
                page.organizations.into_iter().map(Row::from).collect(),
                page.next_page_token,
            )
        }
        Kinds::Locations => {
            let request = ListLocationsRequest {
                page_size,
                page_token,
                show_deleted,
            };
            let page = context.ask(service, client.list_locations(request)).await?;
            (
                page.locations.into_iter().map(Row::from).collect(),
                page.next_page_token,
            )
        }
        Kinds::Staff => {
            let (active, role) = (args.active, args.role.unwrap_or_default().into());
            let request = ListStaffRequest {
                page_size,
                page_token,
                show_deleted,
                active,
                role,
                location_id,
            };
            let page = context.ask(service, client.list_staff(request)).await?;
            (page.staff.into_iter().map(Row::from).collect(), page.next_page_token)
        }
        Kinds::Charts => {
            let patient_id = args.patient.clone().unwrap_or_default();
            let care_team_staff_id = args.care_team.as_ref().map(ToString::to_string).unwrap_or_default();
            let request = ListChartsRequest {
                page_size,
                page_token,
                show_deleted,
                location_id,
                patient_id,
                care_team_staff_id,
            };
            let page = context.ask(service, client.list_charts(request)).await?;
            (page.charts.into_iter().map(Row::from).collect(), page.next_page_token)
        }
        Kinds::PortalUsers => {
            let status = args.status.unwrap_or_default().into();
            let chart_id = args.chart.as_ref().map(ToString::to_string).unwrap_or_default();
            let request = ListPortalUsersRequest {
                page_size,
                page_token,
                show_deleted,
                status,
                chart_id,
            };
            let page = context.ask(service, client.list_portal_users(request)).await?;
            (
                page.portal_users.into_iter().map(Row::from).collect(),
                page.next_page_token,
            )
        }
    })
}
