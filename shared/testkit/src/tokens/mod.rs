//! Bearer tokens of an issuer that a test makes, good ones and bad ones.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

mod key;

use key::Key;

/// The audience that the suite's services expect by default.
pub const AUDIENCE: &str = "carepost";

/// Tokens are good for so long, in seconds.
const LIFETIME: i64 = 3_600;

/// An issuer with one signing key. A second one with the same name stands for the same issuer after a rotation.
pub struct TokenIssuer {
    name: String,
    key: Key,
}

impl TokenIssuer {
    /// An issuer with a new ES256 key (P-256). The name becomes the claim `iss`.
    ///
    /// # Panics
    /// If no key can be made; so do the other constructors.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: Key::es256(),
        }
    }

    /// An issuer with a new EdDSA key (Ed25519).
    #[must_use]
    pub fn eddsa(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: Key::eddsa(),
        }
    }

    /// An issuer with an RS256 key, the same one every time: making one is slow.
    #[must_use]
    pub fn rs256(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: Key::rs256(),
        }
    }

    /// The claim `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its key: the header `kid` of its tokens.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key.id
    }

    /// Its public key, as the JSON of a JWKS file.
    #[must_use]
    pub fn jwks_json(&self) -> String {
        jwks_json(&[self])
    }

    /// Writes [`TokenIssuer::jwks_json`] to a file, in place of what is there at once.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_jwks(&self, path: &Path) {
        let new = path.with_extension("new");
        std::fs::write(&new, self.jwks_json()).expect("the JWKS file can be written");
        std::fs::rename(new, path).expect("the JWKS file can be replaced");
    }

    /// A token of a person (`staff/ID` or `portal/ID`) of an organization.
    #[must_use]
    pub fn person(&self, organization: &str, person: &str) -> String {
        self.custom(&self.person_claims(organization, person))
    }

    /// A token of a service, with neither organization nor scope.
    #[must_use]
    pub fn service(&self, subject: &str) -> String {
        self.custom(&self.claims(subject))
    }

    /// The claims of [`TokenIssuer::person`], to be changed.
    #[must_use]
    pub fn person_claims(&self, organization: &str, person: &str) -> Value {
        let mut claims = self.claims(person);
        claims["org"] = json!(organization);
        claims
    }

    /// A token with exactly these claims, well signed.
    ///
    /// # Panics
    /// If it cannot be signed.
    #[must_use]
    pub fn custom(&self, claims: &Value) -> String {
        sign(&self.header(self.key.algorithm), claims, &self.key.signing)
    }

    fn claims(&self, subject: &str) -> Value {
        let now = Utc::now().timestamp();
        json!({
            "iss": self.name, "aud": AUDIENCE, "sub": subject,
            "iat": now, "nbf": now, "exp": now + LIFETIME,
        })
    }

    fn header(&self, algorithm: Algorithm) -> Header {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.key.id.clone());
        header
    }
}

/// Tokens that must be refused, each wrong in one way.
impl TokenIssuer {
    /// Every one of them, with what is wrong.
    #[must_use]
    pub fn bad_ones(&self, organization: &str, person: &str) -> Vec<(&'static str, String)> {
        vec![
            ("expired", self.expired(organization, person)),
            ("not yet valid", self.not_yet_valid(organization, person)),
            ("wrong audience", self.wrong_audience(organization, person)),
            ("unsigned", self.unsigned(organization, person)),
            (
                "signed with the public key as a secret",
                self.signed_with_public_key(organization, person),
            ),
            ("signed with another key", self.forged(organization, person)),
            ("truncated", self.truncated(organization, person)),
            (
                "signed with the public key's JSON as a secret",
                self.signed_with_public_jwk(organization, person),
            ),
            ("without a signature", self.without_signature(organization, person)),
            (
                "with the algorithm of another kind of key",
                self.of_another_algorithm(organization, person),
            ),
            ("without the id of its key", self.without_key_id(organization, person)),
            ("without an end", self.without("exp", organization, person)),
            ("without an issuer", self.without("iss", organization, person)),
            ("without a subject", self.without("sub", organization, person)),
            ("without an audience", self.without("aud", organization, person)),
            ("of an unknown issuer", self.of_another_issuer(organization, person)),
            ("no token", "not.a.token".to_owned()),
            ("too long", self.too_long(organization, person)),
        ]
    }

    /// Expired an hour ago.
    #[must_use]
    pub fn expired(&self, organization: &str, person: &str) -> String {
        self.shifted(organization, person, -2 * LIFETIME)
    }

    /// Valid from an hour from now on.
    #[must_use]
    pub fn not_yet_valid(&self, organization: &str, person: &str) -> String {
        self.shifted(organization, person, LIFETIME)
    }

    /// For somebody else.
    #[must_use]
    pub fn wrong_audience(&self, organization: &str, person: &str) -> String {
        let mut claims = self.person_claims(organization, person);
        claims["aud"] = json!("somebody-else");
        self.custom(&claims)
    }

    /// With `alg: none` and an empty signature.
    #[must_use]
    pub fn unsigned(&self, organization: &str, person: &str) -> String {
        let header = json!({"alg": "none", "typ": "JWT", "kid": self.key.id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&header), part(&self.person_claims(organization, person)))
    }

    /// With HS256, the text of the public key as the shared secret: everybody knows it.
    #[must_use]
    pub fn signed_with_public_key(&self, organization: &str, person: &str) -> String {
        let secret = EncodingKey::from_secret(self.key.public_pem.as_bytes());
        sign(
            &self.header(Algorithm::HS256),
            &self.person_claims(organization, person),
            &secret,
        )
    }

    /// With another ES256 key under this key's id.
    #[must_use]
    pub fn forged(&self, organization: &str, person: &str) -> String {
        let stranger = Key::es256();
        sign(
            &self.header(stranger.algorithm),
            &self.person_claims(organization, person),
            &stranger.signing,
        )
    }

    /// A good one that lost its end on the way.
    #[must_use]
    pub fn truncated(&self, organization: &str, person: &str) -> String {
        let mut token = self.person(organization, person);
        token.truncate(token.len() - 8);
        token
    }

    /// With HS256, the JSON of the public key as the shared secret.
    #[must_use]
    pub fn signed_with_public_jwk(&self, organization: &str, person: &str) -> String {
        let jwk = serde_json::to_vec(&self.key.public).expect("a key is JSON");
        sign(
            &self.header(Algorithm::HS256),
            &self.person_claims(organization, person),
            &EncodingKey::from_secret(&jwk),
        )
    }

    /// A good one but for its signature, which is empty.
    #[must_use]
    pub fn without_signature(&self, organization: &str, person: &str) -> String {
        let token = self.person(organization, person);
        let signed = token.rsplit_once('.').map_or(token.as_str(), |(signed, _)| signed);
        format!("{signed}.")
    }

    /// Signed well with a key of another kind, under this key's id.
    #[must_use]
    pub fn of_another_algorithm(&self, organization: &str, person: &str) -> String {
        let other = match self.key.algorithm {
            Algorithm::EdDSA => Key::es256(),
            _ => Key::eddsa(),
        };
        let header = self.header(other.algorithm);
        sign(&header, &self.person_claims(organization, person), &other.signing)
    }

    /// Signed well, but it does not say by which key.
    #[must_use]
    pub fn without_key_id(&self, organization: &str, person: &str) -> String {
        let header = Header::new(self.key.algorithm);
        sign(&header, &self.person_claims(organization, person), &self.key.signing)
    }

    /// Signed well, but it lacks a claim.
    #[must_use]
    pub fn without(&self, claim: &str, organization: &str, person: &str) -> String {
        let mut claims = self.person_claims(organization, person);
        if let Some(claims) = claims.as_object_mut() {
            claims.remove(claim);
        }
        self.custom(&claims)
    }

    /// Signed well, by somebody whom nobody knows.
    #[must_use]
    pub fn of_another_issuer(&self, organization: &str, person: &str) -> String {
        let mut claims = self.person_claims(organization, person);
        claims["iss"] = json!("https://elsewhere.example.org");
        self.custom(&claims)
    }

    /// Signed well, but longer than a token may be, and short enough for the metadata of a call.
    #[must_use]
    pub fn too_long(&self, organization: &str, person: &str) -> String {
        let mut claims = self.person_claims(organization, person);
        claims["padding"] = json!("x".repeat(7_000));
        self.custom(&claims)
    }

    fn shifted(&self, organization: &str, person: &str, seconds: i64) -> String {
        let mut claims = self.person_claims(organization, person);
        for claim in ["iat", "nbf", "exp"] {
            claims[claim] = json!(claims[claim].as_i64().unwrap_or_default() + seconds);
        }
        self.custom(&claims)
    }
}

/// The public keys of several issuers, or of one before and after a rotation, as the JSON of a JWKS file.
///
/// # Panics
/// Never: keys are always JSON.
#[must_use]
pub fn jwks_json(issuers: &[&TokenIssuer]) -> String {
    let keys: Vec<Jwk> = issuers.iter().map(|issuer| issuer.key.public.clone()).collect();
    serde_json::to_string(&JwkSet { keys }).expect("keys are JSON")
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).expect("a token can be signed")
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    use super::*;

    /// What a service does with a token: the key by its id, the algorithm by the key.
    fn verify(jwks: &str, token: &str) -> Option<Value> {
        if token.len() > 8_192 {
            return None;
        }
        let keys: JwkSet = serde_json::from_str(jwks).unwrap();
        let key = keys.find(&decode_header(token).ok()?.kid?)?;
        let algorithm = Algorithm::try_from(key.common.key_algorithm.unwrap()).unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        validation.validate_nbf = true;
        let decoded = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation);
        decoded.ok().map(|token| token.claims)
    }

    const ISSUER: &str = "https://prairie.example.org";

    #[test]
    fn good_tokens_of_every_algorithm_verify_and_bad_ones_do_not() {
        for make in [TokenIssuer::new, TokenIssuer::eddsa, TokenIssuer::rs256] {
            let issuer = make(ISSUER);
            let claims = verify(&issuer.jwks_json(), &issuer.person("prairie", "staff/1")).unwrap();
            assert_eq!((&claims["org"], &claims["sub"]), (&json!("prairie"), &json!("staff/1")));
            assert_eq!(claims["iss"], ISSUER);
            for (what, token) in issuer.bad_ones("prairie", "staff/1") {
                assert!(
                    verify(&issuer.jwks_json(), &token).is_none(),
                    "{what} {:?}",
                    issuer.key.algorithm
                );
            }
        }
    }

    #[test]
    fn a_service_has_neither_organization_nor_scope() {
        let issuer = TokenIssuer::new(ISSUER);
        let claims = verify(
            &issuer.jwks_json(),
            &issuer.service("system:serviceaccount:emr:backend"),
        )
        .unwrap();
        assert!(claims.get("org").is_none() && claims.get("scope").is_none());
    }

    #[test]
    fn a_rotated_issuer_has_another_key_and_both_fit_in_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        let (old, new) = (TokenIssuer::new(ISSUER), TokenIssuer::new(ISSUER));
        assert_ne!(old.key_id(), new.key_id());
        let both = jwks_json(&[&old, &new]);
        assert!(verify(&both, &old.service("a")).is_some() && verify(&both, &new.service("a")).is_some());
        old.write_jwks(&path);
        new.write_jwks(&path);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), new.jwks_json());
    }
}
