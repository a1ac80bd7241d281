//! What postfix asks others: whether a password is right, and whether a mail may come now.
//!
//! Both are asked over sockets in the instance's folder, by the protocols of Dovecot's authentication and of Postfix's
//! policy delegation, as far as postfix uses them here.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::settings::{GREYLISTED, PASSWORD, USERNAME};

/// The sockets, in the instance's folder.
pub(super) const LOGIN: &str = "login";
pub(super) const GREYLIST: &str = "greylist";

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct Attendant {
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Attendant {
    /// Tells whether name and password are right.
    pub(super) fn login(folder: &Path) -> io::Result<Self> {
        Self::start(folder.join(LOGIN), log_in)
    }

    /// Puts the first mail to the greylisted address off.
    pub(super) fn greylist(folder: &Path) -> io::Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        Self::start(folder.join(GREYLIST), move |stream| decide(stream, &seen))
    }

    fn start(
        socket: PathBuf,
        serve: impl Fn(UnixStream) -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                // It ends when postfix closes the connection.
                thread::spawn(move || serve(stream));
            }
        });
        Ok(Self {
            socket,
            stop,
            listening: Some(listening),
        })
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let woken = UnixStream::connect(&self.socket).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            listening.join().ok();
        }
    }
}

fn log_in(mut stream: UnixStream) -> io::Result<()> {
    stream.write_all(
        b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t1\nDONE\n",
    )?;
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let mut given = Vec::new();
    let mut mechanism = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let answer = match fields[..] {
            ["AUTH", _, wanted, ..] => {
                wanted.clone_into(&mut mechanism);
                given.clear();
                fields.iter().find_map(|field| field.strip_prefix("resp="))
            }
            ["CONT", _, answer] => Some(answer),
            _ => continue,
        };
        given.extend(answer.map(ToOwned::to_owned));
        let id = fields[1];
        let questions: &[&str] = if mechanism == "PLAIN" {
            &[""]
        } else {
            &["Username:", "Password:"]
        };
        let right = if mechanism == "PLAIN" {
            vec![encoded(&format!("\0{USERNAME}\0{PASSWORD}"))]
        } else {
            vec![encoded(USERNAME), encoded(PASSWORD)]
        };
        let told = match questions.get(given.len()) {
            Some(question) => format!("CONT\t{id}\t{}\n", encoded(question)),
            None if given == right => format!("OK\t{id}\tuser={USERNAME}\n"),
            None => format!("FAIL\t{id}\tuser=somebody\n"),
        };
        stream.write_all(told.as_bytes())?;
    }
    Ok(())
}

/// Attributes, one in a line, and an empty line; then what is to be done.
fn decide(mut stream: UnixStream, seen: &AtomicBool) -> io::Result<()> {
    let mut attributes = HashSet::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if !line.is_empty() {
            attributes.insert(line);
            continue;
        }
        let is_greylisted = attributes.contains(&format!("recipient={GREYLISTED}"));
        let action = if is_greylisted && !seen.swap(true, Ordering::SeqCst) {
            "450 4.2.0 greylisted, come back later"
        } else {
            "DUNNO"
        };
        stream.write_all(format!("action={action}\n\n").as_bytes())?;
        attributes.clear();
    }
    Ok(())
}
