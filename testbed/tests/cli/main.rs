//! The `meshwall` command as its users meet it: arguments and files in; output and exit code out.
//!
//! Each folder of `cases/` holds input files and `commands`, a command line a line, run in that
//! folder. What they print is in `output`. Those of `servers/` ask a server, whose answers are the other
//! files. To accept what has changed, after reading it:
//!
//! ```text
//! MESHWALL_BLESS=1 cargo test -p meshwall-testbed --test cli
//! ```

#![cfg(test)]

mod formats;
mod golden;
mod module;
mod run;
mod server;
