//! One walk along a chain: seals and records side by side, a page of each at a time.

use std::collections::VecDeque;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::{
    hash::{Hash, Seal, of_record, of_seal},
    record::{Place, Record},
    store::{self, Failed, SELECT},
    verify::{Anchor, Fault},
};

/// How many rows are read at once.
const PAGE: u64 = 1_000;
/// How many faults are told.
const TOLD: usize = 100;

/// The faults of a chain.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub first: Vec<Fault>,
    pub count: u64,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(fault);
        }
    }
}

/// A walk along the chain of an organization, up to a seal.
pub(crate) struct Walk<'a> {
    database: &'a DatabaseConnection,
    organization: &'a str,
    last: i64,
    anchors: &'a [&'a Anchor],
    /// Records that were read and not looked at.
    page: VecDeque<(Record, Place)>,
    /// Where the next page begins; none behind the last one.
    after: Option<(i64, i32)>,
    records: u64,
    faults: Faults,
    /// The hash that the next record follows from; none where what was there is gone.
    hash: Option<Hash>,
}

impl<'a> Walk<'a> {
    pub fn new(database: &'a DatabaseConnection, organization: &'a str, last: i64, anchors: &'a [&'a Anchor]) -> Self {
        Self {
            database,
            organization,
            last,
            anchors,
            page: VecDeque::new(),
            after: Some((i64::MIN, i32::MIN)),
            records: 0,
            faults: Faults::default(),
            hash: Some(Hash::GENESIS),
        }
    }

    /// How many records there are, and what is wrong.
    pub fn end(self) -> (u64, Faults) {
        (self.records, self.faults)
    }

    pub async fn run(&mut self) -> Result<(), Failed> {
        let mut number = 0;
        loop {
            let seals = store::seals(self.database, self.organization, number, PAGE).await?;
            if seals.is_empty() {
                return Ok(());
            }
            for seal in seals {
                if seal.number > self.last {
                    return Ok(());
                }
                if seal.number > number + 1 {
                    self.faults.add(Fault::SealsMissing {
                        from: number + 1,
                        to: seal.number - 1,
                    });
                    self.hash = None;
                }
                number = seal.number;
                self.seal(&seal).await?;
            }
        }
    }

    async fn seal(&mut self, seal: &Seal) -> Result<(), Failed> {
        let mut expected = 1;
        while let Some((record, at)) = self.next_up_to(seal.number).await? {
            self.records += 1;
            if at.seal < seal.number || at.place < 1 || at.place > seal.records {
                // Those of a missing seal were told of with it.
                if at.seal == seal.number {
                    let (seal, place, id) = (at.seal, at.place, record.id);
                    self.faults.add(Fault::RecordAdded { seal, place, id });
                }
                continue;
            }
            self.expect(seal, expected, at.place - 1);
            self.follow(&record, at);
            expected = at.place + 1;
        }
        self.expect(seal, expected, seal.records);
        self.close(seal);
        Ok(())
    }

    /// Notes that records are missing, if there is a place from the one to the other.
    fn expect(&mut self, seal: &Seal, from: i32, to: i32) {
        if from <= to {
            let seal = seal.number;
            self.faults.add(Fault::RecordsMissing { seal, from, to });
            self.hash = None;
        }
    }

    fn follow(&mut self, record: &Record, at: Place) {
        if self.hash.is_some_and(|before| of_record(before, record) != at.hash) {
            self.faults.add(Fault::RecordChanged {
                seal: at.seal,
                place: at.place,
                id: record.id,
                recorded_at: record.recorded_at,
            });
        }
        // From here on the chain is followed as it is stored, so that one change is not told of as many.
        self.hash = Some(at.hash);
    }

    fn close(&mut self, seal: &Seal) {
        let Seal {
            organization,
            number,
            sealed_at,
            records,
            head,
        } = seal;
        let follows = |last: Hash| of_seal(last, organization, *number, *sealed_at, *records) == *head;
        if self.hash.is_some_and(|last| !follows(last)) {
            self.faults.add(Fault::SealChanged { number: *number });
        }
        let mut anchors = self.anchors.iter().filter(|anchor| anchor.number == *number);
        if anchors.any(|anchor| anchor.head != *head) {
            self.faults.add(Fault::AnchorMissed { number: *number });
        }
        self.hash = Some(*head);
    }

    /// The next record in the order of the chain, unless it is of a later seal.
    async fn next_up_to(&mut self, seal: i64) -> Result<Option<(Record, Place)>, Failed> {
        if self.page.is_empty() {
            self.read().await?;
        }
        let is_next = self.page.front().is_some_and(|(_, at)| at.seal <= seal);
        Ok(if is_next { self.page.pop_front() } else { None })
    }

    async fn read(&mut self) -> Result<(), Failed> {
        let Some((seal, place)) = self.after else {
            return Ok(());
        };
        let sql = format!(
            "{SELECT} WHERE organization = $1 AND seal_number IS NOT NULL AND (seal_number, seal_place) > ($2, $3) \
             AND seal_number <= $4 ORDER BY seal_number, seal_place LIMIT {PAGE}"
        );
        let values = [self.organization.into(), seal.into(), place.into(), self.last.into()];
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), sql, values);
        for row in self.database.query_all_raw(statement).await? {
            let kept = store::kept(&row)?;
            self.page.extend(kept.sealed.map(|at| (kept.record, at)));
        }
        self.after = self.page.back().map(|(_, at)| (at.seal, at.place));
        Ok(())
    }
}
