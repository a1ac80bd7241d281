//! What all lists of the directory have in common: pages by id, with tokens that are bound to the list and its filters.

use std::fmt::Display;

use carepost_identity::OrganizationId;
use carepost_rpc::{Violations, page::List};

use crate::{
    domain::directory::Kept,
    store::{Listed, Page},
};

/// The most bytes of a page: clients take answers of 4 MiB. A page may be short of its size; the token leads on.
const MAX_BYTES: usize = 2 * 1_024 * 1_024;

/// What every request of a list says.
pub(super) struct Asked {
    pub size: i32,
    pub token: String,
    pub show_deleted: bool,
}

/// A list as it was asked for.
pub(super) struct Listing {
    identity: List,
    after: String,
    size: u32,
    show_deleted: bool,
}

impl Listing {
    /// The list of an RPC with these filters, in a fixed order.
    pub fn parse(
        violations: &mut Violations,
        organization: &OrganizationId,
        rpc: &str,
        asked: Asked,
        filters: &[String],
    ) -> Option<Self> {
        let size = violations.page_size(asked.size);
        let deleted = if asked.show_deleted { "deleted too" } else { "" };
        let mut parts = vec![rpc, organization.as_str(), deleted];
        parts.extend(filters.iter().map(String::as_str));
        let identity = List::new(&parts);
        let after = violations.take("page_token", identity.position(&asked.token))?;
        Some(Self {
            identity,
            after: after.unwrap_or_default(),
            size,
            show_deleted: asked.show_deleted,
        })
    }

    /// What to read: one more than the page has tells whether there is a next one.
    pub fn page(&self) -> Page<'_> {
        Page {
            after: &self.after,
            limit: self.size + 1,
            show_deleted: self.show_deleted,
        }
    }

    /// The records of the page on the wire, and the token for the next page; empty after the last.
    pub fn answer<T, M: prost::Message>(&self, found: Listed<T>, message: fn(Kept<T>) -> M) -> (Vec<M>, String) {
        let mut records = Vec::with_capacity(found.records.len());
        let mut bytes = 0;
        let mut last = String::new();
        for kept in found.records {
            let id = kept.id.clone();
            let record = message(kept);
            bytes += record.encoded_len();
            if records.len() == self.size as usize || (bytes > MAX_BYTES && !records.is_empty()) {
                return (records, self.identity.token(&last));
            }
            records.push(record);
            last = id;
        }
        let token = if found.cut_short {
            self.identity.token(&last)
        } else {
            String::new()
        };
        (records, token)
    }
}

/// A filter by id; empty: none.
pub(super) fn id<T, E: Display>(
    violations: &mut Violations,
    field: &str,
    text: String,
    parse: impl Fn(String) -> Result<T, E>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    violations.take(field, parse(text))
}

/// A filter by a value of an enum; unspecified: none.
pub(super) fn word<T>(
    violations: &mut Violations,
    field: &str,
    number: i32,
    parse: impl Fn(i32) -> Option<T>,
) -> Option<T> {
    if number == 0 {
        return None;
    }
    violations.take(field, parse(number).ok_or("must be one of the values that there are"))
}

#[cfg(test)]
mod tests {
    use carepost_proto::eligibility::v1::{Location, LocationRecord};
    use chrono::DateTime;

    use super::*;
    use crate::domain::version::StoredVersion;

    fn kept(id: &str) -> Kept<usize> {
        Kept {
            id: id.to_owned(),
            record: Some(600_000),
            version: StoredVersion::default(),
            deleted: false,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn large(kept: Kept<usize>) -> LocationRecord {
        LocationRecord {
            location: Some(Location {
                name: "x".repeat(kept.record.unwrap_or_default()),
                ..Location::default()
            }),
            ..LocationRecord::default()
        }
    }

    #[test]
    fn a_page_is_bounded_in_bytes_and_never_empty_before_the_end() {
        let organization = "org".parse().unwrap();
        let listing = |token: String| {
            let asked = Asked {
                size: 100,
                token,
                show_deleted: false,
            };
            Listing::parse(&mut Violations::default(), &organization, "ListLocations", asked, &[]).unwrap()
        };
        let first = listing(String::new());
        let listed = |ids: &[&str], cut_short| Listed {
            records: ids.iter().map(|id| kept(id)).collect(),
            cut_short,
        };
        let (records, token) = first.answer(listed(&["a", "b", "c", "d", "e"], false), large);
        assert_eq!(records.len(), 3);
        assert_eq!(listing(token).page().after, "c");
        let (records, token) = first.answer(listed(&["a", "b"], true), large);
        assert_eq!((records.len(), listing(token).page().after), (2, "b"));
        let (records, token) = first.answer(listed(&["d"], false), |mut kept| {
            kept.record = Some(3_000_000);
            large(kept)
        });
        assert_eq!((records.len(), token.as_str()), (1, ""));
    }
}
