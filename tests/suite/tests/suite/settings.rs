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
fn a_file_that_is_no_toml_is_told() {
    let (code, told) = check(Service::Messaging, "[server\n");
    assert_eq!(code, Some(78));
    assert!(told.contains("The settings are not usable"), "{told}");
}
