//! The identities everything is keyed by, and who is acting.
//!
//! Ids of the directory are the EMR's own: 1 to 128 printable ASCII characters without spaces, compared bytewise. An id that
//! exists has been parsed; nothing behind the edge checks one again.

use std::{fmt, str::FromStr};

mod acting;

pub use acting::{Actor, ServiceName};

/// The most characters of an id.
pub const MAX_ID_LENGTH: usize = 128;

/// Why a text is no id. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`MAX_ID_LENGTH`].
    #[error("must have at most {MAX_ID_LENGTH} characters")]
    TooLong,
    /// A space, a control character, or a character outside ASCII.
    #[error("must be printable ASCII without spaces")]
    Character,
    /// Not of the form `staff/ID` or `portal/ID`.
    #[error("must be of the form staff/ID or portal/ID")]
    NoPerson,
}

fn check(text: &str) -> Result<(), IdError> {
    match text {
        "" => Err(IdError::Empty),
        _ if text.len() > MAX_ID_LENGTH => Err(IdError::TooLong),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(IdError::Character),
        _ => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses an id.
            ///
            /// # Errors
            /// If the text is no id.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id! {
    /// An organization: the tenant. Nothing crosses it.
    OrganizationId
}
id! {
    /// A site of an organization.
    LocationId
}
id! {
    /// A member of staff: an EMR user.
    StaffId
}
id! {
    /// A login of a patient or contact.
    PortalUserId
}
id! {
    /// An episode of care of one patient at one location.
    ChartId
}

/// Somebody who writes and reads messages: `staff/ID` or `portal/ID`, in tokens, in the API and in the databases.
/// Ordered like that text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersonId {
    /// A portal user.
    Portal(PortalUserId),
    /// A member of staff.
    Staff(StaffId),
}

impl PersonId {
    /// Parses `staff/ID` or `portal/ID`.
    ///
    /// # Errors
    /// If the text has another form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.split_once('/') {
            Some(("staff", id)) => StaffId::parse(id).map(Self::Staff),
            Some(("portal", id)) => PortalUserId::parse(id).map(Self::Portal),
            _ if text.is_empty() => Err(IdError::Empty),
            _ => Err(IdError::NoPerson),
        }
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Portal(id) => write!(f, "portal/{id}"),
            Self::Staff(id) => write!(f, "staff/{id}"),
        }
    }
}

impl FromStr for PersonId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl From<StaffId> for PersonId {
    fn from(id: StaffId) -> Self {
        Self::Staff(id)
    }
}

impl From<PortalUserId> for PersonId {
    fn from(id: PortalUserId) -> Self {
        Self::Portal(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable_ascii_of_bounded_length() {
        assert!(StaffId::parse("urn:oid:1.2.3/4").is_ok());
        assert!(StaffId::parse("x".repeat(128)).is_ok());
        for (text, error) in [
            ("", IdError::Empty),
            (&"x".repeat(129), IdError::TooLong),
            ("a b", IdError::Character),
            ("a\n", IdError::Character),
            ("é", IdError::Character),
        ] {
            assert_eq!(StaffId::parse(text), Err(error));
        }
    }

    #[test]
    fn a_person_is_read_as_written() {
        for text in ["staff/9999", "portal/pu-1", "staff/a/b"] {
            assert_eq!(
                PersonId::parse(text).map(|person| person.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["9999", "patient/1", "staff", "Staff/1"] {
            assert_eq!(PersonId::parse(text), Err(IdError::NoPerson));
        }
        assert_eq!(PersonId::parse("staff/"), Err(IdError::Empty));
    }
}
