//! Verifying tokens, each once: verified ones are kept, within bounds, until they expire or their key is taken away.

use std::sync::Arc;

use carepost_runtime::Clock;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Validation, dangerous::insecure_decode_claims, decode, decode_header};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::keys::{Key, KeySet, Keys};

/// The longest token that is read, in bytes.
const MAX_TOKEN: usize = 8_192;
/// How many verified tokens are kept.
const CACHED: usize = 10_000;
/// How far the clocks of issuers and ours may differ, in seconds.
const LEEWAY: i64 = 30;

/// The claims that matter.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    pub org: Option<String>,
    exp: i64,
    #[serde(default)]
    nbf: i64,
}

impl Claims {
    /// The last moment at which the token is accepted.
    pub fn accepted_until(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.exp.saturating_add(LEEWAY), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Why a token is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unverified {
    Invalid,
    Expired,
    NoKeys,
}

struct Verified {
    claims: Arc<Claims>,
    keys: Arc<KeySet>,
}

pub(super) struct Tokens {
    audience: String,
    keys: Keys,
    clock: Clock,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

impl Tokens {
    pub fn new(audience: String, keys: Keys, clock: Clock) -> Self {
        Self {
            audience,
            keys,
            clock,
            verified: Cache::new(CACHED),
        }
    }

    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, Unverified> {
        if token.len() > MAX_TOKEN {
            return Err(Unverified::Invalid);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let verified = match self.verified.get(&digest) {
            Some(verified) if self.keys.is_current(&verified.claims.iss, &verified.keys) => verified,
            _ => {
                let verified = Arc::new(self.check(token).await?);
                self.verified.insert(digest, Arc::clone(&verified));
                verified
            }
        };
        let now = self.clock.now().timestamp();
        let claims = &verified.claims;
        if now > claims.exp.saturating_add(LEEWAY) || now < claims.nbf.saturating_sub(LEEWAY) {
            self.verified.remove(&digest);
            return Err(Unverified::Expired);
        }
        Ok(Arc::clone(claims))
    }

    /// Signature, issuer and audience; the times are looked at anew at each use.
    async fn check(&self, token: &str) -> Result<Verified, Unverified> {
        let header = decode_header(token).map_err(|_| Unverified::Invalid)?;
        let key_id = header.kid.ok_or(Unverified::Invalid)?;
        let claimed: Claims = insecure_decode_claims(token).map_err(|_| Unverified::Invalid)?;
        let key = self
            .keys
            .find(&claimed.iss, &key_id)
            .await
            .map_err(|_| Unverified::NoKeys)?;
        let (Key { decoding, algorithm }, keys) = key.ok_or(Unverified::Invalid)?;
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&claimed.iss]);
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        validation.validate_exp = false;
        let token = decode::<Claims>(token, &decoding, &validation).map_err(|_| Unverified::Invalid)?;
        Ok(Verified {
            claims: Arc::new(token.claims),
            keys,
        })
    }
}
