//! Writes seeds: settings and brands, each only where none was ever set (S3). That somebody chose to have none counts as set.

use sea_orm::{DatabaseTransaction, Value};

use super::{
    Write, bulk,
    references::References,
    settings_history::{self, Kept},
    settings_rows::Setting,
    settings_update::{columns, row},
    write_entries::{Purpose, Unwritten, Verdict},
};
use crate::domain::{
    directory::{Brand, Messaging, Seed, SeedContent},
    version::{Change, StoredVersion, WriteRefusal, Written},
};

const VERSION: (&str, &[&str]) = (
    "setting_version",
    &["organization", "kind", "location", "version", "changed_at"],
);

/// A seed with its place, which is empty for the organization.
type Placed<'a, T> = (&'a str, &'a T);

/// Writes seeds of one kind.
pub(super) async fn write_seeds(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    seeds: &[&Seed],
) -> Result<Vec<Verdict>, Unwritten> {
    let mut messaging: Vec<Placed<'_, Messaging>> = Vec::new();
    let mut brands: Vec<Placed<'_, Brand>> = Vec::new();
    for seed in seeds {
        let place = seed.location.as_ref().map(|id| id.as_str()).unwrap_or_default();
        match &seed.content {
            SeedContent::Messaging(setting) => messaging.push((place, setting)),
            SeedContent::Brand(brand) => brands.push((place, brand)),
        }
    }
    let mut verdicts = of_kind(tx, write, purpose, &messaging).await?;
    verdicts.extend(of_kind(tx, write, purpose, &brands).await?);
    Ok(verdicts)
}

async fn of_kind<T: Setting>(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    seeds: &[Placed<'_, T>],
) -> Result<Vec<Verdict>, Unwritten> {
    let places: Vec<&str> = seeds.iter().map(|(place, _)| *place).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let locations: Vec<&str> = places.iter().copied().filter(|place| !place.is_empty()).collect();
    let references = References::lock(tx, write, purpose, &locations).await?;
    let organization = write.organization.as_str();
    let of_kind = format!("kind = '{}'", T::WORD);
    let mut set = bulk::existing(tx, VERSION.0, "location", &of_kind, organization, &places).await?;
    // A replica of a version that did not count versions yet may have written one.
    set.extend(bulk::existing(tx, T::TABLE, "location", "TRUE", organization, &places).await?);
    let mut new = Vec::new();
    let mut verdicts = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let location = Some(seed.0).filter(|place| !place.is_empty());
        let change = match references.missing(location) {
            Some(reference) => {
                verdicts.push(Err(WriteRefusal::ReferenceMissing(reference)));
                continue;
            }
            None if set.contains(seed.0) => Change::Unchanged,
            None => Change::Added,
        };
        if change == Change::Added {
            new.push(*seed);
        }
        let version = StoredVersion::default();
        verdicts.push(Ok(Written {
            change,
            version,
            restored: false,
        }));
    }
    if purpose == Purpose::Write {
        insert(tx, write, &new).await?;
    }
    Ok(verdicts)
}

async fn insert<T: Setting>(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    seeds: &[Placed<'_, T>],
) -> Result<(), Unwritten> {
    let versions: Vec<Vec<Value>> = seeds
        .iter()
        .map(|(place, _)| {
            vec![
                write.organization.as_str().into(),
                T::WORD.into(),
                (*place).into(),
                1_i64.into(),
                write.now.into(),
            ]
        })
        .collect();
    let tail = "ON CONFLICT (organization, kind, location) DO NOTHING";
    if bulk::insert(tx, VERSION.0, VERSION.1, &versions, tail).await? != seeds.len() as u64 {
        return Err(Unwritten::Raced);
    }
    let rows: Vec<_> = seeds.iter().map(|(place, seed)| row(write, place, *seed)).collect();
    let tail = "ON CONFLICT (organization, location) DO NOTHING";
    if bulk::insert(tx, T::TABLE, &columns::<T>(), &rows, tail).await? != seeds.len() as u64 {
        return Err(Unwritten::Raced);
    }
    let kept: Vec<_> = seeds
        .iter()
        .map(|(place, seed)| Kept {
            location: place,
            before: None,
            after: Some(*seed),
            seed: true,
        })
        .collect();
    settings_history::keep(tx, write, &kept).await?;
    Ok(())
}
