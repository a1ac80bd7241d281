//! What is written beside conversations and messages to find them again: the same for what a send writes, for what a renaming
//! rewrites, and for rows of before.

use std::collections::BTreeSet;

use carepost_folding::fold;
use sha2::{Digest as _, Sha256};

/// How many characters a participant's token has.
pub const TOKEN_LENGTH: usize = 16;

/// A participant, as the search columns name them: always of the same length, without characters that need escaping. Two may
/// have the same one, by an accident of one in 2⁶⁴: whose a conversation is, is never decided by it.
#[must_use]
pub fn token(organization: &str, person: &str) -> String {
    let digest = Sha256::new()
        .chain_update((organization.len() as u64).to_be_bytes())
        .chain_update(organization)
        .chain_update(person)
        .finalize();
    digest
        .iter()
        .take(TOKEN_LENGTH / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The tokens of all participants, a line for each.
#[must_use]
pub fn tokens<'a>(organization: &str, persons: impl Iterator<Item = &'a str>) -> String {
    let tokens: Vec<_> = persons.map(|person| token(organization, person)).collect();
    tokens.join("\n")
}

/// Every three characters in a row of a folded text of which one is neither letter, digit nor space: what `pg_trgm` does not know.
/// Those of a part of a text are among those of the text.
#[must_use]
pub fn with_symbols(folded: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in folded.split('\n') {
        let line: Vec<char> = line.chars().collect();
        let windows = line.windows(3).filter(|window| window.iter().copied().any(is_symbol));
        found.extend(windows.map(String::from_iter));
    }
    found
}

/// The same as they are stored beside the tokens: each after a line break.
#[must_use]
pub fn symbols(folded: &str) -> String {
    with_symbols(folded).iter().flat_map(|three| ["\n", three]).collect()
}

fn is_symbol(character: char) -> bool {
    character != ' ' && !character.is_alphanumeric()
}

/// What of a conversation can be found beside its bodies, folded: a line for each participant's name, for the patient's and for
/// the subject. A query has no line breaks, so it is found in one of them or in none.
#[must_use]
pub fn heading<'a>(names: impl Iterator<Item = &'a str>, patient: Option<&'a str>, subject: &'a str) -> String {
    let lines: Vec<_> = names.chain(patient).chain([subject]).map(fold).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_a_person_in_an_organization() {
        let tokens = [
            ("org", "staff/1"),
            ("org", "staff/2"),
            ("orgs", "taff/1"),
            ("other", "staff/1"),
        ]
        .map(|(organization, person)| token(organization, person));
        for (place, token) in tokens.iter().enumerate() {
            assert_eq!(token.len(), TOKEN_LENGTH);
            assert!(!tokens[..place].contains(token));
        }
        let two = super::tokens("org", ["staff/1", "staff/2"].into_iter());
        assert_eq!(two, format!("{}\n{}", tokens[0], tokens[1]));
    }

    #[test]
    fn symbols_are_known_with_their_neighbours() {
        assert_eq!(symbols("plain words"), "");
        assert_eq!(symbols("a-b c"), "\n-b \na-b");
        assert_eq!(symbols("💊💊💊💊"), "\n💊💊💊");
        assert_eq!(symbols("!?\n!? x"), "\n!? \n? x");
        let (whole, part) = (with_symbols("say (5/5), or 💊."), with_symbols("(5/5), o"));
        assert!(!part.is_empty() && part.is_subset(&whole));
    }

    #[test]
    fn a_heading_has_a_line_for_each_name_and_the_subject() {
        let names = ["Zoë", "Dr.\nNo"].into_iter();
        assert_eq!(heading(names, Some("Rocky"), "Visit"), "zoe\ndr. no\nrocky\nvisit");
        assert_eq!(heading([].into_iter(), None, ""), "");
    }
}
