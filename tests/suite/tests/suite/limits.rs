//! What a caller cannot take from others.

use carepost_proto::messaging::v1::GetUnreadCountRequest;
use carepost_suite::{Plan, Suite};
use carepost_testkit::Servers;
use tonic::Code;
use tonic_types::StatusExt;

const CALLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is() {
    let plan = Plan {
        person_calls: Some(CALLS),
        ..Plan::default()
    };
    let suite = Suite::start_on(Servers::ensure().await, "limits", plan).await;
    let (mut eager, mut calm) = (suite.person("prairie", "staff/1"), suite.person("prairie", "staff/2"));
    let mut relayed = suite.person_by_emr("prairie", "staff/1");
    let refused = loop {
        if let Err(refused) = eager.get_unread_count(GetUnreadCountRequest {}).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "RATE_LIMITED");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_secs_f64() <= 1.0 / f64::from(CALLS), "{wait:?}");
    // The bucket is the person's, whoever relays them; and theirs alone.
    let mut taken = 0;
    while relayed.get_unread_count(GetUnreadCountRequest {}).await.is_ok() {
        taken += 1;
        assert!(taken < 10_000, "the relay has a bucket of its own");
    }
    calm.get_unread_count(GetUnreadCountRequest {}).await.unwrap();
}
