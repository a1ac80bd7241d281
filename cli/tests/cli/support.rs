//! A suite in a folder of its own, and commands to it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that goes on by itself.
const LONG: Duration = Duration::from_secs(30);

/// The directory of a hospital.
pub fn hospital(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/data/{name}.directory.json"))
}

/// A home folder of its own, with everything in it.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The command, with nothing of the environment but this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carepost"));
        command
            .env_clear()
            .env("HOME", self.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// What a command says. One that should end by itself and does not is ended, with exit code 124.
    pub fn carepost(&self, arguments: &[&str]) -> Output {
        let mut bounded = Command::new("/usr/bin/timeout");
        bounded
            .args(["--kill-after=5", "120", env!("CARGO_BIN_EXE_carepost")])
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .stdin(Stdio::null());
        bounded.output().unwrap()
    }

    /// What a command says that must do what it is told.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        let told = || String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}", told());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A command that must fail: with this exit code and one clear line.
    pub fn refusal(&self, arguments: &[&str], exit: i32) -> String {
        refusal(&self.carepost(arguments), exit)
    }

    /// Starts a suite on free ports, and waits until it is there.
    pub fn run(&self, more: &[&str]) -> Running {
        let data = self.data();
        let any = [
            "--eligibility-port",
            "0",
            "--messaging-port",
            "0",
            "--notification-port",
            "0",
        ];
        let mut command = self.command(&["--json", "run", "--data", data.to_str().unwrap()]);
        command.args(any).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let running = Running {
            child,
            _output: output,
            told: serde_json::from_str(&line).unwrap_or_else(|_| panic!("the suite does not start: {line}")),
        };
        assert!(running.told["messaging"].is_string());
        running
    }
}

/// One clear line on standard error, nothing of an answer, and the exit code.
pub fn refusal(output: &Output, exit: i32) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.starts_with("carepost: ") && !told.contains("panicked") && !told.contains("Error"),
        "{told}"
    );
    assert!(told.trim_end().ends_with('.') && told.len() < 600, "{told}");
    assert!(output.stdout.is_empty());
    told
}

/// A running suite, killed when dropped.
pub struct Running {
    child: Child,
    _output: BufReader<ChildStdout>,
    /// What it said once it ran.
    pub told: Value,
}

impl Running {
    /// The port of a service.
    pub fn port(&self, service: &str) -> u16 {
        let url = self.told[service].as_str().unwrap();
        url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Ends it like Ctrl-C or SIGTERM, and gives its exit code.
    pub fn signal(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The emails of a suite.
pub fn emails(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("mail")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect()
}
