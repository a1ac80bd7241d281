//! The data folder of an embedded suite: one process at a time, and never one of a newer version.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use sea_orm_migration::MigratorTrait;

use super::settings::Files;
use crate::{
    errors::{Exit, Failure},
    keys::{self, SigningKey, write_private},
};

const LOCK: &str = "lock";
const VERSION: &str = "VERSION";

/// A data folder that this process has to itself, as long as it lives.
pub struct Folder {
    /// Its files.
    pub files: Files,
    /// Its key.
    pub key: SigningKey,
    _lock: File,
}

impl Folder {
    /// Opens a folder, and makes what is missing.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::file(path, &error);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let kept = version(&path)?;
        let lock = lock(&path)?;
        if kept != Some(format()) {
            write_private(&path.join(VERSION), &format!("{}\n", format()))?;
        }
        let key = if path.join(keys::FILE).exists() {
            SigningKey::read(&path)?
        } else {
            SigningKey::create(&path)?
        };
        let files = Files(path);
        write_private(&files.jwks(), &key.jwks())?;
        fs::create_dir_all(files.mail()).map_err(|error| Failure::file(&files.mail(), &error))?;
        Ok(Self {
            files,
            key,
            _lock: lock,
        })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.files.0
    }
}

/// The format of what is in the folder. It is the number of migrations, so whoever adds one has raised it.
fn format() -> usize {
    carepost_eligibility_migration::Migrator::migrations().len()
        + carepost_messaging_migration::Migrator::migrations().len()
        + carepost_notification_migration::Migrator::migrations().len()
}

/// The format of the folder; none for an empty one.
fn version(path: &Path) -> Result<Option<usize>, Failure> {
    let shown = path.display();
    let other = "name another folder with --data";
    let text = match fs::read_to_string(path.join(VERSION)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_empty(path)? => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("{shown} has files in it, and is no data folder of Carepost");
            return Err(Failure::usage(what, "Name an empty folder, or a new one, with --data"));
        }
        Err(error) => return Err(Failure::file(&path.join(VERSION), &error)),
    };
    match text.trim().parse() {
        Ok(kept) if kept > format() => {
            let what = format!(
                "The data folder {shown} belongs to a newer version of Carepost (format {kept}, this one knows {})",
                format()
            );
            Err(Failure::usage(what, format!("Run that version, or {other}")))
        }
        Ok(kept) => Ok(Some(kept)),
        Err(_) => {
            let what = format!("{shown}/{VERSION} holds no number");
            Err(Failure::usage(
                what,
                format!("Restore the folder from a backup, or {other}"),
            ))
        }
    }
}

fn is_empty(path: &Path) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::file(path, &error);
    for entry in fs::read_dir(path).map_err(failed)? {
        // Another process may be about to make it.
        if entry.map_err(failed)?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file: PathBuf = path.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&file);
    let lock = open.map_err(|error| Failure::file(&file, &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Exit::Failed,
            "FOLDER_IN_USE",
            format!("The data folder {} is in use by another `carepost run`", path.display()),
            "Stop that one, or name another folder with --data",
        )),
        Err(TryLockError::Error(error)) => Err(Failure::file(&file, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_s_and_keeps_its_key() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        let jwks = folder.key.jwks();
        let failure = Folder::open(&path).err().unwrap();
        assert_eq!(failure.code, "FOLDER_IN_USE");
        drop(folder);
        assert_eq!(Folder::open(&path).unwrap().key.jwks(), jwks);
    }

    #[test]
    fn folders_of_others_and_of_newer_versions_are_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("thesis.tex"), "").unwrap();
        let failure = Folder::open(temporary.path()).err().unwrap().to_string();
        assert!(failure.contains("is no data folder of Carepost"), "{failure}");
        fs::write(temporary.path().join(VERSION), "9999\n").unwrap();
        let failure = Folder::open(temporary.path()).err().unwrap().to_string();
        assert!(
            failure.contains("newer version") && failure.lines().count() == 1,
            "{failure}"
        );
        assert_eq!(
            fs::read_dir(temporary.path()).unwrap().count(),
            2,
            "nothing was written"
        );
    }
}
