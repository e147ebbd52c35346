//! Running the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The shop.
pub(crate) fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop")
}

/// The command, in a folder, without what the environment could add.
pub(crate) fn meshwall(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshwall"));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("CLICOLOR_FORCE")
        .env_remove("MESHWALL_FIREWALL_WASM")
        .env_remove("MESHWALL_SERVER")
        .env("COLUMNS", "100");
    command
}

/// What a command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().expect("a command is not killed"),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

/// Runs the command with these arguments.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let output = meshwall(folder).args(arguments).output();
    output.expect("the command runs").into()
}
