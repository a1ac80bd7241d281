use carepost_folding::fold;
use carepost_identity::ChartId;
use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::domain::{Kind, Participant, Side};

fn query(text: &str) -> SearchQuery {
    SearchQuery::parse(text).unwrap()
}

fn conversation(subject: &str) -> Conversation {
    let party = |person: &str, name: &str| Participant {
        person: PersonId::parse(person).unwrap(),
        display_name: name.to_owned(),
    };
    Conversation {
        id: Uuid::from_u128(1),
        kind: Kind::Portal,
        regarding: Some(Regarding {
            chart: ChartId::parse("c").unwrap(),
            patient_name: "Rocky Streich".to_owned(),
        }),
        subject: subject.to_owned(),
        participants: vec![party("portal/9", "Zoë Streich"), party("staff/1", "Dr. Łukasz Feil")],
        created_at: DateTime::UNIX_EPOCH,
        last_message_at: DateTime::UNIX_EPOCH,
        last_sequence: 1,
        position: 1,
        side: Side {
            last_read: 0,
            unread: 0,
            archived: false,
        },
        preview: None,
    }
}

fn marked(snippet: &Snippet) -> String {
    let matched = snippet.text.chars().skip(snippet.match_start);
    matched.take(snippet.match_length).collect()
}

#[test]
fn i5_a_query_has_3_to_200_characters_that_count() {
    for short in [
        "",
        "ab",
        "   ab   ",
        "a\u{301}b\u{301}",
        "\u{301}\u{302}\u{303}\u{304}",
        " \n\t ",
        "💊💊",
    ] {
        assert_eq!(SearchQuery::parse(short), Err(QueryFault::TooShort), "{short:?}");
    }
    for right in ["abc", " abc ", "💊💊💊", "a b", "%_\\", "中文字", &"x".repeat(200)] {
        assert!(SearchQuery::parse(right).is_ok(), "{right}");
    }
    for long in ["x".repeat(201), "x".repeat(10_000), "ﷺ".repeat(12)] {
        assert_eq!(SearchQuery::parse(&long), Err(QueryFault::TooLong));
    }
    assert_eq!(format!("{:?}", query("secret")), "SearchQuery(…)");
}

#[test]
fn a_snippet_is_of_the_body_before_the_subject_before_a_name() {
    let found = conversation("About Streich");
    let source = |text: &str, body| Snippet::of(&query(text), &found, body).map(|snippet| snippet.source);
    assert_eq!(
        source("STREICH", Some((7, "Mr. Streich"))),
        Some(SnippetSource::Body(7))
    );
    assert_eq!(source("streich", Some((7, "nothing"))), Some(SnippetSource::Subject));
    assert_eq!(source("streich", None), Some(SnippetSource::Subject));
    let feil = PersonId::parse("staff/1").unwrap();
    assert_eq!(source("lukasz", None), Some(SnippetSource::ParticipantName(feil)));
    assert_eq!(source("rocky", None), Some(SnippetSource::PatientName));
    assert_eq!(source("nowhere", None), None);
}

#[test]
fn a_snippet_shows_one_line_around_the_match() {
    let found = conversation("");
    let of = |text: &str, body: &str| Snippet::of(&query(text), &found, Some((1, body))).unwrap();
    let short = of("monday", "Please come\n\n on  MONDAY. ");
    assert_eq!(
        (short.text.as_str(), marked(&short)),
        ("Please come on MONDAY.", "MONDAY".to_owned())
    );
    let body = format!("{} needle {}", "before ".repeat(50), "after ".repeat(50));
    let cut = of("needle", &body);
    assert_eq!((cut.text.chars().count(), marked(&cut)), (160, "needle".to_owned()));
    assert!(cut.text.starts_with('…') && cut.text.ends_with('…'), "{}", cut.text);
    let at_end = of("needle", &format!("{}needle", "before ".repeat(50)));
    assert_eq!(
        (at_end.text.chars().count(), at_end.text.ends_with("needle")),
        (160, true)
    );
    let long = of(&"x".repeat(200), &"x".repeat(300));
    assert_eq!(
        (long.text.chars().count(), long.match_start, long.match_length),
        (160, 0, 159)
    );
    let marks = of(
        "aaa",
        &format!("{}aaa{}", "e\u{301}".repeat(100), "e\u{301}".repeat(100)),
    );
    assert!(
        marks.text.starts_with("…e") && marks.text.ends_with("\u{301}…"),
        "{}",
        marks.text
    );
    assert_eq!(marked(&marks), "aaa");
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_snippet_marks_the_query(before in ".{0,200}", text in ".{3,20}", after in ".{0,200}") {
            let Ok(query) = SearchQuery::parse(&text) else { return Ok(()) };
            let body = format!("{before}{text}{after}");
            let snippet = Snippet::of(&query, &conversation(""), Some((1, &body))).unwrap();
            prop_assert!(snippet.text.chars().count() <= 160);
            prop_assert!(!snippet.text.contains('\n'));
            prop_assert!(fold(&marked(&snippet)).contains(query.folded()));
        }
    }
}
