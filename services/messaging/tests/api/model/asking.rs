//! The service is asked what the model is asked.

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Mailbox, MarkReadRequest, MarkUnreadRequest, ReplyRequest, UnarchiveConversationRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::reference::{Answer, Ask};
use crate::support::{Client, reply_to};

/// Asks for real, and again under the same id while the database is too busy: SQLite has one writer at a time, and whoever waits
/// longest is not always the next.
pub async fn ask(client: Client, id: &str, asked: Ask, request_id: String) -> Answer {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        match ask_once(client.clone(), id, asked, request_id.clone()).await {
            Err(busy) if busy.code() == Code::Unavailable => {}
            answered => return answer_of(answered),
        }
    }
    panic!("{asked:?} is not answered");
}

type Answered = Result<(Option<i64>, Option<Mailbox>), Status>;

async fn ask_once(mut client: Client, id: &str, asked: Ask, request_id: String) -> Answered {
    let conversation_id = id.to_owned();
    match asked {
        Ask::Reply => {
            let request = ReplyRequest {
                request_id,
                ..reply_to(id)
            };
            let answer = client.reply(request).await;
            answer.map(|answer| (None, answer.into_inner().mailbox))
        }
        Ask::Read { up_to } => {
            let request = MarkReadRequest {
                request_id,
                conversation_id,
                last_seen_sequence: up_to,
            };
            let answer = client.mark_read(request).await.map(tonic::Response::into_inner);
            answer.map(|answer| (Some(answer.unread_count), answer.mailbox))
        }
        Ask::Unread { from } => {
            let request = MarkUnreadRequest {
                request_id,
                conversation_id,
                from_sequence: from,
            };
            let answer = client.mark_unread(request).await.map(tonic::Response::into_inner);
            answer.map(|answer| (Some(answer.unread_count), answer.mailbox))
        }
        Ask::Archive { last_seen } => {
            let request = ArchiveConversationRequest {
                request_id,
                conversation_id,
                last_seen_sequence: last_seen,
            };
            let answer = client.archive_conversation(request).await;
            answer.map(|answer| (None, answer.into_inner().mailbox))
        }
        Ask::Unarchive => {
            let request = UnarchiveConversationRequest {
                request_id,
                conversation_id,
            };
            let answer = client.unarchive_conversation(request).await;
            answer.map(|answer| (None, answer.into_inner().mailbox))
        }
    }
}

fn answer_of(answered: Answered) -> Answer {
    match answered {
        Ok((unread, mailbox)) => {
            let mailbox = mailbox.unwrap();
            Answer::Done {
                unread,
                badge: mailbox.unread_count,
                revision: mailbox.revision,
            }
        }
        Err(refused) => match refused.code() {
            Code::NotFound => Answer::NotFound,
            Code::InvalidArgument => Answer::Invalid,
            Code::Aborted => {
                let details = refused.get_error_details();
                Answer::Newer(details.error_info().unwrap().metadata["last_sequence"].parse().unwrap())
            }
            _ => panic!("{refused:?}"),
        },
    }
}
