//! The words of an email. The templates are part of the binary, and can name nothing but the brand, if there is one, the
//! link, if there is one, and the locale (N1): [`Content`] has nothing else.

use askama::Template;

use crate::domain::{Brand, Email, Language};

/// All that a template is given.
#[derive(Clone, Copy)]
struct Content<'a> {
    brand: Option<&'a Brand>,
    link: Option<&'a str>,
    locale: &'static str,
}

/// Makes a type for each template of an email in a language: its text and its HTML.
macro_rules! templates {
    ($($module:ident: $text:literal, $html:literal;)*) => {$(
        mod $module {
            use super::{Brand, Content, Template};

            #[derive(Template)]
            #[template(path = $text)]
            struct Text<'a> {
                brand: Option<&'a Brand>,
                link: Option<&'a str>,
            }

            #[derive(Template)]
            #[template(path = $html)]
            struct Html<'a> {
                brand: Option<&'a Brand>,
                link: Option<&'a str>,
                locale: &'static str,
            }

            pub(super) fn render(content: Content<'_>) -> Result<[String; 2], askama::Error> {
                let Content { brand, link, locale } = content;
                Ok([Text { brand, link }.render()?, Html { brand, link, locale }.render()?])
            }
        }
    )*};
}

templates! {
    portal_en: "portal/en.txt", "portal/en.html";
    portal_es: "portal/es.txt", "portal/es.html";
    staff_en: "staff/en.txt", "staff/en.html";
    staff_es: "staff/es.txt", "staff/es.html";
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
    let content = Content {
        brand: email.brand(),
        link: email.link().map(|link| link.as_str()),
        locale: email.language().tag(),
    };
    let [text, html] = match (email.is_for_staff(), email.language()) {
        (false, Language::English) => portal_en::render(content),
        (false, Language::Spanish) => portal_es::render(content),
        (true, Language::English) => staff_en::render(content),
        (true, Language::Spanish) => staff_es::render(content),
    }?;
    let subject = email.subject();
    Ok(Rendered { subject, text, html })
}

#[cfg(test)]
mod tests;
