//! What to try next.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;

use meshwall_policy::decision::Verdict;
use meshwall_testbed::demo::{Act, Entry, Mesh, Plan};

use super::{Shop, short};
use crate::cli::style::{BOLD, DIM};

/// Says what to try with the files of the shop.
pub(super) fn write(shop: &Shop, plan: &Plan) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "\n{BOLD}Try next{BOLD:#}")?;
    let meshwall = program();
    let mut offer =
        |why: &str, command: &str| writeln!(out, "  {why}\n      {DIM}{meshwall} {command}{DIM:#}");
    let keep = "look at the sidecars while they run";
    if shop.unpacked.is_some() {
        offer(keep, "demo --keep")?;
        return offer("see what else there is", "--help");
    }
    let folder = shop.folder.display();
    let mut entries = plan.entries();
    if let Some(denied) = entries.find(|entry| entry.expected.verdict == Verdict::Deny) {
        let name = &denied.what;
        // A part of the name is enough if no other case has it.
        let part = name.rsplit(", ").next().unwrap_or(name);
        let is_enough = plan
            .entries()
            .filter(|entry| entry.what.contains(part))
            .count()
            == 1;
        let case = quoted(if is_enough { part } else { name });
        offer(
            &format!("see why `{name}` is denied"),
            &format!("explain --case {case} {folder}/scenarios/demo.yaml"),
        )?;
    }
    offer(
        &format!("edit {folder}/policies/shop.yaml, check it, and run the demo again"),
        &format!("check {folder}"),
    )?;
    offer(
        "put all questions of the shop's scenarios",
        &format!("test {folder}"),
    )?;
    offer(
        "get the configuration of a sidecar",
        &format!("render shop/payments {folder}"),
    )?;
    offer(keep, "demo --keep")
}

/// This program as a user can call it again.
fn program() -> String {
    let called = env::args_os().next().map(PathBuf::from);
    short(&called.unwrap_or_default()).display().to_string()
}

/// Says how to reach the sidecars.
pub(super) fn reach(plan: &Plan, mesh: &Mesh) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "\n{BOLD}The sidecars run until Ctrl-C{BOLD:#}")?;
    for act in &plan.acts {
        let configuration = mesh.configuration(act);
        writeln!(
            out,
            "\n  -> {} {DIM}{}{DIM:#}",
            act.whom,
            configuration.display()
        )?;
        let reachable = act.entries.iter().find_map(|entry| curl(entry, act, mesh));
        if let Some(command) = reachable {
            writeln!(out, "{DIM}{command}{DIM:#}")?;
        }
    }
    Ok(())
}

/// The command that asks the same, if one can write it down: without a body or a token.
fn curl(entry: &Entry, act: &Act, mesh: &Mesh) -> Option<String> {
    let question = &entry.question;
    let request = question.request.as_ref()?;
    if request.header(":method") != "GET" || !request.claims.is_empty() {
        return None;
    }
    let door = mesh.doors(act).find(|door| door.number == question.port)?;
    let files = mesh.certificate(question.principal.as_deref()?)?;
    let url = format!("https://{}{}", door.address, request.header(":path"));
    Some(format!(
        "     {} asks: curl -k --path-as-is --interface {} \\\n         --cert {} --key {} \\\n         {}",
        entry.who,
        question.address,
        files.certificate.display(),
        files.key.display(),
        quoted(&url)
    ))
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
