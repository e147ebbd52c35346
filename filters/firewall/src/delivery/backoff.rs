//! How long to wait before a stream is opened again.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double up to a limit. They are not spread at random: a filter has no source of that.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure.
    pub(crate) fn fail(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        FIRST.saturating_mul(factor).min(LONGEST)
    }

    /// Something worked: the next pause is the first.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        for round in 0..2 {
            let pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
            for pause in pauses {
                assert_eq!(backoff.fail().as_millis(), pause, "round {round}");
            }
            for _ in 0..100 {
                assert_eq!(backoff.fail().as_millis(), 30_000);
            }
            backoff.reset();
        }
    }
}
