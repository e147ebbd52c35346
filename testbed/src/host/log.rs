//! What filters write to the proxy's log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many lines are kept, and so many bytes; a filter that logs on each request must not eat
/// the memory of a test that sends a million.
const MAX_LINES: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The levels of log lines, with the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LogLevel {
    /// Everything.
    #[default]
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// For operators.
    Info = 2,
    /// Something is odd.
    Warn = 3,
    /// Something failed. What a module writes to its standard error has this level.
    Error = 4,
    /// Something failed for good.
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The level.
    pub level: LogLevel,
    /// The context that wrote it; 0 while the module is initialised.
    pub context_id: u32,
    /// The text as the filter wrote it.
    pub message: Vec<u8>,
}

impl LogLine {
    /// The text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }
}

/// The log of a virtual machine and of those that replace it.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    level: LogLevel,
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(level: LogLevel) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            level,
            lines: VecDeque::new(),
            bytes: 0,
        })))
    }

    pub(crate) fn level(&self) -> LogLevel {
        self.lock().level
    }

    /// Keeps a line if its level is wanted; the oldest goes when there are too many.
    pub(crate) fn write(&self, line: LogLine) {
        let mut inner = self.lock();
        if line.level < inner.level {
            return;
        }
        inner.bytes += line.message.len();
        inner.lines.push_back(line);
        while inner.lines.len() > MAX_LINES || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.lines.pop_front() else {
                break;
            };
            inner.bytes -= oldest.message.len();
        }
    }

    pub(crate) fn take(&self) -> Vec<LogLine> {
        let mut inner = self.lock();
        inner.bytes = 0;
        inner.lines.drain(..).collect()
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lock().lines.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: LogLevel, n: usize) -> LogLine {
        LogLine {
            level,
            context_id: 1,
            message: n.to_string().into_bytes(),
        }
    }

    #[test]
    fn the_log_keeps_what_is_wanted_and_the_newest() {
        let log = Log::new(LogLevel::Warn);
        log.write(line(LogLevel::Info, 0));
        assert_eq!(log.lines(), []);
        for n in 0..=MAX_LINES {
            log.write(line(LogLevel::Error, n));
        }
        let lines = log.take();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[0].text(), "1");
        assert_eq!(log.lines(), []);
    }
}
