//! Child processes: killed when they are dropped.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

/// A child process that does not outlive its owner.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it, if it has not ended already.
    pub(super) fn kill(&mut self) {
        // Both fail only if it has.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// The exit status, if it has ended.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file as text; bytes that are not UTF-8 are replaced.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
