//! A comment of the protos as paragraphs, with links to what it names.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;

/// Paragraphs.
#[derive(Template)]
#[template(path = "prose.html")]
pub(super) struct Prose {
    paragraphs: Vec<Vec<Piece>>,
}

/// A part of a paragraph.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    code: bool,
    target: Option<String>,
}

/// Everything that can be linked to: by what it is called, the ids that it may be.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, BTreeSet<String>>);

impl Names {
    /// Something of a package, by its path in it: its id is both together. An alias is another name for it.
    pub(super) fn add(&mut self, package: &str, path: &str, alias: Option<&str>) {
        let id = format!("{package}.{path}");
        for name in [Some(id.as_str()), Some(path), alias].into_iter().flatten() {
            self.0.entry(name.to_owned()).or_default().insert(id.clone());
        }
    }

    /// What is meant by a name in this package: the only one that there is, else the package's own.
    pub(super) fn find(&self, package: &str, name: &str) -> Option<String> {
        let ids = self.0.get(name)?;
        let own = || {
            let mut own = ids.iter().filter(|id| id.starts_with(&format!("{package}.")));
            own.next().filter(|_| own.next().is_none())
        };
        let only = ids.first().filter(|_| ids.len() == 1);
        only.or_else(own).cloned()
    }

    /// A comment of this package.
    pub(super) fn prose(&self, package: &str, comment: &str) -> Prose {
        let lines: Vec<_> = comment.lines().map(str::trim).collect();
        let paragraphs = lines.split(|line| line.is_empty());
        let paragraphs = paragraphs.filter(|lines| !lines.is_empty());
        let pieces = paragraphs.map(|lines| self.pieces(package, &lines.join(" ")));
        Prose {
            paragraphs: pieces.collect(),
        }
    }

    /// What stands between backticks is code; of what does not, each word that names something is a link.
    fn pieces(&self, package: &str, text: &str) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (place, part) in text.split('`').enumerate() {
            let code = place % 2 == 1;
            let words = if code { vec![part] } else { words(part) };
            for word in words {
                let is_name = code || word.chars().filter(char::is_ascii_uppercase).count() > 1;
                let target = self.find(package, word).filter(|_| is_name);
                match pieces.last_mut() {
                    Some(last) if !code && !last.code && last.target.is_none() && target.is_none() => last.text += word,
                    _ => pieces.push(Piece {
                        text: word.to_owned(),
                        code,
                        target,
                    }),
                }
            }
        }
        pieces.retain(|piece| !piece.text.is_empty());
        pieces
    }
}

/// The text in words that may be names, and what stands between them.
fn words(text: &str) -> Vec<&str> {
    let in_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest
            .find(|letter| in_name(letter) != in_name(first))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let name = word.trim_end_matches('.');
        words.extend([name, &word[name.len()..]].into_iter().filter(|part| !part.is_empty()));
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        for (package, rpc) in [
            ("a.v1", "MarkRead"),
            ("a.v1", "Reply"),
            ("a.v1", "GetOptions"),
            ("b.v1", "GetOptions"),
        ] {
            names.add(package, &format!("Service.{rpc}"), Some(rpc));
        }
        names
    }

    #[test]
    fn names_become_links_and_ordinary_words_do_not() {
        let html = names()
            .prose("a.v1", " See MarkRead. Reply with\n `Reply` if <b>\n\n else `x`")
            .to_string();
        let expected = "<p>See <a href=\"#a.v1.Service.MarkRead\">MarkRead</a>. Reply with \
                        <a href=\"#a.v1.Service.Reply\"><code>Reply</code></a> if &#60;b&#62;</p>\
                        <p>else <code>x</code></p>";
        assert_eq!(html, expected);
    }

    #[test]
    fn of_two_with_a_name_the_one_in_the_package_is_meant() {
        let find = |package| names().find(package, "GetOptions");
        assert_eq!(find("b.v1").as_deref(), Some("b.v1.Service.GetOptions"));
        assert_eq!(find("c.v1"), None);
    }
}
