//! To whom, and under which brand: asked of eligibility at each attempt, so that it is true when the email goes out (N4).

use carepost_proto::eligibility::v1::{
    AccountStatus, GetEmailRecipientRequest, GetEmailRecipientResponse,
    eligibility_service_client::EligibilityServiceClient,
};
use carepost_rpc::peer::{Peer, PeerError};
use lettre::Address;
use tonic::Code;

use crate::{
    domain::{Answer, Email, Outcome, PortalLink, SuppressionReason},
    store::Claimed,
};

/// Asks eligibility.
#[derive(Clone)]
pub struct Recipients(Peer);

/// What came of asking.
pub(super) enum Lookup {
    /// An email may go there.
    Found(Address, Email),
    /// None can go out: this is the attempt's outcome.
    Not(Outcome),
    /// Eligibility does not answer.
    Unavailable,
}

impl Recipients {
    /// Asks this peer.
    #[must_use]
    pub fn new(eligibility: Peer) -> Self {
        Self(eligibility)
    }

    /// Looks the recipient of a delivery up.
    pub(super) async fn look_up(&self, claimed: &Claimed) -> Lookup {
        let question = GetEmailRecipientRequest {
            portal_user_id: claimed.recipient.to_string(),
            chart_id: claimed.chart.as_ref().map(ToString::to_string),
        };
        let asked = self
            .0
            .call(&claimed.organization, None, question, |channel, request| async move {
                EligibilityServiceClient::new(channel)
                    .get_email_recipient(request)
                    .await
            });
        match asked.await {
            Ok(answer) => understand(answer),
            Err(PeerError::Unavailable(_)) => Lookup::Unavailable,
            Err(PeerError::Refused(_, status)) if status.code() == Code::NotFound => {
                Lookup::Not(Outcome::Suppressed(SuppressionReason::UnknownPortalUser))
            }
            // A fault on either side, of this question alone: it must not keep the others waiting.
            Err(PeerError::Refused(..)) => Lookup::Not(postponed("eligibility refused to tell the recipient")),
        }
    }
}

fn understand(answer: GetEmailRecipientResponse) -> Lookup {
    if answer.status() != AccountStatus::Active {
        return Lookup::Not(Outcome::Suppressed(SuppressionReason::AccountNotActive));
    }
    // An address is not repeated in what is kept, however wrong.
    let Ok(address) = answer.email.trim().parse::<Address>() else {
        return Lookup::Not(Outcome::Refused(Answer::new(0, "the recipient's address is malformed")));
    };
    // An operator can put these right.
    let Some(brand) = answer.brand else {
        return Lookup::Not(postponed("eligibility told no brand"));
    };
    match PortalLink::parse(&answer.portal_url) {
        Ok(link) => Lookup::Found(address, Email::new(&brand.name, brand.neutral, link)),
        Err(error) => Lookup::Not(postponed(&error.to_string())),
    }
}

fn postponed(what: &str) -> Outcome {
    Outcome::Postponed(Answer::new(0, what))
}

#[cfg(test)]
mod tests {
    use carepost_proto::eligibility::v1::Brand;

    use super::*;

    fn active() -> GetEmailRecipientResponse {
        GetEmailRecipientResponse {
            status: AccountStatus::Active.into(),
            email: "guardian@home.example".into(),
            locale: "en".into(),
            brand: Some(Brand {
                name: "Southern".into(),
                ..Brand::default()
            }),
            portal_url: "https://portal.example.org".into(),
        }
    }

    fn outcome(change: impl FnOnce(&mut GetEmailRecipientResponse)) -> Option<Outcome> {
        let mut answer = active();
        change(&mut answer);
        match understand(answer) {
            Lookup::Not(outcome) => Some(outcome),
            Lookup::Found(..) | Lookup::Unavailable => None,
        }
    }

    #[test]
    fn n4_every_state_but_active_suppresses() {
        assert!(matches!(understand(active()), Lookup::Found(..)));
        for status in 0..=7 {
            let suppressed = Some(Outcome::Suppressed(SuppressionReason::AccountNotActive));
            let expected = if status == i32::from(AccountStatus::Active) {
                None
            } else {
                suppressed
            };
            assert_eq!(outcome(|answer| answer.status = status), expected, "{status}");
        }
    }

    #[test]
    fn a_malformed_address_is_final_and_not_repeated() {
        for address in ["", "nobody", "a@b@c.example", "a@b.example\r\nRCPT TO:<x@y.example>"] {
            let Some(Outcome::Refused(answer)) = outcome(|recipient| recipient.email = address.into()) else {
                panic!("{address:?} is no address");
            };
            assert_eq!(
                (answer.code(), answer.text()),
                (0, "the recipient's address is malformed")
            );
        }
    }

    #[test]
    fn what_an_operator_can_put_right_is_tried_again() {
        assert!(matches!(
            outcome(|answer| answer.brand = None),
            Some(Outcome::Postponed(_))
        ));
        assert!(matches!(
            outcome(|answer| answer.portal_url.clear()),
            Some(Outcome::Postponed(_))
        ));
    }

    #[test]
    fn the_neutral_mode_is_obeyed() {
        let mut answer = active();
        answer.brand = Some(Brand {
            name: "Hope Recovery".into(),
            neutral: true,
            ..Brand::default()
        });
        let Lookup::Found(_, email) = understand(answer) else {
            panic!("the account is active")
        };
        assert_eq!(email.brand(), None);
    }
}
