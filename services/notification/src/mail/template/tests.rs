//! What the emails say, held against files that a person can read.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use crate::domain::Link;

const LINK: &str = "https://portal.example.org/inbox?a=1&b=2";

fn link() -> Link {
    Link::parse(LINK).unwrap()
}

fn full() -> Option<Brand> {
    let logo = "https://www.example.org/logo.png?a=1&b=2";
    Brand::clean("Clínica Ñandú & Sons", logo, "+61 2 5550 0000")
}

fn plain() -> Option<Brand> {
    Brand::clean("Southern Clinics", "", "")
}

/// Every email there is, by the name of its file.
fn emails() -> Vec<(String, Email)> {
    let mut emails = Vec::new();
    for language in Language::ALL {
        let tag = language.tag();
        for (name, brand) in [("brand", full()), ("name", plain()), ("neutral", None)] {
            let portal = Email::for_portal(brand.clone(), language, link());
            emails.push((format!("portal.{tag}.{name}"), portal));
            let staff = Email::for_staff(brand.clone(), language, Some(link()));
            emails.push((format!("staff.{tag}.{name}"), staff));
        }
        let staff = Email::for_staff(plain(), language, None);
        emails.push((format!("staff.{tag}.no-link"), staff));
    }
    emails
}

/// The files are written anew by a build with CAREPOST_WRITE_GOLDEN in its environment: look at what changed, then commit it.
#[test]
fn n1_every_email_says_what_its_golden_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names = BTreeSet::new();
    for (name, email) in emails() {
        let Rendered { subject, text, html } = render(&email).unwrap();
        let told = format!("Subject: {subject}\n\n--- text ---\n{text}\n--- html ---\n{html}\n");
        let path = folder.join(format!("{name}.txt"));
        if option_env!("CAREPOST_WRITE_GOLDEN").is_some() {
            fs::write(&path, &told).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), told, "{name}");
        names.insert(format!("{name}.txt"));
    }
    let files = fs::read_dir(folder).unwrap();
    let files: BTreeSet<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "a file that no email is held against");
}

/// The words of a template's tags: what it names, and askama's own.
fn words(template: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (open, close) in [("{{", "}}"), ("{%", "%}")] {
        for part in template.split(open).skip(1) {
            let tag = part.split_once(close).unwrap().0;
            let names = tag.split(|c: char| !c.is_alphanumeric() && c != '_');
            found.extend(names.filter(|name| !name.is_empty()));
        }
    }
    found
}

#[test]
fn n1_a_template_can_name_nothing_but_brand_link_and_locale() {
    // If one more field comes, this does not compile.
    let content = Content {
        brand: None,
        link: None,
        locale: "en",
    };
    let Content {
        brand: _,
        link: _,
        locale: _,
    } = content;
    let own = ["if", "let", "Some", "else", "endif"];
    let given = ["brand", "name", "logo", "phone", "link", "locale"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut count = 0;
    for folder in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let template = fs::read_to_string(&path).unwrap();
            for word in words(&template) {
                assert!(
                    own.contains(&word) || given.contains(&word),
                    "{word} in {}",
                    path.display()
                );
            }
            count += 1;
        }
    }
    assert_eq!(count, 4 * Language::ALL.len());
}

#[test]
fn n1_a_neutral_email_has_no_trace_of_the_brand() {
    for (name, email) in emails().into_iter().filter(|(name, _)| name.ends_with("neutral")) {
        let Rendered { subject, text, html } = render(&email).unwrap();
        for part in [subject, text, html] {
            for word in ["andú", "Southern", "logo", "<img", "5550"] {
                assert!(!part.contains(word), "{word} in {name}");
            }
        }
    }
}

#[test]
fn a_brand_is_text_in_html_and_nothing_more() {
    let name = "<b>A</b> & \"B\" 'C' Ünïcode 诊所";
    let brand = Brand::clean(name, "https://a.example/\"><script>", "<i>1</i>");
    for language in Language::ALL {
        for email in [
            Email::for_portal(brand.clone(), language, link()),
            Email::for_staff(brand.clone(), language, Some(link())),
        ] {
            let Rendered { text, html, .. } = render(&email).unwrap();
            let escaped = "&#60;b&#62;A&#60;/b&#62; &#38; &#34;B&#34; &#39;C&#39; Ünïcode 诊所";
            // In the title, beside the logo, in the text.
            assert_eq!(html.matches(escaped).count(), 3, "{html}");
            assert!(!html.contains("<b>") && !html.contains("<i>") && !html.contains("<script"));
            assert!(html.contains("href=\"https://portal.example.org/inbox?a=1&#38;b=2\""));
            assert!(text.contains(name) && text.contains(LINK));
        }
    }
}

#[test]
fn the_html_can_be_read_aloud_and_needs_no_image() {
    for (name, email) in emails() {
        let Rendered { subject, html, .. } = render(&email).unwrap();
        let tag = email.language().tag();
        assert!(html.contains(&format!("<html lang=\"{tag}\" dir=\"ltr\">")), "{name}");
        let title = subject.replace('&', "&#38;");
        assert!(html.contains(&format!("<title>{title}</title>")), "{name}");
        assert!(!html.contains("http-equiv") && !html.contains("<script") && !html.contains("url("));
        // Without images there is the brand's name instead; and it is in the text anyhow.
        let alt = "alt=\"Clínica Ñandú &#38; Sons\"";
        assert_eq!(html.matches("<img").count(), html.matches(alt).count(), "{name}");
        for part in html.split("<a ").skip(1) {
            let words = part.split_once('>').unwrap().1.split_once("</a>").unwrap().0;
            assert!(words.len() > 10, "a link says where it goes: {words}");
        }
    }
}

/// The WCAG's relative luminance of a colour that is written as `#rrggbb`.
fn luminance(colour: &str) -> f64 {
    let part = |from: usize| {
        let value = u8::from_str_radix(&colour[from..from + 2], 16).unwrap();
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_word_stands_out_from_its_background() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.01 && contrast("#777777", "#ffffff") < 4.5);
    for (name, email) in emails() {
        let html = render(&email).unwrap().html;
        let colours: Vec<_> = html
            .match_indices('#')
            .map(|(place, _)| (&html[..place], &html[place..]))
            .collect();
        let named = |property: &str| -> Vec<_> {
            let found = colours.iter().filter(|(before, _)| before.ends_with(property));
            found.map(|(_, colour)| &colour[..7]).collect()
        };
        // The one background is the body's; each text has a colour that is named.
        let backgrounds = named("background-color: ");
        assert_eq!(backgrounds.len(), 1, "{name}");
        let texts = [named(" color: "), named("\"color: ")].concat();
        assert_eq!(texts.len(), 1 + html.matches("<a ").count(), "{name}");
        for text in texts {
            let ratio = contrast(text, backgrounds[0]);
            // WCAG 2, level AAA.
            assert!(ratio >= 7.0, "{name}: {text} has {ratio}");
        }
    }
}
