//! Clients of API servers.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How to reach the API server of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// As a pod of the cluster, by its service account.
    InCluster,
    /// As a file in kubectl's format says.
    Kubeconfig {
        /// The file; without it, those that kubectl would read.
        path: Option<PathBuf>,
        /// The context; without it, the file's current one.
        context: Option<String>,
    },
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// This is not a pod, or has no service account.
    #[error("cannot reach the API server as a pod: {0}")]
    InCluster(#[from] InClusterError),
    /// The file cannot be used.
    #[error("cannot use the kubeconfig{}: {source}", path.as_ref().map(|path| format!(
        " `{}`", path.display()
    )).unwrap_or_default())]
    Kubeconfig {
        /// The file, if one was named.
        path: Option<PathBuf>,
        /// Why not.
        source: Box<KubeconfigError>,
    },
    /// The credentials or certificates cannot be used.
    #[error("cannot make a client for `{server}`: {source}")]
    Client {
        /// URL of the API server.
        server: String,
        /// Why not.
        source: Box<kube::Error>,
    },
}

/// Makes a client. It connects when it is used: a server that is down is no error here.
///
/// # Errors
///
/// If it is not known where the server is, or the credentials cannot be used.
pub async fn connect(access: &Access) -> Result<Client, ConnectError> {
    let mut config = match access {
        Access::InCluster => Config::incluster()?,
        Access::Kubeconfig { path, context } => {
            from_kubeconfig(path, context)
                .await
                .map_err(|source| ConnectError::Kubeconfig {
                    path: path.clone(),
                    source: Box::new(source),
                })?
        }
    };
    config.connect_timeout = Some(CONNECT);
    // How long an answer may take depends on what was asked; and who asks decides when to ask again.
    config.read_timeout = None;
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    Client::try_from(config).map_err(|source| ConnectError::Client {
        server,
        source: Box::new(source),
    })
}

async fn from_kubeconfig(
    path: &Option<PathBuf>,
    context: &Option<String>,
) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions {
        context: context.clone(),
        ..KubeConfigOptions::default()
    };
    match path {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await,
        None => Config::from_kubeconfig(&options).await,
    }
}
