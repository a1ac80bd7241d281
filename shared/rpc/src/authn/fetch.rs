//! An issuer's public keys, fetched from its URL.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use tokio::io::AsyncReadExt;
use url::{Host, Url};

use super::keys::ReadError;
use crate::connect::ClientTls;

const MAX_BYTES: usize = 1_024 * 1_024;
const MAX_TOKEN_BYTES: u64 = 64 * 1_024;

/// Where keys are fetched, and what that takes.
#[derive(Clone, Debug)]
pub struct KeyUrl {
    url: Url,
    tls: ClientTls,
    token_file: Option<PathBuf>,
}

impl KeyUrl {
    /// A place of keys: HTTPS, or HTTP on this machine. Over HTTP from elsewhere, whoever is on the way could put in a key.
    pub fn new(url: Url, ca_file: Option<PathBuf>, token_file: Option<PathBuf>) -> Option<Self> {
        let here = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let tls = ClientTls {
            ca_file,
            identity: None,
        };
        (url.scheme() == "https" || url.scheme() == "http" && here).then_some(Self { url, tls, token_file })
    }

    /// Fetches the keys. Authorities and token are read each time: whoever renews them only has to replace them.
    pub async fn fetch(&self) -> Result<Vec<u8>, ReadError> {
        let mut request = Request::get(self.url.as_str())
            .body(Empty::<Bytes>::new())
            .map_err(|_| ReadError::Fetch)?;
        if let Some(file) = &self.token_file {
            let mut text = String::new();
            let file = tokio::fs::File::open(file).await?;
            file.take(MAX_TOKEN_BYTES).read_to_string(&mut text).await?;
            let bearer = HeaderValue::try_from(format!("Bearer {}", text.trim()));
            let mut bearer = bearer.map_err(|_| ReadError::Fetch)?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let response = self.client().await?.request(request).await;
        let response = response.map_err(|_| ReadError::Fetch)?;
        if !response.status().is_success() {
            return Err(ReadError::Answer(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES)
            .collect()
            .await
            .map_err(|_| ReadError::TooLarge)?;
        Ok(body.to_bytes().to_vec())
    }

    async fn client(&self) -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, ReadError> {
        let tls = self.tls.clone();
        let config = tokio::task::spawn_blocking(move || tls.config(Vec::new()));
        let config: ClientConfig = config.await.map_err(|_| ReadError::Fetch)??;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Client::builder(TokioExecutor::new()).build(connector))
    }
}
