//! The virtual clock: time moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a clock stands unless it is told otherwise: 14 November 2023, 22:13:20 UTC.
const DEFAULT_START: u64 = 1_700_000_000 * NANOS_PER_SECOND;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A clock that virtual machines read and that a test sets. Clones show the same time, so
/// that several machines can share one.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// When the clock was made: the origin of monotonic time.
    start: u64,
    /// Nanoseconds since the Unix epoch.
    now: AtomicU64,
}

impl Clock {
    /// A clock that stands at `time`; times before the Unix epoch and after the year 2554
    /// are moved to these limits.
    pub fn at(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at_nanos(nanos(since_epoch))
    }

    /// A clock that stands at this number of nanoseconds since the Unix epoch.
    pub fn at_nanos(now: u64) -> Self {
        Self(Arc::new(Inner {
            start: now,
            now: AtomicU64::new(now),
        }))
    }

    /// Nanoseconds since the Unix epoch.
    pub fn now_nanos(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    /// Nanoseconds since the clock was made.
    pub fn monotonic_nanos(&self) -> u64 {
        self.now_nanos().saturating_sub(self.0.start)
    }

    /// Moves the clock forward. Timers that become due fire when their machine is polled;
    /// [`Vm::advance`](super::Vm::advance) does both.
    pub fn advance(&self, by: Duration) {
        self.advance_to(self.now_nanos().saturating_add(nanos(by)));
    }

    /// Moves the clock to a later time, in nanoseconds since the Unix epoch. It never goes
    /// back.
    pub(crate) fn advance_to(&self, nanos: u64) {
        self.0.now.fetch_max(nanos, Ordering::SeqCst);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::at_nanos(DEFAULT_START)
    }
}

/// A duration in whole nanoseconds, at most what 64 bits hold.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
