//! Follows the chain of each organization and finds where it is broken.

use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use uuid::Uuid;

use crate::{
    check::Walk,
    hash::Hash,
    store::{self, Failed},
};

/// The head of a chain, as it was noted outside of the database: a sealer writes each into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The organization; empty for calls of which none is known.
    pub organization: String,
    /// The number of the seal.
    pub number: i64,
    /// Its head.
    pub head: Hash,
}

/// What is to be verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One organization; none: all.
    pub organization: Option<String>,
    /// Heads that were noted outside. Without any, somebody who owns the database could have written a whole chain anew.
    pub anchors: Vec<Anchor>,
}

/// A place where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These records of a seal, by their places, are not there.
    RecordsMissing {
        /// The number of the seal.
        seal: i64,
        /// The first place.
        from: i32,
        /// The last place.
        to: i32,
    },
    /// This record does not follow from the one before it: it was changed, or moved to another place.
    RecordChanged {
        /// The number of the seal.
        seal: i64,
        /// The place in it.
        place: i32,
        /// The record's id, as it is now.
        id: Uuid,
        /// The record's time, as it is now.
        recorded_at: DateTime<Utc>,
    },
    /// The seal has no such place.
    RecordAdded {
        /// The number of the seal.
        seal: i64,
        /// The place.
        place: i32,
        /// The record's id.
        id: Uuid,
    },
    /// These seals, by their numbers, are not there.
    SealsMissing {
        /// The first number.
        from: i64,
        /// The last number.
        to: i64,
    },
    /// This seal does not follow from its last record.
    SealChanged {
        /// Its number.
        number: i64,
    },
    /// The chain does not have the head that was noted outside: it was written anew or cut off.
    AnchorMissed {
        /// The number of the seal.
        number: i64,
    },
}

/// The chain of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The organization; empty for calls of which none is known.
    pub organization: String,
    /// How many sealed records were looked at.
    pub records: u64,
    /// The number of the newest seal, and its head: to be noted outside. None if nothing was sealed.
    pub head: Option<(i64, Hash)>,
    /// How many records have no seal yet. What happens to them cannot be found.
    pub unsealed: u64,
    /// The time of the oldest of them.
    pub unsealed_since: Option<DateTime<Utc>>,
    /// Where the chain is broken: the first 100 places, in the order of the chain.
    pub faults: Vec<Fault>,
    /// How many places there are.
    pub fault_count: u64,
}

/// What was found, for each organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the organizations.
    pub chains: Vec<Chain>,
}

impl Report {
    /// Whether no chain is broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.chains.iter().all(|chain| chain.fault_count == 0)
    }
}

/// Verifies the trail of a database, while services go on to write it. It reads a page at a time: the memory that it takes does not
/// depend on how long the trail is.
///
/// # Errors
/// If the database does not answer.
pub async fn verify(database: &DatabaseConnection, scope: &Scope) -> Result<Report, DatabaseFault> {
    let mut report = Report::default();
    for organization in organizations(database, scope).await? {
        let anchors = scope
            .anchors
            .iter()
            .filter(|anchor| anchor.organization == organization);
        let chain = chain(database, &organization, anchors.collect()).await?;
        report.chains.push(chain);
    }
    Ok(report)
}

/// Those of the scope; all, as far as records, seals or anchors name them.
async fn organizations(database: &DatabaseConnection, scope: &Scope) -> Result<Vec<String>, Failed> {
    if let Some(organization) = &scope.organization {
        return Ok(vec![organization.clone()]);
    }
    let mut all: Vec<_> = scope.anchors.iter().map(|anchor| anchor.organization.clone()).collect();
    for table in ["audit_record", "audit_seal"] {
        all.extend(organizations_of(database, table).await?);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

pub(crate) async fn organizations_of(database: &DatabaseConnection, table: &str) -> Result<Vec<String>, Failed> {
    let mut all: Vec<String> = Vec::new();
    while let Some(next) = store::next_organization(database, table, all.last().map(String::as_str)).await? {
        all.push(next);
    }
    Ok(all)
}

async fn chain(database: &DatabaseConnection, organization: &str, anchors: Vec<&Anchor>) -> Result<Chain, Failed> {
    let last = store::last_seal(database, organization).await?;
    let last_number = last.as_ref().map_or(0, |seal| seal.number);
    let mut walk = Walk::new(database, organization, last_number, &anchors);
    walk.run().await?;
    let (records, mut faults) = walk.end();
    if let Some(number) = without_seal(database, organization).await? {
        faults.add(Fault::SealsMissing {
            from: number,
            to: number,
        });
    }
    for anchor in anchors.iter().filter(|anchor| anchor.number > last_number) {
        faults.add(Fault::AnchorMissed { number: anchor.number });
    }
    let (unsealed, unsealed_since) = unsealed(database, organization).await?;
    Ok(Chain {
        organization: organization.to_owned(),
        records,
        head: last.map(|seal| (seal.number, seal.head)),
        unsealed,
        unsealed_since,
        faults: faults.first,
        fault_count: faults.count,
    })
}

/// The number of a seal that records name, behind the newest that there is. It is asked in one statement, so that a seal that is
/// made meanwhile is there with its records or not at all.
async fn without_seal(database: &DatabaseConnection, organization: &str) -> Result<Option<i64>, Failed> {
    let sql = "SELECT seal_number FROM audit_record WHERE organization = $1 AND seal_number IS NOT NULL AND seal_number > \
               (SELECT COALESCE(MAX(number), 0) FROM audit_seal WHERE organization = $1) ORDER BY seal_number LIMIT 1";
    let row = ask(database, sql, organization).await?;
    Ok(row.map(|row| row.try_get("", "seal_number")).transpose()?)
}

async fn unsealed(database: &DatabaseConnection, organization: &str) -> Result<(u64, Option<DateTime<Utc>>), Failed> {
    let sql = "SELECT count(*) AS records FROM audit_record WHERE organization = $1 AND seal_number IS NULL";
    let counted = ask(database, sql, organization).await?;
    let counted: i64 = counted.map_or(Ok(0), |row| row.try_get("", "records"))?;
    let sql = "SELECT recorded_at FROM audit_record WHERE organization = $1 AND seal_number IS NULL \
               ORDER BY recorded_at LIMIT 1";
    let oldest = ask(database, sql, organization).await?;
    let oldest = oldest.map(|row| row.try_get("", "recorded_at")).transpose()?;
    Ok((counted.unsigned_abs(), oldest))
}

async fn ask(database: &DatabaseConnection, sql: &str, organization: &str) -> Result<Option<QueryResult>, Failed> {
    let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, [organization.into()]);
    Ok(database.query_one_raw(statement).await?)
}
