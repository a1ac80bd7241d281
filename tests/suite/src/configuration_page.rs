//! docs/configuration.md, made from the annotated defaults that are in the binaries: the page and the program cannot say different
//! things.

use std::fmt::Write as _;

use carepost_eligibility::settings::DEFAULTS as ELIGIBILITY;
use carepost_messaging::settings::DEFAULTS as MESSAGING;
use carepost_notification::settings::DEFAULTS as NOTIFICATION;

const INTRODUCTION: &str = "# Configuration

Made from `services/*/config/default.toml` by `make docs`; a test holds it equal to them.

The file of `--config` (TOML) is over the defaults below, the environment over both: `CAREPOST_` and the setting in capitals, with two
underscores in place of each dot, so that `database.url_file` is `CAREPOST_DATABASE__URL_FILE`. A key that does not exist is refused.
`carepost-NAME check-config --config FILE` tells everything that is wrong at once, with exit code 78. `migrate` reads the sections
`database`, `telemetry` and `metrics` alone.

What may be a secret can be given as a file: the setting ends in `_file` then. Certificates, tokens and keys are read again as they change;
URLs and logins once, at the start.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (name, defaults) in [
        ("eligibility", ELIGIBILITY),
        ("messaging", MESSAGING),
        ("notification", NOTIFICATION),
    ] {
        write!(page, "\n## {name}\n").expect("memory");
        service(defaults, &mut page);
    }
    page
}

/// A service's settings: each paragraph of comments with those that stand under it.
fn service(defaults: &str, page: &mut String) {
    // What is before the first section is about all of them, and in the introduction.
    let (_, defaults) = defaults.split_once("\n[").expect("there are sections");
    for section in defaults.split("\n[") {
        let (name, lines) = section.split_once("]\n").expect("it has a name");
        write!(page, "\n### `[{name}]`\n").expect("memory");
        let (mut comments, mut settings) = (Vec::new(), Vec::new());
        for line in lines.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if !settings.is_empty() {
                    paragraph(&comments, &settings, page);
                    (comments, settings) = (Vec::new(), Vec::new());
                }
                comments.push(comment);
            } else if let Some((key, value)) = line.split_once(" = ") {
                settings.push(format!("- `{name}.{key}` = `{value}`"));
            }
        }
        paragraph(&comments, &settings, page);
    }
}

fn paragraph(comments: &[&str], settings: &[String], page: &mut String) {
    write!(page, "\n{}\n\n", settings.join("\n")).expect("memory");
    let mut in_example = false;
    for comment in comments {
        // An example is indented.
        let is_example = comment.starts_with("   ");
        if is_example != in_example {
            page.push_str(if is_example { "\n```toml\n" } else { "```\n\n" });
            in_example = is_example;
        }
        let text = comment.trim();
        if is_example {
            writeln!(page, "{text}").expect("memory");
        } else {
            writeln!(page, "  {}", escaped(text)).expect("memory");
        }
    }
    if in_example {
        page.push_str("```\n");
    }
}

/// The text as Markdown shows it: what looks like a mark of its own is none, but for backquotes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        if place > 0 {
            out.push('`');
        }
        if place % 2 == 1 {
            out.push_str(part);
            continue;
        }
        for c in part.chars() {
            if matches!(c, '*' | '_' | '<' | '[' | ']') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_on_the_page() {
        let page = page();
        for defaults in [ELIGIBILITY, MESSAGING, NOTIFICATION] {
            let mut section = String::new();
            for line in defaults.lines() {
                if let Some(name) = line.strip_prefix('[') {
                    name.trim_end_matches(']').clone_into(&mut section);
                } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                    let shown = format!("- `{section}.{key}` = `{value}`\n");
                    assert!(page.contains(&shown), "{shown}");
                }
            }
        }
    }

    #[test]
    fn marks_are_shown_as_they_are_but_for_backquotes() {
        assert_eq!(escaped("[\"*\"] in `a_b` of a_b"), "\\[\"\\*\"\\] in `a_b` of a\\_b");
    }
}
