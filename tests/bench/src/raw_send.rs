//! The second raw limit: the statements of a reply, sent by pgbench.
//!
//! They are the service's own, in their order, prepared and each a transaction of its own, over the service's schema with as
//! many conversations. Only the places of values differ: pgbench knows numbers alone, so ids are texts made of a number, the
//! organization is a literal and the time `now()`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use carepost_folding::fold;
use carepost_messaging::store;
use carepost_messaging_migration::{Migrator, search::symbols};
use carepost_proto::event::v1::MessageSent;
use carepost_testkit::Servers;
use prost::Message as _;
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait as _;
use tempfile::TempDir;

use crate::{
    database,
    hospital::{BODY, CONVERSATIONS, ORGANIZATION, chart, portal_user, staff},
    load::{IN_FLIGHT, Measured, WARM_UP, histogram},
    machine, progress,
};

/// Rows as `StartConversation` leaves them: $1 organization, $2 how many conversations.
const FILL: &str = "
    INSERT INTO conversation
        (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence, participants, folded)
    SELECT $1, lpad(n::text, 32, '0')::uuid, 1, 'c-' || n, 'Patient ' || n, 'A question', now(), now(), 1,
           substr(md5('s' || n), 1, 16) || E'\\n' || substr(md5('p' || n), 1, 16),
           format(E'somebody %s\\nsomebody %s\\npatient %s\\na question', n, n, n)
    FROM generate_series(1, $2) n;
    INSERT INTO participant
    SELECT $1, lpad(n::text, 32, '0')::uuid, kind || n, 'Somebody ' || n, 0, unread, false, now(), 1
    FROM generate_series(1, $2) n, (VALUES ('staff/s-', 0), ('portal/p-', 1)) AS party (kind, unread);
    INSERT INTO mailbox SELECT organization, person, unread, revision FROM participant;
    INSERT INTO message (organization, conversation_id, sequence, id, sender, sent_via, body, sent_at, participants, folded)
    SELECT $1, id, 1, gen_random_uuid(), 'staff/s-' || substr(chart_id, 3), NULL, 'How are you?', now(),
           participants, 'how are you?'
    FROM conversation;
    INSERT INTO request
    SELECT $1, sender, 'StartConversation', gen_random_uuid()::text, decode(repeat('5a', 32), 'hex'),
           conversation_id, id, 1, 0, 0, 1, now()
    FROM message;";

/// What stands for a conversation, its member of staff, the id of message and event, and the request's id. The ids grow with
/// time, as the service's do.
const CONVERSATION: &str = "lpad(:n, 32, '0')::uuid";
const STAFF: &str = "('staff/s-' || :n)";
const ID: &str = "lpad(:id, 32, '0')::uuid";
const REQUEST: &str = "lpad(:id, 36, '0')";
/// As long as the names of chart, conversation and message are.
const SUBJECTS: &str =
    "('charts/c-' || :n || ' conversations/' || lpad(:n, 36, '0') || ' messages/' || lpad(:id, 36, '0'))";

/// Measures them at each number of clients, in a database made for it.
pub async fn measure(servers: &Servers, span: Duration) -> Vec<Measured> {
    let bench = Bench::new(servers).await;
    let mut all = Vec::new();
    for (run, clients) in IN_FLIGHT.into_iter().enumerate() {
        progress(&format!("statements of a reply by pgbench, {clients} clients"));
        all.push(bench.run(Script::Whole, clients, run, span).await);
    }
    bench.end().await;
    all
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// The statements of a reply.
    Whole,
    /// The same without the audit record.
    WithoutAudit,
}

/// A database with as many conversations as the whole path has.
pub struct Bench<'a> {
    servers: &'a Servers,
    name: String,
    url: String,
    database: DatabaseConnection,
    program: PathBuf,
    folder: TempDir,
}

impl<'a> Bench<'a> {
    /// Makes the database.
    pub async fn new(servers: &'a Servers) -> Self {
        let name = servers.create_database("pgbench").await;
        let url = servers.postgres_url(&name);
        let database = database::connect(&url).await;
        Migrator::up(&database, None).await.expect("the schema can be made");
        database::execute(&database, &filled(FILL, &[&organization(), &CONVERSATIONS.to_string()])).await;
        database::execute(&database, "VACUUM ANALYZE").await;
        let program = program(&database::value::<String>(&database, "SHOW server_version").await);
        Self {
            servers,
            name,
            url,
            database,
            program,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// One more connection to it.
    pub async fn connect(&self) -> DatabaseConnection {
        database::connect(&self.url).await
    }

    /// Sends a script from so many clients. Each run has a number of its own.
    pub async fn run(&self, script: Script, clients: usize, number: usize, span: Duration) -> Measured {
        let run = Run {
            program: &self.program,
            url: &self.url,
            folder: &self.folder,
            script,
            number,
            clients,
        };
        let before = messages(&self.database).await;
        let measured = tokio::task::block_in_place(|| run.measure(span));
        let written = messages(&self.database).await - before;
        assert!(
            written >= i64::try_from(measured.latency.len()).unwrap_or_default(),
            "each counted transaction wrote a message: {written}"
        );
        measured
    }

    /// Removes the database.
    pub async fn end(self) {
        self.database.close().await.expect("it was open");
        self.servers.drop_database(&self.name).await;
    }
}

async fn messages(database: &sea_orm::DatabaseConnection) -> i64 {
    database::value(database, "SELECT count(*) FROM message").await
}

/// Debian keeps pgbench with the server, out of the path of programs.
fn program(server_version: &str) -> PathBuf {
    let major: String = server_version.chars().take_while(char::is_ascii_digit).collect();
    let installed = Path::new("/usr/lib/postgresql").join(major).join("bin/pgbench");
    if installed.exists() {
        installed
    } else {
        "pgbench".into()
    }
}

struct Run<'a> {
    program: &'a Path,
    url: &'a str,
    folder: &'a TempDir,
    script: Script,
    number: usize,
    clients: usize,
}

impl Run<'_> {
    fn measure(&self, span: Duration) -> Measured {
        let script = self.folder.path().join("reply.sql");
        fs::write(&script, self::script(self.script)).expect("the script can be written");
        let prefix = format!("latencies-{}-", self.number);
        let seconds = (span + WARM_UP).as_secs().to_string();
        let (clients, threads) = (self.clients.to_string(), self.clients.min(machine::cores()).to_string());
        let output = Command::new(self.program)
            .current_dir(self.folder.path())
            .args([
                "--no-vacuum",
                "--protocol",
                "prepared",
                "--log",
                "--log-prefix",
                &prefix,
            ])
            .args(["--client", &clients, "--jobs", &threads, "--time", &seconds])
            .args(
                variables(self.number)
                    .iter()
                    .flat_map(|variable| ["--define", variable]),
            )
            .arg("--file")
            .arg(&script)
            .arg(self.url)
            .output()
            .expect("pgbench can be run");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench: {complaint}");
        self.read(&prefix, span)
    }

    /// The log has a line for each transaction: client, number, latency in µs, script, and when it ended in s and µs.
    fn read(&self, prefix: &str, span: Duration) -> Measured {
        let mut ends = Vec::new();
        for entry in fs::read_dir(self.folder.path()).expect("a folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let text = fs::read_to_string(entry.path()).expect("a log");
                ends.extend(text.lines().map(|line| transaction(line).expect("a line of a log")));
            }
        }
        let first = ends
            .iter()
            .map(|(end, latency)| end - latency)
            .min()
            .unwrap_or_default();
        let begin = first + micros(WARM_UP);
        let mut latency = histogram();
        for (end, took) in ends {
            if end - took >= begin && end <= begin + micros(span) {
                latency.saturating_record(took);
            }
        }
        Measured {
            in_flight: self.clients,
            per_second: latency.len() as f64 / span.as_secs_f64(),
            latency,
            refused: Default::default(),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// When a transaction ended and how long it took, in microseconds.
fn transaction(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ').map(str::parse::<u64>);
    let latency = words.nth(2)?.ok()?;
    let seconds = words.nth(1)?.ok()?;
    let micros = words.next()?.ok()?;
    Some((seconds * 1_000_000 + micros, latency))
}

/// What is the same in every transaction.
fn variables(run: usize) -> Vec<String> {
    let event = MessageSent {
        event_id: "0".repeat(36),
        organization_id: ORGANIZATION.to_owned(),
        conversation_id: "0".repeat(36),
        message_id: "0".repeat(36),
        sender: staff(CONVERSATIONS),
        recipients: vec![portal_user(CONVERSATIONS)],
        chart_id: Some(chart(CONVERSATIONS)),
        send_time: Some(Default::default()),
    };
    let payload: String = event.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        format!("run={}", run + 1),
        "i=0".to_owned(),
        format!("body={BODY}"),
        format!("folded={}", fold(BODY)),
        format!("symbols={}", symbols(&fold(BODY))),
        format!("digest=\\x{}", "5a".repeat(32)),
        format!("payload=\\x{payload}"),
        format!("traceparent=00-{}-{}-00", "a".repeat(32), "b".repeat(16)),
        format!("trace={}", "a".repeat(32)),
    ]
}

fn script(script: Script) -> String {
    let [open, reply] = store::statements();
    let reply = match script {
        Script::Whole => reply.to_owned(),
        Script::WithoutAudit => without_audit(reply).expect("the statement has a part for the audit"),
    };
    let organization = organization();
    let open = filled(open, &[&organization, STAFF, "'Reply'", REQUEST, CONVERSATION]);
    let reply = filled(
        &reply,
        &[
            &organization,
            CONVERSATION,
            STAFF,
            "NULL",
            ID,
            ":body",
            "'Reply'",
            REQUEST,
            ":digest",
            ID,
            ":payload",
            ":traceparent",
            "NULL",
            "now()",
            ":folded",
            ":symbols",
            ID,
            STAFF,
            "''",
            "'10.0.0.1'",
            "'/carepost.messaging.v1.MessagingService/Reply'",
            SUBJECTS,
            ID,
            ":trace",
        ],
    );
    format!(
        "\\set n random(1, {CONVERSATIONS})\n\\set i :i + 1\n\
         \\set id :run * 1000000000000 + :i * 1000 + :client_id\n{open};\n{reply};\n"
    )
}

/// The statement without the part that writes the audit record.
fn without_audit(reply: &str) -> Option<String> {
    let (before, rest) = reply.split_once("audit AS (")?;
    let (_, after) = rest.split_once("req AS (")?;
    Some(format!("{before}req AS ({after}"))
}

fn organization() -> String {
    format!("'{ORGANIZATION}'")
}

/// A statement with these texts in place of `$1`, `$2` and so on.
fn filled(statement: &str, values: &[&str]) -> String {
    let numbered = values.iter().enumerate().rev();
    numbered.fold(statement.to_owned(), |text, (place, value)| {
        text.replace(&format!("${}", place + 1), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_the_statements_is_filled() {
        assert_eq!(
            filled("$1 $10 $2", &["a", "b", "", "", "", "", "", "", "", "j"]),
            "a j b"
        );
        for (kind, audited) in [(Script::Whole, true), (Script::WithoutAudit, false)] {
            let script = script(kind);
            assert!(!script.contains('$'), "{script}");
            assert!(script.contains("FROM (SELECT 1 AS one)") && script.contains("INSERT INTO outbox"));
            assert!(script.contains("INSERT INTO request"));
            assert_eq!(script.contains("INSERT INTO audit_record"), audited);
        }
    }

    #[test]
    fn the_log_of_pgbench_is_understood() {
        assert_eq!(
            transaction("0 199 2241 0 1175850568 995598"),
            Some((1_175_850_568_995_598, 2_241))
        );
        assert_eq!(transaction("0 199 skipped 0 1175850568 995598"), None);
    }
}
