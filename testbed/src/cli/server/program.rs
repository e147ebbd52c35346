//! `meshwall program`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::str::FromStr;

use anyhow::{Context as _, bail};

use super::Options;
use super::answer::{Status, Workload};
use super::client::Error;
use crate::cli::Exit;
use crate::cli::report::plural;
use crate::cli::style::{BAD, BOLD, DIM, WARN};

/// Show what a workload should enforce, and why
///
/// The policies that apply to it, in the order of evaluation, those that do not and why, its
/// program, and who is in the peer sets that it names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit codes:
  0  the server has a program for the workload
  1  the server has none yet, or cannot make the one that it should have
  2  the server cannot be asked, or knows no such workload

Example:
  meshwall program shop/payments-6d4f9c7b8-x2k4q")]
pub(crate) struct Args {
    /// The pod, as CLUSTER/NAMESPACE/POD; NAMESPACE/POD if the server has one cluster
    workload: Name,

    #[command(flatten)]
    options: Options,
}

/// The name of a pod.
#[derive(Clone, Debug)]
struct Name {
    cluster: Option<String>,
    /// `NAMESPACE/POD`.
    pod: String,
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Name, &'static str> {
        let parts: Vec<&str> = text.split('/').collect();
        let (cluster, namespace, pod) = match *parts.as_slice() {
            [cluster, namespace, pod] => (Some(cluster), namespace, pod),
            [namespace, pod] => (None, namespace, pod),
            _ => return Err("it is not CLUSTER/NAMESPACE/POD or NAMESPACE/POD"),
        };
        let named = cluster.into_iter().chain([namespace, pod]);
        if named.into_iter().any(str::is_empty) {
            return Err("a part of it is empty");
        }
        if !text.chars().all(is_verbatim) {
            return Err("it has a character that names do not have");
        }
        Ok(Name {
            cluster: cluster.map(str::to_owned),
            pod: format!("{namespace}/{pod}"),
        })
    }
}

/// Whether a character stands for itself in a path (RFC 3986, section 3.3).
fn is_verbatim(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(character)
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let Args { workload, options } = self;
        let cluster = match workload.cluster {
            Some(cluster) => cluster,
            None => only_cluster(&options, &workload.pod)?,
        };
        let name = format!("{cluster}/{}", workload.pod);
        let answer = options.ask::<Workload>(&format!("/workloads/{name}"));
        let answer = answer.map_err(|error| match error.downcast_ref() {
            Some(Error::NotFound) => {
                anyhow::anyhow!("{} knows no workload `{name}`", options.server)
            }
            _ => error,
        })?;
        options.print(&answer, write)?;
        let Workload {
            failure, version, ..
        } = &answer.understood;
        Ok(if failure.is_none() && version.is_some() {
            Exit::Success
        } else {
            Exit::Findings
        })
    }
}

/// The cluster of a server that has one.
fn only_cluster(options: &Options, pod: &str) -> anyhow::Result<String> {
    let status = options.ask::<Status>("/status")?.understood;
    let clusters = status.readiness.sources.iter();
    let clusters: BTreeSet<String> = clusters.map(|source| source.cluster.to_string()).collect();
    let names: Vec<String> = clusters.iter().map(|name| format!("`{name}`")).collect();
    let mut clusters = clusters.into_iter();
    let first = clusters.next();
    let first = first.with_context(|| format!("{} has no cluster", options.server))?;
    if clusters.next().is_some() {
        bail!(
            "{} has several clusters, {}: name one, as in `{first}/{pod}`",
            options.server,
            names.join(", ")
        );
    }
    Ok(first)
}

fn write(out: &mut impl Write, workload: &Workload) -> io::Result<()> {
    let Workload {
        name,
        principal,
        addresses,
        applies,
        not_applied,
        version,
        program_bytes,
        peer_table_bytes,
        failure,
        sets,
    } = workload;
    writeln!(out, "{BOLD}{name}{BOLD:#}")?;
    writeln!(out, "principal  {principal}")?;
    if !addresses.is_empty() {
        writeln!(out, "addresses  {}", list(addresses))?;
    }
    match version {
        Some(version) => writeln!(out, "version    {version}")?,
        None => writeln!(
            out,
            "version    {WARN}none: nothing is enforced yet{WARN:#}"
        )?,
    }
    for (what, bytes) in [
        ("program   ", program_bytes),
        ("peer table", peer_table_bytes),
    ] {
        if let Some(bytes) = bytes {
            writeln!(out, "{what} {}", plural(*bytes, "byte"))?;
        }
    }
    if let Some(reason) = failure {
        writeln!(out, "{BAD}failure{BAD:#}    {reason}")?;
    }

    writeln!(out)?;
    if applies.is_empty() {
        writeln!(out, "{WARN}no policy applies{WARN:#}")?;
    } else {
        writeln!(out, "applies, in the order of evaluation")?;
        for (number, policy) in (1_usize..).zip(applies) {
            writeln!(out, "  {number}. {policy}")?;
        }
    }
    if !not_applied.is_empty() {
        writeln!(out, "\ndoes not apply")?;
        for entry in not_applied {
            writeln!(out, "  {}: {DIM}{}{DIM:#}", entry.policy, entry.reason)?;
        }
    }
    if !sets.is_empty() {
        writeln!(out, "\npeer sets")?;
        for set in sets {
            let count = plural(set.members.len(), "member");
            writeln!(out, "  {}: {count}", set.set)?;
            for member in &set.members {
                writeln!(out, "    {member}")?;
            }
        }
    }
    Ok(())
}

fn list(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
