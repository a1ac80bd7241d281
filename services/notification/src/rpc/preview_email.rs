//! `PreviewEmail`: an email as it would go out, to nobody (N5).

use carepost_proto::notification::v1::{
    EmailHeader, EmailKind, PreviewBrand, PreviewEmailRequest, PreviewEmailResponse,
};
use carepost_rpc::{Caller, Violations, status::internal};
use tonic::Status;

use super::Notification;
use crate::{
    domain::{Brand, Email, Language, Link},
    mail::preview,
};

/// Where the link to a made-up portal goes.
const PORTAL: &str = "https://portal.example.org/";
/// The longest link, in characters.
const MAX_LINK: usize = 2_048;

pub(super) async fn handle(
    notification: &Notification,
    _: &Caller,
    request: PreviewEmailRequest,
) -> Result<PreviewEmailResponse, Status> {
    let email = parse(&request)?;
    let now = notification.clock.now();
    let preview = preview(&notification.from, &email, now).map_err(|error| internal(&error))?;
    let headers = preview.headers.into_iter();
    Ok(PreviewEmailResponse {
        subject: preview.subject,
        text: preview.text,
        html: preview.html,
        headers: headers.map(|(name, value)| EmailHeader { name, value }).collect(),
    })
}

fn parse(request: &PreviewEmailRequest) -> Result<Email, Status> {
    let mut violations = Violations::default();
    let language = match request.locale.as_str() {
        "" => Some(Language::default()),
        locale => Language::of(locale),
    };
    if language.is_none() {
        violations.add("locale", "emails are not written in this language");
    }
    let language = language.unwrap_or_default();
    let brand = request.brand.as_ref().map(|given| brand(&mut violations, given));
    let brand = brand.flatten().filter(|_| !request.neutral);
    let link = match request.link.as_str() {
        "" => None,
        link if link.chars().count() > MAX_LINK => {
            violations.add("link", format!("must be at most {MAX_LINK} characters"));
            None
        }
        link => violations.take("link", Link::parse(link)),
    };
    let portal = violations.take("link", link.clone().map_or_else(|| Link::parse(PORTAL), Ok));
    let email = match EmailKind::try_from(request.kind) {
        Ok(EmailKind::Staff) => Some(Email::for_staff(brand, language, link)),
        Ok(EmailKind::Unspecified | EmailKind::Portal) => portal.map(|link| Email::for_portal(brand, language, link)),
        Err(_) => {
            violations.add("kind", "must be a kind of email");
            None
        }
    };
    violations.finish(email)
}

/// The brand, if it comes out as it was given.
fn brand(violations: &mut Violations, given: &PreviewBrand) -> Option<Brand> {
    let brand = Brand::clean(&given.name, &given.logo_url, &given.phone);
    let parts = |brand: &Brand| {
        (
            brand.name().to_owned(),
            brand.logo().is_some(),
            brand.phone().map(ToOwned::to_owned),
        )
    };
    let (name, has_logo, phone) = brand.as_ref().map(parts).unwrap_or_default();
    if name.is_empty() || name != given.name {
        violations.add("brand.name", "must be 1 to 200 characters on one line");
    }
    if !given.logo_url.is_empty() && brand.is_some() && !has_logo {
        violations.add("brand.logo_url", "must be an https URL of at most 2,048 characters");
    }
    if brand.is_some() && phone.unwrap_or_default() != given.phone {
        violations.add("brand.phone", "must be at most 40 characters on one line");
    }
    brand
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn wrong(request: &PreviewEmailRequest) -> Vec<String> {
        let refused = parse(request).unwrap_err();
        let details = refused.get_error_details();
        let violations = details.bad_request().unwrap().field_violations.clone();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn every_wrong_field_is_named() {
        let request = PreviewEmailRequest {
            locale: "fr".into(),
            brand: Some(PreviewBrand {
                name: "A\r\nBcc: x".into(),
                logo_url: "http://a.example/logo.png".into(),
                phone: "1".repeat(41),
            }),
            kind: 3,
            link: "javascript:alert(1)".into(),
            neutral: true,
        };
        assert_eq!(
            wrong(&request),
            ["locale", "brand.name", "brand.logo_url", "brand.phone", "link", "kind"]
        );
        let request = PreviewEmailRequest {
            brand: Some(PreviewBrand::default()),
            link: format!("https://a.example/{}", "x".repeat(MAX_LINK)),
            ..PreviewEmailRequest::default()
        };
        assert_eq!(wrong(&request), ["brand.name", "link"]);
        for locale in ["xx", "e", "english", "es419"] {
            let locale = locale.to_owned();
            let request = PreviewEmailRequest {
                locale,
                ..PreviewEmailRequest::default()
            };
            assert_eq!(wrong(&request), ["locale"]);
        }
    }

    #[test]
    fn what_is_not_given_is_made_up() {
        let email = parse(&PreviewEmailRequest::default()).unwrap();
        assert_eq!(email.link().unwrap().as_str(), PORTAL);
        assert_eq!((email.brand(), email.language()), (None, Language::English));
        let staff = PreviewEmailRequest {
            locale: "es-419".into(),
            kind: EmailKind::Staff.into(),
            ..PreviewEmailRequest::default()
        };
        let email = parse(&staff).unwrap();
        assert_eq!((email.link(), email.language()), (None, Language::Spanish));
        assert!(email.is_for_staff());
    }

    #[test]
    fn n1_a_neutral_preview_has_no_brand() {
        let brand = PreviewBrand {
            name: "Hope Recovery".into(),
            logo_url: "https://hope.example/logo.png".into(),
            phone: "+1 555 0100".into(),
        };
        let mut request = PreviewEmailRequest {
            brand: Some(brand),
            ..PreviewEmailRequest::default()
        };
        assert_eq!(parse(&request).unwrap().brand().unwrap().name(), "Hope Recovery");
        request.neutral = true;
        assert_eq!(parse(&request).unwrap().brand(), None);
    }
}
