//! Searches of one person with 100,000 messages, first alone and then in a table of 1,000,000: what others write must not slow
//! them down.
//!
//! The rows are made by SQL, as sends leave them. Searched is through the API, the first page of each query.

use std::time::{Duration, Instant};

use carepost_messaging::store;
use carepost_messaging_migration::search::{token, with_symbols};
use carepost_proto::messaging::v1::SearchConversationsRequest;
use carepost_suite::{Plan, Suite, process::Service};
use carepost_testkit::Servers;
use hdrhistogram::Histogram;
use sea_orm::DatabaseConnection;

use crate::{
    database::{self, column},
    hospital::ORGANIZATION,
    load::histogram,
    machine::Machine,
    progress, whole_path,
};

const PERSON: &str = "staff/busy";
/// How many messages each conversation has; `fill.sql` says so too.
const MESSAGES: u64 = 8;
/// Conversations of the person, and of everybody.
const MINE: u64 = 100_000 / MESSAGES;
const ALL: u64 = 1_000_000 / MESSAGES;
/// How often each query is asked.
const TURNS: usize = 10;

/// A class of queries.
struct Class {
    name: &'static str,
    /// Their texts, in SQL: an array.
    queries: &'static str,
}

/// Those of symbols are what `words.sql` writes.
const CLASSES: [Class; 7] = [
    Class {
        name: "rare word",
        queries: "SELECT array_agg(word(190000 + 61 * k)) FROM generate_series(1, 10) k",
    },
    Class {
        name: "common word",
        queries: "SELECT array_agg(word(64 + 7 * k)) FROM generate_series(1, 10) k",
    },
    Class {
        name: "two words, rare together",
        queries: "SELECT array_agg(word(1 + k) || ' ' || word(70 + k)) FROM generate_series(1, 10) k",
    },
    Class {
        name: "name of a guardian",
        queries: "SELECT array_agg('guardian ' || word(k * 991 * 7919 % 200000)) FROM generate_series(1, 10) k",
    },
    Class {
        name: "symbols",
        queries: "SELECT ARRAY['💊💉🩹', '(!?)']",
    },
    Class {
        name: "symbols that are nowhere",
        queries: "SELECT ARRAY['🩺🩺🩺', '<=>']",
    },
    Class {
        name: "3 characters, common",
        queries: "SELECT ARRAY['the', 'and', 'ing', 'ion', 'tio']",
    },
];

/// What was measured of a class.
struct Measured {
    latency: Histogram<u64>,
    /// How many messages of the person have a query, on average.
    matches: f64,
    /// How many conversations the first pages had, on average.
    shown: f64,
    /// Whether PostgreSQL takes the indexes.
    index: &'static str,
}

/// Measures, and gives tables in Markdown.
pub async fn measure(servers: Servers) -> String {
    let machine = Machine::read(&servers.postgres_url("postgres")).await;
    let suite = Suite::start_on(servers, "search", Plan::default()).await;
    whole_path::log_as_in_production(&suite).await;
    let database = database::connect(&suite.servers.postgres_url(suite.database(Service::Messaging))).await;
    database::execute(&database, include_str!("search/words.sql")).await;
    let mut text = format!(
        "{} cores ({}), PostgreSQL {}, load before {}{}\n",
        machine.cores,
        machine.processor,
        machine.postgres,
        machine.load_before,
        if machine.optimised {
            ""
        } else {
            ", a debug build of the services"
        },
    );
    let indexes = take_indexes(&database).await;
    fill(&database, 1, MINE, Some(PERSON)).await;
    text += &measure_all(&suite, &database, &indexes).await;
    drop_indexes(&database).await;
    fill(&database, MINE + 1, ALL, None).await;
    text += &measure_all(&suite, &database, &indexes).await;
    for service in Service::ALL {
        suite.kill(service);
    }
    database.close().await.expect("it was open");
    for service in Service::ALL {
        suite.servers.drop_database(suite.database(service)).await;
    }
    text
}

/// A table of all classes.
async fn measure_all(suite: &Suite, database: &DatabaseConnection, indexes: &[String]) -> String {
    let took = make_indexes(database, indexes).await;
    let messages: i64 = database::value(database, "SELECT count(*) FROM message").await;
    let mut text = format!(
        "\n{messages} messages, 100000 of them the person's; indexes made in {} s\n\n\
         | query | messages that have it | first page | index | p50 ms | p95 ms |\n|---|--:|--:|---|--:|--:|\n",
        took.as_secs()
    );
    for class in &CLASSES {
        text += &line(class.name, &measure_class(suite, database, class).await);
    }
    text
}

fn line(name: &str, measured: &Measured) -> String {
    let quantile = |share| measured.latency.value_at_quantile(share) as f64 / 1_000.0;
    format!(
        "| {name} | {:.0} | {:.1} | {} | {:.1} | {:.1} |\n",
        measured.matches,
        measured.shown,
        measured.index,
        quantile(0.5),
        quantile(0.95),
    )
}

/// Their definitions. Rows are written without them, since a table that is full is indexed much faster.
async fn take_indexes(database: &DatabaseConnection) -> Vec<String> {
    let indexes = "SELECT indexdef FROM pg_indexes WHERE indexname IN ('message_search', 'conversation_search')";
    let indexes = database::rows(database, indexes, |row| column::<String>(row, 0)).await;
    assert_eq!(indexes.len(), 2, "the indexes of the search are there");
    drop_indexes(database).await;
    indexes
}

async fn drop_indexes(database: &DatabaseConnection) {
    database::execute(database, "DROP INDEX message_search, conversation_search").await;
}

async fn make_indexes(database: &DatabaseConnection, indexes: &[String]) -> Duration {
    progress("indexes");
    let begin = Instant::now();
    database::execute(database, "SET maintenance_work_mem = '512MB'").await;
    for index in indexes {
        database::execute(database, index).await;
    }
    let took = begin.elapsed();
    database::execute(database, "VACUUM ANALYZE").await;
    took
}

async fn fill(database: &DatabaseConnection, from: u64, to: u64, staff: Option<&str>) {
    progress(&format!("{} messages", (to - from + 1) * MESSAGES));
    let staff = staff.map_or("NULL::text".to_owned(), |staff| format!("'{staff}'"));
    let organization = format!("'{ORGANIZATION}'");
    let values = [
        ("$1", organization.as_str()),
        ("$2", &from.to_string()),
        ("$3", &to.to_string()),
        ("$4", &staff),
    ];
    let sql = values
        .iter()
        .fold(include_str!("search/fill.sql").to_owned(), |sql, (place, value)| {
            sql.replace(place, value)
        });
    // The service's tokens, made by PostgreSQL.
    let function = "CREATE OR REPLACE FUNCTION token(organization text, person text) RETURNS text LANGUAGE sql IMMUTABLE AS
        $$ SELECT left(encode(sha256(int8send(octet_length(organization)) || convert_to(organization || person, 'UTF8')), 'hex'), 16) $$";
    database::execute(database, function).await;
    let made: String = database::value(database, &format!("SELECT token({organization}, '{PERSON}')")).await;
    assert_eq!(
        made,
        token(ORGANIZATION, PERSON),
        "PostgreSQL makes the service's tokens"
    );
    database::execute(database, &sql).await;
}

async fn measure_class(suite: &Suite, database: &DatabaseConnection, class: &Class) -> Measured {
    progress(class.name);
    let queries: Vec<String> = database::value(database, class.queries).await;
    let mut client = suite.person(ORGANIZATION, PERSON);
    let (mut latency, mut shown, mut matches) = (histogram(), 0, 0_i64);
    for turn in 0..=TURNS {
        for query in &queries {
            let request = SearchConversationsRequest {
                query: query.clone(),
                ..Default::default()
            };
            let begin = Instant::now();
            let answer = client
                .search_conversations(request)
                .await
                .expect("the search is answered");
            let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            // The first turn is not counted.
            if turn > 0 {
                latency.saturating_record(took);
                shown += answer.into_inner().results.len();
            }
        }
    }
    for query in &queries {
        let count = format!(
            "SELECT count(*) FROM message WHERE participants LIKE '%{}%' AND strpos(folded, '{query}') > 0",
            token(ORGANIZATION, PERSON)
        );
        matches += database::value::<i64>(database, &count).await;
    }
    let asked = (queries.len() * TURNS) as f64;
    Measured {
        latency,
        matches: matches as f64 / queries.len() as f64,
        shown: shown as f64 / asked,
        index: index(database, &queries).await,
    }
}

/// Whether the statement of the index is planned with both indexes.
async fn index(database: &DatabaseConnection, queries: &[String]) -> &'static str {
    let mut all = true;
    for query in queries {
        let symbols = with_symbols(query);
        let words = symbols.is_empty();
        let keys: Vec<_> = symbols.into_iter().chain([token(ORGANIZATION, PERSON)]).collect();
        let values = [
            ("$1", format!("'{ORGANIZATION}'")),
            ("$2", format!("'{PERSON}'")),
            (
                "$3",
                if words {
                    format!("'%{query}%'")
                } else {
                    format!("'{query}'")
                },
            ),
            ("$4", "26".to_owned()),
            ("$5", format!("ARRAY['{}']", keys.join("','"))),
            ("$6", "now()".to_owned()),
            ("$7", "gen_random_uuid()".to_owned()),
        ];
        let [by_words, by_symbols] = store::search_statements();
        let statement = if words { by_words } else { by_symbols }.to_owned();
        let statement = values
            .iter()
            .fold(statement, |text, (place, value)| text.replace(place, value));
        let plan = database::rows(database, &format!("EXPLAIN {statement}"), |row| {
            column::<String>(row, 0)
        })
        .await;
        all &= ["on message_search", "on conversation_search"]
            .iter()
            .all(|index| plan.iter().any(|line| line.contains(index)));
    }
    if all { "used" } else { "not used" }
}
