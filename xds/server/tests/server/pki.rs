//! Certificates for tests, good and bad.

use std::fs;
use std::path::Path;

use meshwall_xds_server::TlsFiles;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate that is valid for a day.
    pub(crate) fn issue(&self, uris: &[&str]) -> Identity {
        self.issue_until(uris, OffsetDateTime::now_utc() + Duration::days(1))
    }

    pub(crate) fn issue_expired(&self, uris: &[&str]) -> Identity {
        self.issue_until(uris, OffsetDateTime::now_utc() - Duration::hours(1))
    }

    fn issue_until(&self, uris: &[&str], until: OffsetDateTime) -> Identity {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = until - Duration::days(2);
        params.not_after = until;
        for uri in uris {
            let uri = (*uri).try_into().unwrap();
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity {
            certificate,
            key: key.serialize_pem(),
        }
    }
}

/// Writes the files of a server that asks for certificates of `clients`.
pub(crate) fn write(folder: &Path, server: &Identity, clients: &Authority) -> TlsFiles {
    let files = TlsFiles {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        client_authorities: Some(folder.join("ca.crt")),
    };
    fs::write(&files.certificate, &server.certificate).unwrap();
    fs::write(&files.key, &server.key).unwrap();
    fs::write(folder.join("ca.crt"), &clients.certificate).unwrap();
    files
}
