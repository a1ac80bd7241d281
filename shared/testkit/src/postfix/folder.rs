//! The folder of an instance: whose it is, and what was left behind.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::poll;

/// Longer than an installation takes.
const LOCK_DEADLINE: Duration = Duration::from_secs(900);
const PREFIX: &str = "carepost-postfix-";
/// How the name of the owner's file ends.
const OWNER: &str = "owner";
/// Of the path in which folders are made: a unix socket's path has 107 bytes at most.
const LONGEST: usize = 40;

/// A folder for an instance. Its owner holds a lock on a file beside it until both are gone, however the owner ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    owner: File,
}

impl Folder {
    /// An empty one. The caller holds the [`lock`].
    pub(super) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base()?.join(format!("{PREFIX}{}-{number}", std::process::id()));
        // Both fail if there is anything: in /tmp it could be a stranger's.
        let owner = File::create_new(path.with_extension(OWNER))?;
        owner.lock()?;
        fs::create_dir(&path)?;
        // Whatever the umask is, the users of postfix must get through.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { path, owner })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Releases the lock, as the death of the owner does.
    #[cfg(test)]
    pub(super) fn forget_owner(&self) {
        self.owner.unlock().expect("the owner's lock can be released");
    }

    /// Removes it, and last the file that says that it is there.
    pub(super) fn remove(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(&self.path))?;
        gone(fs::remove_file(self.path.with_extension(OWNER)))?;
        self.owner.unlock()
    }
}

/// Folders whose owner is gone. The caller holds the [`lock`].
pub(super) fn orphans() -> io::Result<Vec<Folder>> {
    let own = fs::metadata("/proc/self")?.uid();
    let mut orphans = Vec::new();
    for entry in fs::read_dir(base()?)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_owner_file = name.starts_with(PREFIX) && path.extension().is_some_and(|end| end == OWNER);
        if is_owner_file && fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.uid() == own) {
            orphans.extend(orphan(&path));
        }
    }
    Ok(orphans)
}

/// None while its owner lives, or if the owner has just removed it.
fn orphan(owner_file: &Path) -> Option<Folder> {
    let owner = File::open(owner_file).ok()?;
    let path = owner_file.with_extension("");
    owner.try_lock().is_ok().then_some(Folder { path, owner })
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Keeps other processes from installing packages and from clearing away what is left behind, until dropped.
pub(super) fn lock() -> io::Result<File> {
    // The lock of the other servers' installation: apt-get runs once at a time.
    let path = services()?.join("_install.lock");
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let mut fault = None;
    let locked = poll(LOCK_DEADLINE, || match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            fault = Some(error);
            true
        }
    });
    match fault {
        Some(error) => Err(error),
        None if locked => Ok(file),
        None => Err(io::Error::other("the lock of the installation is not released")),
    }
}

/// `target/services` of the workspace.
pub(super) fn services() -> io::Result<PathBuf> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    let target = target.map_or_else(|| "target".into(), PathBuf::from);
    let services = workspace.join(target).join("services");
    fs::create_dir_all(&services)?;
    services.canonicalize()
}

/// Where instances go: beside the other servers, unless the users of postfix could not get there.
fn base() -> io::Result<PathBuf> {
    let services = services()?;
    let passable = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    let fits = services.as_os_str().len() <= LONGEST && services.ancestors().all(passable);
    Ok(if fits { services } else { std::env::temp_dir() })
}
