//! One group of an import, in one transaction: what came before in the stream is told apart, the rest is written, or, where the
//! import only plans, compared.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use carepost_runtime::database::begin;
use sea_orm::DatabaseTransaction;

use super::{
    ImportRun, Store, StoreError, Write,
    import_run::{note_referred, number, see},
    write_entries::{Purpose, TRIES, Unwritten, Verdict, changes, plan_each_statement, write_in},
};
use crate::domain::directory::{Entry, Item, Record, RecordKind, in_writing_order};

/// What became of an item of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was refused before it came here.
    Unreadable,
    /// The same record came earlier in the stream.
    Duplicate,
    /// It was decided.
    Decided(Verdict),
}

impl Store {
    /// Writes a group of an import, or says what would become of it. The fates are in the order of the items.
    ///
    /// # Errors
    /// If another import has taken over, or the database fails. Then nothing of the group was written, or, if the connection
    /// broke at the very end, all of it: the stream can be sent again.
    pub async fn import_group(
        &self,
        write: Write<'_>,
        run: &mut ImportRun,
        items: &[Item],
    ) -> Result<Vec<Fate>, StoreError> {
        for _ in 0..TRIES {
            match self.try_to_import(write, run, items).await {
                Ok((fates, seen)) => {
                    run.seen += seen;
                    return Ok(fates);
                }
                Err(Unwritten::Raced) => {}
                Err(Unwritten::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended)
    }

    async fn try_to_import(
        &self,
        write: Write<'_>,
        run: &ImportRun,
        items: &[Item],
    ) -> Result<(Vec<Fate>, i64), Unwritten> {
        let tx = begin(&self.database).await?;
        plan_each_statement(&tx).await?;
        run.renew_in(&*tx).await?;
        let (doubled, mut seen) = doubled(&tx, write, items).await?;
        let order: Vec<(usize, &Entry)> = in_writing_order(items)
            .into_iter()
            .filter(|(place, _)| !doubled.contains(place))
            .collect();
        let entries: Vec<&Entry> = order.iter().map(|(_, entry)| *entry).collect();
        let verdicts = write_in(&tx, write, run.purpose, &entries).await?;
        let by_place: BTreeMap<usize, Verdict> = order.iter().map(|(place, _)| *place).zip(verdicts.clone()).collect();
        seen += refer(&tx, write, items, &doubled, &by_place).await?;
        match run.purpose {
            Purpose::Write => self.commit(tx, write, changes(&entries, &verdicts)).await?,
            Purpose::Plan => tx.commit().await?,
        }
        let fate = |place| match by_place.get(&place) {
            _ if doubled.contains(&place) => Fate::Duplicate,
            Some(verdict) => Fate::Decided(*verdict),
            None => Fate::Unreadable,
        };
        Ok(((0..items.len()).map(fate).collect(), seen))
    }
}

/// The places of items whose record came before, in the group or in the stream; and how many did not.
async fn doubled(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    items: &[Item],
) -> Result<(BTreeSet<usize>, i64), StoreError> {
    let mut first: BTreeMap<(i16, &str), usize> = BTreeMap::new();
    let mut doubled = BTreeSet::new();
    for (place, item) in items.iter().enumerate() {
        let Some((kind, id)) = item.named() else { continue };
        let mark = (number(kind), id);
        match first.entry(mark) {
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(place)),
            btree_map::Entry::Occupied(_) => drop(doubled.insert(place)),
        }
    }
    let new = see(tx, write, &first.keys().copied().collect()).await?;
    let not_new = first
        .into_iter()
        .filter(|((kind, id), _)| !new.contains(&(*kind, (*id).to_owned())));
    doubled.extend(not_new.map(|(_, place)| place));
    Ok((doubled, i64::try_from(new.len()).unwrap_or(i64::MAX)))
}

/// Notes where the charts of the group are, once it is written: their locations stay.
async fn refer(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    items: &[Item],
    doubled: &BTreeSet<usize>,
    verdicts: &BTreeMap<usize, Verdict>,
) -> Result<i64, StoreError> {
    let mut let_in = BTreeSet::new();
    let mut refused = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let Some((RecordKind::Chart, id)) = item.named() else {
            continue;
        };
        if doubled.contains(&place) {
            continue;
        }
        match (&item.entry, verdicts.get(&place)) {
            (Ok(Entry::Record(incoming)), Some(Ok(_))) => {
                if let Record::Chart(chart) = &incoming.record {
                    let_in.insert(chart.location.as_str());
                }
            }
            _ => refused.push(id),
        }
    }
    note_referred(tx, write, let_in, &refused).await
}
