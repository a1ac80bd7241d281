//! The languages that emails are written in.

/// A language that emails are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English: also for who reads another language.
    #[default]
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// The language of a locale, which is a BCP 47 tag (`es-419`), if emails are written in it.
    #[must_use]
    pub fn of(locale: &str) -> Option<Self> {
        // Some systems write an underscore.
        let primary = locale.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The language of the first of these locales that emails are written in; if there is none, English.
    #[must_use]
    pub fn first_of(locales: &[&str]) -> Self {
        locales.iter().find_map(|locale| Self::of(locale)).unwrap_or_default()
    }

    /// Its BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_has_the_language_of_its_first_part() {
        for locale in ["es", "es-419", "ES-mx", "es_PR", " es-ES "] {
            assert_eq!(Language::of(locale), Some(Language::Spanish), "{locale}");
        }
        for locale in ["en", "en-US", "EN-au"] {
            assert_eq!(Language::of(locale), Some(Language::English), "{locale}");
        }
        for locale in ["", "fr", "est", "x-es", "-es", "zh-Hant"] {
            assert_eq!(Language::of(locale), None, "{locale}");
        }
    }

    #[test]
    fn the_first_language_that_emails_are_written_in_counts() {
        for (locales, language) in [
            (&["es-MX", "en-US"][..], Language::Spanish),
            (&["fr-CA", "es-US"], Language::Spanish),
            (&["", "es"], Language::Spanish),
            (&["en", "es"], Language::English),
            (&["fr", "de"], Language::English),
            (&[], Language::English),
        ] {
            assert_eq!(Language::first_of(locales), language, "{locales:?}");
        }
    }
}
