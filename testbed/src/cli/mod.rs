//! The `meshwall` command line: what the library says, for people and for scripts.
//!
//! Results go to standard output, everything else to standard error. What a command could not do
//! is an `anyhow` error and ends in exit code 2; what it found is a [`Exit`].

mod check;
mod crds;
mod demo;
mod explain;
mod input;
mod render;
mod report;
mod server;
mod style;
mod test;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use self::style::BAD;

const ABOUT: &str = "A container firewall for service meshes: checks, tests and explains policies";

const LONG_ABOUT: &str = "\
A container firewall for service meshes: checks, tests and explains policies.

The answers come from the engine that runs in the sidecars. Nothing here talks to a cluster: \
policies, and the workloads that they are about, come from files. For the workloads, save what \
`kubectl get namespaces,pods -A -o yaml` prints. Only status, proxies and program ask somebody: \
a meshwall-server that runs.

Where a command takes FILES, a folder stands for the .yaml, .yml and .json files in it, and `-` \
for the standard input.";

const EXIT_CODES: &str = "\
Exit codes:
  0  everything is as it should be
  1  check found errors, a test failed, or status, proxies or program show something wrong
  2  the command could not do its work: wrong usage, unreadable files, documents with errors,
     no server, no such workload
  3  the library and firewall.wasm disagree: a fault of Meshwall, please report it";

#[derive(Debug, Parser)]
#[command(name = "meshwall", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_long_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    /// Colours in the output; `auto` is only on a terminal, and not if NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Test(test::Args),
    Explain(Box<explain::Args>),
    Render(render::Args),
    Crds(crds::Args),
    Demo(demo::Args),
    Status(server::Status),
    Proxies(server::Proxies),
    Program(server::Program),
    Completions(Completions),
}

/// Print a completion script for a shell
///
/// For bash: `meshwall completions bash > ~/.local/share/bash-completion/completions/meshwall`
#[derive(Debug, clap::Args)]
struct Completions {
    /// The shell
    shell: Shell,
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Exit {
    /// Everything is as it should be.
    Success,
    /// The command found what it was to look for.
    Findings,
    /// Some of the input has errors.
    Unusable,
    /// The library and the module disagree.
    Disagreement,
    /// Whoever runs the command has ended it.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::Findings => 1,
            Exit::Unusable => 2,
            Exit::Disagreement => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let choice = match cli.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
    let result = match cli.command {
        Command::Check(args) => args.run(),
        Command::Test(args) => args.run(),
        Command::Explain(args) => args.run(),
        Command::Render(args) => args.run(),
        Command::Crds(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Proxies(args) => args.run(),
        Command::Program(args) => args.run(),
        Command::Completions(args) => args.run(),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever reads has seen enough, as in `meshwall check | head`.
        Err(error) if is_broken_pipe(&error) => Exit::Success.into(),
        Err(error) => {
            let message = message(&error);
            let _ = writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {message}");
            Exit::Unusable.into()
        }
    }
}

impl Completions {
    fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "meshwall", &mut script);
        io::stdout().write_all(&script)?;
        Ok(Exit::Success)
    }
}

/// An error with its causes. One that speaks for its cause is not repeated.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if message.ends_with(&cause) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&cause);
    }
    message
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let errors = error.chain().filter_map(|cause| cause.downcast_ref());
    errors
        .map(io::Error::kind)
        .any(|kind| kind == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
