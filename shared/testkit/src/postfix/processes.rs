//! The processes of an instance, known by the folder that they are in: every part of postfix works in its queue's.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// Ids of those that are in a folder below this one.
pub(super) fn of(folder: &Path) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder)))
        .collect()
}

/// Kills them, each by its id.
pub(super) fn kill(folder: &Path) -> io::Result<()> {
    for pid in of(folder) {
        // It may have ended by itself.
        Command::new("sh")
            .args(["-c", "kill -s KILL \"$0\" 2>/dev/null", &pid.to_string()])
            .status()?;
    }
    Ok(())
}
