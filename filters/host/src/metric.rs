//! Metrics: named once, counted by number.
//!
//! Each kind has a type of its own, so that a counter is not set and a histogram not
//! incremented. Numbers belong to the VM, not to a root context: they outlive a configuration.

use std::collections::BTreeMap;

use crate::Status;
use crate::ports::Metrics;

/// Only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter(pub(crate) u32);

/// Goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gauge(pub(crate) u32);

/// A distribution of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Histogram(pub(crate) u32);

/// The counters of a VM, by name.
///
/// A policy change configures the same VM again, and a proxy gives a name that it has seen a
/// new number and keeps the old one: without this, every change would leak one number for each
/// counter, and cost a call to the proxy.
#[derive(Debug, Default)]
pub struct CounterCache {
    by_name: BTreeMap<Box<str>, Counter>,
}

impl CounterCache {
    /// No counters yet.
    pub const fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
        }
    }

    /// The counter of this name, defined if it is new.
    ///
    /// Envoy shows it as `wasmcustom.NAME`, which the Prometheus endpoint strips; labels go
    /// into the name and come out by the bootstrap's `stats_tags`.
    ///
    /// # Errors
    ///
    /// The proxy's status if it refuses a new name.
    pub fn counter<M: Metrics + ?Sized>(
        &mut self,
        proxy: &M,
        name: &str,
    ) -> Result<Counter, Status> {
        if let Some(counter) = self.by_name.get(name) {
            return Ok(*counter);
        }
        let counter = proxy.define_counter(name)?;
        self.by_name.insert(name.into(), counter);
        Ok(counter)
    }
}

#[cfg(test)]
mod tests {
    use super::CounterCache;
    use crate::fake::{HostCall, Proxy};
    use crate::ports::Metrics;

    #[test]
    fn a_name_is_defined_once() {
        let proxy = Proxy::new();
        let mut counters = CounterCache::new();
        let denied = counters.counter(&proxy, "denied").unwrap();
        let allowed = counters.counter(&proxy, "allowed").unwrap();
        assert_ne!(denied, allowed);
        assert_eq!(counters.counter(&proxy, "denied"), Ok(denied));
        proxy.increment_counter(denied, 3).unwrap();
        assert_eq!(proxy.metric("denied"), Some(3));
        assert_eq!(
            proxy.calls(),
            [(HostCall::DefineMetric, 2), (HostCall::IncrementMetric, 1)].into(),
        );
    }
}
