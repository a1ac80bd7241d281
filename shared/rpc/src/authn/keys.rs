//! The issuers' public keys: read from a file or a URL, and read again, so that they can be rotated without a restart.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use carepost_runtime::metrics::metrics;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use tokio::{
    io::AsyncReadExt,
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::settings::{IdentitySettings, Issuer, KeySource};
use crate::connect::ConnectError;

/// When somebody should come back whose issuer's keys are not there yet.
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// How often keys are read again.
const REFRESH: Duration = Duration::from_secs(30);
/// An unknown key id makes the keys be read at once, but not more often than this.
const EAGER_REFRESH: Duration = Duration::from_secs(2);
/// The most callers who wait for that. Anybody can make key ids up, and an issuer may be slow: they must not take the places of
/// callers whose keys are known.
const EAGER: usize = 16;
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1_024 * 1_024;

/// The keys of all issuers. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    issuers: Vec<Issuer>,
    sets: RwLock<HashMap<String, Arc<KeySet>>>,
    /// When each issuer's keys were last read for a key that was not known.
    last_eager: HashMap<String, Arc<Mutex<Option<Instant>>>>,
    eager: Semaphore,
}

/// The keys of one issuer, by id.
pub(super) struct KeySet {
    keys: HashMap<String, Key>,
    raw: Vec<u8>,
}

/// A key with the one algorithm that it is for: a token's header does not choose.
#[derive(Clone)]
pub(super) struct Key {
    pub decoding: DecodingKey,
    pub algorithm: Algorithm,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("cannot be fetched: {0}")]
    Tls(#[from] ConnectError),
    #[error("cannot be fetched")]
    Fetch,
    #[error("answered {0}")]
    Answer(http::StatusCode),
    #[error("did not answer in time")]
    Timeout,
    #[error("is larger than 1 MiB")]
    TooLarge,
    #[error("is no JWK set")]
    Malformed,
}

impl Keys {
    /// Reads the keys of all issuers. One that cannot be read is logged, and read again later.
    pub async fn load(settings: &IdentitySettings) -> Self {
        let keys = Self(Arc::new(Inner {
            issuers: settings.issuers.clone(),
            sets: RwLock::default(),
            last_eager: settings
                .issuers
                .iter()
                .map(|issuer| (issuer.name.clone(), Arc::default()))
                .collect(),
            eager: Semaphore::new(EAGER),
        }));
        // Those of an issuer that is not there are as old as the process, and grow older.
        (1..=settings.issuers.len()).for_each(|issuer| metrics().issuer_keys_read(issuer));
        keys.refresh_all().await;
        keys
    }

    /// Reads the keys again, now and then, until the process stops.
    pub async fn keep_fresh(self, stopping: CancellationToken) {
        while timeout(REFRESH, stopping.cancelled()).await.is_err() {
            self.refresh_all().await;
        }
    }

    /// An issuer's key, with the set that it is from. `None`: there is no such key; `Err`: its keys could never be read.
    ///
    /// A key that is not known may be a new one: then the issuer's keys are read at once, by one caller for all who wait.
    pub(super) async fn find(&self, issuer: &str, id: &str) -> Result<Option<(Key, Arc<KeySet>)>, NoKeys> {
        let Some(known) = self.0.issuers.iter().find(|known| known.name == issuer) else {
            return Ok(None);
        };
        if let Ok(Some(found)) = self.known(issuer, id) {
            return Ok(Some(found));
        }
        let Some(last) = self.0.last_eager.get(issuer) else {
            return Ok(None);
        };
        let _waiting = self.0.eager.try_acquire().map_err(|_| NoKeys)?;
        let mut last = Arc::clone(last).lock_owned().await;
        let found = self.known(issuer, id);
        if matches!(found, Ok(Some(_))) || last.is_some_and(|last| last.elapsed() < EAGER_REFRESH) {
            return found;
        }
        // A task of its own: a caller who goes away would leave the next one to begin again, as often as somebody likes.
        let (keys, known) = (self.clone(), known.clone());
        let read = tokio::spawn(async move {
            keys.refresh(&known).await;
            *last = Some(Instant::now());
        });
        // Fails as the process ends.
        let _ = read.await;
        self.known(issuer, id)
    }

    fn known(&self, issuer: &str, id: &str) -> Result<Option<(Key, Arc<KeySet>)>, NoKeys> {
        let sets = self.0.sets.read().unwrap_or_else(PoisonError::into_inner);
        let set = sets.get(issuer).ok_or(NoKeys)?;
        Ok(set.keys.get(id).map(|key| (key.clone(), Arc::clone(set))))
    }

    /// Whether this set is still its issuer's: one that was replaced may hold another key under the same id.
    pub(super) fn is_current(&self, issuer: &str, set: &Arc<KeySet>) -> bool {
        let sets = self.0.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(issuer).is_some_and(|current| Arc::ptr_eq(current, set))
    }

    async fn refresh_all(&self) {
        for issuer in &self.0.issuers {
            self.refresh(issuer).await;
        }
    }

    async fn refresh(&self, issuer: &Issuer) {
        let read = timeout(READ_TIMEOUT, read(&issuer.keys))
            .await
            .unwrap_or(Err(ReadError::Timeout));
        match read.and_then(parse) {
            Ok(set) => {
                self.replace(&issuer.name, set);
                let position = self.0.issuers.iter().position(|one| one.name == issuer.name);
                metrics().issuer_keys_read(position.unwrap_or_default() + 1);
            }
            Err(error) => tracing::warn!(issuer = issuer.name, %error, "the keys of an issuer"),
        }
    }

    fn replace(&self, issuer: &str, set: KeySet) {
        let mut sets = self.0.sets.write().unwrap_or_else(PoisonError::into_inner);
        if sets.get(issuer).is_none_or(|old| old.raw != set.raw) {
            tracing::info!(issuer, keys = set.keys.len(), "read the keys of an issuer");
            sets.insert(issuer.to_owned(), Arc::new(set));
        }
    }
}

async fn read(source: &KeySource) -> Result<Vec<u8>, ReadError> {
    match source {
        KeySource::File(path) => {
            let mut raw = Vec::new();
            let limit = MAX_BYTES as u64 + 1;
            let file = tokio::fs::File::open(path).await?;
            file.take(limit).read_to_end(&mut raw).await?;
            if raw.len() > MAX_BYTES {
                Err(ReadError::TooLarge)
            } else {
                Ok(raw)
            }
        }
        KeySource::Url(url) => url.fetch().await,
    }
}

/// The keys of a known issuer could never be read.
#[derive(Debug)]
pub(super) struct NoKeys;

fn parse(raw: Vec<u8>) -> Result<KeySet, ReadError> {
    let set: JwkSet = serde_json::from_slice(&raw).map_err(|_| ReadError::Malformed)?;
    let keys = set
        .keys
        .iter()
        .filter_map(|jwk| Some((jwk.common.key_id.clone()?, key(jwk)?)))
        .collect();
    Ok(KeySet { keys, raw })
}

/// The keys that can be used: RS256, ES256 and `EdDSA`, for signatures. Secrets and other curves are left out.
fn key(jwk: &Jwk) -> Option<Key> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { decoding, algorithm })
}
