//! The signing key of an embedded suite, and the tokens made with it.

use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

use crate::errors::{Exit, Failure};

/// The claim `iss` of its tokens, for people and services.
pub const ISSUER: &str = "local";
/// The file of the key in the folder of a suite.
pub const FILE: &str = "signing-key.pem";
/// The claim `aud`, as the services expect it by default.
const AUDIENCE: &str = "carepost";

/// A P-256 key that signs tokens.
pub struct SigningKey {
    id: String,
    signing: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// Makes a key and keeps it in a folder, for its owner alone.
    pub fn create(folder: &Path) -> Result<Self, Failure> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| unusable(folder))?;
        write_private(&folder.join(FILE), &pair.serialize_pem())?;
        Self::of(&pair).ok_or_else(|| unusable(folder))
    }

    /// Reads the key of a folder.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let pem = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(
                format!(
                    "{} is no folder of an embedded suite: it has no {FILE}",
                    folder.display()
                ),
                "Start one there with `carepost run`, or correct `data` in the profile",
            ),
            _ => Failure::file(&path, &error),
        })?;
        let pair = KeyPair::from_pem(&pem).map_err(|_| unusable(folder))?;
        Self::of(&pair).ok_or_else(|| unusable(folder))
    }

    fn of(pair: &KeyPair) -> Option<Self> {
        let signing = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::ES256).ok()?;
        let id = public.thumbprint(ThumbprintHash::SHA256).ok()?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Some(Self { id, signing, public })
    }

    /// The public half, as the text of a JWKS file.
    pub fn jwks(&self) -> String {
        let keys = vec![self.public.clone()];
        serde_json::to_string(&JwkSet { keys }).unwrap_or_default()
    }

    /// A token of a person.
    pub fn person(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Result<String, Failure> {
        self.sign(&person.to_string(), Some(organization.as_str()), now, lifetime)
    }

    /// A token of a service.
    pub fn service(&self, subject: &str, now: DateTime<Utc>, lifetime: TimeDelta) -> Result<String, Failure> {
        self.sign(subject, None, now, lifetime)
    }

    fn sign(
        &self,
        subject: &str,
        organization: Option<&str>,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Result<String, Failure> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        let (now, until) = (now.timestamp(), (now + lifetime).timestamp());
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "nbf": now, "exp": until,
        });
        if let Some(organization) = organization {
            claims["org"] = json!(organization);
        }
        encode(&header, &claims, &self.signing)
            .map_err(|_| Failure::new(Exit::Failed, "SIGNING", "No token could be signed", ""))
    }
}

fn unusable(folder: &Path) -> Failure {
    let what = format!("The signing key in {} cannot be used", folder.display());
    Failure::usage(what, "Restore it from a backup; a new key needs a new folder")
}

/// Writes a file that only its owner may read, in place of what is there at once.
pub fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_is_read_as_it_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let made = SigningKey::create(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(SigningKey::read(folder.path()).unwrap().jwks(), made.jwks());
        assert!(!made.jwks().contains("\"d\""), "the private half stays where it is");
    }
}
