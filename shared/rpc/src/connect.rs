//! Connecting to another service, with TLS where its URL says `https`.
//!
//! The files of authorities and of one's own certificate are read at every connection, of which there are few: whoever renews
//! them only has to replace them.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use carepost_runtime::{
    settings::Reader,
    tls::{self, TlsError},
};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use url::Url;

/// How long to wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(2);
/// What is spoken within: HTTP/2, as gRPC is.
const ALPN: &[u8] = b"h2";

/// Whom a client trusts, and who it is. By default: the authorities of this machine, and nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Authorities (PEM) in place of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Its own certificate and private key (PEM), if the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none that can be called.
    #[error("the URL is none that can be called: it begins with http:// or https://, and has a host")]
    Url,
    /// A certificate, a key or the authorities.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authorities of this machine cannot be read.
    #[error("this machine has no authorities to trust: name a ca_file")]
    NoAuthorities,
    /// The network, or the server's certificate.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ClientTls {
    /// Reads `ca_file`, `certificate_file` and `key_file` of a section.
    pub fn read(reader: &mut Reader, section: &str) -> Self {
        let ca_file = reader.path(&format!("{section}.ca_file"));
        let certificate = reader.path(&format!("{section}.certificate_file"));
        let key = reader.path(&format!("{section}.key_file"));
        if certificate.is_some() != key.is_some() {
            reader.fault(
                &format!("{section}.certificate_file"),
                "certificate_file and key_file go together",
            );
        }
        let tls = Self {
            ca_file,
            identity: certificate.zip(key),
        };
        if let Err(error) = tls.check() {
            reader.fault(section, error);
        }
        tls
    }

    /// Whether the files that are named can be used now.
    ///
    /// # Errors
    /// If one of them cannot.
    pub fn check(&self) -> Result<(), ConnectError> {
        if *self == Self::default() {
            return Ok(());
        }
        self.config(Vec::new()).map(drop)
    }

    /// What a connection is made with, to speak one of these protocols within.
    pub(crate) fn config(&self, alpn: Vec<Vec<u8>>) -> Result<ClientConfig, ConnectError> {
        let unfit = |_| ConnectError::NoAuthorities;
        let roots = match &self.ca_file {
            Some(file) => tls::authorities(file)?,
            None => machine_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, private) = (tls::certificates(certificate)?, tls::private_key(key)?);
                let with = builder.with_client_auth_cert(chain, private);
                with.map_err(|_| TlsError::Unfit(certificate.clone()))?
            }
        };
        config.alpn_protocols = alpn;
        Ok(config)
    }
}

fn machine_roots() -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(ConnectError::NoAuthorities);
    }
    Ok(roots)
}

/// A channel to a service. It connects when it is first called, and again whenever it has to.
///
/// # Errors
/// If the URL is none that can be called.
pub fn channel(url: &Url, tls: &ClientTls) -> Result<Channel, ConnectError> {
    let secured = url.scheme() == "https";
    let host = url.host_str().ok_or(ConnectError::Url)?.to_owned();
    let port = url.port_or_known_default().ok_or(ConnectError::Url)?;
    // tonic is left out of TLS: to it, each connection is plain.
    let plain = format!("http://{host}:{port}");
    let origin: Uri = url.as_str().parse().map_err(|_| ConnectError::Url)?;
    let endpoint = Endpoint::from_shared(plain)
        .map_err(|_| ConnectError::Url)?
        .origin(origin)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        // A machine that is gone says nothing: until this shows it, every question waits for the same one.
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true);
    let tls = tls.clone();
    let connector = tower::service_fn(move |_| connect(host.clone(), port, secured.then(|| tls.clone())));
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// Something to read and write through.
trait Through: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Through for T {}

async fn connect(host: String, port: u16, tls: Option<ClientTls>) -> Result<TokioIo<Box<dyn Through>>, ConnectError> {
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((bare.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(TokioIo::new(Box::new(stream)));
    };
    let config = tokio::task::spawn_blocking(move || tls.config(vec![ALPN.to_vec()]));
    let config = config.await.map_err(io::Error::other)??;
    let name = ServerName::try_from(bare).map_err(|_| ConnectError::Url)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(TokioIo::new(Box::new(stream)))
}
