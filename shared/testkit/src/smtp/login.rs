//! How clients say who they are (RFC 4616, RFC 4954).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password in one message.
    Plain,
    /// First the name, then the password: not a standard, and still all that some servers have.
    Login,
}

impl Mechanism {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// What is asked of a client who has given so many answers; none: that is all.
    pub(super) fn challenge(self, given: usize) -> Option<String> {
        let questions: &[&str] = match self {
            Self::Plain => &[""],
            Self::Login => &["Username:", "Password:"],
        };
        questions.get(given).map(|question| BASE64_STANDARD.encode(question))
    }
}

/// How clients must log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The only way that is offered.
    pub mechanism: Mechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Login")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Login {
    pub(super) fn is_right(&self, given: &[String]) -> bool {
        let Self { username, password, .. } = self;
        let right = match self.mechanism {
            Mechanism::Plain => vec![format!("\0{username}\0{password}")],
            Mechanism::Login => vec![username.clone(), password.clone()],
        };
        given
            == right
                .iter()
                .map(|text| BASE64_STANDARD.encode(text))
                .collect::<Vec<_>>()
    }
}
