//! Foreign functions: what a proxy offers to filters beyond the ABI.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::status::Status;

/// A function of the test: it takes the filter's argument and gives the result, or a status.
pub(crate) type ForeignFunction = dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync;

/// The functions that a test has registered, by name.
#[derive(Clone, Default)]
pub(crate) struct ForeignFunctions(BTreeMap<Vec<u8>, Arc<ForeignFunction>>);

impl ForeignFunctions {
    pub(crate) fn register(&mut self, name: Vec<u8>, function: Arc<ForeignFunction>) {
        self.0.insert(name, function);
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Arc<ForeignFunction>> {
        self.0.get(name).map(Arc::clone)
    }
}

impl fmt::Debug for ForeignFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.keys().map(|name| String::from_utf8_lossy(name)))
            .finish()
    }
}
