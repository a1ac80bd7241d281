//! Writes emails into a folder, one file each: the embedded way, for a suite that has no mail server.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{error::Elapsed, timeout},
};
use uuid::Uuid;

use crate::domain::{Answer, Outcome};

/// What the name of a file ends in that is not whole yet.
const UNFINISHED: &str = ".tmp";

/// A folder that emails are written into. One process has it at a time.
pub(super) struct Folder {
    path: PathBuf,
    /// How long writing an email may take.
    timeout: Duration,
    /// One for each email at the same time. A disk that hangs keeps those of the emails that it hangs on.
    places: Arc<Semaphore>,
}

/// How far writing had come when it failed.
#[derive(Debug)]
enum Fault {
    /// The email is not there.
    Absent(io::Error),
    /// It is there, but may be gone after a loss of power.
    Unsettled(io::Error),
}

impl Folder {
    /// Makes the folder if it is not there, readable by this user alone, and clears away what an earlier process left
    /// unfinished. Writes at most `concurrency` emails at the same time, each for as long as `timeout`.
    ///
    /// # Errors
    /// If the folder can't be made or read.
    pub fn new(path: &Path, timeout: Duration, concurrency: usize) -> io::Result<Self> {
        make(path)?;
        for file in fs::read_dir(path)? {
            let file = file?;
            if is_unfinished(&file.file_name().to_string_lossy()) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            timeout,
            places: Arc::new(Semaphore::new(concurrency)),
        })
    }

    /// Writes the email of a delivery. If it is there already, the same file is written anew.
    ///
    /// A folder says nothing about an email, so none is ever refused: whatever keeps it from being written, a full disk
    /// above all, can be put right.
    pub async fn send(&self, delivery: Uuid, email: String) -> Outcome {
        let place = match timeout(self.timeout, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => place,
            // Closed, which it never is, or the disk hangs.
            Ok(Err(_)) | Err(Elapsed { .. }) => return Outcome::Postponed(answer("does not answer")),
        };
        let folder = self.path.clone();
        let writing = spawn_blocking(move || {
            let _place = place;
            write(&folder, delivery, &email)
        });
        match timeout(self.timeout, writing).await {
            Ok(Ok(Ok(()))) => Outcome::Accepted(Answer::new(0, &format!("written as {}", name(delivery)))),
            Ok(Ok(Err(Fault::Absent(error)))) => Outcome::Postponed(answer(&cannot(&error))),
            Ok(Ok(Err(Fault::Unsettled(error)))) => Outcome::Unknown(answer(&cannot(&error))),
            Ok(Err(_)) => Outcome::Unknown(answer("was left in the middle of writing")),
            Err(Elapsed { .. }) => Outcome::Unknown(answer("did not answer in time")),
        }
    }
}

fn name(delivery: Uuid) -> String {
    format!("{delivery}.eml")
}

/// An attempt's file, until it is whole, has a name that no other attempt has.
fn unfinished(delivery: Uuid) -> String {
    format!(".{delivery}.")
}

fn is_unfinished(name: &str) -> bool {
    let delivery = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(UNFINISHED))
        .and_then(|rest| rest.split('.').next());
    delivery.is_some_and(|text| Uuid::try_parse(text).is_ok())
}

fn answer(what: &str) -> Answer {
    Answer::new(0, &format!("the folder for emails {what}"))
}

/// The kind alone: the error itself may name paths of the machine.
fn cannot(error: &io::Error) -> String {
    format!("cannot be written: {}", error.kind())
}

/// Whoever sees the file sees the whole email, and it stays.
fn write(folder: &Path, delivery: Uuid, email: &str) -> Result<(), Fault> {
    let whole = || {
        make(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(&unfinished(delivery))
            .suffix(UNFINISHED)
            .tempfile_in(folder)?;
        file.write_all(email.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(folder.join(name(delivery))).map_err(|error| error.error)
    };
    whole().map_err(Fault::Absent)?;
    sync(folder).map_err(Fault::Unsettled)
}

/// Makes a folder, with those above it, so that it stays. Its emails hold addresses: nobody else needs to read them.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    make(above)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        // Made by somebody else at this moment.
        Err(_) if folder.is_dir() => {}
        Err(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Ok(()) => {}
    }
    sync(above)
}

/// Puts the names in a folder on disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);
    const ID: Uuid = Uuid::from_u128(7);

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn postponed(what: &str) -> Outcome {
        let text = format!("the folder for emails cannot be written: {what}");
        Outcome::Postponed(Answer::new(0, &text))
    }

    #[tokio::test]
    async fn n3_an_email_that_is_sent_again_is_the_same_file() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("data/mail");
        let folder = Folder::new(&path, TIMEOUT, 2).unwrap();
        let name = format!("{ID}.eml");
        for text in ["A: b\r\n\r\nfirst, and longer\r\n", "A: b\r\n\r\nsecond\r\n"] {
            let outcome = folder.send(ID, text.to_owned()).await;
            let written = Answer::new(0, &format!("written as {name}"));
            assert_eq!(outcome, Outcome::Accepted(written));
            assert_eq!(names(&path), [name.as_str()]);
            assert_eq!(fs::read_to_string(path.join(&name)).unwrap(), text);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(&name))), (0o700, 0o600));
    }

    #[tokio::test]
    async fn attempts_at_the_same_time_leave_one_whole_email_each() {
        let above = tempfile::tempdir().unwrap();
        let folder = Folder::new(above.path(), TIMEOUT, 8).unwrap();
        let text = |n: u128| format!("{n}\r\n").repeat(2_000);
        let sends = (0..40).map(|n| folder.send(Uuid::from_u128(n % 4), text(n % 4)));
        for outcome in futures::future::join_all(sends).await {
            assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
        }
        let expected: Vec<_> = (0..4).map(|n| name(Uuid::from_u128(n))).collect();
        assert_eq!(names(above.path()), expected);
        for n in 0..4 {
            let found = fs::read_to_string(above.path().join(name(Uuid::from_u128(n)))).unwrap();
            assert!(found == text(n), "{n} is whole");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_process_left_unfinished_is_cleared_away_and_nothing_else() {
        let above = tempfile::tempdir().unwrap();
        let left = format!("{}aBc{UNFINISHED}", unfinished(ID));
        for name in [left.as_str(), "notes.tmp", ".hidden.tmp", "a.eml"] {
            fs::write(above.path().join(name), "x").unwrap();
        }
        Folder::new(above.path(), TIMEOUT, 1).unwrap();
        assert_eq!(names(above.path()), [".hidden.tmp", "a.eml", "notes.tmp"]);
    }

    #[tokio::test]
    async fn a_folder_that_vanished_is_made_again_and_what_cannot_be_is_tried_later() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("mail");
        let folder = Folder::new(&path, TIMEOUT, 1).unwrap();
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "no folder").unwrap();
        let outcome = folder.send(ID, "x".to_owned()).await;
        assert_eq!(outcome, postponed("not a directory"));
        assert!(Folder::new(&path, TIMEOUT, 1).is_err());
        fs::remove_file(&path).unwrap();
        assert!(matches!(folder.send(ID, "x".to_owned()).await, Outcome::Accepted(_)));

        // A name that is taken by a folder fails at the last step, and leaves nothing.
        let next = Uuid::from_u128(8);
        fs::create_dir(path.join(name(next))).unwrap();
        assert_eq!(folder.send(next, "x".to_owned()).await, postponed("is a directory"));
        assert_eq!(names(&path), [name(ID), name(next)]);
    }

    #[tokio::test]
    async fn a_full_disk_is_tried_later() {
        // Every write to this device finds it full.
        let error = File::options()
            .write(true)
            .open("/dev/full")
            .and_then(|mut full| full.write_all(b"x"))
            .unwrap_err();
        assert_eq!(
            Outcome::Postponed(answer(&cannot(&error))),
            postponed("no storage space")
        );
    }
}
