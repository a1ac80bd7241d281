//! The PostgreSQL of an instance.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::instance::State;
use super::{install, process, tls};

const DEADLINE: Duration = Duration::from_secs(60);

/// Not initialized, stopped or running, in one folder.
pub(super) struct Postgres<'a> {
    state: &'a State,
    folder: PathBuf,
}

impl<'a> Postgres<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self {
            state,
            folder: state.data.join("postgres"),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command_log(&self) -> PathBuf {
        self.state.data.join("postgres-commands.log")
    }

    /// Whether it runs and has said that it takes connections.
    pub(super) fn is_running(&self) -> bool {
        let pid_file = self.data().join("postmaster.pid");
        self.pid().is_some()
            && fs::read_to_string(pid_file)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    }

    fn pid(&self) -> Option<u32> {
        process::find(&self.data().join("postmaster.pid"), &self.data().to_string_lossy())
    }

    /// Starts it and waits until it takes connections; makes it first if it does not exist.
    pub(super) fn start(&self) -> io::Result<()> {
        if !self.data().join("PG_VERSION").exists() {
            self.initialize()?;
        }
        if self.pid().is_none() {
            // After a restart of the machine the id in it may be a stranger's, and PostgreSQL would refuse to start.
            fs::remove_file(self.data().join("postmaster.pid")).ok();
        }
        self.install_certificate()?;
        fs::write(self.data().join("carepost.conf"), self.settings())?;
        self.control(&["start", "-w", "-t", "60", "-l"], &[&self.folder.join("postgres.log")])
    }

    /// Ends sessions, writes what is to be written, and stops.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.stop_if_running("fast")
    }

    /// Stops at once, as in a crash: the next start recovers from the log.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.stop_if_running("immediate")
    }

    fn stop_if_running(&self, mode: &str) -> io::Result<()> {
        if self.pid().is_none() {
            Ok(())
        } else {
            self.control(&["stop", "-w", "-t", "50", "-m", mode], &[])
        }
    }

    fn initialize(&self) -> io::Result<()> {
        // What an interrupted attempt left behind.
        fs::remove_dir_all(&self.folder).ok();
        fs::create_dir_all(&self.state.data)?;
        let mut make = Command::new("install");
        if process::is_root() {
            make.args(["-o", "postgres", "-g", "postgres"]);
        }
        make.args(["-d", "-m", "0755"])
            .arg(&self.folder)
            .arg(self.folder.join("socket"));
        process::run(&mut make, &self.command_log(), DEADLINE)?;
        let mut initdb = as_postgres("initdb")?;
        // C.UTF-8 and not C: under C, pg_trgm finds no trigrams in Greek or Chinese.
        initdb
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ])
            .arg(self.data());
        process::run(&mut initdb, &self.command_log(), DEADLINE)?;
        let main = self.data().join("postgresql.conf");
        let settings = fs::read_to_string(&main)? + "\ninclude 'carepost.conf'\n";
        fs::write(main, settings)
    }

    /// PostgreSQL wants a key that is its own user's alone.
    fn install_certificate(&self) -> io::Result<()> {
        let (certificate, key) = tls::server_files(self.state);
        for file in [certificate, key] {
            let mut copy = Command::new("install");
            if process::is_root() {
                copy.args(["-o", "postgres", "-g", "postgres"]);
            }
            copy.args(["-m", "0600"]).arg(file).arg(&self.folder);
            process::run(&mut copy, &self.command_log(), DEADLINE)?;
        }
        Ok(())
    }

    /// Durable as in production: what a test learns about crashes must hold there.
    fn settings(&self) -> String {
        let socket = self.folder.join("socket");
        format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nmax_connections = 300\n\
             fsync = on\nsynchronous_commit = on\nfull_page_writes = on\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n\
             ssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n\
             shared_preload_libraries = '{}'\n",
            self.state.ports.postgres,
            socket.display(),
            if has_statement_statistics() {
                "pg_stat_statements"
            } else {
                ""
            },
            folder = self.folder.display(),
        )
    }

    fn control(&self, arguments: &[&str], files: &[&Path]) -> io::Result<()> {
        let mut command = as_postgres("pg_ctl")?;
        command.arg("-D").arg(self.data()).args(arguments).args(files);
        process::run(&mut command, &self.command_log(), DEADLINE)
            .map_err(|error| io::Error::other(format!("{error}\n{}", process::tail(&self.folder.join("postgres.log")))))
    }

    /// Runs one statement in the database `postgres`, as superuser.
    pub(super) fn execute(&self, statement: &str) -> io::Result<()> {
        let output = Command::new(bin()?.join("psql"))
            .args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-d",
                "postgres",
            ])
            .args(["-p", &self.state.ports.postgres.to_string(), "-c", statement])
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", "-c statement_timeout=60s")
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

fn bin() -> io::Result<PathBuf> {
    install::postgres_bin().ok_or_else(|| io::Error::other("PostgreSQL is not installed"))
}

fn has_statement_statistics() -> bool {
    bin().is_ok_and(|bin| bin.join("../lib/pg_stat_statements.so").exists())
}

/// A program of PostgreSQL, which refuses to run as root.
fn as_postgres(program: &str) -> io::Result<Command> {
    let program = bin()?.join(program);
    let mut command = if process::is_root() {
        Command::new("runuser")
    } else {
        Command::new(&program)
    };
    if process::is_root() {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    // A folder that its user can be in.
    command.current_dir("/");
    Ok(command)
}
