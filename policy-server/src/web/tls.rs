//! The certificate of a server, read again when its files change.
//!
//! Whoever renews certificates swaps files or links at any time, and not both files at once. So the
//! files are looked at every few seconds; what cannot be used is reported, and the last good
//! certificate stays.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Where the certificate of a server is.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate and those between it and the authority, PEM.
    pub chain: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub enum CertificateError {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// A file is not what it should be.
    Content(PathBuf, pem::Error),
    /// Certificate and key cannot be used, or do not belong together.
    Pair(PathBuf, rustls::Error),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, reason): (_, &dyn fmt::Display) = match self {
            CertificateError::Read(path, error) => (path, error),
            CertificateError::Content(path, error) => (path, error),
            CertificateError::Pair(path, error) => (path, error),
        };
        write!(f, "cannot use `{}`: {reason}", path.display())
    }
}

impl std::error::Error for CertificateError {}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: CertificateFiles,
    /// With the content of the files from which it was made.
    current: RwLock<(Pair, Arc<ServerConfig>)>,
}

/// The content of both files.
type Pair = (Vec<u8>, Vec<u8>);

impl Certificates {
    pub(crate) fn load(files: CertificateFiles) -> Result<Certificates, CertificateError> {
        let pair = read(&files)?;
        let config = config(&files, &pair)?;
        Ok(Certificates {
            files,
            current: RwLock::new((pair, config)),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(current.1.clone())
    }

    /// Looks at the files. Whether there is another certificate now.
    pub(crate) fn reload(&self) -> Result<bool, CertificateError> {
        let pair = read(&self.files)?;
        let same = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.0 == pair
        };
        if !same {
            let config = config(&self.files, &pair)?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = (pair, config);
        }
        Ok(!same)
    }

    /// Looks at the files for as long as it is polled.
    pub(crate) async fn watch(&self) {
        let mut said = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.reload() {
                Ok(true) => info!("another certificate is in use"),
                Ok(false) => {}
                Err(error) => {
                    let error = error.to_string();
                    if said.as_ref() != Some(&error) {
                        warn!(error, "the last good certificate stays in use");
                    }
                    said = Some(error);
                    continue;
                }
            }
            said = None;
        }
    }
}

fn read(files: &CertificateFiles) -> Result<Pair, CertificateError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| CertificateError::Read(path.clone(), error))
    };
    Ok((read(&files.chain)?, read(&files.key)?))
}

fn config(
    files: &CertificateFiles,
    (chain, key): &Pair,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let content = |path: &PathBuf| {
        let path = path.clone();
        move |error| CertificateError::Content(path, error)
    };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(content(&files.chain))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(content(&files.key))?;
    let pair = |error| CertificateError::Pair(files.chain.clone(), error);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_last_good_certificate_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            chain: folder.path().join("chain.pem"),
            key: folder.path().join("key.pem"),
        };
        let make = || rcgen::generate_simple_self_signed(["server".to_owned()]).unwrap();
        let (first, second) = (make(), make());
        fs::write(&files.chain, first.cert.pem()).unwrap();
        fs::write(&files.key, first.signing_key.serialize_pem()).unwrap();
        let certificates = Certificates::load(files.clone()).unwrap();
        assert!(!certificates.reload().unwrap());

        // Half of a renewal.
        fs::write(&files.chain, second.cert.pem()).unwrap();
        let error = certificates.reload().unwrap_err();
        assert!(matches!(error, CertificateError::Pair(..)), "{error}");
        fs::write(&files.key, second.signing_key.serialize_pem()).unwrap();
        assert!(certificates.reload().unwrap());
        assert!(!certificates.reload().unwrap());

        fs::write(&files.key, "no key").unwrap();
        let error = certificates.reload().unwrap_err();
        assert!(matches!(error, CertificateError::Content(..)), "{error}");
        fs::remove_file(&files.chain).unwrap();
        let error = certificates.reload().unwrap_err();
        assert!(matches!(error, CertificateError::Read(..)), "{error}");
    }
}
