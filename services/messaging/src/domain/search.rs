//! What is looked for, and where it was found (I5).

use std::fmt;

use carepost_folding::{Folded, fold_query, is_dropped};
use carepost_identity::PersonId;

use super::{Conversation, Regarding};

/// The least characters of a query, once folded.
const LEAST: usize = 3;
/// The most characters of a query, once folded.
const MOST: usize = 200;
/// The most characters of a snippet.
const SNIPPET: usize = 160;
/// How many of them are before the match, if the text has as many.
const LEAD: usize = 40;

/// What to look for, folded. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchQuery(String);

/// Why a text cannot be looked for. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// Too little to look for.
    #[error("must have at least {LEAST} characters, marks and spaces around it not counted")]
    TooShort,
    /// More than anybody types.
    #[error("must have at most {MOST} characters")]
    TooLong,
}

impl SearchQuery {
    /// Parses a query.
    ///
    /// # Errors
    /// If it has fewer than 3 or more than 200 characters after folding, without spaces around it.
    pub fn parse(text: &str) -> Result<Self, QueryFault> {
        let folded = fold_query(text);
        match folded.chars().count() {
            ..LEAST => Err(QueryFault::TooShort),
            LEAST..=MOST => Ok(Self(folded)),
            _ => Err(QueryFault::TooLong),
        }
    }

    /// What is looked for in folded text.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SearchQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SearchQuery(…)")
    }
}

/// What a snippet is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnippetSource {
    /// The body of the message with this sequence.
    Body(i64),
    /// The subject.
    Subject,
    /// The name of this participant.
    ParticipantName(PersonId),
    /// The name of the patient.
    PatientName,
}

/// Where a text was found. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Snippet {
    /// What it is a part of.
    pub source: SnippetSource,
    /// The text around the match on one line, at most 160 characters.
    pub text: String,
    /// Where the match begins in it, in characters.
    pub match_start: usize,
    /// How many characters the match has.
    pub match_length: usize,
}

impl fmt::Debug for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snippet")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Snippet {
    /// Where a query was found in a conversation: in the newest body that has it, which is given with its sequence, else in the
    /// subject, else in a name. `None` if it is in none of them.
    #[must_use]
    pub fn of(query: &SearchQuery, conversation: &Conversation, body: Option<(i64, &str)>) -> Option<Self> {
        let body = body.map(|(sequence, body)| (SnippetSource::Body(sequence), body));
        let subject = (SnippetSource::Subject, conversation.subject.as_str());
        let names = conversation.participants.iter().map(|party| {
            let source = SnippetSource::ParticipantName(party.person.clone());
            (source, party.display_name.as_str())
        });
        let patient = |regarding: &Regarding| regarding.patient_name.clone();
        let patient = conversation.regarding.as_ref().map(patient);
        let patient = patient.iter().map(|name| (SnippetSource::PatientName, name.as_str()));
        let mut places = body.into_iter().chain([subject]).chain(names).chain(patient);
        places.find_map(|(source, text)| Self::around(query, source, text))
    }

    fn around(query: &SearchQuery, source: SnippetSource, text: &str) -> Option<Self> {
        let line = one_line(text);
        let found = Folded::of(&String::from_iter(&line)).find(query.folded())?;
        let (mut from, mut to) = window(line.len(), found.start);
        // A mark is not torn from its letter.
        while from > 0 && from < found.start && line.get(from).copied().is_some_and(is_dropped) {
            from += 1;
        }
        while to > found.start + 1 && line.get(to).copied().is_some_and(is_dropped) {
            to -= 1;
        }
        let before = if from > 0 { "…" } else { "" };
        let after = if to < line.len() { "…" } else { "" };
        let shown = String::from_iter(line.get(from..to)?);
        Some(Self {
            source,
            text: format!("{before}{shown}{after}"),
            match_start: found.start - from + before.chars().count(),
            match_length: found.end.min(to) - found.start,
        })
    }
}

/// The characters of a text on one line: each run of white space is one space.
fn one_line(text: &str) -> Vec<char> {
    let mut line: Vec<char> = Vec::with_capacity(text.len().min(10_000));
    for character in text.trim().chars() {
        let character = if character.is_whitespace() { ' ' } else { character };
        if character != ' ' || line.last() != Some(&' ') {
            line.push(character);
        }
    }
    line
}

/// What to show of a line with this many characters, given where the match begins: what fits beside an ellipsis at each end where
/// something is left out.
fn window(length: usize, found: usize) -> (usize, usize) {
    if length <= SNIPPET {
        return (0, length);
    }
    let from = found.saturating_sub(LEAD).min(length - (SNIPPET - 1));
    if from <= 1 {
        return (0, SNIPPET - 1);
    }
    let to = from + SNIPPET - 1;
    if to >= length { (from, length) } else { (from, to - 1) }
}

#[cfg(test)]
mod tests;
