//! Conversations and messages onto paper, a page at a time.

use carepost_messaging::store::{
    StoreError,
    export::{ExportedConversation, Selection, Snapshot},
};

use super::{Recorder, Tally, lines, lines::Line, paper::Paper};
use crate::{
    commands::import::progress,
    errors::{Exit, Failure},
    render::count,
};

/// How many conversations are read at once, and named by one record.
const CONVERSATIONS: u64 = 100;
/// How many messages are read at once. Each has some 40 KB at most.
const MESSAGES: u64 = 200;

/// An export that is being written.
pub struct Writing<'a> {
    pub snapshot: &'a Snapshot,
    pub selection: &'a Selection,
    pub recorder: &'a Recorder,
    pub paper: &'a mut Paper,
    pub tally: Tally,
    /// Whether somebody watches.
    pub watched: bool,
}

impl Writing<'_> {
    /// Writes everything that was asked for.
    pub async fn run(mut self) -> Result<Tally, Failure> {
        let mut after = None;
        loop {
            let page = self.snapshot.conversations(self.selection, after, CONVERSATIONS).await;
            let page = page.map_err(|error| unreadable(&error))?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.place());
            self.recorder.show(&page).await?;
            for conversation in &page {
                self.conversation(conversation).await?;
            }
        }
        if self.watched {
            progress("");
        }
        Ok(self.tally)
    }

    async fn conversation(&mut self, of: &ExportedConversation) -> Result<(), Failure> {
        self.paper.line(&lines::conversation(of))?;
        self.tally.conversations += 1;
        let mut last = 0;
        loop {
            let page = self.snapshot.messages(of.id, last, MESSAGES).await;
            let page = page.map_err(|error| unreadable(&error))?;
            if page.is_empty() {
                break;
            }
            for message in &page {
                self.missing(of, last + 1, message.number - 1)?;
                self.paper.line(&lines::message(of, message))?;
                self.tally.messages += 1;
                last = message.number;
            }
            self.tell();
        }
        self.missing(of, last + 1, of.last_number)
    }

    /// Tells of messages that are not stored any more, if these are any.
    fn missing(&mut self, of: &ExportedConversation, from_number: i64, to_number: i64) -> Result<(), Failure> {
        if from_number > to_number {
            return Ok(());
        }
        self.tally.missing += to_number - from_number + 1;
        self.paper.line(&Line::Missing {
            conversation_id: of.id.to_string(),
            from_number,
            to_number,
        })
    }

    fn tell(&self) {
        if self.watched {
            let messages = count(self.tally.messages, "message");
            progress(&format!(
                "{} with {messages}",
                count(self.tally.conversations, "conversation")
            ));
        }
    }
}

/// Neither what is stored nor the database's own words are told.
fn unreadable(error: &StoreError) -> Failure {
    match error {
        StoreError::Corrupt(what) => Failure::new(
            Exit::Failed,
            "CORRUPT",
            format!("A stored {what} cannot be read, so the export would not be whole"),
            "Ask who maintains the database",
        ),
        _ => Failure::new(
            Exit::Unavailable,
            "UNAVAILABLE",
            "The database did not answer to the end",
            "Check it and your role's privileges, and start again",
        ),
    }
}
