//! `meshwall render`.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meshwall_mesh_config::envoy::{
    Certificate, DataSource, JwtIssuer, Module, ServerTls, Trust, TrustDomain,
};
use meshwall_mesh_config::sidecar::{LOOPBACK, Sidecar};
use meshwall_testbed::scenario::find_workload;
use ring::digest;

use super::{Exit, input};

/// Write the configuration of a sidecar: a complete Envoy with the workload's policies in it
///
/// Each named TCP port of the workload becomes a listener with mutual TLS on the workload's address,
/// which forwards what is permitted to the same port on loopback. The program is part of the
/// configuration: render it again when policies or peers change. Paths are those that Envoy will
/// see. Every setting that matters says why it is there. Only connections to the workload are
/// decided on; a warning says what applies to it on egress and is not enforced.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  meshwall render shop/payments policies/ inventory.yaml --module firewall.wasm \\
      --authorities cluster.local=ca.pem --certificate cert.pem --key key.pem > envoy.yaml
  envoy --mode validate -c envoy.yaml")]
pub(crate) struct Args {
    /// The workload, as in shop/payments
    #[arg(value_name = "WORKLOAD")]
    workload: String,

    /// Policies and workloads
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Where Envoy finds firewall.wasm
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/etc/meshwall/firewall.wasm"
    )]
    module: PathBuf,

    /// Where Envoy finds the certificate chain of the workload, PEM
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/var/run/secrets/workload/cert.pem"
    )]
    certificate: PathBuf,

    /// Where Envoy finds the private key of the workload, PEM
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/var/run/secrets/workload/key.pem"
    )]
    key: PathBuf,

    /// A trust domain, and where Envoy finds the certificates of its authorities, PEM; can be
    /// given several times [default: the mesh's own, /var/run/secrets/workload/ca.pem]
    #[arg(long, value_name = "DOMAIN=PATH", value_parser = domain_and_path)]
    authorities: Vec<(String, PathBuf)>,

    /// An issuer of tokens (the claim `iss`), and the file with its keys (JSON Web Key Set), which
    /// is read now; can be given several times
    #[arg(long, value_name = "ISSUER=FILE", value_parser = issuer_and_path)]
    jwt: Vec<(String, PathBuf)>,

    /// Address to listen on [default: the first address of the workload]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,

    /// Address that the application listens on
    #[arg(long, value_name = "ADDRESS", default_value_t = LOOPBACK)]
    backend: IpAddr,

    /// Address and port of Envoy's admin interface; whoever reaches it controls Envoy
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,

    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let world = input::world(&self.files)?;
        let workload = match find_workload(&world.inventory, &self.workload) {
            Ok(workload) => workload,
            Err((reason, None)) => anyhow::bail!("`{}` {reason}", self.workload),
            Err((reason, Some(other))) => {
                anyhow::bail!("`{}` {reason}; did you mean `{other}`?", self.workload)
            }
        };
        let sidecar = Sidecar {
            config: &world.config,
            policies: &world.policies,
            inventory: &world.inventory,
            workload,
            module: Module {
                sha256: sha256(&self.module),
                path: self.module,
            },
            tls: ServerTls {
                certificate: Certificate {
                    chain: DataSource::File(self.certificate),
                    key: DataSource::File(self.key),
                },
                trust: trust(&world.config.trust_domain, self.authorities),
            },
            jwt_issuers: issuers(self.jwt)?,
            listen: self.listen,
            backend: self.backend,
            admin: self.admin,
        };
        let yaml = sidecar.bootstrap()?.to_yaml();
        let unenforced: Vec<_> = sidecar
            .unenforced()
            .iter()
            .map(ToString::to_string)
            .collect();
        if !unenforced.is_empty() {
            anstream::eprintln!(
                "warning: this configuration has listeners for ingress only; not enforced: {}",
                unenforced.join(", ")
            );
        }
        match self.output {
            Some(path) => std::fs::write(&path, yaml)
                .with_context(|| format!("cannot write `{}`", path.display()))?,
            None => anstream::stdout().lock().write_all(yaml.as_bytes())?,
        }
        Ok(Exit::Success)
    }
}

/// The hash of the module, if it is here, for whoever compares it with what Envoy loads.
fn sha256(module: &Path) -> Option<String> {
    let bytes = std::fs::read(module).ok()?;
    let hash = digest::digest(&digest::SHA256, &bytes);
    Some(
        hash.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

fn trust(own: &str, given: Vec<(String, PathBuf)>) -> Trust {
    let given = if given.is_empty() {
        let path = PathBuf::from("/var/run/secrets/workload/ca.pem");
        vec![(own.to_owned(), path)]
    } else {
        given
    };
    let domains = given.into_iter().map(|(name, path)| TrustDomain {
        name,
        authorities: DataSource::File(path),
    });
    Trust::PerDomain(domains.collect())
}

fn issuers(given: Vec<(String, PathBuf)>) -> anyhow::Result<Vec<JwtIssuer>> {
    let issuers = given
        .into_iter()
        .enumerate()
        .map(|(index, (issuer, path))| {
            let jwks = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            serde_json::from_str::<serde_json::Value>(&jwks)
                .with_context(|| format!("`{}` is not a JSON Web Key Set", path.display()))?;
            Ok(JwtIssuer {
                name: format!("issuer-{index}"),
                issuer,
                audiences: Vec::new(),
                jwks,
            })
        });
    issuers.collect()
}

fn domain_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let (domain, path) = text
        .split_once('=')
        .ok_or("it is a trust domain, `=` and a path")?;
    Ok((domain.to_ascii_lowercase(), PathBuf::from(path)))
}

/// An issuer is often a URL, which can have `=` in it; a path rarely has.
fn issuer_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let (issuer, path) = text
        .rsplit_once('=')
        .ok_or("it is an issuer, `=` and a file")?;
    Ok((issuer.to_owned(), PathBuf::from(path)))
}
