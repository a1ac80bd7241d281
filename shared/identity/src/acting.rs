//! Who acts, and on whose behalf: the two names that every write is given, and that an audit trail will keep.

use std::fmt;

use crate::{IdError, PersonId, check};

/// A configured service: the name that the configuration maps its issuer and subject to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// Parses a name: like an id.
    ///
    /// # Errors
    /// If the text is no name.
    pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person with a token of their own.
    Person(PersonId),
    /// A service that relays a person's session. Both names are always recorded.
    OnBehalf {
        /// The service that called.
        service: ServiceName,
        /// The person who acts.
        person: PersonId,
    },
    /// A service on its own behalf.
    Service(ServiceName),
}

impl Actor {
    /// The person who acts, if it is one.
    #[must_use]
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person(person) | Self::OnBehalf { person, .. } => Some(person),
            Self::Service(_) => None,
        }
    }

    /// The service that called, if it was one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Person(_) => None,
            Self::OnBehalf { service, .. } | Self::Service(service) => Some(service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_session_has_both_names() -> Result<(), IdError> {
        let person = PersonId::parse("staff/1")?;
        let service = ServiceName::parse("emr")?;
        let actor = Actor::OnBehalf {
            service: service.clone(),
            person: person.clone(),
        };
        assert_eq!((actor.person(), actor.service()), (Some(&person), Some(&service)));
        Ok(())
    }
}
