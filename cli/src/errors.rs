//! What a command ends with: an exit code, and of a failure one clear line with what to do next.

use std::{fmt, io, path::Path};

use serde_json::{Value, json};

/// The exit codes. `carepost --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed for another reason than those below.
    Failed = 1,
    /// The command line, a profile or a file given to it is wrong.
    Usage = 2,
    /// The answer is no: not eligible, not allowed, or some records were refused.
    Refused = 3,
    /// There is no such thing, or it is not yours.
    NotFound = 4,
    /// A service does not answer; the same command may work later.
    Unavailable = 5,
}

/// Why a message may not be sent, as the service told it.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Name of the reason.
    pub name: String,
    /// Whom it is about; may be empty.
    pub party: String,
    /// What would mend it.
    pub remedy: String,
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its exit code.
    pub exit: Exit,
    /// A stable name for scripts.
    pub code: String,
    /// What happened, a sentence without its stop.
    what: String,
    /// What to do next, a sentence without its stop; may be empty.
    next: String,
    /// Of a refused message, every reason.
    pub reasons: Vec<Reason>,
}

impl Failure {
    /// A failure from its two sentences.
    pub fn new(exit: Exit, code: &str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            what: what.into(),
            next: next.into(),
            reasons: Vec::new(),
        }
    }

    /// The command line, a profile or a file is wrong.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", what, next)
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "Check the path",
            io::ErrorKind::PermissionDenied => "Check who may use it",
            io::ErrorKind::StorageFull => "Make room on the disk",
            _ => "",
        };
        Self::usage(format!("{}: {}", path.display(), plain(error)), next)
    }

    /// The same with every reason of a refused message.
    pub fn with_reasons(mut self, reasons: Vec<Reason>) -> Self {
        self.reasons = reasons;
        self
    }

    /// The same with another advice.
    pub fn then(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// The same, told of something by its id.
    pub fn of(mut self, id: &str) -> Self {
        self.what = format!("{id}: {}", self.what);
        self
    }

    /// What to do next.
    pub fn next(&self) -> &str {
        &self.next
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let reasons: Vec<_> = self
            .reasons
            .iter()
            .map(|reason| json!({"reason": reason.name, "party": reason.party, "remedy": reason.remedy}))
            .collect();
        json!({"error": {
            "code": self.code, "exit": self.exit as u8, "message": self.to_string(), "reasons": reasons,
        }})
    }
}

/// One line; of a refused message, one more for each reason, and what to do next after them.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.trim_end_matches('.');
        let (end, before_next) = if self.reasons.is_empty() {
            (".", " ")
        } else {
            (":", "\n")
        };
        write!(f, "{what}{end}")?;
        for reason in &self.reasons {
            write!(f, "\n  - {}", reason.name)?;
            if !reason.party.is_empty() {
                write!(f, " ({})", reason.party)?;
            }
            write!(f, ": {}", reason.remedy)?;
        }
        if self.next.is_empty() {
            return Ok(());
        }
        write!(f, "{before_next}{}.", self.next.trim_end_matches('.'))
    }
}

/// The text as a sentence begins.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// An error of the system without its number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_what_to_do_next() {
        let failure = Failure::file(Path::new("a.json"), &io::Error::from_raw_os_error(2));
        assert_eq!(
            failure.to_string(),
            "a.json: no such file or directory. Check the path."
        );
    }
}
