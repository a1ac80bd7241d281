//! A large directory in one stream: how fast it goes in, with how much memory, beside what the database alone takes.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use carepost_proto::eligibility::v1::{
    Chart, ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, ImportTrailer, Location, Organization,
    Staff, StaffRole, import_directory_request::Record,
};
use carepost_suite::{Plan, Suite, process::Service};
use carepost_testkit::Servers;
use futures::{Stream, stream};
use sea_orm::DatabaseConnection;

use crate::{cpu, database, hospital::ORGANIZATION, progress};

/// How many locations there are.
const LOCATIONS: u64 = 100;
/// How many are on the care team of each chart.
const CARE_TEAM: u64 = 5;
/// How many charts go straight into the database, for the limit.
const RAW_CHARTS: u64 = 100_000;
/// What the service writes in one transaction.
const GROUP: u64 = 512;

/// Measures it, and prints a table.
pub async fn measure(servers: Servers, staff: u64, charts: u64) {
    let suite = Suite::start_on(servers, "bench_import", Plan::default()).await;
    let eligibility = cpu::process_of(Service::Eligibility).expect("eligibility runs");
    let before = peak_memory(eligibility);
    println!("| what | records | seconds | records/s | eligibility's peak memory, MiB (at rest {before:.0}) |");
    println!("|---|--:|--:|--:|--:|");
    let row = |what: &str, records: u64, took: Duration| {
        let rate = records as f64 / took.as_secs_f64();
        let memory = peak_memory(eligibility);
        println!(
            "| {what} | {records} | {:.1} | {rate:.0} | {memory:.0} |",
            took.as_secs_f64()
        );
    };
    let total = 1 + LOCATIONS + staff + charts;
    for (what, validate_only) in [
        ("new, whole", false),
        ("the same again", false),
        ("the same, only planned", true),
    ] {
        progress(what);
        let begun = Instant::now();
        let answer = import(&suite, staff, charts, validate_only).await;
        row(what, total, begun.elapsed());
        assert_eq!(answer.refused, 0, "{:?}", answer.refusals.first());
        assert_eq!(answer.added + answer.unchanged, i64::try_from(total).expect("a count"));
    }
    progress("charts straight into the database");
    let raw = database::connect(&suite.servers.postgres_url(suite.database(Service::Eligibility))).await;
    let begun = Instant::now();
    raw_charts(&raw).await;
    row("charts by the database alone", RAW_CHARTS, begun.elapsed());
    raw.close().await.expect("it was open");
    for service in Service::ALL {
        suite.kill(service);
        suite.servers.drop_database(suite.database(service)).await;
    }
}

async fn import(suite: &Suite, staff: u64, charts: u64, validate_only: bool) -> ImportDirectoryResponse {
    let sent = Arc::new(AtomicU64::new(0));
    let telling = tokio::spawn(tell(Arc::clone(&sent)));
    let answer = suite
        .directory(ORGANIZATION)
        .import_directory(requests(staff, charts, validate_only, sent))
        .await
        .expect("the import is done");
    telling.abort();
    answer.into_inner()
}

async fn tell(sent: Arc<AtomicU64>) {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let sent = sent.load(Ordering::Relaxed);
        progress(&format!("{sent} records after {:.0} s", begun.elapsed().as_secs_f64()));
    }
}

fn requests(
    staff: u64,
    charts: u64,
    validate_only: bool,
    sent: Arc<AtomicU64>,
) -> impl Stream<Item = ImportDirectoryRequest> {
    let options = Record::Options(ImportOptions {
        reconcile: true,
        validate_only,
        allow_large_removal: false,
    });
    let trailer = Record::Trailer(ImportTrailer {
        record_count: i64::try_from(1 + LOCATIONS + staff + charts).expect("a count"),
    });
    let records = [options, organization()]
        .into_iter()
        .chain((0..LOCATIONS).map(location))
        .chain((0..staff).map(member))
        .chain((0..charts).map(move |number| chart(number, staff)))
        .chain([trailer]);
    stream::iter(records.map(move |record| {
        sent.fetch_add(1, Ordering::Relaxed);
        let is_around = matches!(record, Record::Options(_) | Record::Trailer(_));
        ImportDirectoryRequest {
            version: i64::from(!is_around),
            record: Some(record),
        }
    }))
}

fn organization() -> Record {
    Record::Organization(Organization {
        id: ORGANIZATION.to_owned(),
        name: "Prairie Health Network".to_owned(),
        country: "US".to_owned(),
        portal_url: "https://portal.example.org/messages".to_owned(),
        locale: "en-US".to_owned(),
    })
}

fn location(number: u64) -> Record {
    Record::Location(Location {
        id: format!("l-{number}"),
        name: format!("Clinic {number}"),
        country: String::new(),
    })
}

fn member(number: u64) -> Record {
    Record::Staff(Staff {
        id: format!("s-{number}"),
        name: format!("Nurse {number}"),
        email: format!("nurse-{number}@example.org"),
        active: true,
        roles: vec![StaffRole::AvailableForPortalMessages.into()],
        all_locations: false,
        location_ids: vec![format!("l-{}", number % LOCATIONS)],
    })
}

fn chart(number: u64, staff: u64) -> Record {
    let on_team = |place: u64| format!("s-{}", (number * CARE_TEAM + place) % staff.max(CARE_TEAM));
    Record::Chart(Chart {
        id: format!("c-{number}"),
        patient_id: format!("patient-{number}"),
        patient_name: format!("Patient {number}"),
        location_id: format!("l-{}", number % LOCATIONS),
        care_team_ids: (0..CARE_TEAM).map(on_team).collect(),
        barred_staff_ids: vec![],
        url: format!("https://emr.example.org/charts/{number}"),
    })
}

/// The rows that the service writes for charts, in transactions of the same size, made by the database itself.
async fn raw_charts(database: &DatabaseConnection) {
    let parties = "
        INSERT INTO organization SELECT 'raw', name, country, portal_url, locale, emr_version, import_counter,
          content_digest, deleted, updated_at FROM organization LIMIT 1;
        INSERT INTO location SELECT 'raw', id, name, country, emr_version, import_counter, content_digest, deleted,
          updated_at FROM location WHERE id = 'l-0'";
    database::execute(database, parties).await;
    for first in (0..RAW_CHARTS).step_by(usize::try_from(GROUP).expect("a small number")) {
        let last = (first + GROUP).min(RAW_CHARTS) - 1;
        let group = format!(
            "BEGIN;
            INSERT INTO import_seen (organization, kind, id)
              SELECT 'raw', 4, 'c-' || n FROM generate_series({first}, {last}) n ON CONFLICT DO NOTHING;
            INSERT INTO chart (organization, id, patient_id, patient_name, location, url, emr_version, import_counter,
                content_digest, deleted, updated_at)
              SELECT 'raw', 'c-' || n, 'patient-' || n, 'Patient ' || n, 'l-0', 'https://emr.example.org/charts/' || n,
                1, 0, sha256(n::text::bytea), FALSE, now() FROM generate_series({first}, {last}) n;
            INSERT INTO chart_staff (organization, chart, staff, care_team, barred)
              SELECT 'raw', 'c-' || n, 's-' || (n * {CARE_TEAM} + k), TRUE, FALSE
              FROM generate_series({first}, {last}) n, generate_series(1, {CARE_TEAM}) k;
            COMMIT"
        );
        database::execute(database, &group).await;
    }
}

/// The most memory that a process ever had, in MiB.
fn peak_memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<f64> = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or_default() / 1_024.0
}
