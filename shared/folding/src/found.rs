//! From a place in a folded text back to the text.

use std::ops::Range;

/// A folded text that knows where each of its characters is from.
#[derive(Clone)]
pub struct Folded {
    text: String,
    /// For each character of the folded text, the place of its origin, in characters.
    origins: Vec<usize>,
    /// For each character of the text, whether it was dropped.
    dropped: Vec<bool>,
}

impl Folded {
    /// Folds a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len()),
            dropped: text.chars().map(is_dropped).collect(),
        };
        crate::each(text, |character, place| {
            folded.text.push(character);
            folded.origins.push(place);
        });
        folded
    }

    /// The folded text: what [`crate::fold`] gives.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first place of a folded query in the text that was folded, counted in characters of that text. Whole characters
    /// with their marks: of `œ` or of a syllable of Hangul, a part cannot be marked. An empty query is nowhere.
    #[must_use]
    pub fn find(&self, query: &str) -> Option<Range<usize>> {
        let length = query.chars().count();
        let first = self.text.get(..self.text.find(query)?)?.chars().count();
        let start = *self.origins.get(first)?;
        let last = *self.origins.get((first + length).checked_sub(1)?)?;
        let marks = self.dropped.iter().skip(last + 1).take_while(|dropped| **dropped);
        (length > 0).then(|| start..last + 1 + marks.count())
    }
}

/// Whether nothing is left of a character when it is folded: it is a mark or invisible, and belongs to what is before it.
#[must_use]
pub fn is_dropped(character: char) -> bool {
    let mut nothing = true;
    crate::parts(character, |_| nothing = false);
    nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fold, fold_query};
    use proptest::prelude::*;

    fn found(text: &str, query: &str) -> Option<String> {
        let range = Folded::of(text).find(&fold_query(query))?;
        Some(text.chars().skip(range.start).take(range.len()).collect())
    }

    #[test]
    fn a_match_is_told_in_characters_of_the_text() {
        for (text, query, matched) in [
            ("Dr. Łukasz Ångström", "lukasz ang", "Łukasz Ång"),
            ("cafe\u{301}!", "CAFÉ", "cafe\u{301}"),
            ("Cœur", "oeu", "œu"),
            ("Cœur", "eur", "œur"),
            ("a \n\t b", "a b", "a \n\t b"),
            ("x 👩\u{200d}⚕\u{fe0f} y", "👩⚕", "👩\u{200d}⚕\u{fe0f}"),
            ("대한민국", "하", "한"),
            ("50% off", "50%", "50%"),
        ] {
            assert_eq!(found(text, query).as_deref(), Some(matched), "{query}");
        }
        assert_eq!(found("text", "nothing"), None);
        assert_eq!(found("text", ""), None);
        assert_eq!(found("", "a"), None);
    }

    proptest! {
        #[test]
        fn what_is_found_is_the_query(before in ".{0,9}", query in ".{1,9}", after in ".{0,9}") {
            let text = format!("{before}{query}{after}");
            let folded = Folded::of(&text);
            prop_assert_eq!(folded.text(), fold(&text));
            let query = fold_query(&query);
            match found(&text, &query) {
                Some(matched) => prop_assert!(fold(&matched).contains(&query)),
                None => prop_assert_eq!(query, ""),
            }
        }
    }
}
