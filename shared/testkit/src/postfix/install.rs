//! Debian's package of postfix, installed where it is missing, without a system-wide mail server being set up or started.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{folder, run};

const PROGRAM: &str = "/usr/sbin/postfix";
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// How long a step may take, in seconds.
const STEP_SECONDS: &str = "900";

/// Installs it if it is missing. The caller holds the lock.
pub(super) fn install_if_missing() -> io::Result<()> {
    if Path::new(PROGRAM).exists() {
        return Ok(());
    }
    let services = folder::services()?;
    let log = services.join("install-postfix.log");
    eprintln!(
        "carepost-testkit: installing the Debian package postfix (log: {})",
        log.display()
    );
    let answers = services.join("postfix.debconf");
    fs::write(&answers, "postfix postfix/main_mailer_type select No configuration\n")?;
    let _no_service_starts = ServicePolicy::forbid_starts()?;
    step(
        Command::new("timeout")
            .args([STEP_SECONDS, "debconf-set-selections"])
            .arg(answers),
        &log,
    )?;
    step(Command::new("timeout").args([STEP_SECONDS, "apt-get", "update"]), &log)?;
    // A machine that has another mail server keeps it: then this fails.
    let install = ["install", "-y", "--no-install-recommends", "--no-remove", "postfix"];
    step(
        Command::new("timeout").args([STEP_SECONDS, "apt-get"]).args(install),
        &log,
    )
}

fn step(command: &mut Command, log: &Path) -> io::Result<()> {
    run(command.env("DEBIAN_FRONTEND", "noninteractive"), log)
        .map_err(|error| io::Error::other(format!("as root: apt-get install postfix. {error}")))
}

/// Debian's way to keep packages from starting the servers that they bring: a script that says no, here only while the
/// package is installed, and only where nobody has put one.
struct ServicePolicy {
    ours: bool,
}

impl ServicePolicy {
    fn forbid_starts() -> io::Result<Self> {
        let policy = match File::create_new(POLICY) {
            Ok(_) => Self { ours: true },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Self { ours: false }),
            Err(error) => return Err(error),
        };
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        if self.ours {
            fs::remove_file(POLICY).ok();
        }
    }
}
