//! How answers look: for people on a terminal, or as JSON for scripts.

use chrono::{DateTime, Local, Utc};
use prost_types::Timestamp;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::errors::Exit;

pub mod hex;

/// What a command has to say.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For scripts. Its shape is stable: fields are added, never renamed or removed.
    pub json: Value,
    /// Its exit code.
    pub exit: Exit,
}

impl Report {
    /// Of a command that did what it was asked.
    pub fn done(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            exit: Exit::Ok,
        }
    }
}

/// How a piece of text is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// What matters most.
    Bold,
    /// What matters least.
    Dim,
    /// Good.
    Green,
    /// Bad.
    Red,
    /// To be looked at.
    Yellow,
}

/// Marks text where that can be seen.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    /// The text, marked if this is a terminal.
    pub fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Red => "31",
            Style::Yellow => "33",
        };
        if !self.0 || code.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Rows with aligned columns.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with these heads and no rows yet.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, all in one style.
    pub fn row(&mut self, style: Style, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| (style, clean(&cell, usize::MAX)));
        self.rows.push(cells.collect());
    }

    /// The table as text.
    pub fn render(&self, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|(_, text)| text.width()).max().unwrap_or_default();
                widest.max(self.head.get(column).map_or(0, |head| head.width()))
            })
            .collect();
        let head: Vec<_> = self.head.iter().map(|head| (Style::Dim, (*head).to_owned())).collect();
        let lines: Vec<_> = std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| line(row, &widths, paint))
            .collect();
        lines.join("\n")
    }
}

fn line(row: &[(Style, String)], widths: &[usize], paint: Paint) -> String {
    let mut text = String::new();
    for (column, ((style, cell), width)) in row.iter().zip(widths).enumerate() {
        text.push_str(&paint.paint(*style, cell));
        if column + 1 < row.len() {
            text.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
    }
    text.trim_end().to_owned()
}

/// Text of somebody else's, on one line of at most so many columns and without anything that a terminal would obey.
pub fn clean(text: &str, columns: usize) -> String {
    let mut cleaned = String::new();
    let mut used = 0;
    for letter in text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
    {
        used += letter.width().unwrap_or_default();
        if used > columns.saturating_sub(1) && text.width() > columns {
            cleaned.push('…');
            break;
        }
        cleaned.push(letter);
    }
    cleaned
}

/// The text of a message: its lines are kept, indented; nothing in it can move the cursor.
pub fn body(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| format!("    {}", clean(&line.replace('\t', "    "), usize::MAX)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A time where the reader is.
pub fn local(time: Option<Timestamp>) -> String {
    utc(time).map_or_else(String::new, |time| {
        time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string()
    })
}

/// A time for scripts: RFC 3339 in UTC, or null.
pub fn rfc3339(time: Option<Timestamp>) -> Value {
    utc(time).map_or(Value::Null, |time| {
        time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
    })
}

fn utc(time: Option<Timestamp>) -> Option<DateTime<Utc>> {
    let time = time?;
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

/// A count with its noun: `1 message`, `2 messages`.
pub fn count(number: i64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A word of the protos' enums for people: `STAFF_NOT_ON_CARE_TEAM` without its prefix, `in lower case`.
pub fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let mut table = Table::new(&["NAME", "ID"]);
        table.row(Style::Plain, ["Søren".to_owned(), "1".to_owned()]);
        table.row(Style::Bold, ["王小明".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(Paint(false)), "NAME    ID\nSøren   1\n王小明  2");
        assert!(table.render(Paint(true)).contains("\x1b[1m王小明\x1b[0m  "));
    }

    #[test]
    fn nothing_of_others_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("a\x1b[2Jb\n", 99), "a [2Jb ");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean("abcd", 4), "abcd");
        assert_eq!(body("a\n\tb\x07"), "    a\n        b ");
    }
}
