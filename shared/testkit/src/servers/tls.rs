//! The certificate of an instance's servers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::instance::State;
use crate::Authority;

fn folder(state: &State) -> PathBuf {
    state.data.join("tls")
}

pub(super) fn ca_file(state: &State) -> PathBuf {
    folder(state).join("ca.pem")
}

/// The certificate for `localhost`, and its key.
pub(super) fn server_files(state: &State) -> (PathBuf, PathBuf) {
    let folder = folder(state);
    (folder.join("server.pem"), folder.join("server.key"))
}

/// Makes the certificate, if it is not there. The caller holds the instance's lock.
pub(super) fn make(state: &State) -> io::Result<()> {
    let (certificate_file, key_file) = server_files(state);
    if certificate_file.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder(state))?;
    let authority = Authority::generate();
    let (certificate, key) = authority.sign(&["localhost", "127.0.0.1"]);
    fs::write(ca_file(state), authority.ca_pem())?;
    fs::write(key_file, key)?;
    replace(&certificate_file, &certificate)
}

/// The last of the files comes as a whole: where it is, the others are.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, file)
}
