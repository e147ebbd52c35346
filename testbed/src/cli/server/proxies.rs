//! `meshwall proxies`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::Options;
use super::answer::{Delivery, Proxy};
use super::table::{self, Cell, Row, date, short};
use crate::cli::Exit;
use crate::cli::report::plural;
use crate::cli::style::{BAD, BOLD, DIM, GOOD, WARN};

/// Show the proxies that are connected to meshwall-server, and what they have
///
/// A row for each resource of each proxy: the version that it has accepted, the one that it should
/// have, why it refused the last one, and how long it has been owing an answer.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit codes:
  0  no proxy has refused what it was sent
  1  a proxy has
  2  the server cannot be asked

Example:
  kubectl -n meshwall port-forward deployment/meshwall-server 15014 &
  meshwall proxies")]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let answer = self.options.ask::<Vec<Proxy>>("/proxies")?;
        self.options
            .print(&answer, |out, proxies| write(out, proxies))?;
        let refusing = answer.understood.iter().any(is_refusing);
        Ok(if refusing {
            Exit::Findings
        } else {
            Exit::Success
        })
    }
}

fn is_refusing(proxy: &Proxy) -> bool {
    proxy.types.values().any(|delivery| delivery.nack.is_some())
}

/// Whether a proxy has asked, and has accepted all that it should have.
fn is_current(proxy: &Proxy) -> bool {
    let current = |delivery: &Delivery| {
        delivery.nack.is_none()
            && delivery.lag_milliseconds.is_none()
            && delivery.meant == delivery.acked
    };
    !proxy.types.is_empty() && proxy.types.values().all(current)
}

fn write(out: &mut impl Write, proxies: &[Proxy]) -> io::Result<()> {
    if !proxies.is_empty() {
        let head = ["proxy", "has", "should have", "state"];
        table::write(out, head, proxies.iter().flat_map(rows).collect())?;
        writeln!(out)?;
    }
    let current = proxies.iter().filter(|proxy| is_current(proxy)).count();
    let refusing = proxies.iter().filter(|proxy| is_refusing(proxy)).count();
    let behind = proxies.len().saturating_sub(current + refusing);
    let count = plural(proxies.len(), "proxy");
    writeln!(
        out,
        "{count}: {current} up to date, {behind} behind, {refusing} refusing"
    )
}

/// A row for the proxy, and one for each resource.
fn rows(proxy: &Proxy) -> Vec<Row<4>> {
    let Proxy {
        node,
        workload,
        principal,
        address,
        since,
        types,
    } = proxy;
    let principal = match principal {
        Some(principal) => Cell::new(DIM, principal),
        None => Cell::new(WARN, "not authenticated: its connection is without TLS"),
    };
    let mut rows = vec![Row {
        cells: [
            Cell::new(BOLD, workload),
            Cell::plain(""),
            Cell::plain(""),
            Cell::plain(""),
        ],
        notes: vec![
            Cell::new(
                DIM,
                format!("node {node} at {address}, since {}", date(*since)),
            ),
            principal,
        ],
    }];
    for (kind, delivery) in types {
        // A refusal is of a response, which holds resources of one type.
        let kind = kind.to_string();
        let kind = kind.rsplit('/').next().unwrap_or_default();
        let names: BTreeSet<_> = delivery.meant.keys().chain(delivery.acked.keys()).collect();
        if names.is_empty() {
            // Until it has accepted something, the server names no resource.
            rows.push(Row {
                cells: [
                    Cell::plain(format!("  {kind}")),
                    Cell::plain("none"),
                    Cell::plain(""),
                    state(delivery, false),
                ],
                notes: Vec::new(),
            });
        }
        let resources = names.into_iter().map(|name| {
            let (acked, meant) = (delivery.acked.get(name), delivery.meant.get(name));
            let version =
                |version: Option<_>| Cell::plain(version.map_or_else(|| "none".to_owned(), short));
            Row {
                cells: [
                    Cell::plain(format!("  {name}")),
                    version(acked),
                    version(meant),
                    state(delivery, acked == meant),
                ],
                notes: Vec::new(),
            }
        });
        rows.extend(resources);
        if let (Some(nack), Some(row)) = (&delivery.nack, rows.last_mut()) {
            let text = format!("refused {} ({kind}): {}", date(nack.at), nack.reason);
            row.notes.push(Cell::new(BAD, text));
        }
    }
    rows
}

fn state(delivery: &Delivery, is_current: bool) -> Cell {
    match (is_current, &delivery.nack, delivery.lag_milliseconds) {
        (true, _, _) => Cell::new(GOOD, "up to date"),
        (false, Some(_), _) => Cell::new(BAD, "refused"),
        (false, None, Some(lag)) => Cell::new(WARN, format!("owes an answer for {lag} ms")),
        (false, None, None) => Cell::new(WARN, "behind"),
    }
}
