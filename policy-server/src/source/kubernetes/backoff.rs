//! How long to wait after a failure.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Waits that double from failure to failure. Each is shortened by up to a half, at random, so
/// that all who lost the same server do not come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Backoff {
        Backoff {
            shortest,
            longest,
            next: shortest,
        }
    }

    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(self.longest);
        shortened(wait)
    }

    /// The longest wait: for what is not expected to change soon.
    pub(super) fn longest(&self) -> Duration {
        shortened(self.longest)
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        self.next = self.shortest;
    }
}

/// Between a half of it and all.
fn shortened(wait: Duration) -> Duration {
    // Each RandomState has another key.
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 512).unwrap_or_default();
    wait.saturating_mul(1024 - part) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 5);
        for expected in [1, 2, 4, 5, 5] {
            let wait = backoff.next();
            let expected = second * expected;
            assert!(wait > expected / 2 && wait <= expected, "{wait:?}");
        }
        assert!(backoff.longest() > second * 2);
        backoff.reset();
        assert!(backoff.next() <= second);
    }
}
