//! What the generator asks our server's program to do: one line of text each, answered by a line
//! with a number when it is done.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// The one resource that each client of [`Command::All`] asks for.
pub const PROGRAM: &str = "program";
/// The view that has the resources of [`Command::Names`].
pub const SHARED_VIEW: &str = "shared";

/// Something to do.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Publish [`PROGRAM`] in the view of each of so many clients.
    All { clients: usize, content: Content },
    /// Publish so many names in the shared view.
    Names { count: usize, content: Content },
    /// Publish one name of the shared view.
    One { index: usize, content: Content },
    /// Say how many streams there are.
    Streams,
}

/// What is published.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    pub version: u64,
    pub bytes: usize,
    pub sharing: Sharing,
}

/// Whether views have the same resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sharing {
    /// All have one, whose bytes are there once.
    One,
    /// Each has its own.
    Own,
}

/// The view of a client, which is also the id of its node.
pub fn client_view(index: usize) -> String {
    format!("client-{index}")
}

/// A name of the shared view.
pub fn shared_name(index: usize) -> String {
    format!("name-{index}")
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, number, content) = match self {
            Command::All { clients, content } => ("all", clients, content),
            Command::Names { count, content } => ("names", count, content),
            Command::One { index, content } => ("one", index, content),
            Command::Streams => return f.write_str("streams"),
        };
        let Content {
            version,
            bytes,
            sharing,
        } = content;
        let sharing = match sharing {
            Sharing::One => "one",
            Sharing::Own => "own",
        };
        write!(f, "{word} {number} {version} {bytes} {sharing}")
    }
}

impl FromStr for Command {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        if words == ["streams"] {
            return Ok(Command::Streams);
        }
        let [word, number, version, bytes, sharing] = words[..] else {
            bail!("unknown command `{line}`");
        };
        let number = number.parse().context("a number")?;
        let content = Content {
            version: version.parse().context("a version")?,
            bytes: bytes.parse().context("a size in bytes")?,
            sharing: match sharing {
                "one" => Sharing::One,
                "own" => Sharing::Own,
                other => bail!("unknown sharing `{other}`"),
            },
        };
        Ok(match word {
            "all" => Command::All {
                clients: number,
                content,
            },
            "names" => Command::Names {
                count: number,
                content,
            },
            "one" => Command::One {
                index: number,
                content,
            },
            other => bail!("unknown command `{other}`"),
        })
    }
}
