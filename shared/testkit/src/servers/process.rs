//! Child processes: run with a deadline, found again by pid, ended by pid.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a log goes into an error message.
const TAIL: usize = 2_000;

/// Runs a command to its end. What it prints is appended to `log`: a pipe would be inherited by a server that it leaves
/// running, and whoever reads it would wait for that server.
pub(super) fn run(command: &mut Command, log: &Path, deadline: Duration) -> io::Result<()> {
    let out = File::options().create(true).append(true).open(log)?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()?;
    let ended = poll(deadline, || child.try_wait().transpose());
    match ended.transpose()? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(io::Error::other(format!("{name} ended with {status}: {}", tail(log)))),
        None => {
            child.kill()?;
            child.wait()?;
            Err(io::Error::other(format!(
                "{name} did not end within {deadline:?}: {}",
                tail(log)
            )))
        }
    }
}

/// Asks again and again until there is an answer; None once the deadline has passed.
pub(super) fn poll<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The end of a log file.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    text.chars().skip(text.chars().count().saturating_sub(TAIL)).collect()
}

/// The process whose id the first line of the file holds, if it is alive and its command line holds the marker: after a
/// restart of the machine the id may be a stranger's.
pub(super) fn find(pid_file: &Path, marker: &str) -> Option<u32> {
    let pid = fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()?;
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (started(pid).is_some() && String::from_utf8_lossy(&command_line).contains(marker)).then_some(pid)
}

/// When the process was started, in clock ticks since the machine was; None if it is gone, or dead and not yet waited for.
pub(super) fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything: the fields are counted behind it, from the third (the state) on.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let threads: u32 = fields.get(17)?.parse().ok()?;
    // A killed process shows as dead while threads of it are still being ended; until then its ports are open.
    let dead = matches!(fields.first(), Some(&"Z" | &"X")) && threads <= 1;
    if dead { None } else { fields.get(19)?.parse().ok() }
}

/// Sends a signal (`TERM`, `KILL`) and waits until the process is gone; if it stays, it is killed.
pub(super) fn end(pid: u32, signal: &str, deadline: Duration) -> io::Result<()> {
    for (signal, deadline) in [(signal, deadline), ("KILL", Duration::from_secs(10))] {
        Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\" 2>/dev/null", signal, &pid.to_string()])
            .status()?;
        if poll(deadline, || started(pid).is_none().then_some(())).is_some() {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("process {pid} cannot be ended")))
}

/// Whether this process runs as root.
pub(super) fn is_root() -> bool {
    own_uid() == 0
}

/// The user that this process runs as.
pub(super) fn own_uid() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |me| me.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out of luck; exit 3"]);
        let error = run(&mut command, &folder.path().join("log"), Duration::from_secs(5))
            .unwrap_err()
            .to_string();
        assert!(error.contains("out of luck") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_command_is_stopped_at_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let error = run(
            Command::new("sleep").arg("30"),
            &folder.path().join("log"),
            Duration::from_millis(50),
        );
        assert!(error.unwrap_err().to_string().contains("did not end"));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_process_is_found_by_pid_and_marker_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let mut child = Command::new("sleep")
            .arg("61")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        fs::write(&pid_file, format!("{}\n", child.id())).unwrap();
        // Its command line is empty for a moment after it was started.
        let found = poll(Duration::from_secs(5), || find(&pid_file, "sleep\x0061\0"));
        let stranger = find(&pid_file, "another");
        let ended = end(child.id(), "TERM", Duration::from_secs(5));
        assert_eq!((found, stranger), (Some(child.id()), None));
        ended.unwrap();
        assert_eq!(find(&pid_file, "sleep"), None);
        child.wait().unwrap();
    }
}
