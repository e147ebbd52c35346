//! The values of properties, and the bytes in which a filter receives them.

use super::pairs;

/// The value of a property.
///
/// A filter has to know the type: the bytes do not tell it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A string or bytes; also an encoded protobuf message. Sent as they are. An empty one
    /// looks to a filter as if it were missing.
    Bytes(Vec<u8>),
    /// A signed integer: 8 bytes little-endian. Times are nanoseconds since the Unix epoch,
    /// durations are nanoseconds.
    Int(i64),
    /// An unsigned integer: 8 bytes little-endian.
    Uint(u64),
    /// A double: 8 bytes little-endian. Numbers in metadata have this type.
    Double(f64),
    /// A boolean: one byte, 0 or 1.
    Bool(bool),
    /// A map: a proxy-wasm header map. A path may lead into it by the key.
    Map(Vec<(Vec<u8>, Value)>),
    /// A list: a header map whose names are the elements and whose values are empty. A path
    /// may lead into it by the index in decimal.
    List(Vec<Value>),
}

impl Value {
    /// The bytes that a filter receives.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(n) => n.to_le_bytes().to_vec(),
            Self::Uint(n) => n.to_le_bytes().to_vec(),
            Self::Double(n) => n.to_le_bytes().to_vec(),
            Self::Bool(b) => vec![u8::from(*b)],
            Self::Map(entries) => {
                let encoded: Vec<_> = entries.iter().map(|(k, v)| (k, v.encode())).collect();
                pairs::encode(encoded.iter().map(|(k, v)| (k.as_slice(), v.as_slice())))
            }
            Self::List(elements) => {
                let encoded: Vec<_> = elements.iter().map(Self::encode).collect();
                pairs::encode(encoded.iter().map(|v| (v.as_slice(), &[][..])))
            }
        }
    }

    /// What lies in a map or a list under this key or index.
    pub(crate) fn step(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            Self::List(elements) => {
                let index: usize = std::str::from_utf8(key).ok()?.parse().ok()?;
                elements.get(index)
            }
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Uint(n)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Double(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_encoding() {
        let cases: [(Value, &[u8]); 9] = [
            ("10.0.0.1:80".into(), b"10.0.0.1:80"),
            ("".into(), b""),
            (Value::from(&[0xff, 0][..]), &[0xff, 0]),
            (2_i64.into(), &[2, 0, 0, 0, 0, 0, 0, 0]),
            ((-1_i64).into(), &[0xff; 8]),
            (0x0102_u64.into(), &[2, 1, 0, 0, 0, 0, 0, 0]),
            (true.into(), &[1]),
            (1.0.into(), &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
            (Value::Map(Vec::new()), &[0, 0, 0, 0]),
        ];
        for (value, bytes) in cases {
            assert_eq!(value.encode(), bytes, "{value:?}");
        }
    }

    #[test]
    fn maps_and_lists_are_pairs() {
        let map = Value::Map(vec![(b"k".to_vec(), "kv".into())]);
        assert_eq!(
            pairs::decode(&map.encode()),
            [(b"k".to_vec(), b"kv".to_vec())]
        );
        let list = Value::List(vec!["a".into(), true.into()]);
        assert_eq!(
            pairs::decode(&list.encode()),
            [(b"a".to_vec(), Vec::new()), (vec![1], Vec::new())]
        );
        assert_eq!(list.step(b"1"), Some(&Value::Bool(true)));
        assert_eq!(list.step(b"2"), None);
        assert_eq!(map.step(b"k"), Some(&"kv".into()));
    }
}
