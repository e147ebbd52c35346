//! `meshwall status`, `proxies` and `program`: what a running `meshwall-server` says on its admin
//! port.
//!
//! The port speaks HTTP without TLS on loopback, so these commands run where the server runs, or
//! through a port that is forwarded. `--format json` prints what the server answered, with fields
//! that this version does not know; the tables are made of the fields in [`answer`].

mod answer;
mod client;
mod program;
mod proxies;
mod status;
mod table;

use std::io::Write as _;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::client::Server;
pub(crate) use self::program::Args as Program;
pub(crate) use self::proxies::Args as Proxies;
pub(crate) use self::status::Args as Status;

/// Whom to ask, and how to say it.
#[derive(Debug, clap::Args)]
struct Options {
    /// The admin port of meshwall-server
    #[arg(
        long,
        value_name = "URL",
        env = "MESHWALL_SERVER",
        default_value = "http://127.0.0.1:15014"
    )]
    server: Server,

    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For scripts: the server's answer
    Json,
}

/// An answer as it came, and as it is understood.
struct Answer<T> {
    json: Value,
    understood: T,
}

impl Options {
    /// The answer at a path of the admin port.
    fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Answer<T>> {
        let json: Value = self.server.get(path)?;
        let understood = T::deserialize(&json)
            .with_context(|| format!("{} answers what cannot be understood", self.server))?;
        Ok(Answer { json, understood })
    }

    /// Prints an answer in the form that was asked for.
    fn print<T>(
        &self,
        answer: &Answer<T>,
        human: impl FnOnce(&mut Vec<u8>, &T) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut text = Vec::new();
        match self.format {
            Format::Human => human(&mut text, &answer.understood)?,
            Format::Json => writeln!(text, "{:#}", answer.json)?,
        }
        anstream::stdout().lock().write_all(&text)?;
        Ok(())
    }
}
