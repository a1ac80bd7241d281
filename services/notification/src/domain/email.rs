//! What an email may say: a brand, or none, and a link. There is nothing else that a template could name (N1).

use super::{Brand, Language, Link};

/// Everything that an email says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    is_for_staff: bool,
    brand: Option<Brand>,
    link: Option<Link>,
    language: Language,
}

impl Email {
    /// An email to a portal user (N1), under a brand or neutral.
    #[must_use]
    pub fn for_portal(brand: Option<Brand>, language: Language, link: Link) -> Self {
        Self {
            is_for_staff: false,
            brand,
            link: Some(link),
            language,
        }
    }

    /// An email to a member of staff who asked for it (N2). Where their inbox is may not be known.
    #[must_use]
    pub fn for_staff(brand: Option<Brand>, language: Language, link: Option<Link>) -> Self {
        Self {
            is_for_staff: true,
            brand,
            link,
            language,
        }
    }

    /// Whether it goes to a member of staff.
    #[must_use]
    pub fn is_for_staff(&self) -> bool {
        self.is_for_staff
    }

    /// The brand, unless the email is neutral.
    #[must_use]
    pub fn brand(&self) -> Option<&Brand> {
        self.brand.as_ref()
    }

    /// The link. One to a portal user always has one.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// The language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> String {
        let brand = self.brand().map(Brand::name);
        match (self.language, self.is_for_staff, brand) {
            (Language::English, false, Some(brand)) => format!("New message in your {brand} portal account"),
            (Language::English, false, None) => "New message in your portal account".to_owned(),
            (Language::English, true, Some(brand)) => format!("New message in My Messages at {brand}"),
            (Language::English, true, None) => "New message in My Messages".to_owned(),
            (Language::Spanish, false, Some(brand)) => format!("Nuevo mensaje en su cuenta del portal de {brand}"),
            (Language::Spanish, false, None) => "Nuevo mensaje en su cuenta del portal".to_owned(),
            (Language::Spanish, true, Some(brand)) => format!("Nuevo mensaje en My Messages de {brand}"),
            (Language::Spanish, true, None) => "Nuevo mensaje en My Messages".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_a_neutral_email_has_no_brand() {
        let link = Link::parse("https://portal.example.org").unwrap();
        let neutral = Email::for_portal(None, Language::English, link.clone());
        assert_eq!(
            (neutral.brand(), neutral.subject().as_str()),
            (None, "New message in your portal account")
        );
        let email = Email::for_portal(Brand::clean("Hope", "", ""), Language::English, link);
        assert_eq!(email.subject(), "New message in your Hope portal account");
    }
}
