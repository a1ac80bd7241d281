//! Emails of a suite, as files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// An email that went out.
#[derive(Debug)]
pub struct Mail {
    /// The name of its file.
    pub file: String,
    head: String,
    body: String,
}

/// The folder of emails, and which of them were seen.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    seen: BTreeSet<PathBuf>,
}

impl Mailbox {
    /// A folder of which nothing was seen yet.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            seen: BTreeSet::new(),
        }
    }

    /// Waits for a new email to an address.
    pub async fn next_to(&mut self, address: &str) -> Option<Mail> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for path in emails(&self.folder) {
                let mail = if self.seen.contains(&path) { None } else { read(&path) };
                if let Some(mail) = mail.filter(|mail| mail.header("To").contains(address)) {
                    self.seen.insert(path);
                    return Some(mail);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// How many emails there are.
    pub fn count(&self) -> usize {
        emails(&self.folder).len()
    }
}

fn emails(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Option<Mail> {
    let text = fs::read_to_string(path).ok()?.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n")?;
    Some(Mail {
        file: path.file_name()?.to_string_lossy().into_owned(),
        head: head.replace("\n ", " "),
        body: body.to_owned(),
    })
}

impl Mail {
    /// The value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let mut values = self.head.lines().filter_map(|line| line.strip_prefix(&start));
        values.next().unwrap_or_default()
    }

    /// Its part in plain text.
    pub fn plain_text(&self) -> &str {
        let part = self.body.split("Content-Type: text/plain").nth(1).unwrap_or_default();
        let text = part.split_once("\n\n").map_or("", |(_, text)| text);
        text.split("\n--").next().unwrap_or_default().trim()
    }

    /// All that somebody could read in it, with its transfer encoding undone.
    pub fn everything(&self) -> String {
        let lines = self.body.lines().filter(|line| !line.starts_with("--"));
        let body = decoded(&lines.collect::<Vec<_>>().join("\n"));
        format!("{}\n{}\n{body}", self.header("From"), self.header("Subject"))
    }
}

/// Quoted-printable as text; of other bytes than ASCII it does not matter here what they were.
fn decoded(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                decoded.push(char::from(byte));
                decoded.push_str(rest);
            }
            _ => {
                decoded.push('=');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_behind_an_encoding() {
        assert_eq!(decoded("bi=6Fp=\nsy =3D a=zz"), "biopsy = a=zz");
    }

    #[tokio::test]
    async fn a_mail_is_found_by_its_recipient_once() {
        let folder = tempfile::tempdir().unwrap();
        let text = "From: a\r\nTo: b@example.org\r\nSubject: long\r\n er\r\n\r\n--x\r\nContent-Type: text/plain; y\r\n\r\nHello\r\n--x--\r\n";
        fs::write(folder.path().join("1.eml"), text).unwrap();
        fs::write(folder.path().join("2.new"), text).unwrap();
        let mut mailbox = Mailbox::new(folder.path().to_owned());
        let mail = mailbox.next_to("b@example.org").await.unwrap();
        assert_eq!((mail.plain_text(), mail.header("Subject")), ("Hello", "long er"));
        assert_eq!((mailbox.count(), mailbox.seen.len()), (1, 1));
    }
}
