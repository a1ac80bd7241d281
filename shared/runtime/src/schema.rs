//! Whether a database and a program fit together, by the names of the migrations that each of them has.
//!
//! During an upgrade, and after one that is taken back, pods of an older version run on a database that a newer one has
//! migrated. They may, as long as every migration that they do not know only added what they need not look at. So each
//! migration says in its name which kind it is: `m0009_expand_WHAT` or `m0009_contract_WHAT`. The name is what the database
//! keeps of a migration, so an older program can read there what it could not know.

use std::collections::BTreeSet;

/// What a program finds in its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It has just what this program knows.
    Same,
    /// It lacks this many migrations of this program, and has none that are not known here.
    Older(usize),
    /// A newer version has added this many things that this program need not know.
    Expanded(usize),
    /// It has this many migrations that are not known here, and this program cannot work with all of them.
    Newer(usize),
}

/// Compares the migrations that a database has with those that this program knows.
pub(crate) fn compare(applied: &BTreeSet<String>, known: &BTreeSet<String>) -> Schema {
    let lacking = known.difference(applied).count();
    let unknown: Vec<_> = applied.difference(known).collect();
    match (lacking, unknown.len()) {
        (0, 0) => Schema::Same,
        (_, 0) => Schema::Older(lacking),
        (0, more) if unknown.iter().all(|name| expands(name)) => Schema::Expanded(more),
        (_, more) => Schema::Newer(more),
    }
}

/// Whether a migration only adds what a program that does not know it can leave alone. One that does not say so does not.
fn expands(name: &str) -> bool {
    let Some(("m", number_and_kind)) = name.split_at_checked(1) else {
        return false;
    };
    let Some((number, kind)) = number_and_kind.split_once('_') else {
        return false;
    };
    number.len() == 4 && number.bytes().all(|digit| digit.is_ascii_digit()) && kind.starts_with("expand_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn only_a_database_that_lacks_nothing_and_has_only_expansions_more_can_be_worked_with() {
        let known = names(&["m0001_begin", "m0002_expand_names"]);
        let with = |more: &[&str]| {
            let mut applied = known.clone();
            applied.extend(names(more));
            compare(&applied, &known)
        };
        assert_eq!(with(&[]), Schema::Same);
        assert_eq!(with(&["m0003_expand_phone"]), Schema::Expanded(1));
        assert_eq!(with(&["m0003_expand_phone", "m0004_expand_fax"]), Schema::Expanded(2));
        assert_eq!(with(&["m0003_expand_phone", "m0004_contract_names"]), Schema::Newer(2));
        for unmarked in [
            "m0003_phone",
            "m0003_contract_expand_phone",
            "expand_phone",
            "m3_expand_phone",
            "m",
            "",
            "é",
        ] {
            assert_eq!(with(&[unmarked]), Schema::Newer(1), "{unmarked}");
        }
        assert_eq!(compare(&names(&[]), &known), Schema::Older(2));
        assert_eq!(compare(&names(&["m0001_begin"]), &known), Schema::Older(1));
        let other = names(&["m0001_begin", "m0003_expand_phone"]);
        assert_eq!(
            compare(&other, &known),
            Schema::Newer(1),
            "it was never a database of this version"
        );
    }
}
