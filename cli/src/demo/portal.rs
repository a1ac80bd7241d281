//! Between a care team and portal users.

use super::{
    mail::{Mail, Mailbox},
    story::{Story, indented},
};
use crate::errors::{Exit, Failure};

/// What no email may say, beside what its own message says.
const PRIVATE: [&str; 8] = [
    "feil",
    "rocky",
    "lucía",
    "rowe",
    "burrows",
    "ballantyne",
    "1021",
    "au-0008",
];

/// A doctor writes, and the guardian gets an email.
pub async fn a_message_to_a_guardian(story: &mut Story<'_>, mailbox: &mut Mailbox) -> Result<String, Failure> {
    story.step(
        "Whom may Dr. Feil write to?",
        "Chart 1021 is Rocky Streich's, and Dr. Feil is on its care team. The list holds exactly whom he may write to now.",
    );
    let listed = story.command("recipients --as staff/9999999896 --chart 1021").await?;
    let people = listed.each("recipients", "person");
    story.check(
        people.iter().any(|person| person == "portal/pu-9"),
        "the patient's guardian Lucía Streich is in it",
    )?;

    story.step(
        "A message",
        "Dr. Feil writes to her. It regards the chart, so everybody knows whom it is about.",
    );
    let line = "send --as staff/9999999896 --to portal/pu-9 --chart 1021 --subject \"Biopsy result\" \
                \"The biopsy was benign. Please keep the wound dry.\"";
    let sent = story.command(line).await?;
    story.check(
        sent.number_at("/message/sequence") == 1,
        "it is the first message of a new conversation",
    )?;

    story.step(
        "An email",
        "She is told by email that there is a message, from whom in the sense of the brand, and where to read it. Not a\n\
         word of health: anybody may be looking over her shoulder.",
    );
    let mail = arrived(story, mailbox, "lucia.streich.8@example.org").await?;
    must_be_discreet(story, &mail, "Prairie Health Network", &["biopsy", "wound"])?;
    story.settled("prairie").await?;
    let line = format!("deliveries --message {}", sent.text_at("/message/id"));
    let states = story.command(&line).await?.each("deliveries", "state");
    story.check(states == ["sent"], "one message, one delivery, sent")?;
    Ok(sent.text_at("/conversation_id").to_owned())
}

async fn arrived(story: &mut Story<'_>, mailbox: &mut Mailbox, address: &str) -> Result<Mail, Failure> {
    let mail = mailbox.next_to(address).await;
    story.check(mail.is_some(), &format!("an email to {address} went out"))?;
    let mail = mail.ok_or_else(|| Failure::new(Exit::Failed, "DEMO", "No email arrived", ""))?;
    story.tell(&indented(
        "     | ",
        &format!(
            "From: {}\nTo: {}\nSubject: {}\n\n{}",
            mail.header("From"),
            mail.header("To"),
            mail.header("Subject"),
            mail.plain_text()
        ),
    ));
    story.tell(&format!(
        "   It is the file {}.",
        story.shown.join("mail").join(&mail.file).display()
    ));
    Ok(mail)
}

fn must_be_discreet(story: &mut Story<'_>, mail: &Mail, brand: &str, words: &[&str]) -> Result<(), Failure> {
    let text = mail.everything();
    story.check(
        text.contains(brand) && text.contains("/messages"),
        "it names the brand, and links to the inbox behind login",
    )?;
    let text = text.to_lowercase();
    let told = PRIVATE.iter().chain(words).find(|word| text.contains(**word));
    story.check(
        told.is_none(),
        "it says nothing of subject, text, sender, patient or chart",
    )
}

/// The guardian reads and answers; the badge goes up and down.
pub async fn the_guardian_answers(story: &mut Story<'_>, conversation: &str) -> Result<(), Failure> {
    story.step(
        "The answer",
        "Lucía Streich signs in to the portal, reads, and answers.",
    );
    let inbox = story.command("inbox --as portal/pu-9").await?;
    story.check(inbox.number_at("/unread_count") == 1, "one unread message")?;
    story.command(&format!("show --as portal/pu-9 {conversation}")).await?;
    story
        .command(&format!(
            "reply --as portal/pu-9 {conversation} \"Thank you, what a relief.\""
        ))
        .await?;

    story.step(
        "The badge",
        "The number in the header of Dr. Feil's screen goes up, and down again when he has read it.",
    );
    let badge = story.command("badge --as staff/9999999896").await?;
    story.check(badge.number_at("/unread_count") == 1, "one unread message")?;
    story
        .command(&format!("read --as staff/9999999896 {conversation}"))
        .await?;
    let badge = story.command("badge --as staff/9999999896").await?;
    story.check(badge.number_at("/unread_count") == 0, "none any more")
}

/// A location with a brand of its own.
pub async fn a_clinic_with_its_own_brand(story: &mut Story<'_>, mailbox: &mut Mailbox) -> Result<(), Failure> {
    story.step(
        "A clinic with its own brand",
        "Chart 1023 is of Life Care Center Of Burlington. Its patients know it as My Burlington Care, and so does the email.",
    );
    let line = "send --as staff/9999881391 --to portal/pu-5 --chart 1023 --subject \"Appointment\" \
                \"Your appointment is moved to Friday.\"";
    story.command(line).await?;
    let mail = arrived(story, mailbox, "marine.ai.upton").await?;
    must_be_discreet(
        story,
        &mail,
        "My Burlington Care",
        &["appointment", "friday", "prairie health"],
    )
}

/// Somebody who has no business with them.
pub async fn a_stranger(story: &mut Story<'_>, conversation: &str) -> Result<(), Failure> {
    story.step(
        "A stranger",
        "Denis Schmitt is a patient too, and tries to write about a chart that is not his, and to open a conversation of\n\
         others. He learns nothing: not even whether they exist.",
    );
    let line = "send --as portal/pu-3 --to staff/9999999896 --chart 1021 \"Who is this?\"";
    let failure = story.refused(line).await?;
    let told: Vec<_> = failure.reasons.iter().map(|reason| reason.name.as_str()).collect();
    story.check(told == ["UNKNOWN_CHART"], "to him the chart is unknown")?;
    let ghost = story
        .refused("send --as portal/pu-3 --to staff/9999999896 --chart no-such-chart \"Hello?\"")
        .await?;
    story.check(
        ghost.to_string() == failure.to_string(),
        "a chart that does not exist reads exactly alike",
    )?;
    let failure = story.refused(&format!("show --as portal/pu-3 {conversation}")).await?;
    story.check(
        failure.exit == Exit::NotFound,
        "the conversation of others does not exist for him",
    )?;
    let line = format!("show --as staff/s-506 --organization southern {conversation}");
    let failure = story.refused(&line).await?;
    story.check(
        failure.exit == Exit::NotFound,
        "nor does it for the staff of another hospital",
    )
}

/// The same in Southern.
pub async fn another_country(story: &mut Story<'_>, mailbox: &mut Mailbox) -> Result<(), Failure> {
    story.step(
        "The other hospital",
        "Southern is in Australia, in the same suite. Ginger Burrows writes to Flavia Ballantyne, a guardian, who answers.",
    );
    let line = "send --organization southern --as staff/s-506 --to portal/au-92 --chart AU-0008 --subject \"Follow-up\" \
                \"Please bring the inhaler on Tuesday.\"";
    let conversation = story.command(line).await?.text_at("/conversation_id").to_owned();
    let mail = arrived(story, mailbox, "flavia.indira.ballantyne.91@example.org").await?;
    must_be_discreet(
        story,
        &mail,
        "Southern Care Group",
        &["inhaler", "tuesday", "follow-up"],
    )?;
    let line = format!("reply --organization southern --as portal/au-92 {conversation} \"We will.\"");
    story.command(&line).await?;
    let badge = story.command("badge --organization southern --as staff/s-506").await?;
    story.check(badge.number_at("/unread_count") == 1, "one unread message")
}

/// Every email belongs to a delivery.
pub async fn nothing_is_left_over(story: &mut Story<'_>, mailbox: &Mailbox) -> Result<(), Failure> {
    story.step(
        "The ledger",
        "Each message to a portal user has one delivery. An operator sees where each stands, but no address and no text.",
    );
    let mut sent = 0;
    for organization in ["prairie", "southern"] {
        story.settled(organization).await?;
        let states = story
            .command(&format!("deliveries --organization {organization}"))
            .await?
            .each("deliveries", "state");
        story.check(states.iter().all(|state| state == "sent"), "all of them are sent")?;
        sent += states.len();
    }
    story.check(
        sent == mailbox.count(),
        &format!("{sent} deliveries, and as many emails"),
    )
}
