//! Signing keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, OctetKeyPairParameters, OctetKeyPairType,
    PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

/// A key pair, as signer and as what verifiers get.
pub(super) struct Key {
    pub id: String,
    pub algorithm: Algorithm,
    pub signing: EncodingKey,
    pub public: Jwk,
    pub public_pem: String,
}

impl Key {
    pub(super) fn es256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a P-256 key can be made");
        let signing = EncodingKey::from_ec_der(&pair.serialize_der());
        let public = Jwk::from_encoding_key(&signing, Algorithm::ES256).expect("a new key has a public half");
        Self::new(Algorithm::ES256, signing, public, pair.public_key_pem())
    }

    pub(super) fn eddsa() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("an Ed25519 key can be made");
        let signing = EncodingKey::from_ed_der(&pair.serialize_der());
        // Made by hand: jsonwebtoken's own function knows only keys written without their public half.
        let parameters = OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: URL_SAFE_NO_PAD.encode(pair.public_key_raw()),
        };
        let common = CommonParameters {
            key_algorithm: Some(KeyAlgorithm::EdDSA),
            ..Default::default()
        };
        let public = Jwk {
            common,
            algorithm: AlgorithmParameters::OctetKeyPair(parameters),
        };
        Self::new(Algorithm::EdDSA, signing, public, pair.public_key_pem())
    }

    /// A key made once for tests, of 2,048 bits, in PKCS #1.
    pub(super) fn rs256() -> Self {
        let signing = EncodingKey::from_rsa_der(include_bytes!("rsa_test_key.der"));
        let public = Jwk::from_encoding_key(&signing, Algorithm::RS256).expect("the test key has a public half");
        Self::new(
            Algorithm::RS256,
            signing,
            public,
            include_str!("rsa_test_key.pub.pem").to_owned(),
        )
    }

    fn new(algorithm: Algorithm, signing: EncodingKey, mut public: Jwk, public_pem: String) -> Self {
        let id = public
            .thumbprint(ThumbprintHash::SHA256)
            .expect("a public key has a thumbprint");
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Self {
            id,
            algorithm,
            signing,
            public,
            public_pem,
        }
    }
}
