//! `kill -9` of any service, at any point between the commit of a message and its email.

use std::collections::BTreeSet;

use carepost_suite::{Suite, process::Service};
use carepost_testkit::DirectoryFile;

use crate::traffic::{PRAIRIE, begin, reply, settle};

/// How often each service is killed.
const ROUNDS: usize = 4;
/// Replies between two kills: enough that some are at every point of the path.
const BETWEEN: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_kill_of_any_service_at_any_point_loses_and_doubles_nothing() {
    let suite = Suite::start("crashes").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    let mut accepted = BTreeSet::new();
    for round in 0..ROUNDS {
        for service in Service::ALL {
            // The kill comes while replies are under way, each time at another point of the path.
            let replies = async {
                let mut ids = Vec::new();
                for turn in 0..BETWEEN {
                    let from = if turn % 3 == 2 {
                        PRAIRIE.portal_user
                    } else {
                        PRAIRIE.staff
                    };
                    ids.push(reply(&suite, PRAIRIE, &conversation, from, "Still there?").await);
                }
                ids
            };
            let kill = async {
                let seen = suite.smtp.mails().len() + round;
                let more = suite
                    .smtp
                    .wait_for(|mails| mails.len() > seen, std::time::Duration::from_secs(30));
                more.await;
                suite.kill(service);
                suite.start_service(service).await;
            };
            let (ids, ()) = tokio::join!(replies, kill);
            accepted.extend(ids);
        }
    }
    settle(&suite, PRAIRIE, &conversation, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_told_to_stop_finishes_and_ends_with_zero() {
    let suite = Suite::start("stop").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0), "{}", suite.logs());
        suite.start_service(service).await;
    }
    let accepted = BTreeSet::from([reply(&suite, PRAIRIE, &conversation, PRAIRIE.staff, "And now?").await]);
    settle(&suite, PRAIRIE, &conversation, &accepted).await;
}
