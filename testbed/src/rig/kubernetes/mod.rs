//! A real Kubernetes API server with its etcd, on loopback.
//!
//! It is an API server and nothing else: no scheduler, no kubelet, no controllers. Pods stay as
//! they were written, and get their addresses from whoever writes their status. Service accounts
//! are not required to exist, so that a pod can be created before them.
//!
//! [`Programs`] finds etcd and kube-apiserver. [`Launch`] starts both on free ports with
//! certificates of their own, waits until the server is ready, and gives a [`Kubernetes`]: both
//! processes end, and their files go, when that value is dropped. [`Api`] asks it things, or any
//! other server that speaks the same protocol, such as [`fake_kubernetes`](super::fake_kubernetes).

mod api;
mod launch;
mod programs;

pub use self::api::{Api, Watch};
pub use self::launch::{Kubernetes, Launch};
pub use self::programs::Programs;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::{client, pki};

/// What can go wrong with an API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not where it was looked for.
    #[error(
        "there is no `{}`; run scripts/get-kubernetes, or set MESHWALL_KUBERNETES to the path of a \
         folder with etcd and kube-apiserver",
        path.display()
    )]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot run `{}`: {source}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program ended by itself.
    #[error("{program} ended with {status}: {log}")]
    Ended {
        /// The name of the program.
        program: &'static str,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A program was not ready in time.
    #[error("{program} is not ready after {within:?}: {log}")]
    TimedOut {
        /// The name of the program.
        program: &'static str,
        /// How long it had.
        within: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// No certificates could be made for it.
    #[error(transparent)]
    Certificate(#[from] pki::Error),
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No port is free.
    #[error("no free port: {0}")]
    Port(io::Error),
    /// The server gave no answer.
    #[error("{method} {path}: {source}")]
    Request {
        /// The method of the request.
        method: String,
        /// The path of the request, with the query.
        path: String,
        /// Why not.
        source: client::Error,
    },
    /// The server answered with an error.
    #[error("{method} {path} was answered with {status}: {message}")]
    Refused {
        /// The method of the request.
        method: String,
        /// The path of the request, with the query.
        path: String,
        /// The HTTP status.
        status: u16,
        /// `message` of the answer, or all of it.
        message: String,
    },
    /// A watch sent something that is not an event.
    #[error("a watch sent what is no event: `{line}`")]
    Event {
        /// What it sent.
        line: String,
    },
}

impl Error {
    /// The HTTP status, if the server answered with an error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
