//! The commands of the services, as an operator finds them.

use std::process::Command;

use carepost_suite::process::{Service, binary};

#[test]
fn help_names_every_command() {
    for service in Service::ALL {
        let output = Command::new(binary())
            .args([service.name(), "--help"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for word in ["serve", "migrate", "check-config", "--config"] {
            assert!(text.contains(word), "{text}");
        }
    }
}
