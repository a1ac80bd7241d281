//! Telling a story: each step is a real command, shown with its answer, and checked.

use std::{path::PathBuf, time::Duration};

use carepost_identity::OrganizationId;
use clap::Parser;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    args::{Cli, Command},
    client::Context,
    commands,
    errors::{Exit, Failure},
    render::{Paint, Report, Style, clean},
    run::{self, folder::Folder, suite::Suite},
};

/// How long something that goes on by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// The story, as far as it is told.
pub struct Story<'a> {
    /// The data folder of the suite.
    pub folder: &'a Folder,
    /// The suite.
    pub suite: &'a Suite,
    /// The folder as it was named.
    pub shown: PathBuf,
    /// How to mark text.
    pub paint: Paint,
    /// Whether nothing is told.
    pub quiet: bool,
    steps: usize,
    checks: usize,
}

/// What a command did.
pub struct Done {
    /// Its answer, for scripts.
    pub json: Value,
    /// Its exit code.
    pub exit: Exit,
}

impl Done {
    /// A text in the answer, by its JSON pointer.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number in the answer.
    pub fn number_at(&self, pointer: &str) -> i64 {
        self.json.pointer(pointer).and_then(Value::as_i64).unwrap_or(-1)
    }

    /// This key of each entry of a list in the answer.
    pub fn each(&self, list: &str, key: &str) -> Vec<String> {
        let entries = self.json.get(list).and_then(Value::as_array);
        let texts = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get(key)?.as_str());
        texts.map(str::to_owned).collect()
    }
}

impl<'a> Story<'a> {
    /// A story that begins.
    pub fn new(folder: &'a Folder, suite: &'a Suite, shown: PathBuf, paint: Paint, quiet: bool) -> Self {
        Self {
            folder,
            suite,
            shown,
            paint,
            quiet,
            steps: 0,
            checks: 0,
        }
    }

    /// How many steps were told, and how many checks held.
    pub fn count(&self) -> (usize, usize) {
        (self.steps, self.checks)
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str, why: &str) {
        self.steps += 1;
        let title = self.paint.paint(Style::Bold, &format!("{}. {title}", self.steps));
        self.tell(&format!("\n{title}"));
        self.tell(&indented("   ", why));
    }

    /// Says something in between.
    pub fn tell(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }

    /// Gives a command, which is to be done.
    pub async fn command(&self, line: &str) -> Result<Done, Failure> {
        self.give(line)
            .await?
            .map_err(|failure| self.broken(&failure.to_string()))
    }

    /// Waits until no delivery of an organization is under way: an email is there before it is recorded.
    pub async fn settled(&self, organization: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        for state in ["pending", "sending"] {
            loop {
                let line = format!("deliveries --organization {organization} --state {state}");
                let report = self.perform(&line).await??;
                if report
                    .json
                    .get("deliveries")
                    .is_some_and(|list| list.as_array().is_some_and(Vec::is_empty))
                {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Err(self.broken("deliveries do not come to an end"));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Gives a command, which is to be refused.
    pub async fn refused(&self, line: &str) -> Result<Failure, Failure> {
        match self.give(line).await? {
            Err(failure) => Ok(failure),
            Ok(_) => Err(self.broken("this should have been refused")),
        }
    }

    async fn give(&self, line: &str) -> Result<Result<Done, Failure>, Failure> {
        let prompt = self.paint.paint(Style::Dim, "$");
        self.tell(&format!("\n   {prompt} carepost {line}"));
        let done = self.perform(line).await?;
        let shown = match &done {
            Ok(report) => report.text.clone(),
            Err(failure) => format!("carepost: {failure}"),
        };
        self.tell(&indented("   ", &shown));
        Ok(done.map(|report| Done {
            json: report.json,
            exit: report.exit,
        }))
    }

    async fn perform(&self, line: &str) -> Result<Result<Report, Failure>, Failure> {
        let words = std::iter::once("carepost".to_owned()).chain(words(line));
        let cli = Cli::try_parse_from(words).map_err(|error| self.broken(&error.to_string()))?;
        let Command::Client(command) = cli.command else {
            return Err(self.broken("this is no command of the client"));
        };
        let context = self.context(cli.globals.organization)?;
        Ok(Box::pin(commands::perform(&context, command)).await)
    }

    /// What the commands of this story have; for Prairie, unless another organization is named.
    pub fn context(&self, organization: Option<OrganizationId>) -> Result<Context, Failure> {
        let prairie = OrganizationId::parse("prairie").ok();
        let mut context = run::context(self.folder, self.suite, organization.or(prairie))?;
        context.paint = self.paint;
        context.progress = false;
        Ok(context)
    }

    /// Checks what must be so.
    pub fn check(&mut self, holds: bool, what: &str) -> Result<(), Failure> {
        let mark = if holds {
            self.paint.paint(Style::Green, "✓")
        } else {
            self.paint.paint(Style::Red, "✗")
        };
        self.tell(&format!("   {mark} {what}"));
        if holds {
            self.checks += 1;
            return Ok(());
        }
        Err(self.broken(&format!("this should be so: {what}")))
    }

    fn broken(&self, what: &str) -> Failure {
        let what = format!("Step {} of the demo did not hold: {}", self.steps, clean(what, 1_000));
        let next = format!("The suite's files are in {}", self.shown.display());
        Failure::new(Exit::Failed, "DEMO", what, next)
    }
}

/// The text with each line moved to the right.
pub fn indented(by: &str, text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("{by}{line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// A command line as words: spaces divide them, double quotes hold them together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            words("send --subject \"a b\" \"\" c"),
            ["send", "--subject", "a b", "", "c"]
        );
    }
}
