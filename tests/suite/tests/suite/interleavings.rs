//! A revocation that was acknowledged before a send began is always seen by it (D2), whichever process took the one and
//! whichever is asked by the other: two eligibility processes on one PostgreSQL, and two messaging processes that ask one each.
//!
//! Care relationships that have nothing to do with each other are revoked and restored at random, while sends and questions go
//! on. Each is held against what was acknowledged when it began, if nothing more began until it ended; else it may come out
//! either way.
//!
//! Who revokes or restores tries the very same thing right before and right after, through both processes, and mostly while
//! everybody else holds still: so whoever keeps an answer, or the facts of one, for a few hundredths of a second is caught at
//! nearly every change.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use carepost_suite::process::Service;
use futures::future::join_all;
use tokio::sync::{RwLock, watch};

use crate::{
    dice::Dice,
    hospital::{Hospital, chart, portal_user, staff},
    interleavings_replica::{Replica, redirected},
    interleavings_world::{KINDS, Probe, Relationship, World},
};

const SEED: u64 = 20_261_123;
/// Care relationships.
const LANES: usize = 4;
/// Interleavings of each: 10,000 in all.
const EACH: usize = 2_500;
/// Who asks and sends in each at the same time, beside the one who revokes and restores.
const ACTORS: usize = 2;
/// How many of a hundred are sends; the others are questions.
const SENDS: u64 = 20;
/// How many interleavings one state lasts for, at most.
const LASTS: usize = 8;
/// How many of a hundred changes come while everybody else holds still; the others while sends and questions go on.
const STILL: u64 = 60;
/// What is kept for so long is to be caught.
const KEPT: Duration = Duration::from_millis(30);

/// A care relationship, and where its changes are.
struct Lane {
    relationship: Relationship,
    /// 1 more when a change begins, and 1 more when it is acknowledged: open, revoking, revoked, restoring, open again.
    phase: AtomicUsize,
    done: watch::Sender<usize>,
}

/// What an interleaving is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Must {
    Accept,
    Refuse,
    Either,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// By whether it was a send.
    counts: BTreeMap<(bool, Must), usize>,
    /// By kind of revocation and the process that took it.
    changes: BTreeMap<(usize, usize), usize>,
    /// How many changes were so short, with what was tried before and after, that what is kept is caught.
    tight: usize,
    stale: Vec<String>,
}

struct Run {
    world: World,
    /// Held by all who do something; alone by who has the others hold still.
    going: RwLock<()>,
    seen: Mutex<Seen>,
}

impl Lane {
    fn new(relationship: Relationship) -> Self {
        Self {
            relationship,
            phase: AtomicUsize::new(0),
            done: watch::Sender::new(0),
        }
    }

    fn is_done(&self) -> bool {
        *self.done.borrow() >= EACH
    }

    /// Waits until so many more interleavings are over, or all.
    async fn more(&self, count: usize) {
        let target = (*self.done.borrow() + count).min(EACH);
        self.done.subscribe().wait_for(|done| *done >= target).await.unwrap();
    }
}

impl Run {
    /// One send or question, and whether it was as it had to be.
    async fn interleave(&self, lane: &Lane, probe: Probe) {
        let began = lane.phase.load(Ordering::SeqCst);
        let allowed = self.world.attempt(&lane.relationship, probe).await;
        let ended = lane.phase.load(Ordering::SeqCst);
        let must = match began % 4 {
            0 if began == ended => Must::Accept,
            2 if began == ended => Must::Refuse,
            _ => Must::Either,
        };
        let mut seen = self.seen.lock().unwrap();
        *seen.counts.entry((probe.is_send, must)).or_default() += 1;
        if matches!((must, allowed), (Must::Accept, false) | (Must::Refuse, true)) {
            let name = &lane.relationship.staff;
            seen.stale
                .push(format!("{probe:?}, {name}, phase {began}: {must:?}, seed {SEED}"));
        }
        lane.done.send_modify(|done| *done += 1);
    }

    async fn act(&self, lane: &Lane, mut dice: Dice) {
        while !lane.is_done() {
            let _going = self.going.read().await;
            self.interleave(lane, Probe::any(&mut dice, SENDS)).await;
        }
    }

    /// The same through both processes at once.
    async fn through_each(&self, lane: &Lane, probe: Probe) {
        join_all(probe.through_each().map(|probe| self.interleave(lane, probe))).await;
    }

    /// Revokes and restores, each time in another way and through any process.
    async fn change(&self, lane: &Lane, mut dice: Dice) {
        let mut version = 1_000;
        while !lane.is_done() {
            let kind = dice.below(KINDS.len());
            for revoked in [true, false] {
                version += 1;
                if dice.percent(STILL) {
                    let _alone = self.going.write().await;
                    self.change_once(lane, &mut dice, (kind, revoked, version)).await;
                } else {
                    let _going = self.going.read().await;
                    self.change_once(lane, &mut dice, (kind, revoked, version)).await;
                }
                lane.more(dice.below(LASTS)).await;
            }
        }
    }

    async fn change_once(&self, lane: &Lane, dice: &mut Dice, (kind, revoked, version): (usize, bool, i64)) {
        let (probe, through) = (Probe::any(dice, SENDS), dice.below(2));
        let of = &lane.relationship;
        let started = Instant::now();
        self.through_each(lane, probe).await;
        lane.phase.fetch_add(1, Ordering::SeqCst);
        self.world.change(of, KINDS[kind], revoked, through, version).await;
        lane.phase.fetch_add(1, Ordering::SeqCst);
        self.through_each(lane, probe).await;
        self.note(kind, through, started.elapsed());
    }

    fn note(&self, kind: usize, through: usize, took: Duration) {
        let mut seen = self.seen.lock().unwrap();
        *seen.changes.entry((kind, through)).or_default() += 1;
        seen.tight += usize::from(took < KEPT);
    }
}

/// A hospital with care relationships, each at a location of its own.
async fn hospital() -> (Hospital, Vec<Lane>) {
    let locations: Vec<_> = (0..LANES).map(|lane| format!("l{lane}")).collect();
    let names: Vec<_> = locations.iter().map(String::as_str).collect();
    let mut hospital = Hospital::start("interleavings", &names).await;
    // Nobody reads the emails here.
    hospital.suite.kill(Service::Notification);
    let mut lanes = Vec::new();
    for (lane, location) in locations.iter().enumerate() {
        let [staff_id, user_id, chart_id] = ["s", "u", "c"].map(|kind| format!("{kind}{lane}"));
        hospital.put_staff(staff(&staff_id, &[location])).await;
        hospital.put_chart(chart(&chart_id, location, &[&staff_id])).await;
        hospital.put_portal_user(portal_user(&user_id, &[&chart_id])).await;
        let mut relationship = Relationship {
            staff: staff_id,
            portal_user: user_id,
            chart: chart_id,
            location: location.clone(),
            conversation: String::new(),
        };
        let [from, to] = relationship.people();
        let begun = hospital.begin(&from, &[&to], Some(&relationship.chart)).await;
        relationship.conversation = begun.unwrap();
        lanes.push(Lane::new(relationship));
    }
    (hospital, lanes)
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_no_send_is_stale_in_ten_thousand_interleavings_with_two_eligibility_processes() {
    let (hospital, lanes) = hospital().await;
    let suite = &hospital.suite;
    let eligibility = Replica::start(suite, Service::Eligibility, |text| text).await;
    let first = suite.address(Service::Eligibility);
    let messaging = Replica::start(suite, Service::Messaging, |text| {
        redirected(&text, first, eligibility.address)
    })
    .await;
    let run = Run {
        world: World::new(
            suite,
            [first, eligibility.address],
            [suite.address(Service::Messaging), messaging.address],
            lanes.iter().flat_map(|lane| lane.relationship.people()),
        ),
        going: RwLock::default(),
        seen: Mutex::default(),
    };
    let dice = |lane: usize, actor: usize| Dice(SEED + (lane * 100 + actor) as u64);
    let all = lanes.iter().enumerate().map(async |(number, lane)| {
        let actors = (0..ACTORS).map(|actor| run.act(lane, dice(number, actor)));
        tokio::join!(run.change(lane, dice(number, ACTORS)), join_all(actors));
    });
    join_all(all).await;

    let seen = run.seen.into_inner().unwrap();
    assert!(
        seen.stale.is_empty(),
        "{} of {:?} are stale: {:#?}\n{}",
        seen.stale.len(),
        seen.counts,
        &seen.stale[..seen.stale.len().min(20)],
        suite.logs().lines().rev().take(20).collect::<Vec<_>>().join("\n")
    );
    // It could have failed: enough of each were decided, and enough came while something changed.
    let total: usize = seen.counts.values().sum();
    let changes: usize = seen.changes.values().sum();
    eprintln!(
        "{total} interleavings: {:?}; {changes} changes: {:?}, {} of them tight",
        seen.counts, seen.changes, seen.tight
    );
    assert!(total >= LANES * EACH, "{total}");
    for (is_send, least) in [(false, 1_000), (true, 400)] {
        for must in [Must::Accept, Must::Refuse] {
            let count = seen.counts.get(&(is_send, must)).copied().unwrap_or_default();
            assert!(count >= least, "{:?}", seen.counts);
        }
        assert!(seen.counts[&(is_send, Must::Either)] >= least / 4, "{:?}", seen.counts);
    }
    assert_eq!(seen.changes.len(), 2 * KINDS.len(), "every kind through either process");
    assert!(
        seen.tight >= 20,
        "{} of {changes} changes were short enough to catch what is kept",
        seen.tight
    );
}
