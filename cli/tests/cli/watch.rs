//! A watch: live, resumed, and ended.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Home, hospital, until};

const DOCTOR: &str = "staff/9999999896";
const GUARDIAN: &str = "portal/pu-9";

/// A watch that runs, ended when dropped.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(home: &Home, more: &[&str]) -> Self {
        // Whatever happens, it does not outlive the test by much.
        let mut command = Command::new("/usr/bin/timeout");
        command
            .args(["--foreground", "120", env!("CARGO_BIN_EXE_carepost")])
            .args(["watch", "--as", GUARDIAN, "--json"])
            .args(more)
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Self::of(command.spawn().unwrap())
    }

    fn of(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the watch ended: {line}"))
    }

    fn exit(&mut self) -> Option<i32> {
        let child = &mut self.child;
        assert!(until(|| child.try_wait().unwrap().is_some()), "it does not end");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(home: &Home, text: &str) -> Value {
    home.json(&["send", "--as", DOCTOR, "--to", GUARDIAN, "--chart", "1021", text])["conversation_id"].clone()
}

#[test]
fn a_message_is_told_as_it_comes_and_missed_ones_on_return() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let mut watch = Watch::start(&home, &["--count", "1"]);
    let opened = watch.next();
    assert_eq!(
        (
            &opened["event"],
            &opened["mailbox"]["unread_count"],
            &opened["conversation"]
        ),
        (&json!("opened"), &json!(0), &Value::Null)
    );
    let conversation = send(&home, "Hello");
    let change = watch.next();
    assert_eq!(change["event"], "conversation_changed");
    assert_eq!(change["conversation"]["id"], conversation);
    assert_eq!(change["mailbox"]["unread_count"], 1);
    assert_eq!(watch.exit(), Some(0), "after so many changes it is done");

    let missed = send(&home, "Hello again");
    let position = change["position"].to_string();
    let mut watch = Watch::start(&home, &["--after", &position, "--count", "1"]);
    assert_eq!(watch.next()["event"], "opened");
    assert_eq!(watch.next()["conversation"]["id"], missed);
    assert_eq!(watch.exit(), Some(0));
}

#[test]
fn a_line_tells_in_which_folder_the_conversation_is() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let conversation = send(&home, "Hello");
    let told = || {
        let watch = ["watch", "--as", GUARDIAN, "--after", "0", "--count", "1"];
        String::from_utf8(home.carepost(&watch).stdout).unwrap()
    };
    assert!(told().contains("  active  Dr. Ahmed Feil: 1 unread message, 1 unread message in all"));
    home.json(&["archive", "--as", GUARDIAN, conversation.as_str().unwrap()]);
    assert!(told().contains("  archived  Dr. Ahmed Feil: "));
}

#[test]
fn ctrl_c_ends_it_well() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let mut command = home.command(&["watch", "--as", GUARDIAN]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "Watching. 0 unread messages.\n");
    let mut watch = Watch { child, lines: output };
    let id = watch.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(watch.exit(), Some(0));
}

#[test]
fn it_goes_on_after_the_suite_was_started_again() {
    let home = Home::new();
    let prairie = hospital("prairie");
    let running = home.run(&["--import", prairie.to_str().unwrap()]);
    let port = running.port("messaging").to_string();
    let mut watch = Watch::start(&home, &["--count", "1"]);
    assert_eq!(watch.next()["event"], "opened");
    assert_eq!(running.signal("-TERM"), Some(0));
    // On the same port: the watch knows no other.
    let data = home.data();
    let again = [
        "run",
        "--json",
        "--data",
        data.to_str().unwrap(),
        "--messaging-port",
        &port,
    ];
    let mut suite = home.command(&[&again[..], &["--eligibility-port", "0", "--notification-port", "0"]].concat());
    let mut suite = Watch::of(suite.stdout(Stdio::piped()).spawn().unwrap());
    suite.next();
    let conversation = send(&home, "Still there?");
    let mut told = watch.next();
    while told["event"] == "opened" {
        told = watch.next();
    }
    assert_eq!(told["conversation"]["id"], conversation);
    assert_eq!(watch.exit(), Some(0));
}

#[test]
fn a_position_that_never_was_is_told() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let told = home.refusal(&["watch", "--as", GUARDIAN, "--after", "9999"], 2);
    assert!(told.contains("ahead of the mailbox"), "{told}");
    for wrong in [["--after", "-1"], ["--count", "0"]] {
        let watch = [&["watch", "--as", GUARDIAN][..], &wrong].concat();
        assert_eq!(home.carepost(&watch).status.code(), Some(2), "{wrong:?}");
    }
}
