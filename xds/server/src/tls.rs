//! TLS with files that change: certificates are renewed while the server runs.
//!
//! The files are read again and again, because that works with every way in which they are
//! replaced (Kubernetes swaps a symbolic link two folders above). What cannot be used, such as a
//! certificate without its key while both are being replaced, is logged, and the last good
//! configuration stays. Connections that exist go on with the one that they began with.
//!
//! There is no session resumption: with it, a client would get in again without its certificate
//! being looked at.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authorize::PeerCertificate;
use crate::sync::lock;

/// Where the parts of a TLS identity are, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates of the authorities that sign those of clients. With it, only clients that have
    /// one get in (mTLS); without it, clients are not asked, and have no identity.
    pub client_authorities: Option<PathBuf>,
}

/// Why TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{path}`: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{path}`: {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("`{path}`: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate and the key cannot be used together.
    #[error("certificate and key: {0}")]
    Identity(rustls::Error),
}

/// What the files held when they were read.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

/// A configuration that follows its files.
pub(crate) struct Reloaded {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// What was tried last, or why it could not be read: it is not tried, or logged, twice.
    tried: Result<Content, String>,
}

impl Reloaded {
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let content = Content::read(&files)?;
        let config = content.config(&files)?;
        let state = Mutex::new(State {
            config,
            tried: Ok(content),
        });
        Ok(Self { files, state })
    }

    /// The last good configuration.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        lock(&self.state).config.clone()
    }

    /// Reads the files, which blocks. Returns whether there is another configuration, or none if
    /// nothing changed.
    pub(crate) fn reload(&self) -> Option<Result<(), TlsError>> {
        let read = Content::read(&self.files);
        let tried = match &read {
            Ok(content) => lock(&self.state).tried.as_ref() == Ok(content),
            Err(error) => lock(&self.state).tried.as_ref().err() == Some(&error.to_string()),
        };
        if tried {
            return None;
        }
        match read {
            Ok(content) => {
                let config = content.config(&self.files);
                let mut state = lock(&self.state);
                state.tried = Ok(content);
                Some(config.map(|config| state.config = config))
            }
            Err(error) => {
                lock(&self.state).tried = Err(error.to_string());
                Some(Err(error))
            }
        }
    }
}

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let TlsFiles {
            certificate,
            key,
            client_authorities,
        } = files;
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
            client_authorities: client_authorities.as_deref().map(read).transpose()?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Identity)?;
        let builder = match (&self.client_authorities, &files.client_authorities) {
            (Some(pem), Some(path)) => {
                let roots = Arc::new(authorities(pem, path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| TlsError::Authorities {
                        path: path.clone(),
                        reason: error.to_string(),
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| TlsError::Content {
            path: files.key.clone(),
            error,
        })?;
        let chain = certificates(&self.certificate, &files.certificate)?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(TlsError::Identity)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read {
        path: path.to_owned(),
        error,
    })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Content {
            path: path.to_owned(),
            error,
        })
}

fn authorities(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authorities {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
    }
    Ok(roots)
}

/// Reads the names of a certificate that was verified.
///
/// # Errors
///
/// If it cannot be taken apart, which is no reason to trust it.
pub(crate) fn peer_certificate(der: &[u8]) -> Result<PeerCertificate, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|e| e.to_string())?;
    let uri_names = names
        .into_iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .collect();
    Ok(PeerCertificate { uri_names })
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds a private key.
        f.debug_struct("Content").finish_non_exhaustive()
    }
}
