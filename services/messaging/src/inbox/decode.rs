//! From the payload of an event to the domain. Why one is malformed is told without its contents: operators read it.

use carepost_identity::{ChartId, IdError, OrganizationId, PersonId, PortalUserId, StaffId};
use carepost_proto::event::v1;
use prost::Message;

use crate::domain::Named;

/// Why an event is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the payload is no carepost.event.v1.DirectoryChanged")]
    Payload,
    #[error("{0} {1}")]
    Id(&'static str, IdError),
}

/// Whose names may have changed in which organization. Locations and settings have none here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DirectoryChanged {
    pub organization: OrganizationId,
    pub named: Named,
}

/// Decodes and checks an event.
pub(super) fn directory_changed(payload: &[u8]) -> Result<DirectoryChanged, Malformed> {
    let event = v1::DirectoryChanged::decode(payload).map_err(|_| Malformed::Payload)?;
    let staff = event.staff_ids.into_iter().map(StaffId::parse);
    let staff = staff.map(|id| Ok(PersonId::from(wrong("a staff_id", id)?)));
    let users = event.portal_user_ids.into_iter().map(PortalUserId::parse);
    let users = users.map(|id| Ok(PersonId::from(wrong("a portal_user_id", id)?)));
    let charts = event.chart_ids.into_iter().map(ChartId::parse);
    Ok(DirectoryChanged {
        organization: wrong("organization_id", OrganizationId::parse(event.organization_id))?,
        named: Named {
            persons: staff.chain(users).collect::<Result<_, _>>()?,
            charts: charts.map(|id| wrong("a chart_id", id)).collect::<Result<_, _>>()?,
        },
    })
}

fn wrong<T>(field: &'static str, parsed: Result<T, IdError>) -> Result<T, Malformed> {
    parsed.map_err(|error| Malformed::Id(field, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> v1::DirectoryChanged {
        v1::DirectoryChanged {
            organization_id: "southern".into(),
            staff_ids: vec!["1".into()],
            portal_user_ids: vec!["1".into()],
            chart_ids: vec!["c-1".into(), "c-1".into()],
            location_ids: vec!["l-1".into()],
            organization_changed: true,
            ..v1::DirectoryChanged::default()
        }
    }

    #[test]
    fn a_good_event_tells_whose_names_may_have_changed() {
        let event = directory_changed(&good().encode_to_vec()).unwrap();
        assert_eq!(event.organization.as_str(), "southern");
        let persons: Vec<_> = event.named.persons.iter().map(ToString::to_string).collect();
        assert_eq!(persons, ["portal/1", "staff/1"]);
        assert_eq!(event.named.charts.len(), 1);
    }

    #[test]
    fn a_wrong_field_makes_it_malformed_and_is_not_repeated() {
        assert_eq!(directory_changed(b"\xff\xff no message"), Err(Malformed::Payload));
        let refused = |change: fn(&mut v1::DirectoryChanged)| {
            let mut event = good();
            change(&mut event);
            directory_changed(&event.encode_to_vec()).unwrap_err()
        };
        assert_eq!(
            refused(|event| event.organization_id.clear()),
            Malformed::Id("organization_id", IdError::Empty)
        );
        for wrong in [
            refused(|event| event.staff_ids.push("a secret".into())),
            refused(|event| event.portal_user_ids.push("a secret".into())),
            refused(|event| event.chart_ids.push("a secret".into())),
        ] {
            assert!(matches!(wrong, Malformed::Id(_, IdError::Character)));
            assert!(!wrong.to_string().contains("secret"), "{wrong}");
        }
    }
}
