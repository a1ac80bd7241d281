//! To whom, and under which brand: asked of eligibility at each attempt, so that it is true when the email goes out (N4).

use carepost_identity::PersonId;
use carepost_proto::eligibility::v1::{
    AccountStatus, GetEmailRecipientRequest, GetEmailRecipientResponse,
    eligibility_service_client::EligibilityServiceClient,
};
use carepost_rpc::peer::{Peer, PeerError};
use lettre::Address;
use tonic::Code;

use super::address::parse_address;
use crate::{
    domain::{Answer, Brand, Email, Language, Link, Outcome, SuppressionReason},
    store::Claimed,
};

/// Asks eligibility.
#[derive(Clone)]
pub struct Recipients {
    eligibility: Peer,
    staff_url: Option<Link>,
}

/// What came of asking.
pub(super) enum Lookup {
    /// An email may go there.
    Found(Address, Box<Email>),
    /// None can go out: this is the attempt's outcome.
    Not(Outcome),
    /// Eligibility does not answer.
    Unavailable,
}

impl Recipients {
    /// Asks this peer. The URL is where staff read their messages, if that is known.
    #[must_use]
    pub fn new(eligibility: Peer, staff_url: Option<Link>) -> Self {
        Self { eligibility, staff_url }
    }

    /// Looks the recipient of a delivery up.
    pub(super) async fn look_up(&self, claimed: &Claimed) -> Lookup {
        let mut question = GetEmailRecipientRequest {
            chart_id: claimed.chart.as_ref().map(ToString::to_string),
            ..GetEmailRecipientRequest::default()
        };
        match &claimed.recipient {
            PersonId::Portal(id) => question.portal_user_id = id.to_string(),
            PersonId::Staff(id) => question.staff_id = Some(id.to_string()),
        }
        let asked = self
            .eligibility
            .call(&claimed.organization, None, question, |channel, request| async move {
                EligibilityServiceClient::new(channel)
                    .get_email_recipient(request)
                    .await
            });
        match asked.await {
            Ok(answer) => understand(&claimed.recipient, answer, self.staff_url.as_ref()),
            Err(PeerError::Unavailable(_)) => Lookup::Unavailable,
            Err(PeerError::Refused(_, status)) if status.code() == Code::NotFound => {
                Lookup::Not(Outcome::Suppressed(unknown(&claimed.recipient)))
            }
            // A fault on either side, of this question alone: it must not keep the others waiting.
            Err(PeerError::Refused(..)) => Lookup::Not(postponed("eligibility refused to tell the recipient")),
        }
    }
}

fn understand(recipient: &PersonId, answer: GetEmailRecipientResponse, staff_url: Option<&Link>) -> Lookup {
    if answer.status() != AccountStatus::Active {
        return Lookup::Not(Outcome::Suppressed(SuppressionReason::AccountNotActive));
    }
    // An address is not repeated in what is kept, however wrong.
    let address = match answer.email.trim() {
        "" => return Lookup::Not(refused("the recipient has no address")),
        text => parse_address(text),
    };
    let Some(address) = address else {
        return Lookup::Not(refused("the recipient's address is malformed"));
    };
    // An operator can put these right.
    let Some(brand) = answer.brand else {
        return Lookup::Not(postponed("eligibility told no brand"));
    };
    let language = Language::first_of(&[&answer.locale, &brand.locale]);
    let brand = Brand::clean(&brand.name, &brand.logo_url, &brand.phone).filter(|_| !brand.neutral);
    match (recipient, Link::parse(&answer.portal_url)) {
        (PersonId::Staff(_), _) => {
            let email = Email::for_staff(brand, language, staff_url.cloned());
            Lookup::Found(address, Box::new(email))
        }
        (PersonId::Portal(_), Ok(link)) => {
            let email = Email::for_portal(brand, language, link);
            Lookup::Found(address, Box::new(email))
        }
        (PersonId::Portal(_), Err(_)) => Lookup::Not(postponed("the organization has no usable portal URL")),
    }
}

fn unknown(recipient: &PersonId) -> SuppressionReason {
    match recipient {
        PersonId::Portal(_) => SuppressionReason::UnknownPortalUser,
        PersonId::Staff(_) => SuppressionReason::UnknownStaff,
    }
}

fn refused(what: &str) -> Outcome {
    Outcome::Refused(Answer::new(0, what))
}

fn postponed(what: &str) -> Outcome {
    Outcome::Postponed(Answer::new(0, what))
}

#[cfg(test)]
mod tests {
    use carepost_proto::eligibility::v1;

    use super::*;

    fn active() -> GetEmailRecipientResponse {
        GetEmailRecipientResponse {
            status: AccountStatus::Active.into(),
            email: "guardian@home.example".into(),
            locale: "es-419".into(),
            brand: Some(v1::Brand {
                name: "Southern".into(),
                logo_url: "https://southern.example/logo.png".into(),
                phone: "+1 555 0100".into(),
                ..v1::Brand::default()
            }),
            portal_url: "https://portal.example.org/".into(),
        }
    }

    fn found(recipient: &str, answer: GetEmailRecipientResponse, staff_url: Option<&Link>) -> Email {
        match understand(&recipient.parse().unwrap(), answer, staff_url) {
            Lookup::Found(_, email) => *email,
            Lookup::Not(outcome) => panic!("{outcome:?}"),
            Lookup::Unavailable => panic!("it answered"),
        }
    }

    fn outcome(recipient: &str, change: impl FnOnce(&mut GetEmailRecipientResponse)) -> Option<Outcome> {
        let mut answer = active();
        change(&mut answer);
        match understand(&recipient.parse().unwrap(), answer, None) {
            Lookup::Not(outcome) => Some(outcome),
            Lookup::Found(..) | Lookup::Unavailable => None,
        }
    }

    #[test]
    fn n4_every_state_but_active_suppresses() {
        for recipient in ["portal/1", "staff/1"] {
            for status in 0..=7 {
                let suppressed = Outcome::Suppressed(SuppressionReason::AccountNotActive);
                let expected = (status != i32::from(AccountStatus::Active)).then_some(suppressed);
                assert_eq!(
                    outcome(recipient, |answer| answer.status = status),
                    expected,
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn a_malformed_address_is_final_and_not_repeated() {
        for (address, told) in [
            (" ", "the recipient has no address"),
            ("nobody", "the recipient's address is malformed"),
            ("a@b@c.example", "the recipient's address is malformed"),
            (
                "a@b.example\r\nRCPT TO:<x@y.example>",
                "the recipient's address is malformed",
            ),
        ] {
            let refused = outcome("portal/1", |answer| answer.email = address.into());
            assert_eq!(refused, Some(Outcome::Refused(Answer::new(0, told))), "{address:?}");
        }
    }

    #[test]
    fn what_an_operator_can_put_right_is_tried_again() {
        assert!(matches!(
            outcome("portal/1", |answer| answer.brand = None),
            Some(Outcome::Postponed(_))
        ));
        assert!(matches!(
            outcome("portal/1", |answer| answer.portal_url.clear()),
            Some(Outcome::Postponed(_))
        ));
    }

    #[test]
    fn brand_and_language_are_the_recipients() {
        let email = found("portal/1", active(), None);
        let brand = email.brand().unwrap();
        assert_eq!(
            (brand.name(), brand.phone(), brand.logo()),
            (
                "Southern",
                Some("+1 555 0100"),
                Some("https://southern.example/logo.png")
            )
        );
        assert_eq!(
            (email.language(), email.link().unwrap().as_str(), email.is_for_staff()),
            (Language::Spanish, "https://portal.example.org/", false)
        );
    }

    #[test]
    fn who_reads_another_language_gets_the_brands_and_then_english() {
        for (own, brands, language) in [
            ("es-MX", "en-US", Language::Spanish),
            ("en-US", "es-US", Language::English),
            ("fr-CA", "es-US", Language::Spanish),
            ("", "es-US", Language::Spanish),
            ("fr-CA", "de", Language::English),
            ("", "", Language::English),
        ] {
            for recipient in ["portal/1", "staff/1"] {
                let mut answer = active();
                own.clone_into(&mut answer.locale);
                brands.clone_into(&mut answer.brand.as_mut().unwrap().locale);
                assert_eq!(found(recipient, answer, None).language(), language, "{own}, {brands}");
            }
        }
    }

    #[test]
    fn n1_the_neutral_mode_is_obeyed() {
        let mut answer = active();
        answer.brand.as_mut().unwrap().neutral = true;
        for recipient in ["portal/1", "staff/1"] {
            assert_eq!(found(recipient, answer.clone(), None).brand(), None);
        }
    }

    #[test]
    fn n2_staff_are_sent_to_their_own_inbox_or_nowhere() {
        let url = Link::parse("https://emr.example.org/messages").unwrap();
        let email = found("staff/1", active(), Some(&url));
        assert!(email.is_for_staff() && email.link() == Some(&url));
        let mut answer = active();
        answer.portal_url.clear();
        assert_eq!(found("staff/1", answer, None).link(), None);
    }
}
