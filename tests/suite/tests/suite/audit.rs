//! The audit trail, seen from outside: every call that has to be recorded is, on both databases.

mod calls;
mod guard;

use std::collections::BTreeSet;

use carepost_audit::{Scope, verify};
use carepost_proto::{ACCESS_TABLE, DESCRIPTOR_SET, common::v1::AuditKind};
use carepost_suite::{
    Plan, Suite,
    clients::Metadata,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::Servers;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, FromQueryResult, Statement};
use uuid::Uuid;

/// What a test looks at of a record.
#[derive(Debug, FromQueryResult)]
pub struct Row {
    organization: String,
    actor: String,
    via: String,
    origin: String,
    action: String,
    subjects: String,
    outcome: String,
    count: i32,
}

/// A service's trail.
pub struct Trail(DatabaseConnection);

impl Trail {
    pub async fn of(suite: &Suite, service: Service) -> Self {
        let mut options = ConnectOptions::new(suite.database_url(service));
        options.sqlx_logging(false).max_connections(1);
        Self(Database::connect(options).await.unwrap())
    }

    pub async fn records(&self, condition: &str, values: Vec<sea_orm::Value>) -> Vec<Row> {
        let sql = format!("SELECT * FROM audit_record WHERE {condition} ORDER BY recorded_at, id");
        let statement = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        Row::find_by_statement(statement).all(&self.0).await.unwrap()
    }

    pub async fn of_call(&self, call: Uuid) -> Vec<Row> {
        self.records("request_id = $1", vec![call.into()]).await
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let row = self.0.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Waits until all is sealed, and sees that the chains are whole. Gives how many records there are.
    pub async fn is_whole(&self) -> u64 {
        let sealed = until(LONG, async || {
            self.count("SELECT count(*) FROM audit_record WHERE seal_number IS NULL")
                .await
                == 0
        });
        assert!(sealed.await, "it is not sealed");
        let report = verify(&self.0, &Scope::default()).await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        report.chains.iter().map(|chain| chain.records).sum()
    }
}

/// The services keep their data on PostgreSQL, or in files.
async fn suite(hint: &str, sqlite: bool) -> Suite {
    let plan = Plan {
        sqlite,
        ..Plan::default()
    };
    Suite::start_on(Servers::ensure().await, hint, plan).await
}

#[test]
fn every_rpc_says_what_is_recorded_of_it() {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| {
        let package = file.package();
        file.service.iter().map(move |service| (package, service))
    });
    let mut seen = 0;
    for (package, service) in services {
        for rpc in &service.method {
            let path = format!("/{package}.{}/{}", service.name(), rpc.name());
            let access = ACCESS_TABLE.iter().find(|access| access.path == path);
            let audit = access.map(|access| access.audit);
            assert!(audit.is_some_and(|audit| audit != AuditKind::Unspecified), "{path}");
            // What is named like a change is one.
            let changes = [
                "Start",
                "Reply",
                "Mark",
                "Archive",
                "Unarchive",
                "Put",
                "Delete",
                "Import",
                "Update",
                "Retry",
            ];
            let is_change = changes.iter().any(|word| rpc.name().starts_with(word));
            assert_eq!(audit == Some(AuditKind::Change), is_change, "{path}");
            seen += 1;
        }
    }
    assert!(seen > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_rpc_leaves_its_record_on_postgresql() {
    every_declared_rpc_leaves_its_record(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_rpc_leaves_its_record_on_sqlite() {
    every_declared_rpc_leaves_its_record(true).await;
}

async fn every_declared_rpc_leaves_its_record(sqlite: bool) {
    let suite = suite("audit", sqlite).await;
    let made = calls::one_of_each(&suite).await;
    let mut called = BTreeSet::new();
    for call in made {
        let trail = Trail::of(&suite, call.service()).await;
        let records = trail.of_call(call.id).await;
        let [record] = &records[..] else {
            panic!("{}: {records:?}", call.path)
        };
        let told = (record.actor.as_str(), record.via.as_str(), record.organization.as_str());
        assert_eq!(
            told,
            (call.actor.as_str(), "", call.organization.as_str()),
            "{}",
            call.path
        );
        let told = (record.outcome.as_str(), record.origin.as_str(), record.count);
        assert_eq!(told, (call.outcome, "127.0.0.1", 1), "{}", call.path);
        assert_eq!(record.action, call.path);
        for subject in &call.subjects {
            assert!(
                record.subjects.split(' ').any(|named| named == subject),
                "{subject}: {record:?}"
            );
        }
        called.insert(call.path);
    }
    calls::import(&suite, &mut called).await;
    calls::watch(&suite, &mut called).await;
    calls::retry(&suite, &mut called).await;
    let declared = ACCESS_TABLE.iter().filter(|access| access.audit != AuditKind::None);
    let left: Vec<_> = declared.filter(|access| !called.contains(access.path)).collect();
    assert!(left.is_empty(), "{left:?}");
    for service in Service::ALL {
        assert!(Trail::of(&suite, service).await.is_whole().await > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_that_is_refused_leaves_its_record() {
    let suite = suite("audit_refused", false).await;
    for access in ACCESS_TABLE {
        let refused = calls::Call::of(access.path, &Metadata::default())
            .await_refused(&suite)
            .await;
        assert_eq!(refused, "UNAUTHENTICATED");
        let foreign = Metadata {
            token: Some(suite.people.person("elsewhere", "staff/1")),
            ..Metadata::default()
        };
        let refused = calls::Call::of(access.path, &foreign).await_refused(&suite).await;
        assert_eq!(refused, "PERMISSION_DENIED");
    }
    for access in ACCESS_TABLE {
        let trail = Trail::of(&suite, calls::service(access.path)).await;
        for (actor, outcome) in [
            ("unknown", "UNAUTHENTICATED/TOKEN_MISSING"),
            ("staff/1", "PERMISSION_DENIED/ORGANIZATION_NOT_ALLOWED"),
        ] {
            let condition =
                "action = $1 AND actor = $2 AND outcome = $3 AND organization = '' AND origin = '127.0.0.1'";
            let values = || vec![access.path.into(), actor.into(), outcome.into()];
            let there = until(LONG, async || !trail.records(condition, values()).await.is_empty());
            assert!(there.await, "{}: {actor}", access.path);
        }
        trail.0.close().await.unwrap();
    }
}
