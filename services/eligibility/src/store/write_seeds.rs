//! Writes seeds: settings and brands, each only where none was ever set (S3).

use std::collections::BTreeSet;

use sea_orm::{DatabaseTransaction, Value};

use super::{
    StoreError, Write, bulk,
    write_entries::{Unwritten, Verdict},
};
use crate::domain::{
    directory::{Seed, SeedContent},
    version::{Change, Reference, StoredVersion, WriteRefusal, Written},
};

const MESSAGING: (&str, &[&str]) = (
    "messaging_setting",
    &["organization", "location", "enabled", "audience", "updated_at"],
);
const BRAND: (&str, &[&str]) = (
    "brand",
    &[
        "organization",
        "location",
        "name",
        "logo_url",
        "phone",
        "neutral",
        "updated_at",
    ],
);

/// Writes seeds of one kind.
pub(super) async fn write_seeds(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    seeds: &[&Seed],
) -> Result<Vec<Verdict>, Unwritten> {
    let (table, columns) = match seeds.first().map(|seed| &seed.content) {
        None => return Ok(Vec::new()),
        Some(SeedContent::Messaging(_)) => MESSAGING,
        Some(SeedContent::Brand(_)) => BRAND,
    };
    let places: Vec<&str> = seeds.iter().map(|seed| place(seed)).collect();
    let missing = missing_places(tx, write, &places).await?;
    let organization = write.organization.as_str();
    let set = bulk::existing(tx, table, "location", "TRUE", organization, &places).await?;
    let mut new = Vec::new();
    let mut verdicts = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let change = match missing(place(seed)) {
            Some(reference) => {
                verdicts.push(Err(WriteRefusal::ReferenceMissing(reference)));
                continue;
            }
            None if set.contains(place(seed)) => Change::Unchanged,
            None => Change::Added,
        };
        if change == Change::Added {
            new.push(row(write, seed));
        }
        let version = StoredVersion::default();
        verdicts.push(Ok(Written { change, version }));
    }
    let tail = "ON CONFLICT (organization, location) DO NOTHING";
    if bulk::insert(tx, table, columns, &new, tail).await? == new.len() as u64 {
        Ok(verdicts)
    } else {
        Err(Unwritten::Raced)
    }
}

fn place(seed: &Seed) -> &str {
    seed.location.as_ref().map(|id| id.as_str()).unwrap_or_default()
}

async fn missing_places(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    places: &[&str],
) -> Result<impl Fn(&str) -> Option<Reference> + use<>, StoreError> {
    let organization = write.organization.as_str();
    let present = "deleted = FALSE";
    let found = bulk::existing(
        tx,
        "organization",
        "organization",
        present,
        organization,
        &[organization],
    )
    .await?;
    let locations: BTreeSet<String> = bulk::existing(tx, "location", "id", present, organization, places).await?;
    let no_organization = found.is_empty();
    Ok(move |place: &str| {
        if no_organization {
            Some(Reference::Organization)
        } else {
            (!place.is_empty() && !locations.contains(place)).then_some(Reference::Location)
        }
    })
}

fn row(write: Write<'_>, seed: &Seed) -> Vec<Value> {
    let mut row: Vec<Value> = vec![write.organization.as_str().into(), place(seed).into()];
    match &seed.content {
        SeedContent::Messaging(messaging) => {
            row.push(messaging.enabled().is_some().into());
            row.push(messaging.audience().map(|audience| audience.as_str()).into());
        }
        SeedContent::Brand(brand) => {
            row.push(brand.name.as_str().into());
            row.push(
                brand
                    .logo_url
                    .as_ref()
                    .map(|url| url.as_str())
                    .unwrap_or_default()
                    .into(),
            );
            row.push(
                brand
                    .phone
                    .as_ref()
                    .map(|phone| phone.as_str())
                    .unwrap_or_default()
                    .into(),
            );
            row.push(brand.neutral.into());
        }
    }
    row.push(write.now.into());
    row
}
