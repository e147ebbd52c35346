//! Counters, gauges and histograms that filters define.
//!
//! A registry stands for one proxy's statistics: machines that share it count into the same
//! metric when they define one of the same type and name, as the workers of an Envoy do.
//! Names are as the filter gives them; Envoy shows them with `wasmcustom.` in front.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::status::Status;

/// The metrics of one proxy. Clones are the same registry.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    cells: Vec<Cell>,
    index: BTreeMap<(MetricKind, Vec<u8>), usize>,
}

#[derive(Debug)]
enum Cell {
    Counter(u64),
    Gauge(u64),
    Histogram(Histogram),
}

/// What a histogram has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The number of values.
    pub count: u64,
    /// Their sum, at most what 64 bits hold.
    pub sum: u64,
    /// The smallest value; 0 if there is none.
    pub min: u64,
    /// The largest value.
    pub max: u64,
}

/// The types of metrics, with their numbers in the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// Only grows.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// Records a distribution.
    Histogram = 2,
}

impl MetricKind {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a counter, if a filter has defined it.
    pub fn counter(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.read(MetricKind::Counter, name.as_ref(), |cell| match cell {
            Cell::Counter(value) => Some(*value),
            _ => None,
        })
    }

    /// The value of a gauge, if a filter has defined it.
    pub fn gauge(&self, name: impl AsRef<[u8]>) -> Option<u64> {
        self.read(MetricKind::Gauge, name.as_ref(), |cell| match cell {
            Cell::Gauge(value) => Some(*value),
            _ => None,
        })
    }

    /// What a histogram has recorded, if a filter has defined it.
    pub fn histogram(&self, name: impl AsRef<[u8]>) -> Option<Histogram> {
        self.read(MetricKind::Histogram, name.as_ref(), |cell| match cell {
            Cell::Histogram(histogram) => Some(*histogram),
            _ => None,
        })
    }

    /// The types and names of all metrics, in order.
    pub fn names(&self) -> Vec<(MetricKind, Vec<u8>)> {
        self.lock().index.keys().cloned().collect()
    }

    fn read<T>(
        &self,
        kind: MetricKind,
        name: &[u8],
        value: impl FnOnce(&Cell) -> Option<T>,
    ) -> Option<T> {
        let registry = self.lock();
        let at = registry.index.get(&(kind, name.to_vec()))?;
        value(registry.cells.get(*at)?)
    }

    /// Finds or makes a metric; the result is its place in the registry.
    fn define(&self, kind: MetricKind, name: Vec<u8>) -> usize {
        let mut registry = self.lock();
        let Registry { cells, index } = &mut *registry;
        *index.entry((kind, name)).or_insert_with(|| {
            cells.push(match kind {
                MetricKind::Counter => Cell::Counter(0),
                MetricKind::Gauge => Cell::Gauge(0),
                MetricKind::Histogram => Cell::Histogram(Histogram::default()),
            });
            cells.len() - 1
        })
    }

    fn increment(&self, at: usize, offset: i64) -> Result<(), Status> {
        match self.lock().cells.get_mut(at).ok_or(Status::NotFound)? {
            Cell::Counter(value) => {
                let offset = u64::try_from(offset).unwrap_or(0);
                if offset == 0 {
                    return Err(Status::BadArgument);
                }
                *value = value.wrapping_add(offset);
            }
            Cell::Gauge(value) => *value = value.wrapping_add_signed(offset),
            Cell::Histogram(_) => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn record(&self, at: usize, new: u64) -> Result<(), Status> {
        match self.lock().cells.get_mut(at).ok_or(Status::NotFound)? {
            Cell::Counter(value) => *value = value.wrapping_add(new),
            Cell::Gauge(value) => *value = new,
            Cell::Histogram(histogram) => {
                let Histogram {
                    count,
                    sum,
                    min,
                    max,
                } = histogram;
                *min = if *count == 0 { new } else { (*min).min(new) };
                *max = (*max).max(new);
                *sum = sum.saturating_add(new);
                *count = count.saturating_add(1);
            }
        }
        Ok(())
    }

    fn value(&self, at: usize) -> Result<u64, Status> {
        match self.lock().cells.get(at).ok_or(Status::NotFound)? {
            Cell::Counter(value) | Cell::Gauge(value) => Ok(*value),
            Cell::Histogram(_) => Err(Status::BadArgument),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of one machine, by the numbers that its filter got for them.
///
/// As in Envoy, a number's two lowest bits are the type and each definition gives a new
/// number, also for a name that is already there.
#[derive(Debug)]
pub(crate) struct MetricIds {
    registry: Metrics,
    places: [Vec<usize>; 3],
}

impl MetricIds {
    pub(crate) fn new(registry: Metrics) -> Self {
        Self {
            registry,
            places: Default::default(),
        }
    }

    pub(crate) fn define(&mut self, kind: u32, name: Vec<u8>) -> Result<u32, Status> {
        let kind = MetricKind::from_code(kind).ok_or(Status::BadArgument)?;
        let place = self.registry.define(kind, name);
        let code = kind as u32;
        let places = self.of_kind(code).ok_or(Status::BadArgument)?;
        places.push(place);
        u32::try_from(places.len())
            .ok()
            .and_then(|n| n.checked_mul(4)?.checked_add(code))
            .ok_or(Status::InternalFailure)
    }

    pub(crate) fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        if matches!(
            MetricKind::from_code(id % 4),
            None | Some(MetricKind::Histogram)
        ) {
            return Err(Status::BadArgument);
        }
        let place = self.place(id).ok_or(Status::NotFound)?;
        self.registry.increment(place, offset)
    }

    pub(crate) fn record(&mut self, id: u32, value: u64) -> Result<(), Status> {
        let place = self.place(id).ok_or(Status::NotFound)?;
        self.registry.record(place, value)
    }

    pub(crate) fn value(&mut self, id: u32) -> Result<u64, Status> {
        if matches!(
            MetricKind::from_code(id % 4),
            None | Some(MetricKind::Histogram)
        ) {
            return Err(Status::BadArgument);
        }
        let place = self.place(id).ok_or(Status::NotFound)?;
        self.registry.value(place)
    }

    fn place(&mut self, id: u32) -> Option<usize> {
        let nth = usize::try_from(id / 4).ok()?.checked_sub(1)?;
        self.of_kind(id % 4)?.get(nth).copied()
    }

    fn of_kind(&mut self, code: u32) -> Option<&mut Vec<usize>> {
        self.places.get_mut(usize::try_from(code).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and statuses that Envoy 1.40 gave a filter.
    #[test]
    fn ids_and_statuses_are_envoys() {
        let metrics = Metrics::new();
        let mut ids = MetricIds::new(metrics.clone());
        assert_eq!(ids.define(0, b"ca".to_vec()), Ok(4));
        assert_eq!(ids.define(0, b"ca".to_vec()), Ok(8));
        assert_eq!(ids.define(1, b"ga".to_vec()), Ok(5));
        assert_eq!(ids.define(2, b"ha".to_vec()), Ok(6));
        assert_eq!(ids.define(3, b"xx".to_vec()), Err(Status::BadArgument));
        assert_eq!(ids.increment(4, 5), Ok(()));
        assert_eq!(ids.increment(4, 0), Err(Status::BadArgument));
        assert_eq!(ids.increment(4, -1), Err(Status::BadArgument));
        assert_eq!(ids.record(8, 3), Ok(()));
        assert_eq!(ids.value(4), Ok(8));
        assert_eq!(ids.increment(5, 5), Ok(()));
        assert_eq!(ids.increment(5, -2), Ok(()));
        assert_eq!(ids.record(5, 9), Ok(()));
        assert_eq!(ids.value(5), Ok(9));
        assert_eq!(ids.record(6, 9), Ok(()));
        assert_eq!(ids.increment(6, 1), Err(Status::BadArgument));
        assert_eq!(ids.value(6), Err(Status::BadArgument));
        assert_eq!(ids.increment(4000, 1), Err(Status::NotFound));
        assert_eq!(ids.increment(4001, 1), Err(Status::NotFound));
        assert_eq!(ids.increment(4003, 1), Err(Status::BadArgument));
        assert_eq!(ids.record(4002, 1), Err(Status::NotFound));
        assert_eq!(ids.value(4003), Err(Status::BadArgument));
        assert_eq!(ids.value(0), Err(Status::NotFound));
        assert_eq!(metrics.counter("ca"), Some(8));
        assert_eq!(metrics.gauge("ga"), Some(9));
        assert_eq!(
            metrics.histogram("ha"),
            Some(Histogram {
                count: 1,
                sum: 9,
                min: 9,
                max: 9
            })
        );
        assert_eq!(metrics.counter("ga"), None);
    }
}
