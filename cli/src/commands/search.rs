//! `carepost search`

use carepost_proto::messaging::v1::{SearchConversationsRequest, SearchResult, Snippet};
use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::{conversation_json, others, pages};
use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Paint, Report, Style, clean, local, word},
};

/// See `Command::Search`.
#[derive(Debug, Args)]
#[command(after_help = "\
Finds a text of at least 3 characters, whatever its case and accents, in subjects, messages, and names of participants and
patients; in both folders, newest activity first.

Example:
  carepost search --as staff/9999999896 \"blood pressure\"

JSON: {more, results: [{conversation: as in `inbox`, snippet: {source, sequence, person, text, match_start, match_length}}]}")]
pub struct SearchArgs {
    #[command(flatten)]
    me: Me,
    /// What to look for.
    #[arg(value_name = "TEXT")]
    query: String,
    /// How many conversations at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

/// Searches my conversations.
pub async fn run(context: &Context, args: SearchArgs) -> Result<Report, Failure> {
    let me = args.me.person.as_ref().or(context.profile.me.as_ref());
    let mut messaging = context.messaging(me).await?;
    let limit = usize::from(args.limit);
    let page = async |page_size, page_token| {
        let call = messaging.search_conversations(SearchConversationsRequest {
            query: args.query.clone(),
            page_size,
            page_token,
        });
        let page = context.ask(Service::Messaging, call).await?;
        Ok((page.results, page.next_page_token))
    };
    let (results, page_token) = pages(limit, String::new(), page).await?;
    let more = !page_token.is_empty();
    let json = json!({"more": more, "results": results.iter().map(result_json).collect::<Vec<_>>()});
    let mut blocks: Vec<_> = results
        .iter()
        .map(|result| {
            let conversation = result.conversation.clone().unwrap_or_default();
            let head = format!(
                "{}  {}  {}",
                local(conversation.last_message_time),
                clean(&others(&conversation, me), 60),
                conversation.id
            );
            let snippet = result.snippet.clone().unwrap_or_default();
            let source = word(snippet.source().as_str_name(), "SNIPPET_SOURCE_");
            let marked = marked(context.paint, &snippet);
            format!("{}\n    {source}: {marked}", context.paint.paint(Style::Dim, &head))
        })
        .collect();
    if results.is_empty() {
        blocks.push("Nothing found.".to_owned());
    } else if more {
        blocks.push("There are more: --limit.".to_owned());
    }
    Ok(Report::done(blocks.join("\n"), json))
}

/// The text with the match in bold on a terminal, between brackets elsewhere.
fn marked(paint: Paint, snippet: &Snippet) -> String {
    let start = usize::try_from(snippet.match_start).unwrap_or_default();
    let length = usize::try_from(snippet.match_length).unwrap_or_default();
    let part = |from: usize, to: usize| -> String {
        let letters = snippet.text.chars().skip(from).take(to.saturating_sub(from));
        clean(&letters.collect::<String>(), usize::MAX)
    };
    let found = part(start, start + length);
    let found = if paint.0 {
        paint.paint(Style::Bold, &found)
    } else {
        format!("[{found}]")
    };
    format!("{}{found}{}", part(0, start), part(start + length, usize::MAX))
}

fn result_json(result: &SearchResult) -> Value {
    let snippet = result.snippet.clone().unwrap_or_default();
    json!({
        "conversation": result.conversation.as_ref().map(conversation_json),
        "snippet": {
            "source": word(snippet.source().as_str_name(), "SNIPPET_SOURCE_").replace(' ', "_"),
            "sequence": snippet.sequence, "person": snippet.person, "text": snippet.text,
            "match_start": snippet.match_start, "match_length": snippet.match_length,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_is_marked_by_characters_not_bytes() {
        let snippet = Snippet {
            text: "für Zoë – ja".to_owned(),
            match_start: 4,
            match_length: 3,
            ..Snippet::default()
        };
        assert_eq!(marked(Paint(false), &snippet), "für [Zoë] – ja");
        assert_eq!(marked(Paint(true), &snippet), "für \x1b[1mZoë\x1b[0m – ja");
    }

    #[test]
    fn a_match_beyond_the_text_is_no_panic() {
        let snippet = Snippet {
            text: "abc".to_owned(),
            match_start: 9,
            match_length: -1,
            ..Snippet::default()
        };
        assert_eq!(marked(Paint(false), &snippet), "abc[]");
    }
}
