//! Debian's packages of PostgreSQL and RabbitMQ, installed where they are missing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process;

/// The oldest PostgreSQL that the suite supports.
const OLDEST_POSTGRES: u32 = 15;
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const POLICY: &str = "/usr/sbin/policy-rc.d";
const CLUSTER_CONFIG: &str = "/etc/postgresql-common/createcluster.conf";
const DEADLINE: Duration = Duration::from_secs(900);

/// Folder of the programs of the newest installed PostgreSQL that is new enough.
pub(super) fn postgres_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| *version >= OLDEST_POSTGRES)
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .max()?;
    Some(format!("/usr/lib/postgresql/{newest}/bin").into())
}

/// The program that starts RabbitMQ, without Debian's wrapper, which insists on its own user and settings.
pub(super) fn rabbitmq_server() -> Option<PathBuf> {
    Some(PathBuf::from(RABBITMQ)).filter(|program| program.exists())
}

/// Installs what is missing. `folder` takes the log. The caller holds a lock.
pub(super) fn install_missing(folder: &Path) -> io::Result<()> {
    let mut packages = Vec::new();
    if postgres_bin().is_none() {
        packages.push("postgresql");
    }
    if rabbitmq_server().is_none() {
        packages.push("rabbitmq-server");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if !process::is_root() {
        return Err(io::Error::other(format!(
            "not installed: {wanted}. As root: apt-get install {wanted}"
        )));
    }
    let log = folder.join("install.log");
    eprintln!(
        "carepost-testkit: installing Debian packages: {wanted} (log: {})",
        log.display()
    );
    let _no_service_starts = ServicePolicy::forbid_starts()?;
    keep_postgres_without_cluster()?;
    apt_get(&["update"], &log)?;
    let options = [
        "install",
        "-y",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-confold",
    ];
    apt_get(&[&options[..], &packages[..]].concat(), &log)
}

fn apt_get(arguments: &[&str], log: &Path) -> io::Result<()> {
    process::run(
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"),
        log,
        DEADLINE,
    )
}

/// Debian's way to keep packages from starting the servers that they bring: a script that says no, here only while
/// packages are installed, and only where nobody has put one.
struct ServicePolicy {
    ours: bool,
}

impl ServicePolicy {
    fn forbid_starts() -> io::Result<Self> {
        let ours = match File::create_new(POLICY) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        let policy = Self { ours };
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
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

/// Debian's package makes a system-wide database cluster unless told not to; nobody here would use it.
fn keep_postgres_without_cluster() -> io::Result<()> {
    if postgres_bin().is_some() || Path::new(CLUSTER_CONFIG).exists() {
        return Ok(());
    }
    fs::create_dir_all(Path::new(CLUSTER_CONFIG).parent().unwrap_or(Path::new("/")))?;
    fs::write(CLUSTER_CONFIG, "create_main_cluster = false\n")
}
