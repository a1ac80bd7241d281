//! The memory of the services.

use std::fs;

use carepost_suite::{Suite, process::Service};

/// The resident memory of a service, in bytes.
pub fn resident(suite: &Suite, service: Service) -> u64 {
    let settings = suite.file(&service.settings());
    let settings = settings.to_str().expect("a path of text");
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let folder = processes.map(|entry| entry.path()).find(|folder| {
        let line = fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == settings)
    });
    let status = fs::read_to_string(folder.expect("it runs").join("status")).expect("its status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("its memory");
    let kilobytes = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") * 1_024
}
