//! Settings are whole and right, or the process does not start.

use std::{fs, process::Command};

use carepost_suite::process::{Service, binary};

fn check(service: Service, settings: &str) -> (Option<i32>, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), settings).unwrap();
    let output = Command::new(binary())
        .args([service.name(), "--config"])
        .arg(file.path())
        .arg("check-config")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_fault_is_told_at_once_with_an_exit_code_of_its_own() {
    for service in Service::ALL {
        let (code, told) = check(
            service,
            "[server]\nlisten = \"nowhere\"\nport = 1\n[database]\nmax_connections = 0\n",
        );
        assert_eq!(code, Some(78), "{told}");
        for key in [
            "server.listen:",
            "server.port:",
            "database.url:",
            "database.max_connections:",
            "identity.issuers:",
        ] {
            assert!(told.contains(key), "{} does not tell {key} in\n{told}", service.name());
        }
    }
}

#[test]
fn wrong_types_missing_secrets_and_wrong_entries_are_told_together() {
    let settings = r#"
[server]
allow_plaintext = "perhaps"
certificate_file = "/nowhere/tls.crt"
key_file = "/nowhere/tls.key"
[database]
url_file = "/nowhere/database"
max_connections = "many"
[broker]
url = "amqp://a:hunter2@broker:5672/%2f"
url_file = "/nowhere/broker"
[[identity.issuers]]
issuer = "people"
jwks_file = "/nowhere/keys.json"
colour = "blue"
[[identity.services]]
name = 7
[nonsense]
key = 1
"#;
    for service in Service::ALL {
        let (code, told) = check(service, settings);
        assert_eq!(code, Some(78), "{told}");
        for fault in [
            "server.allow_plaintext: must be true or false",
            "server.certificate_file: /nowhere/tls.crt cannot be read",
            "database.url_file: /nowhere/database cannot be read",
            "database.max_connections: must be a whole number",
            "broker.url_file: and broker.url exclude each other",
            "identity.issuers[0]: ",
            "identity.services[0]: ",
            "nonsense.key: there is no such setting",
        ] {
            assert!(
                told.contains(fault),
                "{} does not tell {fault} in\n{told}",
                service.name()
            );
        }
        assert!(!told.contains("hunter2"), "{told}");
        assert!(!told.contains("database.url:"), "it is one fault, told once: {told}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told() {
    let (code, told) = check(Service::Messaging, "[server\n");
    assert_eq!(code, Some(78));
    assert!(told.contains("The settings are not usable"), "{told}");
}
