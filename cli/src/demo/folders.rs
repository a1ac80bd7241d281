//! Folders and search.

use super::story::Story;
use crate::errors::Failure;

/// A conversation is put away, and comes back with the next message.
pub async fn put_away_and_back(story: &mut Story<'_>, conversation: &str) -> Result<(), Failure> {
    story.step(
        "Put away",
        "Dr. Feil is done with it and archives it. It is not lost: when she writes again, it comes back to his inbox.",
    );
    let is_in = |listed: Vec<String>| listed.iter().any(|id| id == conversation);
    story
        .command(&format!("archive --as staff/9999999896 {conversation}"))
        .await?;
    let active = story.command("inbox --as staff/9999999896").await?;
    story.check(!is_in(active.each("conversations", "id")), "it left his inbox")?;
    let archived = story.command("inbox --as staff/9999999896 --archived").await?;
    story.check(
        is_in(archived.each("conversations", "id")),
        "it is in his Archived folder",
    )?;
    let line = format!("reply --as portal/pu-9 {conversation} \"It does not itch at all.\"");
    story.command(&line).await?;
    let unread = story.command("inbox --as staff/9999999896 --unread").await?;
    story.check(is_in(unread.each("conversations", "id")), "it is back, and unread")
}

/// Everybody finds what is theirs.
pub async fn search(story: &mut Story<'_>, conversation: &str) -> Result<(), Failure> {
    story.step(
        "Search",
        "A text is found in subjects, messages and names, whatever its case and accents; only in one's own conversations.",
    );
    let found = story.command("search --as staff/9999999896 \"BIOPSY WAS\"").await?;
    story.check(
        found.text_at("/results/0/conversation/id") == conversation
            && found.text_at("/results/0/snippet/source") == "body",
        "Dr. Feil finds what he wrote",
    )?;
    let found = story.command("search --as staff/9999999896 lucia").await?;
    story.check(
        found.text_at("/results/0/conversation/id") == conversation,
        "and by the name of Lucía Streich, typed without the accent",
    )?;
    let found = story.command("search --as portal/pu-3 biopsy").await?;
    let nothing = found.json.get("results").and_then(|results| results.as_array());
    story.check(nothing.is_some_and(Vec::is_empty), "Denis Schmitt finds nothing")
}
