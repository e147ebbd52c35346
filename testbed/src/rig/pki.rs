//! Certificates of a mesh, and the forgeries that an attacker could present.
//!
//! A workload's identity is the one URI SAN of its certificate, as the SPIFFE X.509-SVID
//! document (section 2) says. [`Authority`] issues such certificates, and on request
//! also ones that a verifier has to refuse: expired, without or with several URI SANs,
//! from another authority, self-signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// What can go wrong while certificates are made or stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A subject alternative name is not an ASCII string.
    #[error("subject alternative name `{name}` is not ASCII")]
    Name {
        /// The name as it was given.
        name: String,
    },
    /// A key could not be made or a certificate could not be signed.
    #[error("cannot make a certificate: {0}")]
    Sign(#[from] rcgen::Error),
    /// A PEM file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A SPIFFE id of the form `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT`.
#[must_use]
pub fn spiffe_id(trust_domain: &str, namespace: &str, service_account: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}")
}

/// When a certificate is valid, relative to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validity {
    /// From an hour ago for a day.
    #[default]
    Current,
    /// Ended an hour ago.
    Expired,
    /// Starts in an hour.
    NotYetValid,
}

impl Validity {
    fn range(self) -> (OffsetDateTime, OffsetDateTime) {
        let now = OffsetDateTime::now_utc();
        let (from, to) = match self {
            Self::Current => (Duration::hours(-1), Duration::days(1)),
            Self::Expired => (Duration::days(-1), Duration::hours(-1)),
            Self::NotYetValid => (Duration::hours(1), Duration::days(1)),
        };
        (now.saturating_add(from), now.saturating_add(to))
    }
}

/// What a leaf certificate says. The default names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaf {
    /// URI subject alternative names in order. SPIFFE allows exactly one.
    pub uris: Vec<String>,
    /// DNS subject alternative names in order.
    pub dns_names: Vec<String>,
    /// The common name of the subject; nothing is decided on it.
    pub common_name: String,
    /// When it is valid.
    pub validity: Validity,
}

impl Leaf {
    /// A leaf with one URI SAN, `uri`.
    #[must_use]
    pub fn uri(uri: impl Into<String>) -> Self {
        Self {
            uris: vec![uri.into()],
            ..Self::default()
        }
    }

    /// A leaf with these URI SANs, in this order.
    #[must_use]
    pub fn uris<I: IntoIterator<Item: Into<String>>>(uris: I) -> Self {
        Self {
            uris: uris.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// A leaf without any subject alternative name.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            common_name: "nobody".into(),
            ..Self::default()
        }
    }

    /// The same leaf with another validity.
    #[must_use]
    pub fn valid(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }

    /// The same leaf with a DNS name added.
    #[must_use]
    pub fn dns_name(mut self, name: impl Into<String>) -> Self {
        self.dns_names.push(name.into());
        self
    }

    fn params(&self) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        for uri in &self.uris {
            params.subject_alt_names.push(SanType::URI(ascii(uri)?));
        }
        for name in &self.dns_names {
            params
                .subject_alt_names
                .push(SanType::DnsName(ascii(name)?));
        }
        params.distinguished_name.remove(DnType::CommonName);
        if !self.common_name.is_empty() {
            params
                .distinguished_name
                .push(DnType::CommonName, self.common_name.as_str());
        }
        (params.not_before, params.not_after) = self.validity.range();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Ok(params)
    }
}

/// A certificate authority of one trust domain.
pub struct Authority {
    trust_domain: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Makes an authority with a fresh key for `trust_domain`, for example
    /// `cluster.local`.
    ///
    /// # Errors
    ///
    /// If the trust domain is not ASCII or no key could be made.
    pub fn new(trust_domain: impl Into<String>) -> Result<Self, Error> {
        let trust_domain = trust_domain.into();
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .subject_alt_names
            .push(SanType::URI(ascii(&format!("spiffe://{trust_domain}"))?));
        params.distinguished_name.remove(DnType::CommonName);
        params
            .distinguished_name
            .push(DnType::OrganizationName, trust_domain.as_str());
        (params.not_before, params.not_after) = Validity::Current.range();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            trust_domain,
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The trust domain, as it was given.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's own certificate, DER.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues the certificate of a service account in this trust domain.
    ///
    /// # Errors
    ///
    /// As for [`Authority::issue`].
    pub fn workload(&self, namespace: &str, service_account: &str) -> Result<Identity, Error> {
        self.issue(&Leaf::uri(spiffe_id(
            &self.trust_domain,
            namespace,
            service_account,
        )))
    }

    /// Issues a certificate that says what `leaf` says, whatever that is: an authority
    /// may be made to vouch for a name in somebody else's trust domain.
    ///
    /// # Errors
    ///
    /// If a name is not ASCII or the certificate could not be signed.
    pub fn issue(&self, leaf: &Leaf) -> Result<Identity, Error> {
        let key = KeyPair::generate()?;
        let certificate = leaf.params()?.signed_by(&key, &self.issuer)?;
        Ok(Identity::new(leaf, &certificate, &key))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .finish_non_exhaustive()
    }
}

/// A certificate with its private key.
pub struct Identity {
    leaf: Leaf,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Identity {
    /// A certificate that nobody vouches for: signed with its own key.
    ///
    /// # Errors
    ///
    /// If a name is not ASCII or the certificate could not be signed.
    pub fn self_signed(leaf: &Leaf) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let certificate = leaf.params()?.self_signed(&key)?;
        Ok(Self::new(leaf, &certificate, &key))
    }

    fn new(leaf: &Leaf, certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            leaf: leaf.clone(),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// What the certificate says.
    #[must_use]
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// The first URI SAN, which is what a proxy-wasm filter sees; none if there is none.
    #[must_use]
    pub fn first_uri(&self) -> Option<&str> {
        self.leaf.uris.first().map(String::as_str)
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The private key, PKCS#8 DER.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PKCS#8 PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Writes `NAME.pem` and `NAME.key` into `folder`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write_to(&self, folder: &Path, name: &str) -> Result<PemFiles, Error> {
        Ok(PemFiles {
            certificate: write(folder.join(format!("{name}.pem")), &self.certificate_pem)?,
            key: write(folder.join(format!("{name}.key")), &self.key_pem)?,
        })
    }
}

impl std::fmt::Debug for Identity {
    /// Leaves the private key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

/// Where an [`Identity`] was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Writes the certificates of `authorities` into one bundle, `folder/NAME.pem`, for a
/// proxy to trust them all.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_bundle(
    folder: &Path,
    name: &str,
    authorities: &[&Authority],
) -> Result<PathBuf, Error> {
    let bundle: String = authorities
        .iter()
        .map(|authority| authority.pem())
        .collect();
    write(folder.join(format!("{name}.pem")), &bundle)
}

fn ascii(name: &str) -> Result<Ia5String, Error> {
    name.try_into().map_err(|_| Error::Name {
        name: name.to_owned(),
    })
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, Error> {
    match fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Write { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(der: &[u8], text: &str) -> bool {
        der.windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    #[test]
    fn a_workload_certificate_carries_exactly_its_spiffe_id() {
        let authority = Authority::new("cluster.local").unwrap();
        let identity = authority.workload("shop", "frontend").unwrap();
        assert_eq!(
            identity.first_uri(),
            Some("spiffe://cluster.local/ns/shop/sa/frontend")
        );
        assert!(contains(
            identity.certificate(),
            "spiffe://cluster.local/ns/shop/sa/frontend"
        ));
    }

    #[test]
    fn every_uri_is_in_the_certificate() {
        let authority = Authority::new("cluster.local").unwrap();
        let identity = authority
            .issue(&Leaf::uris(["spiffe://a/x", "spiffe://b/y"]))
            .unwrap();
        assert!(contains(identity.certificate(), "spiffe://a/x"));
        assert!(contains(identity.certificate(), "spiffe://b/y"));
    }

    #[test]
    fn a_name_that_is_not_ascii_is_an_error() {
        let error = Identity::self_signed(&Leaf::uri("spiffe://é/x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "subject alternative name `spiffe://é/x` is not ASCII"
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let authority = Authority::new("cluster.local").unwrap();
        let error =
            write_bundle(Path::new("/nonexistent/folder"), "ca", &[&authority]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write `/nonexistent/folder/ca.pem`: ")
        );
    }

    #[test]
    fn debug_output_has_no_private_key() {
        let identity = Identity::self_signed(&Leaf::uri("spiffe://a/x")).unwrap();
        assert!(!format!("{identity:?}").contains("key"));
    }
}
