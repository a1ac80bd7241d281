//! Certificates for tests.

use std::{fs, path::PathBuf};

use carepost_rpc::connect::ClientTls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority, and a folder for what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a new certificate for this name, and its key.
    pub fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (pem, private) = (self.file("server.pem"), self.file("server.key"));
        fs::write(&pem, certificate.pem()).unwrap();
        fs::write(&private, key.serialize_pem()).unwrap();
        (pem, private)
    }

    /// A client that trusts it.
    pub fn trusted(&self) -> ClientTls {
        ClientTls {
            ca_file: Some(self.file("ca.pem")),
            identity: None,
        }
    }

    /// A client that trusts it, and has a certificate from it.
    pub fn known(&self) -> ClientTls {
        let client = self.file("client");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["messaging".to_owned()]).unwrap();
        fs::write(&client, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(client.with_extension("key"), key.serialize_pem()).unwrap();
        ClientTls {
            identity: Some((client.clone(), client.with_extension("key"))),
            ..self.trusted()
        }
    }
}
