//! An authority for certificates of tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Signs certificates. Nobody trusts it but who is given its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// If no keys can be made.
    #[must_use]
    pub fn generate() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "Carepost test authority");
        let key = KeyPair::generate().expect("a key can be made");
        let ca_pem = params.self_signed(&key).expect("it can sign itself").pem();
        Self {
            issuer: Issuer::new(params, key),
            ca_pem,
        }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A certificate for these names, and its private key, both in PEM.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn sign(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key can be made");
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names of hosts");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        (certificate.pem(), key.serialize_pem())
    }
}
