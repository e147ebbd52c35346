//! The command line of `meshwall-server`: as written, and as used.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::index::ClusterName;
use crate::source::kubernetes::Access;
use crate::telemetry::{Format, Level};

/// Serves policy to sidecars
///
/// Watches the pods, namespaces and policies of one or several clusters, or of a folder of files,
/// compiles for each workload what applies to it, and streams it over xDS to the proxy beside it.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "meshwall-server", version)]
#[command(after_long_help = "\
Examples:
  meshwall-server --files policies/ --insecure-plaintext
      serves a folder to proxies on this machine
  meshwall-server --cluster main --certificate tls.crt --key tls.key --authorities ca.crt \\
      --state /var/lib/meshwall
      serves the cluster that it runs in
  meshwall-server --cluster main --cluster west=west.kubeconfig:admin --policy-cluster main ...
      serves two clusters; policies of `main` hold in both")]
pub struct Flags {
    /// A cluster to watch: its name alone if this is a pod of it, or the name, a kubeconfig, and the
    /// context in it if that is not the current one; can be given several times
    #[arg(long, value_name = "NAME[=KUBECONFIG[:CONTEXT]]", value_parser = cluster)]
    pub cluster: Vec<Cluster>,

    /// A folder of policies, namespaces and pods to watch, as the cluster `local`
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,

    /// The cluster whose policies hold in all clusters [default: the first one]
    #[arg(long, value_name = "NAME")]
    pub policy_cluster: Option<String>,

    /// Trust domain of the certificates of workloads: of all clusters, or of one; can be given
    /// several times
    #[arg(long, value_name = "[CLUSTER=]DOMAIN", default_value = "cluster.local")]
    pub trust_domain: Vec<String>,

    /// Folder in which the last good state is kept; without it, a restart begins with nothing
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,

    /// Address on which proxies are served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:15443")]
    pub listen: SocketAddr,

    /// Certificate chain of the server, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires_all = ["key", "authorities"])]
    pub certificate: Option<PathBuf>,

    /// Private key of the server, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,

    /// Certificates of the authorities that sign proxies' certificates, PEM; read again when they
    /// change
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub authorities: Option<PathBuf>,

    /// Serve without TLS and believe each proxy what it says it is: for proxies on this machine
    #[arg(long, conflicts_with = "certificate")]
    pub insecure_plaintext: bool,

    /// Where proxies find firewall.wasm
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/etc/meshwall/firewall.wasm"
    )]
    pub module: PathBuf,

    /// How long to wait for changes that belong together
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub window: u16,

    /// Address of the admin port: health, metrics, what proxies have. Whoever reaches it can read which
    /// policies there are; it changes nothing
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:15014")]
    pub admin: SocketAddr,

    /// Address of the admission webhook, which refuses wrong policies before they are stored
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["webhook_certificate", "webhook_key"])]
    pub webhook: Option<SocketAddr>,

    /// Certificate chain of the webhook, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_certificate: Option<PathBuf>,

    /// Private key of the webhook, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_key: Option<PathBuf>,

    /// How much to log: error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "MESHWALL_LOG"
    )]
    pub log: Level,

    /// How to log: text, json, or auto, which is text on a terminal
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub log_format: Format,
}

/// A cluster, and how to reach it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// How to reach its API server.
    pub access: Access,
}

/// Flags that contradict each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FlagError {
    /// There is nothing to serve.
    #[error("nothing to watch: give --cluster or --files")]
    NothingToWatch,
    /// Neither TLS nor that it is not wanted.
    #[error(
        "give --certificate, --key and --authorities, or --insecure-plaintext for proxies on this \
         machine"
    )]
    NoSecurity,
    /// A cluster is given twice.
    #[error("the cluster `{0}` is given twice")]
    Twice(ClusterName),
    /// A flag names a cluster that is not watched.
    #[error("--{flag}: there is no cluster `{name}`; there are: {known}")]
    Unknown {
        /// The flag.
        flag: &'static str,
        /// The name in it.
        name: String,
        /// Those that are watched.
        known: String,
    },
}

/// Name of the cluster that a folder of files is.
const LOCAL: &str = "local";

impl Flags {
    /// The clusters with their trust domains, the policy cluster first.
    ///
    /// # Errors
    ///
    /// If flags contradict each other.
    pub fn clusters(&self) -> Result<Vec<(ClusterName, String)>, FlagError> {
        let files = self.files.iter().map(|_| ClusterName::from(LOCAL));
        let watched = self.cluster.iter().map(|cluster| cluster.name.clone());
        let names: Vec<ClusterName> = watched.chain(files).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert((*name).clone())) {
            return Err(FlagError::Twice(twice.clone()));
        }
        let unknown = |flag, name: &str| FlagError::Unknown {
            flag,
            name: name.to_owned(),
            known: names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let first = names.first().ok_or(FlagError::NothingToWatch)?;
        let policy_cluster = match &self.policy_cluster {
            Some(name) => names
                .iter()
                .find(|known| known.as_str() == name)
                .ok_or_else(|| unknown("policy-cluster", name))?,
            None => first,
        };
        let mut clusters: Vec<(ClusterName, String)> = Vec::new();
        let others = names.iter().filter(|name| *name != policy_cluster);
        for name in [policy_cluster].into_iter().chain(others) {
            clusters.push((name.clone(), "cluster.local".to_owned()));
        }
        for given in &self.trust_domain {
            match given.split_once('=') {
                None => clusters
                    .iter_mut()
                    .for_each(|(_, domain)| domain.clone_from(given)),
                Some((name, domain)) => {
                    let cluster = clusters
                        .iter_mut()
                        .find(|(known, _)| known.as_str() == name);
                    let (_, its) = cluster.ok_or_else(|| unknown("trust-domain", name))?;
                    domain.clone_into(its);
                }
            }
        }
        if !self.insecure_plaintext && self.certificate.is_none() {
            return Err(FlagError::NoSecurity);
        }
        Ok(clusters)
    }

    /// The name of the cluster that the folder of files is.
    #[must_use]
    pub fn local(&self) -> ClusterName {
        ClusterName::from(LOCAL)
    }

    /// How long to wait for changes that belong together.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.window.into())
    }
}

fn cluster(text: &str) -> Result<Cluster, String> {
    let (name, rest) = match text.split_once('=') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(format!(
            "`{name}` is not a name of letters, digits, `-`, `_` and `.`"
        ));
    }
    let access = match rest {
        None => Access::InCluster,
        Some("") => return Err("there is no kubeconfig after `=`".to_owned()),
        Some(rest) => {
            let (path, context) = match rest.split_once(':') {
                Some((path, context)) => (path, Some(context.to_owned())),
                None => (rest, None),
            };
            Access::Kubeconfig {
                path: Some(PathBuf::from(path)),
                context,
            }
        }
    };
    Ok(Cluster {
        name: ClusterName::from(name),
        access,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn flags(arguments: &str) -> Flags {
        let arguments = arguments.split_whitespace();
        Flags::try_parse_from(["meshwall-server"].into_iter().chain(arguments)).unwrap()
    }

    fn clusters(arguments: &str) -> Result<Vec<(String, String)>, String> {
        let clusters = flags(arguments)
            .clusters()
            .map_err(|error| error.to_string())?;
        let text = |(name, domain): (ClusterName, String)| (name.to_string(), domain);
        Ok(clusters.into_iter().map(text).collect())
    }

    #[test]
    fn the_policy_cluster_comes_first() {
        let found = clusters(
            "--cluster a --cluster b=b.conf:admin --files f --policy-cluster b \
             --trust-domain mesh.example --trust-domain a=a.example --insecure-plaintext",
        );
        let domains = [
            ("b", "mesh.example"),
            ("a", "a.example"),
            ("local", "mesh.example"),
        ];
        let domains = domains.map(|(name, domain)| (name.to_owned(), domain.to_owned()));
        assert_eq!(found, Ok(domains.to_vec()));
    }

    #[test]
    fn contradictions_are_named() {
        for (arguments, error) in [
            ("--insecure-plaintext", "nothing to watch"),
            ("--files f", "give --certificate"),
            (
                "--cluster a --cluster a --insecure-plaintext",
                "`a` is given twice",
            ),
            (
                "--files f --policy-cluster b --insecure-plaintext",
                "there is no cluster `b`",
            ),
            (
                "--files f --trust-domain b=x --insecure-plaintext",
                "there is no cluster `b`",
            ),
        ] {
            let found = clusters(arguments).unwrap_err();
            assert!(found.contains(error), "{arguments}: {found}");
        }
    }

    #[test]
    fn a_cluster_is_reached_from_within_or_by_a_kubeconfig() {
        let kubeconfig = |context: Option<&str>| Access::Kubeconfig {
            path: Some(PathBuf::from("/etc/west")),
            context: context.map(str::to_owned),
        };
        for (text, access) in [
            ("west", Access::InCluster),
            ("west=/etc/west", kubeconfig(None)),
            ("west=/etc/west:admin", kubeconfig(Some("admin"))),
        ] {
            assert_eq!(cluster(text).unwrap().access, access, "{text}");
        }
        assert!(cluster("we st").is_err());
        assert!(cluster("=x").is_err());
        assert!(cluster("west=").is_err());
    }
}
