//! A certificate for `localhost` and an authority that vouches for it.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// Proves to be `localhost` and 127.0.0.1, or what else a test wants, to whoever trusts its authority, which is made for it
/// alone.
#[derive(Clone)]
pub struct Certificate {
    ca_pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// A new one.
    ///
    /// # Panics
    /// If no keys can be made.
    #[must_use]
    pub fn generate() -> Self {
        Self::generate_for(&["localhost", "127.0.0.1"], 2099)
    }

    /// One for these names, that ends with this year.
    ///
    /// # Panics
    /// If no keys can be made.
    #[must_use]
    pub fn generate_for(names: &[&str], last_year: i32) -> Self {
        let (ca_pem, certificate, key) = sign(names, last_year).expect("a certificate can be made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
                builder.with_no_client_auth().with_single_cert(vec![certificate], key)
            })
            .expect("a new certificate fits its key");
        Self {
            ca_pem,
            config: Arc::new(config),
        }
    }

    /// The authority's certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config.clone()).accept(stream).await
    }
}

fn sign(names: &[&str], last_year: i32) -> Result<(String, CertificateDer<'static>, KeyPair), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Carepost test authority");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    certificate.not_after = date_time_ymd(last_year, 12, 31);
    let certificate = certificate.signed_by(&key, &issuer)?;
    Ok((ca_pem, certificate.der().clone(), key))
}
