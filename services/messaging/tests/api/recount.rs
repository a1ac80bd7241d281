//! Whether what is counted is what there is: every count is made anew from the rows below it.

use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};

use crate::support::{Column, GUARDIAN, NURSE, Service, on_both, reply_to};

/// One row for each number that is not what it should be.
const FAULTS: &str = "
    SELECT 'unread of a conversation' AS what, p.person AS whose, p.unread AS stored, COUNT(m.sequence) AS counted
    FROM participant p
    LEFT JOIN message m ON m.organization = p.organization AND m.conversation_id = p.conversation_id
                       AND m.sequence > p.last_read AND m.sender <> p.person
    GROUP BY p.organization, p.conversation_id, p.person, p.unread
    HAVING p.unread <> COUNT(m.sequence)
  UNION ALL
    SELECT 'badge', b.person, b.unread, COUNT(m.sequence)
    FROM mailbox b
    LEFT JOIN participant p ON p.organization = b.organization AND p.person = b.person AND NOT p.archived
    LEFT JOIN message m ON m.organization = p.organization AND m.conversation_id = p.conversation_id
                       AND m.sequence > p.last_read AND m.sender <> p.person
    GROUP BY b.organization, b.person, b.unread
    HAVING b.unread <> COUNT(m.sequence)
  UNION ALL
    SELECT 'revision', b.person, b.revision, MAX(p.revision)
    FROM mailbox b JOIN participant p ON p.organization = b.organization AND p.person = b.person
    GROUP BY b.organization, b.person, b.revision
    HAVING b.revision <> MAX(p.revision)
  UNION ALL
    SELECT 'mailbox', p.person, 0, COUNT(*)
    FROM participant p LEFT JOIN mailbox b ON b.organization = p.organization AND b.person = p.person
    WHERE b.person IS NULL
    GROUP BY p.organization, p.person
  UNION ALL
    SELECT 'last sequence', '', c.last_sequence, COUNT(m.sequence)
    FROM conversation c
    LEFT JOIN message m ON m.organization = c.organization AND m.conversation_id = c.id
    GROUP BY c.organization, c.id, c.last_sequence
    HAVING c.last_sequence <> COUNT(m.sequence) OR c.last_sequence <> MAX(m.sequence)
  UNION ALL
    SELECT 'last read', p.person, p.last_read, c.last_sequence
    FROM participant p JOIN conversation c ON c.organization = p.organization AND c.id = p.conversation_id
    WHERE p.last_read < 0 OR p.last_read > c.last_sequence
  UNION ALL
    SELECT 'place in the list', p.person, p.revision, c.last_sequence
    FROM participant p
    JOIN conversation c ON c.organization = p.organization AND c.id = p.conversation_id
    JOIN message m ON m.organization = c.organization AND m.conversation_id = c.id AND m.sequence = c.last_sequence
    WHERE p.last_message_at <> c.last_message_at OR c.last_message_at <> m.sent_at
  UNION ALL
    SELECT 'waiting', COALESCE(u.staff, w.person), CASE WHEN u.staff IS NULL THEN 0 ELSE 1 END,
           CASE WHEN w.person IS NULL THEN 0 ELSE 1 END
    FROM unanswered u FULL JOIN (
        SELECT c.organization, c.id, p.person, MIN(m.sent_at) AS since
        FROM conversation c
        JOIN participant p ON p.organization = c.organization AND p.conversation_id = c.id AND p.person LIKE 'staff/%'
        JOIN message m ON m.organization = c.organization AND m.conversation_id = c.id
        WHERE c.kind = 1 AND NOT EXISTS (SELECT 1 FROM message a WHERE a.organization = m.organization
            AND a.conversation_id = m.conversation_id AND a.sequence >= m.sequence AND a.sender LIKE 'staff/%')
        GROUP BY c.organization, c.id, p.person
    ) w ON w.organization = u.organization AND w.id = u.conversation_id
    WHERE w.since IS NULL OR u.since IS NULL OR w.since <> u.since OR w.person <> u.staff";

/// A number that is not what it should be.
#[derive(Debug, FromQueryResult)]
pub struct Fault {
    pub what: String,
    #[allow(dead_code, reason = "it is shown when a test fails")]
    whose: String,
    #[allow(dead_code, reason = "it is shown when a test fails")]
    stored: i64,
    #[allow(dead_code, reason = "it is shown when a test fails")]
    counted: i64,
}

/// All numbers of a database that are not what they should be.
pub async fn recount(database: &DatabaseConnection) -> Vec<Fault> {
    let statement = Statement::from_string(database.get_database_backend(), FAULTS);
    Fault::find_by_statement(statement).all(database).await.unwrap()
}

/// Every number in the service's database is what it should be.
pub async fn assert_counts(service: &Service) {
    let database = service.database().await;
    let faults = recount(&database).await;
    assert!(faults.is_empty(), "{faults:#?}");
    database.close().await.unwrap();
}

on_both!(i3_a_wrong_number_is_found);
async fn i3_a_wrong_number_is_found(column: Column) {
    let service = Service::start(column, "recount").await;
    let id = service.start_portal().await.conversation_id;
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap();
    assert_counts(&service).await;
    let database = service.database().await;
    for (change, back, what) in [
        (
            "participant SET unread = unread + 1",
            "participant SET unread = unread - 1",
            "unread of a conversation",
        ),
        (
            "mailbox SET unread = unread - 1",
            "mailbox SET unread = unread + 1",
            "badge",
        ),
        (
            "mailbox SET revision = revision + 1",
            "mailbox SET revision = revision - 1",
            "revision",
        ),
        (
            "conversation SET last_sequence = 4",
            "conversation SET last_sequence = 3",
            "last sequence",
        ),
        (
            "participant SET last_read = last_read - 1",
            "participant SET last_read = last_read + 1",
            "last read",
        ),
        (
            "unanswered SET staff = 'staff/doctor'",
            "unanswered SET staff = 'staff/nurse'",
            "waiting",
        ),
    ] {
        database.execute_unprepared(&format!("UPDATE {change}")).await.unwrap();
        let found = recount(&database).await;
        assert!(found.iter().any(|fault| fault.what == what), "{what}: {found:?}");
        database.execute_unprepared(&format!("UPDATE {back}")).await.unwrap();
    }
    assert_counts(&service).await;
}
