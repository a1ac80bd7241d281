//! Questions. One that exists is well formed.

use std::{collections::BTreeSet, iter};

use carepost_identity::{ChartId, PortalUserId, StaffId};

/// The most recipients of a staff conversation.
pub const MAX_RECIPIENTS: usize = 50;

/// May this message be sent now?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// In a portal conversation.
    Portal(PortalQuestion),
    /// In a staff conversation.
    Staff(StaffQuestion),
}

/// What the sender is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a conversation.
    Start,
    /// Reply in one that exists.
    Reply,
}

/// Who of a portal conversation sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The member of staff.
    Staff,
    /// The portal user.
    PortalUser,
}

/// A member of staff and a portal user, regarding a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalQuestion {
    /// What the sender is about to do.
    pub action: Action,
    /// Who sends.
    pub sender: Sender,
    /// The member of staff.
    pub staff: StaffId,
    /// The portal user.
    pub portal_user: PortalUserId,
    /// The chart.
    pub chart: ChartId,
}

/// A member of staff and 1 to [`MAX_RECIPIENTS`] others, regarding a chart or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffQuestion {
    /// What the sender is about to do.
    pub action: Action,
    sender: StaffId,
    recipients: BTreeSet<StaffId>,
    chart: Option<ChartId>,
}

/// What is wrong with the recipients of a staff conversation; the numbers are places in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MalformedRecipients {
    /// There is none.
    None,
    /// There are more than [`MAX_RECIPIENTS`].
    TooMany,
    /// These are the sender, or came before.
    Repeated(Vec<usize>),
}

impl StaffQuestion {
    /// A question, if the recipients are right: 1 to [`MAX_RECIPIENTS`], nobody twice, not the sender.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(
        action: Action,
        sender: StaffId,
        recipients: Vec<StaffId>,
        chart: Option<ChartId>,
    ) -> Result<Self, MalformedRecipients> {
        if recipients.is_empty() {
            return Err(MalformedRecipients::None);
        }
        if recipients.len() > MAX_RECIPIENTS {
            return Err(MalformedRecipients::TooMany);
        }
        let mut known = BTreeSet::from([sender.clone()]);
        let repeated: Vec<_> = recipients
            .into_iter()
            .enumerate()
            .filter_map(|(place, id)| (!known.insert(id)).then_some(place))
            .collect();
        if !repeated.is_empty() {
            return Err(MalformedRecipients::Repeated(repeated));
        }
        known.remove(&sender);
        Ok(Self {
            action,
            sender,
            recipients: known,
            chart,
        })
    }

    /// The sender.
    #[must_use]
    pub fn sender(&self) -> &StaffId {
        &self.sender
    }

    /// Everybody else.
    #[must_use]
    pub fn recipients(&self) -> &BTreeSet<StaffId> {
        &self.recipients
    }

    /// The chart, if there is one.
    #[must_use]
    pub fn chart(&self) -> Option<&ChartId> {
        self.chart.as_ref()
    }
}

impl Question {
    /// The staff: first the one of the portal conversation or the sender, then the others.
    pub fn staff(&self) -> impl Iterator<Item = &StaffId> {
        let (first, others) = match self {
            Self::Portal(question) => (&question.staff, None),
            Self::Staff(question) => (&question.sender, Some(&question.recipients)),
        };
        iter::once(first).chain(others.into_iter().flatten())
    }

    /// The portal user, if there is one.
    #[must_use]
    pub fn portal_user(&self) -> Option<&PortalUserId> {
        match self {
            Self::Portal(question) => Some(&question.portal_user),
            Self::Staff(_) => None,
        }
    }

    /// Whether a portal user sends: to them no chart is ever linked.
    #[must_use]
    pub fn is_sent_by_portal_user(&self) -> bool {
        matches!(self, Self::Portal(question) if question.sender == Sender::PortalUser)
    }

    /// The chart, if there is one.
    #[must_use]
    pub fn chart(&self) -> Option<&ChartId> {
        match self {
            Self::Portal(question) => Some(&question.chart),
            Self::Staff(question) => question.chart(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(recipients: &[&str]) -> Result<StaffQuestion, MalformedRecipients> {
        let ids = recipients.iter().map(|id| StaffId::parse(*id).unwrap()).collect();
        StaffQuestion::new(Action::Start, StaffId::parse("me").unwrap(), ids, None)
    }

    #[test]
    fn malformed_recipients_are_no_question() {
        assert_eq!(ask(&[]), Err(MalformedRecipients::None));
        assert_eq!(
            ask(&["a", "me", "b", "a"]),
            Err(MalformedRecipients::Repeated(vec![1, 3]))
        );
        let names: Vec<_> = (0..51).map(|number| format!("s{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(ask(&names), Err(MalformedRecipients::TooMany));
        assert_eq!(ask(&names[..50]).unwrap().recipients().len(), 50);
    }
}
