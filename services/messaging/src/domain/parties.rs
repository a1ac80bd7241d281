//! Between whom a conversation is (C1, C2).

use std::collections::BTreeSet;

use carepost_identity::{ChartId, PersonId, PortalUserId, StaffId};

use super::{Kind, Limits};

/// The parties of a conversation, in one of the two forms that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parties {
    /// One staff member and one portal user, regarding one chart.
    Portal {
        /// The staff member.
        staff: StaffId,
        /// The portal user.
        portal_user: PortalUserId,
        /// The chart.
        chart: ChartId,
        /// Whether the portal user is the one who writes.
        sent_by_portal_user: bool,
    },
    /// Staff only.
    Staff {
        /// Who writes.
        sender: StaffId,
        /// Everybody else: at least one, nobody twice.
        recipients: Vec<StaffId>,
        /// The chart, if there is one.
        chart: Option<ChartId>,
    },
}

/// A wrong field of who is to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyFault {
    /// Its path.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl PartyFault {
    fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            what: what.into(),
        }
    }
}

impl Parties {
    /// The parties of a conversation that `sender` starts.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn parse(
        sender: &PersonId,
        recipients: &[PersonId],
        chart: Option<ChartId>,
        limits: Limits,
    ) -> Result<Self, Vec<PartyFault>> {
        let mut faults = doubled(sender, recipients);
        let portal = matches!(sender, PersonId::Portal(_)) || recipients.iter().any(is_portal);
        match recipients.len() {
            0 => faults.push(PartyFault::new("recipients", "must not be empty")),
            count if portal && count > 1 => {
                faults.push(PartyFault::new(
                    "recipients",
                    "a portal conversation has exactly one recipient",
                ));
            }
            count if count > limits.recipients => {
                faults.push(PartyFault::new(
                    "recipients",
                    format!("must have at most {}", limits.recipients),
                ));
            }
            _ => {}
        }
        if portal && chart.is_none() {
            faults.push(PartyFault::new("chart_id", "a portal conversation regards a chart"));
        }
        let parties = Self::between(sender, recipients, chart);
        match parties {
            Some(parties) if faults.is_empty() => Ok(parties),
            None if faults.is_empty() => Err(vec![PartyFault::new("recipients[0]", "must be staff")]),
            _ => Err(faults),
        }
    }

    /// The parties of a conversation whose participants are known to go together. `None` if they do not.
    #[must_use]
    pub fn between(sender: &PersonId, others: &[PersonId], chart: Option<ChartId>) -> Option<Self> {
        match (sender, others) {
            (PersonId::Staff(staff), [PersonId::Portal(user)]) => Some(Self::Portal {
                staff: staff.clone(),
                portal_user: user.clone(),
                chart: chart?,
                sent_by_portal_user: false,
            }),
            (PersonId::Portal(user), [PersonId::Staff(staff)]) => Some(Self::Portal {
                staff: staff.clone(),
                portal_user: user.clone(),
                chart: chart?,
                sent_by_portal_user: true,
            }),
            (PersonId::Staff(sender), [_, ..]) => {
                let recipients = others.iter().map(staff_id).collect::<Option<_>>()?;
                Some(Self::Staff {
                    sender: sender.clone(),
                    recipients,
                    chart,
                })
            }
            _ => None,
        }
    }

    /// Which form it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Portal { .. } => Kind::Portal,
            Self::Staff { .. } => Kind::Staff,
        }
    }

    /// The chart, if there is one.
    #[must_use]
    pub fn chart(&self) -> Option<&ChartId> {
        match self {
            Self::Portal { chart, .. } => Some(chart),
            Self::Staff { chart, .. } => chart.as_ref(),
        }
    }

    /// Everybody, by id.
    #[must_use]
    pub fn everybody(&self) -> BTreeSet<PersonId> {
        match self {
            Self::Portal { staff, portal_user, .. } => [staff.clone().into(), portal_user.clone().into()].into(),
            Self::Staff { sender, recipients, .. } => {
                recipients.iter().chain([sender]).cloned().map(PersonId::from).collect()
            }
        }
    }
}

fn is_portal(person: &PersonId) -> bool {
    matches!(person, PersonId::Portal(_))
}

fn staff_id(person: &PersonId) -> Option<StaffId> {
    match person {
        PersonId::Staff(id) => Some(id.clone()),
        PersonId::Portal(_) => None,
    }
}

fn doubled(sender: &PersonId, recipients: &[PersonId]) -> Vec<PartyFault> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (place, recipient) in recipients.iter().enumerate() {
        let field = format!("recipients[{place}]");
        if recipient == sender {
            faults.push(PartyFault::new(field, "must not be the sender"));
        } else if !seen.insert(recipient) {
            faults.push(PartyFault::new(field, "must not be there twice"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(sender: &str, recipients: &[&str], chart: Option<&str>) -> Result<Parties, Vec<String>> {
        let person = |text: &str| PersonId::parse(text).unwrap();
        let recipients: Vec<_> = recipients.iter().map(|text| person(text)).collect();
        let chart = chart.map(|chart| ChartId::parse(chart).unwrap());
        Parties::parse(&person(sender), &recipients, chart, Limits::default())
            .map_err(|faults| faults.into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn c1_a_portal_conversation_has_one_staff_member_one_portal_user_and_a_chart() {
        assert_eq!(parse("staff/1", &["portal/1"], Some("c")).unwrap().kind(), Kind::Portal);
        assert_eq!(parse("portal/1", &["staff/1"], Some("c")).unwrap().kind(), Kind::Portal);
        assert_eq!(parse("staff/1", &["portal/1"], None), Err(vec!["chart_id".to_owned()]));
        assert_eq!(
            parse("staff/1", &["portal/1", "portal/2"], Some("c")),
            Err(vec!["recipients".to_owned()])
        );
        assert_eq!(
            parse("staff/1", &["staff/2", "portal/2"], Some("c")),
            Err(vec!["recipients".to_owned()])
        );
        assert_eq!(
            parse("portal/1", &["portal/2"], Some("c")),
            Err(vec!["recipients[0]".to_owned()])
        );
    }

    #[test]
    fn c2_a_staff_conversation_has_other_staff_and_maybe_a_chart() {
        assert_eq!(
            parse("staff/1", &["staff/2", "staff/3"], None).unwrap().kind(),
            Kind::Staff
        );
        assert_eq!(parse("staff/1", &["staff/2"], Some("c")).unwrap().kind(), Kind::Staff);
        assert_eq!(parse("staff/1", &[], None), Err(vec!["recipients".to_owned()]));
        assert_eq!(
            parse("staff/1", &["staff/2", "staff/1", "staff/2"], None),
            Err(vec!["recipients[1]".to_owned(), "recipients[2]".to_owned()])
        );
        let many: Vec<_> = (2..53).map(|n| format!("staff/{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(parse("staff/1", &many[..50], None).is_ok());
        assert_eq!(parse("staff/1", &many, None), Err(vec!["recipients".to_owned()]));
    }
}
