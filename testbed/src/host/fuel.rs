//! What callbacks cost, in fuel.
//!
//! The engine counts about one unit for each WebAssembly instruction. The count is exact
//! and the same on every machine, so a test can assert it; it does not include the host's
//! own work.

use super::callback::Callback;

/// The cost of a callback so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FuelUse {
    /// How often it was called.
    pub calls: u64,
    /// The fuel that all calls used together.
    pub total: u64,
    /// The fuel that the most expensive call used.
    pub max: u64,
    /// The fuel that the last call used.
    pub last: u64,
}

/// The costs of all callbacks.
#[derive(Debug, Clone, Default)]
pub(crate) struct FuelMeter {
    uses: [FuelUse; Callback::COUNT],
}

impl FuelMeter {
    pub(crate) fn record(&mut self, callback: Callback, used: u64) {
        if let Some(entry) = self.uses.get_mut(callback as usize) {
            let FuelUse {
                calls,
                total,
                max,
                last,
            } = entry;
            *calls += 1;
            *total = total.saturating_add(used);
            *max = (*max).max(used);
            *last = used;
        }
    }

    pub(crate) fn of(&self, callback: Callback) -> FuelUse {
        self.uses
            .get(callback as usize)
            .copied()
            .unwrap_or_default()
    }
}
