//! Finding firewall.wasm.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meshwall_testbed::host::Module;

const NAME: &str = "firewall.wasm";

/// The module that was named, or the one that is shipped or was built.
///
/// # Errors
///
/// If there is none.
pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => {
            let places = places();
            let found = places.iter().find(|path| path.is_file());
            found.cloned().with_context(|| help(&places))
        }
    }
}

/// Reads a module.
///
/// # Errors
///
/// If it cannot be read, or is no filter.
pub(crate) fn read(path: &Path) -> anyhow::Result<Module> {
    let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Module::from_bytes(&bytes).with_context(|| format!("`{}` is not a filter", path.display()))
}

/// Where it may be: beside this program, where a build leaves it, and in the repository that the
/// current folder is in.
fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    let program = env::current_exe().ok();
    if let Some(folder) = program.as_deref().and_then(Path::parent) {
        places.push(folder.join(NAME));
        places.extend(folder.parent().map(|target| target.join("wasm").join(NAME)));
    }
    let current = env::current_dir().unwrap_or_default();
    let repository = current
        .ancestors()
        .find(|folder| folder.join("scripts/build-wasm").is_file());
    places.extend(repository.map(|folder| folder.join("target/wasm").join(NAME)));
    places
}

fn help(places: &[PathBuf]) -> String {
    let mut help = format!("no {NAME}: it is not at any of");
    for place in places {
        help.push_str(&format!("\n         {}", place.display()));
    }
    help.push_str(
        "\n       build it with scripts/build-wasm, name it with --wasm FILE, or ask the library \
         only with --native",
    );
    help
}
