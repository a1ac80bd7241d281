//! The words of an email. The templates are part of the binary, and are given nothing but the brand, if there is one, and
//! the link.

use askama::Template;

use crate::domain::Email;

#[derive(Template)]
#[template(path = "message.txt")]
struct Text<'a> {
    brand: Option<&'a str>,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Html<'a> {
    subject: &'a str,
    brand: Option<&'a str>,
    link: &'a str,
}

/// An email in words.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Renders an email.
pub(super) fn render(email: &Email) -> Result<Rendered, askama::Error> {
    let subject = email.subject();
    let brand = email.brand().map(|brand| brand.as_str());
    let link = email.link().as_str();
    let text = Text { brand, link }.render()?;
    let html = Html {
        subject: &subject,
        brand,
        link,
    }
    .render()?;
    Ok(Rendered { subject, text, html })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PortalLink;

    const LINK: &str = "https://portal.example.org/inbox?a=1&b=2";

    fn rendered(brand: &str, neutral: bool) -> Rendered {
        render(&Email::new(brand, neutral, PortalLink::parse(LINK).unwrap())).unwrap()
    }

    #[test]
    fn n1_an_email_says_brand_link_and_not_to_answer() {
        let email = rendered("Southern Clinics", false);
        assert_eq!(email.subject, "New message in your Southern Clinics portal account");
        assert_eq!(
            email.text,
            "You have a new message in your portal account from Southern Clinics.\n\n\
             Sign in to your portal account to read it:\nhttps://portal.example.org/inbox?a=1&b=2\n\n\
             Please do not answer this email: this address is not read."
        );
        assert!(email.html.contains("from <strong>Southern Clinics</strong>."));
        assert!(
            email
                .html
                .contains("href=\"https://portal.example.org/inbox?a=1&#38;b=2\""),
            "{}",
            email.html
        );
        assert!(email.html.contains("Please do not answer this email"));
    }

    #[test]
    fn n1_a_neutral_email_is_the_same_for_every_brand() {
        let email = rendered("Hope Recovery", true);
        assert!(email == rendered("Another Clinic", true));
        for part in [&email.subject, &email.text, &email.html] {
            assert!(!part.contains("Hope") && !part.contains("from"), "{part}");
        }
    }

    #[test]
    fn a_brand_is_text_in_html_and_nothing_more() {
        let email = rendered("<b>A</b> & \"B\" 'C' Ünïcode 诊所", false);
        let escaped = "&#60;b&#62;A&#60;/b&#62; &#38; &#34;B&#34; &#39;C&#39; Ünïcode 诊所";
        assert_eq!(email.html.matches(escaped).count(), 2, "{}", email.html);
        assert!(!email.html.contains("<b>"));
        assert!(email.text.contains("from <b>A</b> & \"B\" 'C' Ünïcode 诊所."));
    }

    #[test]
    fn the_html_can_be_read_aloud_and_needs_no_image() {
        let html = rendered("Southern", false).html;
        assert!(html.contains("<html lang=\"en\"") && html.contains("<title>New message in your Southern portal"));
        assert!(html.contains(">Sign in to your portal account to read it</a>"));
        assert!(!html.contains("<img") && !html.contains("http-equiv") && !html.contains("<script"));
    }
}
