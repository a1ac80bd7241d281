//! Whether two records say the same: by a digest over one way of writing them down.

use sha2::{Digest as _, Sha256};

use super::{Chart, Location, Organization, PortalUser, Record, Staff};

/// SHA-256 of a record's content. A change of how it is made shows every record as changed once, at the next import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let mut canon = Canon(Sha256::new());
        match record {
            Record::Organization(record) => organization(&mut canon, record),
            Record::Location(record) => location(&mut canon, record),
            Record::Staff(record) => staff(&mut canon, record),
            Record::Chart(record) => chart(&mut canon, record),
            Record::PortalUser(record) => portal_user(&mut canon, record),
        }
        Self(canon.0.finalize().into())
    }

    /// A stored digest. One of another length is the digest of nothing.
    #[must_use]
    pub fn stored(bytes: &[u8]) -> Self {
        Self(bytes.try_into().unwrap_or_default())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Writes fields so that no two different records read alike: each text has its length before it, each list its size.
struct Canon(Sha256);

impl Canon {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    fn flag(&mut self, flag: bool) {
        self.0.update([u8::from(flag)]);
    }

    fn list<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a str>) {
        self.number(texts.len());
        for text in texts {
            self.text(text);
        }
    }
}

// Each function takes its record apart, so that a new field cannot be forgotten here.

fn organization(canon: &mut Canon, record: &Organization) {
    let Organization {
        id,
        name,
        country,
        portal_url,
        locale,
    } = record;
    canon.text(id.as_str());
    canon.text(name.as_str());
    canon.text(country.as_str());
    canon.text(portal_url.as_str());
    canon.optional(locale.as_ref().map(|locale| locale.as_str()));
}

fn location(canon: &mut Canon, record: &Location) {
    let Location { id, name, country } = record;
    canon.text(id.as_str());
    canon.text(name.as_str());
    canon.optional(country.as_ref().map(|country| country.as_str()));
}

fn staff(canon: &mut Canon, record: &Staff) {
    let Staff {
        id,
        name,
        email,
        active,
        roles,
        all_locations,
        locations,
    } = record;
    canon.text(id.as_str());
    canon.text(name.as_str());
    canon.optional(email.as_ref().map(|email| email.as_str()));
    canon.flag(*active);
    canon.list(roles.iter().map(|role| role.as_str()));
    canon.flag(*all_locations);
    canon.list(locations.iter().map(|id| id.as_str()));
}

fn chart(canon: &mut Canon, record: &Chart) {
    let Chart {
        id,
        patient_id,
        patient_name,
        location,
        care_team,
        barred,
        url,
    } = record;
    canon.text(id.as_str());
    canon.text(patient_id.as_str());
    canon.text(patient_name.as_str());
    canon.text(location.as_str());
    canon.list(care_team.iter().map(|id| id.as_str()));
    canon.list(barred.iter().map(|id| id.as_str()));
    canon.optional(url.as_ref().map(|url| url.as_str()));
}

fn portal_user(canon: &mut Canon, record: &PortalUser) {
    let PortalUser {
        id,
        name,
        email,
        status,
        connections,
        locale,
    } = record;
    canon.text(id.as_str());
    canon.text(name.as_str());
    canon.optional(email.as_ref().map(|email| email.as_str()));
    canon.text(status.as_str());
    canon.number(connections.len());
    for (chart, connection) in connections {
        canon.text(chart.as_str());
        canon.text(connection.relationship.as_str());
        canon.text(connection.status.as_str());
    }
    canon.optional(locale.as_ref().map(|locale| locale.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directory::Name;
    use carepost_identity::LocationId;

    fn staff_with(locations: &[&str], name: &str) -> Record {
        Record::Staff(Staff {
            id: "s".parse().unwrap(),
            name: Name::parse(name.to_owned()).unwrap(),
            email: None,
            active: true,
            roles: [].into(),
            all_locations: false,
            locations: locations.iter().map(|id| LocationId::parse(*id).unwrap()).collect(),
        })
    }

    #[test]
    fn the_order_of_a_list_means_nothing_and_every_entry_something() {
        let digest = |locations: &[&str], name| Digest::of(&staff_with(locations, name));
        assert_eq!(digest(&["a", "b"], "N"), digest(&["b", "a"], "N"));
        assert_ne!(digest(&["a", "b"], "N"), digest(&["ab"], "N"));
        assert_ne!(digest(&["a"], "N"), digest(&["a"], "M"));
    }
}
