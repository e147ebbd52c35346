//! What the server tells of itself: a log for operators, and metrics.

mod log;
mod metrics;

pub use self::log::{Format, Level, LogError, UnknownWord, start as start_log, subscriber};
pub use self::metrics::{KindLabels, Metrics, PolicyLabels, ReviewLabels, TypeLabels, copy};
