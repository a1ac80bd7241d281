//! The settings of the three services of a suite.

use std::{fs, path::Path};

use carepost_rpc::connect::ClientTls;
use carepost_testkit::Authority;

use crate::{Plan, Suite, process::Service};

/// The callers that a suite knows beside people: subject and scopes.
const CALLERS: &[(&str, &[&str])] = &[
    ("messaging", &["eligibility.read"]),
    ("notification", &["eligibility.read"]),
    ("emr", &["act_as:staff", "act_as:portal"]),
    ("feed", &["directory.read", "directory.write"]),
    (
        "operator",
        &["notifications.read", "notifications.write", "settings.write"],
    ),
    ("powerless", &[]),
];

/// Writes settings, keys and tokens into the suite's folder.
pub(crate) fn write(suite: &Suite, plan: &Plan) {
    suite.people.write_jwks(&suite.file("people.json"));
    suite.services.write_jwks(&suite.file("services.json"));
    let ca_pem = plan.mail.as_ref().map_or(suite.smtp.ca_pem(), |mail| &mail.ca_pem);
    fs::write(suite.file("ca.pem"), ca_pem).expect("a file");
    for service in Service::ALL {
        fs::write(suite.file(service.name()), suite.services.service(service.name())).expect("a file");
        let text = [common(suite, service, plan), own(suite, service, plan)].concat();
        fs::write(suite.file(&service.settings()), text).expect("a file");
    }
}

/// Makes the certificates of a suite where everything goes over TLS: one that all services have, and one for who calls them.
pub(crate) fn certificates(folder: &Path) -> ClientTls {
    let authority = Authority::generate();
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).expect("a file");
        file
    };
    let ((server, server_key), (client, client_key)) = (authority.sign(&["localhost"]), authority.sign(&["caller"]));
    write("server.pem", &server);
    write("server.key", &server_key);
    ClientTls {
        ca_file: Some(write("authority.pem", authority.ca_pem())),
        identity: Some((write("client.pem", &client), write("client.key", &client_key))),
    }
}

/// The lines of a section for a certificate, if the suite has some.
fn tls(suite: &Suite, authority: &str) -> String {
    let line = |key: &str, file: &str| format!("{key} = \"{}\"\n", suite.file(file).display());
    let lines = [
        line("certificate_file", "server.pem"),
        line("key_file", "server.key"),
        line(authority, "authority.pem"),
    ];
    if suite.tls.is_some() {
        lines.concat()
    } else {
        String::new()
    }
}

fn common(suite: &Suite, service: Service, plan: &Plan) -> String {
    let callers = CALLERS.iter().map(|(subject, scopes)| {
        format!(
            "[[identity.services]]\nissuer = \"services\"\nsubject = \"{subject}\"\nname = \"{subject}\"\n\
             scopes = {scopes:?}\norganizations = [\"prairie\", \"southern\"]\n"
        )
    });
    let otlp = plan.otlp.map(|address| format!("http://{address}")).unwrap_or_default();
    format!(
        r#"
[server]
listen = "{listen}"
person_calls_per_second = {person_calls}
person_burst = {person_calls}
organization_calls_per_second = 1000000
organization_burst = 1000000
service_calls_per_second = 1000000
service_burst = 1000000
grace_seconds = 20
{tls}
[database]
url = "{database}"
[metrics]
listen = "127.0.0.1:0"
[telemetry]
otlp_endpoint = "{otlp}"
log_filter = "debug,h2=info,hyper_util=info,tower=info"
[[identity.issuers]]
issuer = "people"
jwks_file = "{people}"
organizations = ["prairie", "southern"]
[[identity.issuers]]
issuer = "services"
jwks_file = "{services}"
{callers}
"#,
        listen = suite.address(service),
        person_calls = plan.person_calls.unwrap_or(1_000_000),
        tls = tls(suite, "client_ca_file"),
        database = suite.database_url(service),
        people = suite.file("people.json").display(),
        services = suite.file("services.json").display(),
        callers = callers.collect::<String>(),
    )
}

fn own(suite: &Suite, service: Service, plan: &Plan) -> String {
    let asked = match service {
        Service::Eligibility => String::new(),
        _ => format!(
            "[eligibility]\nurl = \"{}\"\ntoken_file = \"{}\"\n{}",
            suite.url(Service::Eligibility),
            suite.file(service.name()).display(),
            tls(suite, "ca_file"),
        ),
    };
    let work = match service {
        Service::Notification => mail(suite, plan),
        _ => "[outbox]\nlease_seconds = 5\npoll_ms = 100\n".to_owned(),
    };
    format!(
        r#"
{asked}
[broker]
{broker}
prefix = "{prefix}"
{work}
"#,
        broker = match suite.tls {
            Some(_) => format!(
                "url = \"{}\"\nca_file = \"{}\"",
                suite.servers.amqps_url(),
                suite.servers.ca_file().display()
            ),
            None => format!("url = \"{}\"", suite.servers.amqp_url()),
        },
        prefix = suite.prefix,
    )
}

fn mail(suite: &Suite, plan: &Plan) -> String {
    // A mail server that is not part of the test may take its time; one that hangs by script should soon be given up.
    let (address, timeout_ms, lease_seconds) = match &plan.mail {
        Some(server) => (server.address, 10_000, 60),
        None => (suite.smtp.address(), 1_000, 6),
    };
    format!(
        r#"
[mail]
url = "smtp+starttls://{address}"
ca_file = "{ca}"
from = "no-reply@carepost.example.org"
timeout_ms = {timeout_ms}
lease_seconds = {lease_seconds}
poll_ms = 100
retry_first_seconds = 1
retry_longest_seconds = 2
"#,
        ca = suite.file("ca.pem").display(),
    )
}
