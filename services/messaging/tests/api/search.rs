//! Search through the API (I5).

mod differential;
mod slow;
mod stored;

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Folder, ReplyState, SearchConversationsRequest, SearchConversationsResponse,
    SearchResult, SnippetSource, StartConversationRequest,
};
use tonic::{Code, Status};

use crate::support::{
    Column, DOCTOR, GUARDIAN, NURSE, Service, fields, on_both, portal_start, reason, reply_to, request_id,
};

async fn ask(
    service: &Service,
    person: &str,
    request: SearchConversationsRequest,
) -> Result<SearchConversationsResponse, Status> {
    let answer = service.of(person).search_conversations(request).await;
    answer.map(tonic::Response::into_inner)
}

fn query(text: &str) -> SearchConversationsRequest {
    SearchConversationsRequest {
        query: text.to_owned(),
        ..Default::default()
    }
}

async fn search(service: &Service, person: &str, text: &str) -> Vec<SearchResult> {
    ask(service, person, query(text)).await.unwrap().results
}

/// Starts a portal conversation with this subject and body, and gives its id.
async fn start(service: &Service, subject: &str, body: &str) -> String {
    let request = StartConversationRequest {
        subject: subject.to_owned(),
        body: body.to_owned(),
        ..portal_start()
    };
    let answer = service.of(NURSE).start_conversation(request).await;
    answer.unwrap().into_inner().conversation_id
}

fn ids(results: &[SearchResult]) -> Vec<&str> {
    let ids = results
        .iter()
        .map(|result| result.conversation.as_ref().unwrap().id.as_str());
    ids.collect()
}

/// What of each snippet is marked.
fn marked(result: &SearchResult) -> String {
    let snippet = result.snippet.as_ref().unwrap();
    let (start, length) = (snippet.match_start as usize, snippet.match_length as usize);
    snippet.text.chars().skip(start).take(length).collect()
}

on_both!(i5_subject_bodies_and_names_are_searched_whatever_their_case_and_accents);
async fn i5_subject_bodies_and_names_are_searched_whatever_their_case_and_accents(column: Column) {
    let service = Service::start(column, "search").await;
    let first = start(&service, "Größe", "Take Łosartan\nat  NOON.").await;
    let second = start(&service, "Other", "Nothing here").await;
    for (text, source, mark) in [
        ("GROSSE", SnippetSource::Subject, "Größe"),
        ("łosartan AT noon", SnippetSource::Body, "Łosartan at NOON"),
        ("losar", SnippetSource::Body, "Łosar"),
    ] {
        for person in [NURSE, GUARDIAN] {
            let results = search(&service, person, text).await;
            assert_eq!(ids(&results), [&first], "{text}");
            assert_eq!(results[0].snippet.as_ref().unwrap().source(), source);
            assert_eq!(marked(&results[0]), mark);
        }
    }
    let named = search(&service, NURSE, "name of portal").await;
    assert_eq!(ids(&named), [&second, &first], "newest first");
    let snippet = named[0].snippet.as_ref().unwrap();
    assert_eq!(
        (snippet.source(), snippet.person.as_str()),
        (SnippetSource::ParticipantName, GUARDIAN)
    );
    let patient = search(&service, NURSE, "patient of").await;
    assert_eq!(
        patient[1].snippet.as_ref().unwrap().source(),
        SnippetSource::PatientName
    );
    assert_eq!(search(&service, NURSE, "nowhere to be found").await, []);
}

on_both!(i5_a_conversation_is_found_once_with_its_newest_match);
async fn i5_a_conversation_is_found_once_with_its_newest_match(column: Column) {
    let service = Service::start(column, "once").await;
    let id = start(&service, "Dressing", "Change the dressing daily.").await;
    service.start_portal().await;
    for body in ["The old dressing is off.", "A new DRESSING is on.", "Thank you."] {
        let reply = carepost_proto::messaging::v1::ReplyRequest {
            body: body.to_owned(),
            ..reply_to(&id)
        };
        service.of(GUARDIAN).reply(reply).await.unwrap();
    }
    let results = search(&service, NURSE, "dressing").await;
    assert_eq!(ids(&results), [&id]);
    let snippet = results[0].snippet.clone().unwrap();
    assert_eq!((snippet.source(), snippet.sequence), (SnippetSource::Body, 3));
    assert_eq!(
        (snippet.text.as_str(), marked(&results[0])),
        ("A new DRESSING is on.", "DRESSING".to_owned())
    );
    let conversation = results[0].conversation.as_ref().unwrap();
    assert_eq!((conversation.unread_count, conversation.last_sequence), (3, 4));
    assert_ne!(
        conversation.reply_ability.as_ref().unwrap().state(),
        ReplyState::Unspecified
    );
}

on_both!(i5_both_folders_are_searched);
async fn i5_both_folders_are_searched(column: Column) {
    let service = Service::start(column, "folders_searched").await;
    let (old, new) = (
        start(&service, "", "A needle").await,
        start(&service, "", "A needle").await,
    );
    let archive = ArchiveConversationRequest {
        request_id: request_id(),
        conversation_id: old.clone(),
        last_seen_sequence: 1,
    };
    service.of(GUARDIAN).archive_conversation(archive).await.unwrap();
    let results = search(&service, GUARDIAN, "needle").await;
    assert_eq!(ids(&results), [&new, &old]);
    let folders: Vec<_> = results
        .iter()
        .map(|result| result.conversation.as_ref().unwrap().folder())
        .collect();
    assert_eq!(folders, [Folder::Active, Folder::Archived]);
}

on_both!(c5_what_others_write_is_not_found);
async fn c5_what_others_write_is_not_found(column: Column) {
    let service = Service::start(column, "mine").await;
    start(&service, "Secret subject", "Secret body").await;
    let strangers = [
        service.of(DOCTOR),
        service.of("portal/other"),
        service.of_organization("prairie", NURSE),
    ];
    for mut stranger in strangers {
        for text in ["secret", "name of staff/nurse", "patient of chart-1"] {
            let found = stranger.search_conversations(query(text)).await.unwrap().into_inner();
            assert_eq!(found, SearchConversationsResponse::default());
        }
    }
}

on_both!(i5_symbols_are_literal);
async fn i5_symbols_are_literal(column: Column) {
    let service = Service::start(column, "symbols").await;
    let body = r#"100% of 3_4 \path 'one' "two" 💊💉🩹 (5/5)?!. a'); DROP TABLE message; --"#;
    let id = start(&service, "", body).await;
    start(&service, "", "100 of 3x4 path one two 💊 55 every letter").await;
    for text in [
        "100%",
        "3_4",
        r"\path",
        "'one'",
        "\"two\"",
        "💊💉🩹",
        "(5/5)",
        "?!.",
        "a');",
        "; --",
        "% o",
        "3_4 ",
        r"4 \p",
    ] {
        assert_eq!(ids(&search(&service, GUARDIAN, text).await), [&id], "{text}");
    }
    for text in ["%%%", "___", "1%f", "3_3", r"\\path", "''one", "💊💊💊", ".*.", "(?:"] {
        assert_eq!(search(&service, GUARDIAN, text).await, [], "{text}");
    }
}

on_both!(i5_searches_go_on_page_by_page);
async fn i5_searches_go_on_page_by_page(column: Column) {
    let service = Service::start(column, "search_pages").await;
    let mut expected = Vec::new();
    for turn in 0..7 {
        let body = if turn == 3 { "Nothing" } else { "A needle" };
        let id = start(&service, "", body).await;
        if turn != 3 {
            expected.insert(0, id);
        }
    }
    let (mut seen, mut tokens, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = SearchConversationsRequest {
            page_size: 2,
            page_token: token.clone(),
            // The same query, written otherwise.
            query: if token.is_empty() { "needle" } else { " NEEDLÉ" }.to_owned(),
        };
        let page = ask(&service, NURSE, request).await.unwrap();
        seen.extend(ids(&page.results).into_iter().map(str::to_owned));
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
        tokens.push(token.clone());
    }
    assert_eq!((seen, tokens.len()), (expected, 2));

    let with = |text: &str, page_token: &str| SearchConversationsRequest {
        page_token: page_token.to_owned(),
        ..query(text)
    };
    let list = carepost_proto::messaging::v1::ListConversationsRequest {
        page_size: 1,
        ..Default::default()
    };
    let list = service.of(NURSE).list_conversations(list).await.unwrap().into_inner();
    let mut forged = tokens[0].clone();
    forged.pop();
    for (person, request) in [
        (NURSE, with("needle", &forged)),
        (NURSE, with("needle", "%%%")),
        (NURSE, with("needle", &"A".repeat(5_000))),
        (NURSE, with("needles", &tokens[0])),
        (NURSE, with("needle", &list.next_page_token)),
        (GUARDIAN, with("needle", &tokens[0])),
    ] {
        let refused = ask(&service, person, request).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec!["page_token".to_owned()])
        );
    }
}

on_both!(i5_too_little_and_too_much_to_look_for_is_refused);
async fn i5_too_little_and_too_much_to_look_for_is_refused(column: Column) {
    let service = Service::start(column, "bad_search").await;
    start(&service, "", "zqzqzq").await;
    let marks = "\u{301}".repeat(10);
    for text in [
        "",
        "zq",
        "  zq  ",
        "z\u{301}q\u{308}",
        "     ",
        &marks,
        "\0\0\0\0",
        "\u{200b}\u{200b}\u{200b}zq",
    ] {
        let refused = ask(&service, NURSE, query(text)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::InvalidArgument, "INVALID_REQUEST".to_owned()),
            "{text:?}"
        );
        assert_eq!(fields(&refused), ["query"]);
        assert!(
            !String::from_utf8_lossy(refused.details()).contains("zq"),
            "it repeats the query"
        );
    }
    for text in [&"zq".repeat(101), &"zq".repeat(5_000)] {
        let refused = ask(&service, NURSE, query(text)).await.unwrap_err();
        assert_eq!(fields(&refused), ["query"]);
        assert!(
            !String::from_utf8_lossy(refused.details()).contains("zqzq"),
            "it repeats the query"
        );
    }
    for page_size in [-1, 101] {
        let request = SearchConversationsRequest {
            page_size,
            ..query("zqz")
        };
        assert_eq!(fields(&ask(&service, NURSE, request).await.unwrap_err()), ["page_size"]);
    }
    assert_eq!(ask(&service, NURSE, query("zq\0zq")).await.unwrap().results, []);
}
