//! What was measured on.

use std::{fs, process::Command, thread};

use crate::database;

/// Facts that belong to every figure.
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores there are.
    pub cores: usize,
    /// The system's release.
    pub kernel: String,
    /// The version of PostgreSQL.
    pub postgres: String,
    /// The commit, with a mark if files differ from it.
    pub commit: String,
    /// How many processes wanted to run, on average over the minute before: above zero, others use the machine.
    pub load_before: String,
    /// Whether this is an optimised build. Figures of another one mean nothing.
    pub optimised: bool,
}

/// How many cores this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Machine {
    /// Reads them.
    pub async fn read(postgres_url: &str) -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let load = text("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
        let postgres = database::connect(postgres_url).await;
        Self {
            processor: processor(&text("/proc/cpuinfo")),
            cores: cores(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            postgres: database::value(&postgres, "SHOW server_version").await,
            commit: commit(),
            load_before: load,
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown").to_owned()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + " with changes",
    }
}
