//! Where emails go: the setting `mail.url`, and those that belong to it.

use std::{fmt, path::PathBuf};

use carepost_runtime::settings::Reader;
use lettre::transport::smtp::authentication::Credentials;
use url::Url;

const URL: &str = "mail.url";

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// TLS by STARTTLS, or no email.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Where emails go.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// To a mail server.
    Server(MailServer),
    /// Into a folder, and no further.
    Folder(PathBuf),
}

/// A mail server, and how it is reached.
#[derive(Clone)]
pub(super) struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub credentials: Option<Credentials>,
    /// Root certificates to trust beside the machine's own.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials are a secret.
        f.debug_struct("MailServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// Reads `url`, `username`, `password` (or files that hold them) and `ca_file` of the section `mail`.
    pub fn read(reader: &mut Reader) -> Self {
        let url = reader.url(URL, &["smtps", "smtp+starttls", "smtp", "file"]);
        match url {
            Some(url) if url.scheme() == "file" => Self::Folder(folder(reader, &url)),
            url => Self::Server(server(reader, url.as_ref())),
        }
    }
}

fn folder(reader: &mut Reader, url: &Url) -> PathBuf {
    for key in [
        "mail.username",
        "mail.username_file",
        "mail.password",
        "mail.password_file",
        "mail.ca_file",
    ] {
        if reader.optional_text(key).is_some() {
            reader.fault(key, "is for a mail server: a folder has no use for it");
        }
    }
    // A URL's parser takes `file:mail`, too, for an absolute path.
    let is_written_out = reader
        .optional_text(URL)
        .is_some_and(|text| text.starts_with("file:///"));
    let is_bare = is_written_out && url.query().is_none() && url.fragment().is_none();
    let path = url.to_file_path().ok();
    path.filter(|path| is_bare && path.parent().is_some())
        .unwrap_or_else(|| {
            reader.fault(URL, "must be of the form file:///absolute/folder");
            PathBuf::new()
        })
}

fn server(reader: &mut Reader, url: Option<&Url>) -> MailServer {
    let (default_port, security) = match url.map(Url::scheme) {
        Some("smtps") => (465, Security::Tls),
        Some("smtp") => (25, Security::Plain),
        _ => (587, Security::StartTls),
    };
    MailServer {
        host: url.map(|url| host(reader, url)).unwrap_or_default(),
        port: url.and_then(Url::port).unwrap_or(default_port),
        security,
        credentials: credentials(reader, security),
        ca_file: reader.path("mail.ca_file"),
    }
}

fn host(reader: &mut Reader, url: &Url) -> String {
    // An IPv6 address has brackets in a URL, and nowhere else.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        reader.fault(URL, "names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        reader.fault(URL, "must hold no login: give mail.username and mail.password");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        reader.fault(URL, "must end after the port");
    }
    host
}

fn credentials(reader: &mut Reader, security: Security) -> Option<Credentials> {
    let username = reader.secret("mail.username");
    let password = reader.secret("mail.password");
    if username.is_some() && security == Security::Plain {
        reader.fault(
            "mail.username",
            "would be sent in the clear: use smtps:// or smtp+starttls://",
        );
    }
    match (username, password) {
        (Some(username), Some(password)) => Some(Credentials::new(username, password)),
        (None, None) => None,
        _ => {
            reader.fault("mail.username", "and mail.password go together");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Place, Vec<String>> {
        let mut reader = Reader::embedded("", &format!("[mail]\n{lines}")).unwrap();
        let place = Place::read(&mut reader);
        reader.finish(place).map_err(|faults| faults.0)
    }

    #[test]
    fn the_scheme_decides_protection_and_port() {
        for (url, port, security) in [
            ("smtps://mail.example.org", 465, Security::Tls),
            ("smtp+starttls://mail.example.org", 587, Security::StartTls),
            ("smtp://127.0.0.1:2525", 2525, Security::Plain),
        ] {
            let Ok(Place::Server(server)) = read(&format!("url = \"{url}\"")) else {
                panic!("{url} is a mail server");
            };
            assert_eq!((server.port, server.security), (port, security), "{url}");
            assert!(url.contains(&server.host) && !server.host.is_empty());
        }
    }

    #[test]
    fn a_folder_is_absolute() {
        for (url, path) in [
            ("file:///var/lib/care%20post/mail", "/var/lib/care post/mail"),
            ("file:///mail/", "/mail/"),
        ] {
            let Ok(Place::Folder(found)) = read(&format!("url = \"{url}\"")) else {
                panic!("{url} is a folder");
            };
            assert_eq!(found, PathBuf::from(path));
        }
        for url in [
            "file:mail",
            "file:/mail",
            "file://folder/mail",
            "file:///",
            "file:///mail?a=1",
            "file:///mail#a",
        ] {
            let faults = read(&format!("url = \"{url}\"")).unwrap_err();
            assert_eq!(
                faults,
                ["mail.url: must be of the form file:///absolute/folder"],
                "{url}"
            );
        }
    }

    #[test]
    fn what_would_harm_is_refused() {
        for (lines, keys) in [
            (
                "url = \"smtps://user:secret@mail.example.org\"",
                &["mail.url"] as &[&str],
            ),
            (
                "url = \"smtp://mail\"\nusername = \"a\"\npassword = \"secret\"",
                &["mail.username"],
            ),
            ("url = \"smtps://mail\"\nusername = \"a\"", &["mail.username"]),
            (
                "url = \"file:///mail\"\nusername = \"a\"\npassword = \"secret\"\nca_file = \"ca.pem\"",
                &["mail.username", "mail.password", "mail.ca_file"],
            ),
        ] {
            let faults = read(lines).unwrap_err();
            let told: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
            assert_eq!(told, keys);
            assert!(!faults.concat().contains("secret"));
        }
    }
}
