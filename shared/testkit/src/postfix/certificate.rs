//! A certificate for the server, in the files' form that postfix wants.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Proves to be what its names say to whoever trusts its authority, which is made for it alone.
pub(super) struct Certificate {
    /// The authority's certificate.
    pub ca_pem: String,
    /// The server's key, then its certificate.
    pub chain_pem: String,
}

pub(super) fn sign(names: &[&str]) -> Result<Certificate, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Carepost test authority of postfix");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    Ok(Certificate {
        ca_pem,
        chain_pem: key.serialize_pem() + &certificate.pem(),
    })
}
