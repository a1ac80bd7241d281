//! The RabbitMQ of an instance.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::instance::{Instance, State};
use super::{install, process, tls};

const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Runs the rest with as many open files as it may have, up to what its unit of systemd has: a shell of Debian allows 1,024, and
/// the queues of all tests need more.
const OPEN_FILES: &str = "most=$(ulimit -H -n); if [ \"$most\" = unlimited ] || [ \"$most\" -gt 65536 ]; then most=65536; fi; \
    ulimit -S -n \"$most\"; exec \"$@\"";

/// Stopped or running, in one folder, with a port mapper (epmd) of its own.
pub(super) struct RabbitMq<'a> {
    state: &'a State,
    node: String,
    folder: PathBuf,
}

impl<'a> RabbitMq<'a> {
    pub(super) fn new(instance: &Instance, state: &'a State) -> Self {
        Self {
            state,
            node: format!("carepost-{}@localhost", instance.name),
            folder: state.data.join("rabbitmq"),
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("rabbitmq.pid")
    }

    fn epmd_pid_file(&self) -> PathBuf {
        self.folder.join("epmd.pid")
    }

    fn epmd_marker(&self) -> String {
        // Arguments in /proc are separated by zero bytes.
        format!("-port\0{}\0", self.state.ports.epmd)
    }

    fn pid(&self) -> Option<u32> {
        process::find(&self.pid_file(), &self.folder.to_string_lossy())
    }

    fn epmd_pid(&self) -> Option<u32> {
        process::find(&self.epmd_pid_file(), &self.epmd_marker())
    }

    /// Whether it runs and answers.
    pub(super) fn is_running(&self) -> bool {
        self.pid().is_some() && self.answers()
    }

    /// Whether an AMQP client is greeted: it is the last thing that a starting RabbitMQ begins to do.
    fn answers(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.state.ports.amqp));
        let greeted = || -> io::Result<u8> {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"AMQP\0\0\x09\x01")?;
            let mut frame_type = [0];
            stream.read_exact(&mut frame_type)?;
            Ok(frame_type[0])
        };
        greeted().is_ok_and(|frame_type| frame_type == 1)
    }

    /// Starts it and waits until it answers. One that lives and has not answered in time, because the machine is busy, is waited
    /// for: a second one beside it could not start, and would take its pid file away.
    pub(super) fn start(&self) -> io::Result<()> {
        if self.pid().is_some() {
            if process::poll(START_DEADLINE, || self.answers().then_some(())).is_some() {
                return Ok(());
            }
            self.kill()?;
        }
        for folder in ["", "mnesia", "log"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        self.start_epmd()?;
        fs::remove_file(self.pid_file()).ok();
        fs::write(self.folder.join("enabled_plugins"), "[].\n")?;
        fs::write(self.folder.join("rabbitmq-env.conf"), "")?;
        fs::write(self.folder.join("rabbitmq.conf"), self.settings())?;
        let log = self.folder.join("log/console.log");
        let mut child = self.server_command(File::create(&log)?)?.spawn()?;
        let started = process::poll(START_DEADLINE, || match child.try_wait() {
            Ok(None) => self.is_running().then_some(Ok(())),
            Ok(Some(status)) => Some(Err(io::Error::other(format!("RabbitMQ ended with {status}")))),
            Err(error) => Some(Err(error)),
        });
        // It outlives this process or is stopped by id; while this process lives, it must be waited for.
        thread::spawn(move || child.wait());
        started
            .unwrap_or_else(|| Err(io::Error::other("RabbitMQ did not start in time")))
            .map_err(|error| io::Error::other(format!("{error}: {}", process::tail(&log))))
    }

    fn settings(&self) -> String {
        // A nearly full disk of a developer must not block publishers.
        let mut settings = "disk_free_limit.absolute = 50MB\n".to_owned();
        let (port, (certificate, key)) = (self.state.ports.amqps, tls::server_files(self.state));
        if port != 0 {
            let (ca, certificate, key) = (tls::ca_file(self.state), certificate.display(), key.display());
            settings += &format!(
                "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {ca}\n\
                 ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n",
                ca = ca.display(),
            );
        }
        settings
    }

    fn server_command(&self, log: File) -> io::Result<Command> {
        let program = install::rabbitmq_server().ok_or_else(|| io::Error::other("RabbitMQ is not installed"))?;
        let ports = &self.state.ports;
        let mut command = Command::new("sh");
        command
            .args(["-c", OPEN_FILES, "sh"])
            .arg(program)
            .env("HOME", &self.folder)
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", ports.erlang.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.folder.join("log"))
            .env("RABBITMQ_PID_FILE", self.pid_file())
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.folder.join("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", self.folder.join("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", self.folder.join("rabbitmq-env.conf"))
            .env("ERL_EPMD_PORT", ports.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Nodes talk on loopback alone, and schedulers without work sleep instead of spinning beside the tests.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        detach(&mut command, log)?;
        Ok(command)
    }

    /// Started here and not by Erlang, so that its id is known and it can be ended.
    fn start_epmd(&self) -> io::Result<()> {
        if self.epmd_pid().is_some() {
            return Ok(());
        }
        let log = self.folder.join("log/epmd.log");
        let mut command = Command::new("epmd");
        command.args(["-port", &self.state.ports.epmd.to_string(), "-address", "127.0.0.1"]);
        detach(&mut command, File::create(&log)?)?;
        let mut child = command.spawn()?;
        fs::write(self.epmd_pid_file(), child.id().to_string())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.state.ports.epmd));
        let answers = process::poll(Duration::from_secs(10), || TcpStream::connect(address).ok());
        thread::spawn(move || child.wait());
        answers
            .map(|_| ())
            .ok_or_else(|| io::Error::other(format!("epmd did not start: {}", process::tail(&log))))
    }

    /// Stops it in good order. The port mapper stays, for the next start.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.pid()
            .map_or(Ok(()), |pid| process::end(pid, "TERM", STOP_DEADLINE))
    }

    /// Stops it at once, as in a crash.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.pid()
            .map_or(Ok(()), |pid| process::end(pid, "KILL", STOP_DEADLINE))
    }

    /// Ends the port mapper too, when the instance goes.
    pub(super) fn end_epmd(&self) -> io::Result<()> {
        self.epmd_pid()
            .map_or(Ok(()), |pid| process::end(pid, "TERM", STOP_DEADLINE))
    }
}

/// Lets a server outlive this process: no pipe of it is held, and Ctrl-C at the terminal does not reach it.
fn detach(command: &mut Command, log: File) -> io::Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .current_dir("/");
    Ok(())
}
