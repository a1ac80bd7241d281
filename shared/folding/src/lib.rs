//! Text without its case, accents and other differences that a search passes over.
//!
//! Texts are folded when they are written, queries when they are asked, and then compared bytewise: so the databases fold
//! nothing, and all of them mean the same.
//!
//! Folding goes character by character, and none depends on its neighbours: compatibility decomposition (NFKD), marks and
//! invisible characters dropped, case folded, and a table for letters that decompose into nothing (`ł`, `ø`, `ß`) and for
//! quotes and dashes of many shapes. Only white space looks around: a run of it is one space. Therefore
//!
//! - what is folded already stays as it is: `fold(fold(a)) == fold(a)`;
//! - if `a` contains `b`, cut anywhere between two characters, then `fold(a)` contains `fold(b)`, without exception.
//!
//! It is made to find too much rather than too little. All marks are dropped, those too that carry meaning: `й` is `и`, `が` is
//! `か`, and vowel signs of Indic scripts and Thai do not count. Syllables of Hangul are letters: `하` is found in `한`.
//! Traditional and simplified Chinese, and hiragana and katakana, stay different.
//!
//! A text with characters that Unicode has not assigned yet may fold differently in a later version; all others never do,
//! by the stability policies of Unicode.

mod found;
mod letter;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

pub use found::{Folded, is_dropped};

/// A text, folded. It has no control characters and no white space but single spaces; one may be at either end.
///
/// It is at most 18 times as many characters as the text.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    each(text, |character, _| folded.push(character));
    folded
}

/// A query, folded, without spaces around it. Its characters are what a least length of queries counts.
#[must_use]
pub fn fold_query(text: &str) -> String {
    fold(text).trim_matches(' ').to_owned()
}

/// Gives each character of the folded text, with the place in the text, counted in characters, of the one that it is of.
fn each(text: &str, mut take: impl FnMut(char, usize)) {
    let mut after_space = false;
    for (place, character) in text.chars().enumerate() {
        parts(character, |part| {
            if part != ' ' || !after_space {
                take(part, place);
            }
            after_space = part == ' ';
        });
    }
}

/// What one character becomes: a few, or none.
fn parts(character: char, mut take: impl FnMut(char)) {
    if character.is_ascii_alphanumeric() {
        return take(character.to_ascii_lowercase());
    }
    if character == '´' {
        // By itself an accent on a space, but typed for an apostrophe.
        return take('\'');
    }
    decompose_compatible(character, |part| {
        if part.is_whitespace() || part.is_control() {
            take(' ');
        } else if !is_combining_mark(part) && !letter::is_invisible(part) {
            // Upper case first: letters that have it in common (σ and ς, i and ı) are one then.
            for part in part.to_uppercase().flat_map(char::to_lowercase) {
                match letter::plain(part) {
                    Some(plain) => plain.chars().for_each(&mut take),
                    None => take(part),
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn case_and_accents_do_not_count() {
        for (one, other) in [
            ("Ångström", "ANGSTROM"),
            ("Zoë Núñez", "zoe nunez"),
            ("e\u{301}tude", "étude"),
            ("Łódź", "lodz"),
            ("Sørensen", "sorensen"),
            ("Straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("Đorđević", "dordevic"),
            ("Ærø", "aero"),
            ("Œuvre", "oeuvre"),
            ("İstanbul Ilgaz ılgaz", "istanbul ilgaz ilgaz"),
            ("ΣΊΣΥΦΟΣ", "σισυφος"),
            ("Ёлка", "ЕЛКА"),
            ("أَحْمَد", "احمد"),
            ("ﬁnger", "FINGER"),
            ("Ｆｕｌｌ", "full"),
            ("O’Brien – “x”", "o'brien - \"x\""),
            ("O´Brien", "O'Brien"),
            ("a\u{a0}\n\t b", "A B"),
            ("soft\u{ad}hyphen", "softhyphen"),
            ("❤\u{fe0f}", "❤"),
            ("½", "1/2"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        for text in ["100% _a\\b 'c'", "💊", "中文字", "ab"] {
            assert_eq!(fold(text), text);
        }
        assert_ne!(fold("漢"), fold("汉"));
        assert_ne!(fold("💊"), fold("💉"));
        assert_ne!(fold("n"), fold("m"));
    }

    #[test]
    fn a_query_without_anything_to_see_is_empty() {
        for text in [
            "",
            " \n\u{3000} ",
            "\u{301}\u{302}\u{303}",
            "\u{200b}\u{200d}\u{feff}",
            "\0\u{7}",
        ] {
            assert_eq!(fold_query(text), "", "{text:?}");
        }
        assert_eq!(fold_query("  a \u{301} b "), "a b");
    }

    #[test]
    fn every_character_is_folded_once_and_for_all() {
        for character in '\0'..=char::MAX {
            let once = fold(&character.to_string());
            assert_eq!(fold(&once), once, "{character:?}");
            assert!(once.chars().count() <= 18, "{character:?}");
            let clean = |c: char| !is_combining_mark(c) && !c.is_control() && (c == ' ' || !c.is_whitespace());
            assert!(once.chars().all(clean), "{character:?}");
            // The iota under a Greek vowel is a mark, but a letter in upper case.
            if character.nfkd().any(|part| part == '\u{345}') {
                continue;
            }
            let cased: String = character.to_lowercase().collect();
            assert_eq!(fold(&cased), once, "{character:?}");
            let cased: String = character.to_uppercase().collect();
            assert_eq!(fold(&cased), once, "{character:?}");
        }
    }

    /// Characters among which neighbours could matter.
    fn text() -> impl Strategy<Value = String> {
        let characters = prop_oneof![
            any::<char>(),
            prop::sample::select(
                " \n\u{301}\u{308}\u{200d}\u{fe0f}aAßẞłΣσςİıIiéがか한하ﷺ'’💊\u{a0}\u{b4}"
                    .chars()
                    .collect::<Vec<_>>()
            ),
        ];
        prop::collection::vec(characters, 0..24).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_so(text in text()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn a_part_is_found_in_the_whole(before in text(), part in text(), after in text()) {
            let whole = fold(&format!("{before}{part}{after}"));
            prop_assert!(whole.contains(&fold(&part)));
            prop_assert!(whole.contains(&fold_query(&part)));
        }
    }
}
