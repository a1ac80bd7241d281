//! One service as a process.

use std::{
    fs::OpenOptions,
    process::{Child, Command, Stdio},
};

use crate::Suite;

/// The three services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Who may write to whom.
    Eligibility,
    /// Conversations and mailboxes.
    Messaging,
    /// Emails.
    Notification,
}

impl Service {
    /// All of them, in the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Eligibility, Self::Messaging, Self::Notification];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eligibility => "eligibility",
            Self::Messaging => "messaging",
            Self::Notification => "notification",
        }
    }

    /// Its settings, in the suite's folder.
    #[must_use]
    pub fn settings(self) -> String {
        format!("{}.toml", self.name())
    }

    pub(crate) fn log(self) -> String {
        format!("{}.log", self.name())
    }
}

/// A process, killed when dropped.
pub(crate) struct Process {
    pub service: Service,
    child: Child,
}

/// The command line of a service.
pub(crate) fn command(suite: &Suite, service: Service, word: &str) -> Command {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(suite.file(&service.log()))
        .expect("a log file");
    let mut command = Command::new(binary());
    command
        .arg(service.name())
        .arg("--config")
        .arg(suite.file(&service.settings()))
        .arg(word)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log file"))
        .stderr(log);
    command
}

/// The binary of the suite's services. It lies in the folder of the profile: there a binary that runs now lies too, while a
/// test lies in `deps` below it.
#[must_use]
pub fn binary() -> std::path::PathBuf {
    let running = std::env::current_exe().expect("the path of this binary");
    let folder = running.parent().expect("target/<profile> or target/<profile>/deps");
    let profile = match folder.parent() {
        Some(profile) if folder.ends_with("deps") => profile,
        _ => folder,
    };
    profile.join("suite-service")
}

impl Process {
    pub fn start(suite: &Suite, service: Service) -> Self {
        Self {
            service,
            child: command(suite, service, "serve")
                .spawn()
                .expect("the service can be run"),
        }
    }

    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill can be run");
        assert!(status.success(), "the process is there");
    }

    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("a child can be waited for").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
