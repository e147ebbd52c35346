//! What a process costs, from `/proc`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::Error;

/// Length of a clock tick in `/proc/PID/stat`. The kernel fixes it at 100 Hz in what it
/// shows to programs, whatever it uses itself.
const TICK: Duration = Duration::from_millis(10);

/// Processor time used by all threads of a process since it started, in steps of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
}

impl CpuTime {
    /// Both together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.user.saturating_add(self.system)
    }

    pub(super) fn of(pid: u32) -> Result<Self, Error> {
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let text = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
        Ok(parse_stat(&text).unwrap_or_default())
    }
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// What is resident now (`VmRSS`).
    pub resident: u64,
    /// The most that was ever resident (`VmHWM`).
    pub resident_peak: u64,
    /// What Envoy's allocator has given out; V8's heap is not in it.
    pub allocated: u64,
    /// What Envoy's allocator holds in all.
    pub heap: u64,
}

impl Memory {
    pub(super) fn resident_of(pid: u32) -> Result<Self, Error> {
        let path = PathBuf::from(format!("/proc/{pid}/status"));
        let text = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
        let field = |name| status_field(&text, name).unwrap_or_default();
        Ok(Self {
            resident: field("VmRSS"),
            resident_peak: field("VmHWM"),
            ..Self::default()
        })
    }
}

/// proc(5): the second field, the name, is in parentheses and can hold anything; the 14th
/// and the 15th are user and system time.
fn parse_stat(text: &str) -> Option<CpuTime> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields
        .split_whitespace()
        .skip(11)
        .map(|ticks| ticks.parse().ok());
    let mut next = || Some(TICK.saturating_mul(times.next()??));
    Some(CpuTime {
        user: next()?,
        system: next()?,
    })
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn status_field(text: &str, name: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let line = "7 (a) 1 (b) S 1 7 7 0 -1 4194560 1 0 0 0 250 30 0 0 20 0 9 0 5 1 1";
        let expected = CpuTime {
            user: Duration::from_millis(2500),
            system: Duration::from_millis(300),
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(
            status_field("Name:\tx\nVmRSS:\t    1234 kB\n", "VmRSS"),
            Some(1_263_616)
        );
        assert_eq!(status_field("Name:\tx\n", "VmRSS"), None);
    }

    #[test]
    fn this_process_has_both() {
        assert!(CpuTime::of(std::process::id()).is_ok());
        assert!(Memory::resident_of(std::process::id()).unwrap().resident > 0);
    }
}
