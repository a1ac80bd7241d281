//! What the trail has of those who may not, of relayed sessions, of crashes, and with a role that can do no more than it must.

use carepost_proto::messaging::v1::{GetConversationRequest, ListMessagesRequest, ReplyRequest};
use carepost_suite::{
    Suite,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::DirectoryFile;
use sea_orm::{ConnectionTrait, Database, Statement};
use tonic::Code;

use super::{Trail, calls::call_id};
use crate::traffic::{PRAIRIE, begin, reply, request_id};

/// A conversation that is not one's own.
const OTHER: &str = "staff/9999999897";

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_where_they_may_not_and_who_is_relayed_are_named() {
    let suite = Suite::start("audit_names").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation_id = begin(&suite, PRAIRIE).await;
    let name = format!("conversations/{conversation_id}");
    let trail = Trail::of(&suite, Service::Messaging).await;
    let request = GetConversationRequest { conversation_id };
    let mut relayed = suite.person_by_emr(PRAIRIE.organization, PRAIRIE.staff);
    let shown = relayed.get_conversation(request.clone()).await.unwrap();
    let records = trail.of_call(call_id(shown.metadata())).await;
    assert_eq!(
        (records[0].actor.as_str(), records[0].via.as_str()),
        (PRAIRIE.staff, "service/emr")
    );
    for _ in 0..3 {
        let refused = suite
            .person(PRAIRIE.organization, OTHER)
            .get_conversation(request.clone())
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    }
    let told = until(LONG, async || {
        let condition = "actor = $1 AND outcome = 'NOT_FOUND/NOT_FOUND' AND subjects = $2";
        let records = trail.records(condition, vec![OTHER.into(), name.as_str().into()]).await;
        records.iter().map(|record| record.count).sum::<i32>() == 3
    });
    assert!(told.await, "each of them counts");
    trail.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_each_message_has_its_record_and_the_chain_goes_on() {
    let suite = Suite::start("audit_crash").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    let trail = Trail::of(&suite, Service::Messaging).await;
    for _ in 0..3 {
        let talking = async {
            for _ in 0..20 {
                reply(&suite, PRAIRIE, &conversation, PRAIRIE.staff, "And now?").await;
            }
        };
        let crashing = async {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            suite.kill(Service::Messaging);
            suite.start_service(Service::Messaging).await;
        };
        tokio::join!(talking, crashing);
    }
    let sent = trail.count("SELECT count(*) FROM message").await;
    let sql = "SELECT count(*) FROM audit_record WHERE outcome = 'OK' AND (action LIKE '%/Reply' OR action LIKE '%/StartConversation')";
    assert_eq!((sent, trail.count(sql).await), (61, 61));
    assert!(trail.is_whole().await >= 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_work_with_the_role_of_the_page_and_show_nothing_that_they_cannot_record() {
    let suite = Suite::start("audit_role").await;
    let role = suite.prefix.replace(['-', '.'], "_") + "runtime";
    let owner = |service| {
        let url = suite.database_url(service);
        async move { Database::connect(url).await.unwrap() }
    };
    for service in Service::ALL {
        let page = include_str!("../../../../../docs/audit.md");
        let blocks: Vec<_> = page
            .split("```sql\n")
            .skip(1)
            .filter_map(|block| block.split("```").next())
            .collect();
        let database = owner(service).await;
        if service == Service::Eligibility {
            database
                .execute_unprepared(&blocks[0].replace("carepost_runtime", &role))
                .await
                .unwrap();
            database
                .execute_unprepared(&format!("ALTER ROLE {role} PASSWORD 'x'"))
                .await
                .unwrap();
        }
        for block in &blocks[1..3] {
            let block = block.replace("carepost_runtime", &role);
            database.execute_unprepared(&block).await.unwrap();
        }
        // What a later version adds is the service's too.
        database
            .execute_unprepared("CREATE TABLE added_later (id int)")
            .await
            .unwrap();
        let sql =
            format!("SELECT has_table_privilege('{role}', 'added_later', 'SELECT, INSERT, UPDATE, DELETE') AS may");
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        assert!(row.try_get::<bool>("", "may").unwrap());
        assert_eq!(suite.stop(service).await, Some(0));
        let settings = std::fs::read_to_string(suite.file(&service.settings())).unwrap();
        let (scheme, rest) = suite
            .database_url(service)
            .split_once("://")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let place = rest.rsplit('@').next().unwrap();
        let settings = settings.replace(&suite.database_url(service), &format!("{scheme}://{role}:x@{place}"));
        assert!(settings.contains(&role));
        std::fs::write(suite.file(&service.settings()), settings).unwrap();
        suite.start_service(service).await;
    }
    suite.import(&DirectoryFile::prairie()).await;
    let conversation_id = begin(&suite, PRAIRIE).await;
    let guardian = suite.person(PRAIRIE.organization, PRAIRIE.portal_user);
    let list = ListMessagesRequest {
        conversation_id: conversation_id.clone(),
        ..ListMessagesRequest::default()
    };
    guardian.clone().list_messages(list.clone()).await.unwrap();
    suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    for service in Service::ALL {
        Trail::of(&suite, service).await.is_whole().await;
    }

    let database = owner(Service::Messaging).await;
    database
        .execute_unprepared(&format!("REVOKE INSERT ON audit_record FROM {role}"))
        .await
        .unwrap();
    database
        .execute_unprepared(&format!(
            "REVOKE INSERT ({COLUMNS}) ON audit_record FROM {role}",
            COLUMNS = carepost_audit::schema::COLUMNS
        ))
        .await
        .unwrap();
    let refused = guardian.clone().list_messages(list.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let answer = ReplyRequest {
        request_id: request_id(),
        conversation_id: conversation_id.clone(),
        body: "Well.".to_owned(),
    };
    assert!(guardian.clone().reply(answer.clone()).await.is_err());
    let trail = Trail::of(&suite, Service::Messaging).await;
    assert_eq!(
        trail.count("SELECT count(*) FROM message").await,
        1,
        "no change without its record"
    );
    database
        .execute_unprepared(&format!(
            "GRANT INSERT ({COLUMNS}) ON audit_record TO {role}",
            COLUMNS = carepost_audit::schema::COLUMNS
        ))
        .await
        .unwrap();
    guardian.clone().reply(answer).await.unwrap();
    guardian.clone().list_messages(list).await.unwrap();
    trail.is_whole().await;
}
