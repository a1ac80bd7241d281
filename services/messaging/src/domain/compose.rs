//! What everybody who writes must know (C7).

/// The notice to show wherever a message is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The notice, in English.
    pub text: String,
    /// The emergency number in it.
    pub emergency_number: &'static str,
}

impl Notice {
    /// The notice for a country, by its ISO 3166-1 alpha-2 code; for an unknown one with the number that most mobile networks
    /// of the world put through.
    #[must_use]
    pub fn for_country(country: &str) -> Self {
        let emergency_number = emergency_number(country);
        let text = format!(
            "Messages are for matters that are not urgent, and response times vary. In an emergency, call {emergency_number}."
        );
        Self { text, emergency_number }
    }
}

/// The number to call for an ambulance. Only countries whose number is not 112, or where another one is better known: in the
/// European Union, the European Economic Area, Switzerland, Turkey and India it is 112.
fn emergency_number(country: &str) -> &'static str {
    match country.to_ascii_uppercase().as_str() {
        "US" | "PR" | "GU" | "VI" | "AS" | "MP" | "CA" | "MX" => "911",
        "GB" | "IM" | "JE" | "GG" | "HK" | "MY" => "999",
        "AU" => "000",
        "NZ" => "111",
        "JP" | "KR" | "TW" => "119",
        "SG" => "995",
        "BR" => "192",
        "CN" => "120",
        "IL" => "101",
        _ => "112",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUROPEAN_UNION: [&str; 27] = [
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    ];

    #[test]
    fn c7_the_number_is_the_country_s() {
        for (country, number) in [
            ("US", "911"),
            ("us", "911"),
            ("CA", "911"),
            ("GB", "999"),
            ("AU", "000"),
            ("NZ", "111"),
            ("IE", "112"),
            ("CH", "112"),
            ("", "112"),
            ("ZZ", "112"),
        ] {
            assert_eq!(emergency_number(country), number, "{country}");
        }
        for country in EUROPEAN_UNION {
            assert_eq!(emergency_number(country), "112", "{country}");
        }
    }

    #[test]
    fn c7_the_notice_says_what_messages_are_for_and_whom_to_call() {
        let notice = Notice::for_country("AU");
        assert_eq!(
            notice.text,
            "Messages are for matters that are not urgent, and response times vary. In an emergency, call 000."
        );
    }
}
