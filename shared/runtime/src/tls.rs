//! TLS of the server: its certificate, and whose certificates its clients must have.
//!
//! The files are read again while the process runs, so that whoever renews certificates only has to replace them.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::{
    metrics::{self, labels::Certificate, metrics},
    settings::Reader,
};

mod validity;

/// Larger files are none of certificates.
const MAX_BYTES: u64 = 1_024 * 1_024;
/// What is spoken within: HTTP/2, as gRPC is.
const ALPN: &[u8] = b"h2";

/// Why a certificate, its key or a list of authorities cannot be used. Names the file, and never shows what is in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::ErrorKind),
    /// It holds no PEM of the kind that it should.
    #[error("{0} holds no usable {1}")]
    Empty(PathBuf, &'static str),
    /// Certificate and key do not go together, or one of them is of a kind that is not known here.
    #[error("{0} and its key cannot be used together")]
    Unfit(PathBuf),
}

/// Settings of the server's TLS, with what its files held when they were read.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    files: Files,
    config: Arc<ServerConfig>,
}

#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// Reads `certificate_file`, `key_file` and `client_ca_file` of the section `server`. None of them: no TLS.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let certificate_file = reader.path("server.certificate_file");
        let key_file = reader.path("server.key_file");
        let client_ca_file = reader.path("server.client_ca_file");
        let (certificate, key) = match (certificate_file, key_file) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => {
                if client_ca_file.is_some() {
                    reader.fault("server.client_ca_file", "needs server.certificate_file too");
                }
                return None;
            }
            (None, Some(_)) => {
                reader.fault("server.certificate_file", "is required with server.key_file");
                return None;
            }
            (Some(_), None) => {
                reader.fault("server.key_file", "is required with server.certificate_file");
                return None;
            }
        };
        let files = Files {
            certificate,
            key,
            client_ca: client_ca_file,
        };
        match files.config() {
            Ok(config) => Some(Self { files, config }),
            Err(error) => {
                reader.fault("server.certificate_file", error);
                None
            }
        }
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].map(|file| {
            let metadata = fs::metadata(file?).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    /// Tells when the certificates end that are in use from now on: of several in one file, the first that does.
    fn tell_ends(&self) {
        let told = [
            (Certificate::Served, Some(&self.certificate)),
            (Certificate::ClientAuthority, self.client_ca.as_ref()),
        ];
        for (certificate, file) in told {
            let read = file.and_then(|file| certificates(file).ok()).unwrap_or_default();
            if let Some(end) = read.iter().filter_map(|der| validity::end(der)).min() {
                metrics().certificate_ends(certificate, end);
            }
        }
    }

    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let unfit = |_| TlsError::Unfit(self.certificate.clone());
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unfit)?;
        let builder = match &self.client_ca {
            Some(file) => {
                let roots = Arc::new(authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|_| TlsError::Empty(file.clone(), "authority"))?)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

/// The TLS of a server, as its files are now.
#[derive(Clone, Debug)]
pub(crate) struct ServerTls {
    files: Files,
    read: Arc<Mutex<(Stamp, Arc<ServerConfig>)>>,
}

/// When each file was written last, and how long it is.
type Stamp = [Option<(SystemTime, u64)>; 3];

impl ServerTls {
    pub(crate) fn new(settings: TlsSettings) -> Self {
        // They may have changed since they were read: the first connection looks.
        Self {
            files: settings.files,
            read: Arc::new(Mutex::new((Stamp::default(), settings.config))),
        }
    }

    /// Looks at the files now and then until nobody has this any more: what is told of them is to be true, whether somebody
    /// connects or not.
    pub(crate) fn watch(&self) {
        let (files, read) = (self.files.clone(), Arc::downgrade(&self.read));
        tokio::spawn(async move {
            while let Some(read) = read.upgrade() {
                let files = files.clone();
                drop(Self { files, read }.current());
                tokio::time::sleep(metrics::INTERVAL).await;
            }
        });
    }

    /// What the next connection is accepted with. Files that cannot be used are told in the log, and the last that could
    /// stay in use.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.files.stamp();
        if read.0 != stamp {
            read.0 = stamp;
            match self.files.config() {
                Ok(config) => {
                    read.1 = config;
                    self.files.tell_ends();
                }
                Err(error) => tracing::error!(%error, "the certificate could not be read again; the last one is used"),
            }
        }
        Arc::clone(&read.1)
    }
}

/// The one provider of cryptography, whether or not the process has installed it yet.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, in its order.
///
/// # Errors
/// If it cannot be read, or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::Empty(file.to_owned(), "certificate")),
    }
}

/// The first private key of a PEM file.
///
/// # Errors
/// If it cannot be read, or has none.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|_| TlsError::Empty(file.to_owned(), "private key"))
}

/// The authorities of a PEM file.
///
/// # Errors
/// If it cannot be read, or one of its certificates is no authority's.
pub fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|_| TlsError::Empty(file.to_owned(), "authority"))?;
    }
    Ok(roots)
}

/// The text of a file of authorities, for a library that reads PEM itself.
///
/// # Errors
/// As for [`authorities`].
pub fn authorities_pem(file: &Path) -> Result<String, TlsError> {
    authorities(file)?;
    String::from_utf8(read(file)?).map_err(|_| TlsError::Empty(file.to_owned(), "authority"))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable(file.to_owned(), error.kind());
    let mut pem = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(MAX_BYTES).read_to_end(&mut pem).map_err(unreadable)?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    fn write(folder: &TempDir, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(folder.path().join("tls.crt"), &pem).unwrap();
        // Files of another length count as changed, however coarse the clock of the file system is.
        let padding = "\n".repeat(usize::try_from(year).unwrap());
        fs::write(folder.path().join("tls.key"), key.serialize_pem() + &padding).unwrap();
        fs::write(folder.path().join("ca.crt"), pem).unwrap();
    }

    #[tokio::test]
    async fn the_end_of_the_certificates_that_are_in_use_is_told() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, 2031);
        let path = |name: &str| folder.path().join(name);
        let files = Files {
            certificate: path("tls.crt"),
            key: path("tls.key"),
            client_ca: Some(path("ca.crt")),
        };
        let config = files.config().unwrap();
        let tls = ServerTls::new(TlsSettings { files, config });
        for (year, seconds) in [(2031, 1_924_992_000), (2032, 1_956_528_000)] {
            write(&folder, year);
            drop(tls.current());
            let text = metrics().text().unwrap();
            for certificate in ["served", "client_authority"] {
                let series = format!("carepost_certificate_ends_seconds{{certificate=\"{certificate}\"}} {seconds}");
                assert!(text.contains(&series), "{series}: {text}");
            }
        }
        fs::write(path("tls.crt"), "nonsense").unwrap();
        drop(tls.current());
        let text = metrics().text().unwrap();
        assert!(
            text.contains("{certificate=\"served\"} 1956528000"),
            "the last one is in use: {text}"
        );
    }
}
