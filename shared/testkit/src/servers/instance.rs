//! One instance: its folder, its lock, and the state that outlives the process that started it.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process;
use crate::ports;

/// Longer than an installation takes: who waits for the lock waits for another process that starts the servers.
const LOCK_DEADLINE: Duration = Duration::from_secs(900);
/// A unix socket's path has 107 bytes at most; the rest is for `/data/postgres/socket/.s.PGSQL.12345`.
const LONGEST_FOLDER: usize = 70;

/// The loopback ports of an instance: chosen once, so that its servers come back where their clients look for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    pub postgres: u16,
    pub amqp: u16,
    /// With TLS. An instance of an older version has none.
    #[serde(default)]
    pub amqps: u16,
    pub erlang: u16,
    pub epmd: u16,
}

impl Ports {
    fn all(&self) -> [u16; 5] {
        [self.postgres, self.amqp, self.amqps, self.erlang, self.epmd]
    }

    fn choose(mut promised: HashSet<u16>) -> Self {
        let mut next = || {
            let port = ports::free_server_port(&promised);
            promised.insert(port);
            port
        };
        Self {
            postgres: next(),
            amqp: next(),
            amqps: next(),
            erlang: next(),
            epmd: next(),
        }
    }
}

/// The process that a private instance belongs to. When it is gone, whoever comes by may clear the instance away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pid: u32,
    started: u64,
}

impl Owner {
    pub(super) fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: process::started(pid).unwrap_or_default(),
        }
    }

    fn is_alive(self) -> bool {
        process::started(self.pid) == Some(self.started)
    }
}

/// What the state file of an instance holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Folder of the servers' data and logs.
    pub data: PathBuf,
    /// Why the data are there.
    pub data_is_there_because: String,
    pub ports: Ports,
    pub owner: Option<Owner>,
}

impl State {
    /// Whether somebody else listens where a server of this instance should. To be asked while none of them runs.
    pub(super) fn a_stranger_has_a_port(&self) -> bool {
        [
            self.ports.postgres,
            self.ports.amqp,
            self.ports.amqps,
            self.ports.erlang,
        ]
        .into_iter()
        .any(|port| !ports::is_free(port))
    }
}

/// A named place for one PostgreSQL and one RabbitMQ. It may or may not exist yet.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub name: String,
    services: PathBuf,
}

impl Instance {
    pub(super) fn new(name: &str) -> io::Result<Self> {
        Self::under(services_folder(), name)
    }

    fn under(services: PathBuf, name: &str) -> io::Result<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(fits) {
            return Err(io::Error::other(
                "an instance's name has 1 to 40 characters of a-z, 0-9 and -",
            ));
        }
        fs::create_dir_all(&services)?;
        Ok(Self {
            name: name.to_owned(),
            services: services.canonicalize()?,
        })
    }

    fn folder(&self) -> PathBuf {
        self.services.join(&self.name)
    }

    fn state_file(&self) -> PathBuf {
        self.folder().join("state.json")
    }

    /// Folder of all instances.
    pub(super) fn services(&self) -> &Path {
        &self.services
    }

    fn lock_file(&self) -> PathBuf {
        self.services.join(format!("{}.lock", self.name))
    }

    /// Keeps every other process from starting, stopping or removing this instance, until dropped.
    pub(super) fn lock(&self) -> io::Result<File> {
        lock(&self.lock_file())
    }

    /// Keeps every other process from installing something, until dropped.
    pub(super) fn install_lock(&self) -> io::Result<File> {
        // No instance has a name with an underscore.
        lock(&self.services.join("_install.lock"))
    }

    /// The state, if the instance exists.
    pub(super) fn state(&self) -> Option<State> {
        serde_json::from_slice(&fs::read(self.state_file()).ok()?).ok()
    }

    /// The state; made if the instance does not exist yet. The caller holds the lock.
    pub(super) fn state_or_new(&self, owner: Option<Owner>) -> io::Result<State> {
        if let Some(state) = self.state() {
            return Ok(state);
        }
        fs::create_dir_all(self.folder())?;
        let (data, data_is_there_because) = self.data_folder()?;
        let _ports_are_promised_one_by_one = lock(&self.services.join("_ports.lock"))?;
        let state = State {
            data,
            data_is_there_because,
            ports: Ports::choose(self.promised_ports()),
            owner,
        };
        self.save(&state)?;
        Ok(state)
    }

    /// Other ports, because a stranger listens on one of the old ones. The caller holds the lock; no server runs.
    pub(super) fn with_new_ports(&self, mut state: State) -> io::Result<State> {
        let _ports_are_promised_one_by_one = lock(&self.services.join("_ports.lock"))?;
        state.ports = Ports::choose(self.promised_ports());
        self.save(&state)?;
        Ok(state)
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let new = self.folder().join("state.json.new");
        fs::write(&new, serde_json::to_vec_pretty(state)?)?;
        fs::rename(new, self.state_file())
    }

    /// Removes the data and the state. The caller holds the lock; no server runs.
    pub(super) fn remove(&self, state: &State) -> io::Result<()> {
        for folder in [&state.data, &self.folder()] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // The lock of a lasting instance stays: somebody may be waiting for it.
        if state.owner.is_some() {
            fs::remove_file(self.lock_file())
        } else {
            Ok(())
        }
    }

    /// Private instances whose process is gone without having removed them.
    pub(super) fn orphans(&self) -> Vec<Self> {
        let left = |other: &Self| {
            other
                .state()
                .and_then(|state| state.owner)
                .is_some_and(|owner| !owner.is_alive())
        };
        self.all().into_iter().filter(left).collect()
    }

    fn all(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.services).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .map(|name| Self {
                name,
                services: self.services.clone(),
            })
            .collect()
    }

    fn promised_ports(&self) -> HashSet<u16> {
        self.all()
            .iter()
            .filter_map(Self::state)
            .flat_map(|state| state.ports.all())
            .collect()
    }

    /// Where the data go: beside the state file, unless PostgreSQL's user could not get there or a socket's path would be
    /// too long.
    fn data_folder(&self) -> io::Result<(PathBuf, String)> {
        let here = self.folder();
        let reason = match (
            process::is_root().then(|| closed_folder(&here)).flatten(),
            here.as_os_str().len(),
        ) {
            (Some(closed), _) => format!("other users cannot pass through {}", closed.display()),
            (None, length) if length > LONGEST_FOLDER => "the path is too long for a unix socket".to_owned(),
            _ => return Ok((here.join("data"), "beside this file".to_owned())),
        };
        let mut hasher = DefaultHasher::new();
        self.services.hash(&mut hasher);
        let base = std::env::temp_dir().join(format!("carepost-{:016x}", hasher.finish()));
        make_own_folder(&base)?;
        Ok((base.join(&self.name), reason))
    }
}

/// `target/services` of the workspace.
fn services_folder() -> PathBuf {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    let target = target.map_or_else(|| "target".into(), PathBuf::from);
    workspace.join(target).join("services")
}

/// The first folder on the way that only its owner or group may pass.
fn closed_folder(folder: &Path) -> Option<&Path> {
    let passable = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    folder.ancestors().find(|ancestor| !passable(ancestor))
}

/// Makes a folder in a place where everybody may write, or takes it if it is ours already.
fn make_own_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != process::own_uid() {
        return Err(io::Error::other(format!(
            "{} belongs to somebody else",
            folder.display()
        )));
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let locked = process::poll(LOCK_DEADLINE, || match file.try_lock() {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Err(error)),
    });
    match locked {
        Some(result) => result.map(|()| file),
        None => Err(io::Error::other(format!(
            "{} is still locked after {LOCK_DEADLINE:?}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_made_once_and_ports_are_promised_once() {
        let folder = tempfile::tempdir().unwrap();
        let one = Instance::under(folder.path().into(), "one").unwrap();
        let two = Instance::under(folder.path().into(), "two").unwrap();
        let first = one.state_or_new(None).unwrap();
        assert_eq!(one.state_or_new(None).unwrap(), first);
        let ports: HashSet<u16> = [first.ports.all(), two.state_or_new(None).unwrap().ports.all()]
            .concat()
            .into_iter()
            .collect();
        assert_eq!(ports.len(), 10);
    }

    #[test]
    fn a_private_instance_is_an_orphan_once_its_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Instance::under(folder.path().into(), "kept").unwrap();
        kept.state_or_new(Some(Owner::this_process())).unwrap();
        let left = Instance::under(folder.path().into(), "left").unwrap();
        left.state_or_new(Some(Owner {
            pid: std::process::id(),
            started: 1,
        }))
        .unwrap();
        let orphans: Vec<String> = kept.orphans().into_iter().map(|orphan| orphan.name).collect();
        assert_eq!(orphans, ["left"]);
    }

    #[test]
    fn data_move_out_of_a_folder_that_others_cannot_pass() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(
            closed_folder(&folder.path().join("missing/deeper")),
            Some(&*folder.path().join("missing/deeper"))
        );
        fs::create_dir(folder.path().join("open")).unwrap();
        assert_eq!(closed_folder(&folder.path().join("open")), Some(folder.path()));
    }

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for name in ["", "..", "a/b", "A", &"x".repeat(41)] {
            assert!(Instance::under(std::env::temp_dir(), name).is_err(), "{name}");
        }
    }
}
