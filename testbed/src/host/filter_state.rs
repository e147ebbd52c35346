//! Filter state: what filters leave on a stream or a connection for others to read.

use std::collections::BTreeMap;

use super::status::Status;

/// The prefix of everything that `proxy_set_property` writes.
const WASM_PREFIX: &[u8] = b"wasm.";

/// Objects by key.
#[derive(Debug, Default)]
pub(crate) struct FilterState {
    objects: BTreeMap<Vec<u8>, Object>,
}

#[derive(Debug)]
struct Object {
    value: Vec<u8>,
    read_only: bool,
}

/// How long a property lives, as its filter declared it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Span {
    /// With the stream.
    #[default]
    Stream,
    /// With the downstream connection.
    Connection,
}

impl Span {
    /// Envoy's `LifeSpan`: 0 is the filter chain, 1 the request, 2 the connection.
    pub(crate) fn from_code(code: u64) -> Self {
        if code == 2 {
            Self::Connection
        } else {
            Self::Stream
        }
    }
}

/// A property that a filter has declared before it sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Declaration {
    pub(crate) read_only: bool,
    pub(crate) span: Span,
}

impl FilterState {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.objects.get(key).map(|object| object.value.as_slice())
    }

    /// Sets an object of any name.
    pub(crate) fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.objects.insert(
            key,
            Object {
                value,
                read_only: false,
            },
        );
    }

    /// Writes what a filter sets as `name`. A read-only property takes its first value only.
    pub(crate) fn set_property(
        &mut self,
        name: &[u8],
        value: &[u8],
        read_only: bool,
    ) -> Result<(), Status> {
        match self.objects.get_mut(&wasm_key(name)) {
            Some(object) if object.read_only => return Err(Status::BadArgument),
            Some(object) => object.value = value.to_vec(),
            None => {
                let object = Object {
                    value: value.to_vec(),
                    read_only,
                };
                self.objects.insert(wasm_key(name), object);
            }
        }
        Ok(())
    }

    pub(crate) fn contains_property(&self, name: &[u8]) -> bool {
        self.objects.contains_key(&wasm_key(name))
    }
}

/// The key under which what a filter sets as `name` is kept.
pub(crate) fn wasm_key(name: &[u8]) -> Vec<u8> {
    [WASM_PREFIX, name].concat()
}
