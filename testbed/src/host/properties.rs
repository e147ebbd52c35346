//! Attributes: what a filter can ask its proxy about a connection, a request, itself.
//!
//! A property is named by a path. The host keeps them flat, one value for each path, and
//! answers for the paths between:
//! - the whole of a wrapper such as `connection` has no encoding (status 3); of `metadata`,
//!   which is a message, Envoy has one, but this host has it only if it was set as bytes;
//! - any other inner path is answered as a map of what lies below it.
//!
//! Each value is there from a [`Phase`] on, because much of it is not known from the start.

use std::collections::BTreeMap;

use super::status::Status;
use super::value::Value;

/// The names at the first place of a path whose whole has no encoding.
const WRAPPERS: [&[u8]; 10] = [
    b"connection",
    b"destination",
    b"filter_state",
    b"metadata",
    b"request",
    b"response",
    b"source",
    b"upstream",
    b"upstream_filter_state",
    b"xds",
];

/// How far a stream has come. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Phase {
    /// From the start: the new connection of a network filter. TLS facts are not there yet.
    #[default]
    NewConnection,
    /// The first data of a TCP connection, in either direction.
    Data,
    /// Request headers, and the creation of the HTTP context.
    RequestHeaders,
    /// Request body.
    RequestBody,
    /// Request trailers.
    RequestTrailers,
    /// Response headers.
    ResponseHeaders,
    /// Response body.
    ResponseBody,
    /// Response trailers.
    ResponseTrailers,
    /// The end: `proxy_on_log` and what follows.
    Log,
}

/// The path of a property.
///
/// From a string it is split at the dots: `"source.address"`. A name that contains dots
/// needs an array: `["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<u8>);

impl Path {
    /// The path as a filter sends it: names with NUL bytes between.
    pub(crate) fn from_wire(bytes: &[u8]) -> Self {
        Self(bytes.strip_suffix(b"\0").unwrap_or(bytes).to_vec())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == 0)
    }
}

impl From<&str> for Path {
    fn from(dotted: &str) -> Self {
        Self(
            dotted
                .bytes()
                .map(|byte| if byte == b'.' { 0 } else { byte })
                .collect(),
        )
    }
}

impl From<&[&str]> for Path {
    fn from(names: &[&str]) -> Self {
        Self(names.join("\0").into_bytes())
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(names: [&str; N]) -> Self {
        Self::from(&names[..])
    }
}

/// A set of properties.
#[derive(Debug, Clone, Default)]
pub(crate) struct Properties {
    values: BTreeMap<Path, Vec<(Phase, Value)>>,
}

impl Properties {
    /// Sets a value that holds from a phase on. Values of one path for several phases stand
    /// beside each other; the latest phase that has come holds.
    pub(crate) fn set(&mut self, path: Path, from: Phase, value: Value) {
        let values = self.values.entry(path).or_default();
        values.retain(|(phase, _)| *phase != from);
        values.push((from, value));
        values.sort_by_key(|(phase, _)| *phase);
    }

    /// What a filter receives for a path in a phase. `None` means that this set says nothing
    /// about it.
    pub(crate) fn get(&self, path: &Path, phase: Phase) -> Option<Result<Vec<u8>, Status>> {
        if let Some(value) = self.exact(path, phase) {
            return Some(Ok(value.encode()));
        }
        if let Some(value) = self.inside(path, phase) {
            return Some(Ok(value.encode()));
        }
        if is_wrapper(path) {
            let known = self.below(path, phase).next().is_some();
            return known.then_some(Err(Status::SerializationFailure));
        }
        self.assembled(path, phase).map(|value| Ok(value.encode()))
    }

    fn exact(&self, path: &Path, phase: Phase) -> Option<&Value> {
        let values = self.values.get(path)?;
        values
            .iter()
            .rev()
            .find(|(from, _)| *from <= phase)
            .map(|(_, value)| value)
    }

    /// A value inside a map or a list that was set as a whole.
    fn inside(&self, path: &Path, phase: Phase) -> Option<&Value> {
        let mut bytes = path.as_bytes();
        let mut keys = Vec::new();
        while let Some(at) = bytes.iter().rposition(|byte| *byte == 0) {
            let (head, key) = bytes.split_at_checked(at)?;
            keys.push(key.strip_prefix(b"\0").unwrap_or(key));
            bytes = head;
            if let Some(whole) = self.exact(&Path(head.to_vec()), phase) {
                return keys
                    .iter()
                    .rev()
                    .try_fold(whole, |value, key| value.step(key));
            }
        }
        None
    }

    /// What lies below a path: the rest of each path, and its value.
    fn below<'a>(
        &'a self,
        path: &Path,
        phase: Phase,
    ) -> impl Iterator<Item = (&'a [u8], &'a Value)> {
        let mut prefix = path.as_bytes().to_vec();
        prefix.push(0);
        let start = Path(prefix.clone());
        self.values
            .range(start..)
            .map_while(move |(path, values)| {
                let rest = path.as_bytes().strip_prefix(prefix.as_slice())?;
                let value = values.iter().rev().find(|(from, _)| *from <= phase);
                Some(value.map(|(_, value)| (rest, value)))
            })
            .flatten()
    }

    /// A map made of what lies below a path.
    fn assembled(&self, path: &Path, phase: Phase) -> Option<Value> {
        let mut entries: Vec<(Vec<u8>, Value)> = Vec::new();
        for (rest, value) in self.below(path, phase) {
            let key = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            if key.len() == rest.len() {
                entries.push((key.to_vec(), value.clone()));
            } else if entries.last().is_none_or(|(last, _)| last != key) {
                let mut inner = path.as_bytes().to_vec();
                inner.push(0);
                inner.extend_from_slice(key);
                entries.push((key.to_vec(), self.assembled(&Path(inner), phase)?));
            }
        }
        (!entries.is_empty()).then_some(Value::Map(entries))
    }
}

/// Whether a path is one name whose whole has no encoding.
pub(crate) fn is_wrapper(path: &Path) -> bool {
    WRAPPERS.contains(&path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::pairs;

    fn sample() -> Properties {
        let mut properties = Properties::default();
        let mut set = |path: Path, phase, value: Value| properties.set(path, phase, value);
        set(
            "source.address".into(),
            Phase::NewConnection,
            "10.0.0.1:1".into(),
        );
        set("source.port".into(), Phase::NewConnection, 1_i64.into());
        set("connection.mtls".into(), Phase::NewConnection, false.into());
        set("connection.mtls".into(), Phase::Data, true.into());
        set(
            "xds.node.metadata.NAME".into(),
            Phase::NewConnection,
            "pod-1".into(),
        );
        set(
            "xds.node.metadata.LABELS.app".into(),
            Phase::NewConnection,
            "shop".into(),
        );
        set(
            ["metadata", "filter_metadata", "a.b", "claims"].into(),
            Phase::RequestHeaders,
            Value::Map(vec![(
                b"aud".to_vec(),
                Value::List(vec!["x".into(), "y".into()]),
            )]),
        );
        properties
    }

    fn get(path: impl Into<Path>, phase: Phase) -> Option<Result<Vec<u8>, Status>> {
        sample().get(&path.into(), phase)
    }

    #[test]
    fn a_value_is_there_from_its_phase_on() {
        assert_eq!(
            get("source.port", Phase::NewConnection),
            Some(Ok(vec![1, 0, 0, 0, 0, 0, 0, 0]))
        );
        assert_eq!(
            get("connection.mtls", Phase::NewConnection),
            Some(Ok(vec![0]))
        );
        assert_eq!(get("connection.mtls", Phase::Data), Some(Ok(vec![1])));
        assert_eq!(get("connection.mtls", Phase::Log), Some(Ok(vec![1])));
        let claims = ["metadata", "filter_metadata", "a.b", "claims"];
        assert_eq!(get(claims, Phase::Data), None);
        assert!(get(claims, Phase::RequestHeaders).is_some());
        assert_eq!(get("source.nothing", Phase::Log), None);
        assert_eq!(get("nothing", Phase::Log), None);
    }

    #[test]
    fn a_whole_wrapper_has_no_encoding() {
        for wrapper in ["source", "connection", "xds"] {
            assert_eq!(
                get(wrapper, Phase::Log),
                Some(Err(Status::SerializationFailure)),
                "{wrapper}"
            );
        }
    }

    #[test]
    fn an_inner_path_is_a_map_of_what_lies_below() {
        let metadata = get("xds.node.metadata", Phase::Log).unwrap().unwrap();
        let pairs = pairs::decode(&metadata);
        assert_eq!(pairs[0].0, b"LABELS");
        assert_eq!(
            pairs::decode(&pairs[0].1),
            [(b"app".to_vec(), b"shop".to_vec())]
        );
        assert_eq!(pairs[1], (b"NAME".to_vec(), b"pod-1".to_vec()));
    }

    #[test]
    fn a_path_leads_into_maps_and_lists() {
        let path = ["metadata", "filter_metadata", "a.b", "claims", "aud", "1"];
        assert_eq!(get(path, Phase::Log), Some(Ok(b"y".to_vec())));
        let path = ["metadata", "filter_metadata", "a.b", "claims", "aud", "2"];
        assert_eq!(get(path, Phase::Log), None);
        assert_eq!(get("source.address.more", Phase::Log), None);
    }

    #[test]
    fn a_path_on_the_wire_may_end_with_nul() {
        assert_eq!(
            Path::from_wire(b"source\0address\0"),
            "source.address".into()
        );
    }
}
