//! The rule of versions.

use proptest::prelude::*;

use super::*;

const SAME: u8 = 1;
const OTHER: u8 = 2;

fn decide(stored: Option<(i64, i64)>, incoming: i64, content: u8) -> Result<Written, WriteRefusal> {
    let stored = stored.map(|(emr, imports)| Stored {
        version: StoredVersion { emr, imports },
        digest: Digest::stored(&[SAME; 32]),
        deleted: false,
    });
    admit(stored, EmrVersion::parse(incoming).ok(), Digest::stored(&[content; 32]))
}

fn written(change: Change, emr: i64, imports: i64) -> Result<Written, WriteRefusal> {
    let version = StoredVersion { emr, imports };
    Ok(Written {
        change,
        version,
        restored: false,
    })
}

#[test]
fn a_new_record_is_added() {
    assert_eq!(decide(None, 5, SAME), written(Change::Added, 5, 0));
    assert_eq!(decide(None, 0, SAME), written(Change::Added, 0, 0));
}

#[test]
fn an_older_version_never_overwrites_a_newer_one() {
    let stored = StoredVersion { emr: 5, imports: 2 };
    for content in [SAME, OTHER] {
        assert_eq!(decide(Some((5, 2)), 4, content), Err(WriteRefusal::Outdated(stored)));
    }
}

#[test]
fn a_higher_version_always_wins_and_forgets_the_imports() {
    for content in [SAME, OTHER] {
        assert_eq!(decide(Some((5, 2)), 6, content), written(Change::Changed, 6, 0));
        assert_eq!(decide(Some((0, 9)), 1, content), written(Change::Changed, 1, 0));
    }
}

#[test]
fn the_same_version_is_the_same_record_or_a_conflict() {
    let stored = StoredVersion { emr: 5, imports: 2 };
    assert_eq!(decide(Some((5, 2)), 5, SAME), written(Change::Unchanged, 5, 2));
    assert_eq!(decide(Some((5, 2)), 5, OTHER), Err(WriteRefusal::Conflict(stored)));
}

#[test]
fn an_import_without_versions_counts_only_what_differs() {
    assert_eq!(decide(Some((5, 2)), 0, SAME), written(Change::Unchanged, 5, 2));
    assert_eq!(decide(Some((5, 2)), 0, OTHER), written(Change::Changed, 5, 3));
}

fn tombstone(emr: i64, imports: i64) -> Option<Stored> {
    Some(Stored {
        version: StoredVersion { emr, imports },
        digest: Digest::stored(&[SAME; 32]),
        deleted: true,
    })
}

fn restored(emr: i64, imports: i64) -> Result<Written, WriteRefusal> {
    let written = written(Change::Changed, emr, imports)?;
    Ok(Written {
        restored: true,
        ..written
    })
}

fn put(stored: Option<Stored>, version: i64, content: u8) -> Result<Written, WriteRefusal> {
    admit(stored, EmrVersion::parse(version).ok(), Digest::stored(&[content; 32]))
}

fn delete(stored: Option<Stored>, version: i64) -> Result<Written, WriteRefusal> {
    admit_deletion(stored, EmrVersion::parse(version).unwrap())
}

fn live(emr: i64, imports: i64) -> Option<Stored> {
    tombstone(emr, imports).map(|stored| Stored {
        deleted: false,
        ..stored
    })
}

#[test]
fn a_deletion_follows_the_rule_of_versions() {
    let (conflict, outdated) = (WriteRefusal::Conflict, WriteRefusal::Outdated);
    let five = StoredVersion { emr: 5, imports: 0 };
    assert_eq!(delete(None, 5), written(Change::Added, 5, 0));
    assert_eq!(delete(live(5, 3), 6), written(Change::Changed, 6, 0));
    assert_eq!(delete(live(5, 0), 5), Err(conflict(five)));
    assert_eq!(delete(live(5, 0), 4), Err(outdated(five)));
    assert_eq!(delete(tombstone(5, 0), 6), written(Change::Changed, 6, 0));
    assert_eq!(delete(tombstone(5, 0), 5), written(Change::Unchanged, 5, 0));
    assert_eq!(delete(tombstone(5, 0), 4), Err(outdated(five)));
}

#[test]
fn only_a_newer_record_comes_back_after_its_deletion() {
    let five = StoredVersion { emr: 5, imports: 0 };
    assert_eq!(put(tombstone(5, 0), 6, SAME), restored(6, 0));
    for content in [SAME, OTHER] {
        assert_eq!(put(tombstone(5, 0), 5, content), Err(WriteRefusal::Conflict(five)));
        assert_eq!(put(tombstone(5, 0), 4, content), Err(WriteRefusal::Outdated(five)));
        assert_eq!(put(tombstone(5, 0), 0, content), restored(5, 1));
    }
}

#[test]
fn what_only_a_file_lacked_comes_back_with_the_same_version() {
    let stored = StoredVersion { emr: 5, imports: 1 };
    assert_eq!(put(tombstone(5, 1), 5, SAME), restored(5, 2));
    assert_eq!(put(tombstone(5, 1), 5, OTHER), Err(WriteRefusal::Conflict(stored)));
}

/// Applies what came, as a store does.
fn apply(stored: Option<Stored>, (version, is_deletion): (i64, bool)) -> Option<Stored> {
    // What a version says never changes.
    let digest = Digest::stored(&[u8::try_from(version).unwrap(); 32]);
    let number = EmrVersion::parse(version).unwrap();
    let admitted = if is_deletion {
        admit_deletion(stored, number)
    } else {
        admit(stored, Some(number), digest)
    };
    match admitted {
        Ok(written) if written.change != Change::Unchanged => Some(Stored {
            version: written.version,
            digest: stored.filter(|_| is_deletion).map_or(digest, |stored| stored.digest),
            deleted: is_deletion,
        }),
        _ => stored,
    }
}

proptest! {
    #[test]
    fn any_order_and_repetition_ends_in_the_state_of_the_highest_version(
        deletions in prop::collection::vec(any::<bool>(), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        last in any::<prop::sample::Index>(),
    ) {
        let events: Vec<_> = (1..).zip(deletions).collect();
        let highest = *events.last().unwrap();
        let mut came: Vec<_> = order.iter().map(|place| *place.get(&events)).collect();
        came.insert(last.index(came.len() + 1), highest);
        let stored = came.into_iter().fold(None, apply).unwrap();
        prop_assert_eq!((stored.version.emr, stored.deleted), highest);
        if !stored.deleted {
            prop_assert_eq!(stored.digest, Digest::stored(&[u8::try_from(highest.0).unwrap(); 32]));
        }
    }
}

#[test]
fn d1_a_deletion_that_comes_again_holds_though_an_import_without_versions_brought_the_record_back() {
    let version = StoredVersion { emr: 6, imports: 1 };
    let revived = Stored {
        version,
        digest: Digest::stored(&[SAME; 32]),
        deleted: false,
    };
    let again = admit_deletion(Some(revived), EmrVersion::parse(6).unwrap());
    assert_eq!(again.unwrap().change, Change::Changed);
}
