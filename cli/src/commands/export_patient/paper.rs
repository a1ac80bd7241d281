//! The file of an export. Until it is whole it has another name, and whatever goes wrong leaves nothing behind.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::errors::Failure;

/// A file that is being written.
pub struct Paper {
    file: BufWriter<File>,
    part: PathBuf,
    whole: PathBuf,
    digest: Sha256,
    finished: bool,
}

impl Paper {
    /// Begins a file beside the one that it will be. Nothing that is there already is touched.
    pub fn begin(whole: &Path) -> Result<Self, Failure> {
        let part = part_of(whole);
        let file = create(&part).map_err(|failure| match part.exists() {
            true => failure.then("An export is being made, or broke off: remove it if none is"),
            false => failure,
        })?;
        Ok(Self {
            file: BufWriter::new(file),
            part,
            whole: whole.to_owned(),
            digest: Sha256::new(),
            finished: false,
        })
    }

    /// Writes a line.
    pub fn line(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(line).map_err(|_| self.failure(&std::io::ErrorKind::InvalidData.into()))?;
        text.push(b'\n');
        self.digest.update(&text);
        self.file.write_all(&text).map_err(|error| self.failure(&error))
    }

    /// The SHA-256 of all lines up to here, hexadecimal.
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Brings it to the disk. Only its name is then not yet its own.
    pub fn settle(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|error| self.failure(&error))?;
        self.file.get_ref().sync_all().map_err(|error| self.failure(&error))
    }

    /// Gives it its name, unless a file has that by now. It must be settled.
    pub fn publish(mut self) -> Result<(), Failure> {
        let folder = self.whole.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(|error| self.failure(&error))?;
        // An empty file takes the name first, since not every file system can rename without writing over.
        create(&self.whole)?;
        if let Err(error) = fs::rename(&self.part, &self.whole) {
            let _ = fs::remove_file(&self.whole);
            return Err(self.failure(&error));
        }
        self.finished = true;
        // It is there: that it could be gone again after a loss of power is no failure of the export.
        let _ = folder.sync_all();
        Ok(())
    }

    fn failure(&self, error: &std::io::Error) -> Failure {
        Failure::file(&self.whole, error)
    }
}

/// What is not finished never is.
impl Drop for Paper {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

fn part_of(whole: &Path) -> PathBuf {
    let mut name = OsString::from(whole);
    name.push(".part");
    name.into()
}

fn create(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("case.jsonl");
        let mut paper = Paper::begin(&whole).unwrap();
        paper.line(&"one").unwrap();
        assert_eq!(names(folder.path()), ["case.jsonl.part"]);
        assert!(Paper::begin(&whole).is_err(), "two at once");
        drop(paper);
        assert!(names(folder.path()).is_empty());

        let mut paper = Paper::begin(&whole).unwrap();
        paper.line(&"two").unwrap();
        fs::write(&whole, "of somebody else").unwrap();
        paper.settle().unwrap();
        assert!(paper.publish().is_err());
        assert_eq!(names(folder.path()), ["case.jsonl"]);
        assert_eq!(fs::read_to_string(&whole).unwrap(), "of somebody else");
    }

    #[test]
    fn the_digest_is_of_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("case.jsonl");
        let mut paper = Paper::begin(&whole).unwrap();
        paper.line(&"abc").unwrap();
        let digest = paper.digest();
        paper.settle().unwrap();
        paper.publish().unwrap();
        assert_eq!(fs::read_to_string(&whole).unwrap(), "\"abc\"\n");
        // printf '"abc"\n' | sha256sum
        assert_eq!(
            digest,
            "a4fb58ab9e76dcf8d9b2638c78dc2ba08b72447170604684d3f1adfb9842f950"
        );
    }
}
