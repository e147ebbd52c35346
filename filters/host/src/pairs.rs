//! Pairs: how the ABI serializes header maps, property maps and lists.
//!
//! A count, then the lengths of every name and value, then the names and values, each followed
//! by a NUL; integers are 32 bits, little-endian ("Serialization" in the ABI). Names and values
//! are bytes: a header value may hold anything but NUL, CR and LF, and a map may hold a name
//! more than once.
//!
//! Reading validates all of it once, in one pass, and then iterates in place: no allocation per
//! header, and nothing to go wrong half-way.

use crate::Status;

/// Envoy silently takes a map with more pairs than this to be empty.
const MAX_ENCODED_PAIRS: usize = 1024;

/// Envoy silently takes a map that serializes to more bytes than this to be empty.
const MAX_ENCODED_BYTES: usize = 1024 * 1024;

/// A serialized map, validated, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    lengths: &'a [[u8; 8]],
    data: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Validates a serialized map. Nothing, and a single zero byte, are empty maps.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`] if lengths and data do not add up, or a NUL is missing.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Status> {
        let pairs = Self::split(bytes).ok_or(Status::Malformed)?;
        let mut walk = pairs.iter();
        let walked = walk.by_ref().count();
        if walked == pairs.len() && walk.data.is_empty() {
            Ok(pairs)
        } else {
            Err(Status::Malformed)
        }
    }

    /// Finds the parts, without a look at what the lengths say.
    fn split(bytes: &'a [u8]) -> Option<Self> {
        if matches!(bytes, [] | [0]) {
            return Some(Self {
                lengths: &[],
                data: &[],
            });
        }
        let (count, rest) = bytes.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (lengths, data) = rest.split_at_checked(count.checked_mul(8)?)?;
        Some(Self {
            lengths: lengths.as_chunks().0,
            data,
        })
    }

    /// Every name and value, in the proxy's order.
    pub fn iter(&self) -> Iter<'a> {
        Iter {
            lengths: self.lengths.iter(),
            data: self.data,
        }
    }

    /// Every value under this name, in the proxy's order. Proxies give header names in lower
    /// case; the comparison is exact.
    pub fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

impl<'a> IntoIterator for &Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over the names and values of [`Pairs`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    lengths: std::slice::Iter<'a, [u8; 8]>,
    data: &'a [u8],
}

impl<'a> Iter<'a> {
    fn terminated(&mut self, len: [u8; 4]) -> Option<&'a [u8]> {
        let len = usize::try_from(u32::from_le_bytes(len)).ok()?;
        let (value, rest) = self.data.split_at_checked(len)?;
        self.data = rest.strip_prefix(&[0])?;
        Some(value)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [a, b, c, d, e, f, g, h] = *self.lengths.next()?;
        Some((
            self.terminated([a, b, c, d])?,
            self.terminated([e, f, g, h])?,
        ))
    }
}

/// A whole header map: one call to the proxy, one buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct HeaderMap {
    bytes: Vec<u8>,
}

impl HeaderMap {
    /// Validates what the proxy handed over.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`], as [`Pairs::parse`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Status> {
        Pairs::parse(&bytes)?;
        Ok(Self { bytes })
    }

    /// The pairs in place.
    pub fn pairs(&self) -> Pairs<'_> {
        Pairs::split(&self.bytes).unwrap_or(Pairs {
            lengths: &[],
            data: &[],
        })
    }

    /// Every name and value, in the proxy's order. HTTP pseudo-headers (`:path`, `:method`,
    /// `:authority`, `:scheme`) are among them.
    pub fn iter(&self) -> Iter<'_> {
        self.pairs().iter()
    }

    /// Every value under a lower-case name, in the proxy's order. A policy must consider all:
    /// a peer that repeats a header must not evade a rule.
    pub fn values<'a, 'n>(
        &'a self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.pairs().values(name)
    }

    /// How many headers there are, each repetition counted.
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// Size of the serialized map in bytes: what keeping it costs.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none; also what Envoy answers where the map does not exist.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> IntoIterator for &'a HeaderMap {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Serializes names and values for the proxy. No pairs are no bytes.
///
/// # Errors
///
/// [`Status::BadArgument`] for more than 1,024 pairs or 1 MiB: beyond either, Envoy would drop
/// all of them and report success.
pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Result<Vec<u8>, Status> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    if pairs.len() > MAX_ENCODED_PAIRS {
        return Err(Status::BadArgument);
    }
    let mut bytes = Vec::new();
    bytes.extend(length(pairs.len())?);
    for (name, value) in pairs {
        bytes.extend(length(name.as_ref().len())?);
        bytes.extend(length(value.as_ref().len())?);
    }
    for (name, value) in pairs {
        for part in [name.as_ref(), value.as_ref()] {
            if bytes.len() + part.len() >= MAX_ENCODED_BYTES {
                return Err(Status::BadArgument);
            }
            bytes.extend(part);
            bytes.push(0);
        }
    }
    Ok(bytes)
}

fn length(len: usize) -> Result<[u8; 4], Status> {
    u32::try_from(len)
        .map(u32::to_le_bytes)
        .map_err(|_| Status::BadArgument)
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, Pairs, encode};
    use crate::Status;

    const NONE: [(&[u8], &[u8]); 0] = [];

    /// The example of the ABI's "Serialization", with its digits as the text says them.
    const EXAMPLE: &[u8] = b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0a\x001\0b\x0022\0";

    #[test]
    fn the_example_of_the_abi() {
        assert_eq!(encode(&[("a", "1"), ("b", "22")]).unwrap(), EXAMPLE);
        let pairs = Pairs::parse(EXAMPLE).unwrap();
        assert_eq!(pairs.len(), 2);
        assert!(pairs.iter().eq([(&b"a"[..], &b"1"[..]), (b"b", b"22")]));
    }

    #[test]
    fn empty_maps_in_all_their_forms() {
        for bytes in [&b""[..], b"\0", b"\0\0\0\0"] {
            let pairs = Pairs::parse(bytes).unwrap();
            assert!(
                pairs.is_empty() && pairs.iter().next().is_none(),
                "{bytes:?}"
            );
        }
        assert_eq!(encode(&NONE).unwrap(), []);
    }

    #[test]
    fn bytes_are_bytes_and_repetitions_stay() {
        let sent: [(&[u8], &[u8]); 5] = [
            (b"x", b"\xff\xfe"),
            (b"", b""),
            (b"x", b"a\0b"),
            (b"X", b"no"),
            (b"x", b""),
        ];
        let bytes = encode(&sent).unwrap();
        let map = HeaderMap::parse(bytes).unwrap();
        assert!(map.iter().eq(sent));
        assert!(map.values(b"x").eq([&b"\xff\xfe"[..], b"a\0b", b""]));
        assert!(map.values(b"y").next().is_none());
    }

    #[test]
    fn every_truncation_and_extension_is_malformed() {
        for len in 1..EXAMPLE.len() {
            assert_eq!(
                Pairs::parse(&EXAMPLE[..len]).unwrap_err(),
                Status::Malformed,
                "{len}"
            );
        }
        let longer = [EXAMPLE, b"\0"].concat();
        assert_eq!(Pairs::parse(&longer).unwrap_err(), Status::Malformed);
    }

    #[test]
    fn no_byte_value_anywhere_panics_or_reads_outside() {
        for at in 0..EXAMPLE.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = EXAMPLE.to_vec();
                bytes[at] = byte;
                if let Ok(pairs) = Pairs::parse(&bytes) {
                    assert_eq!(pairs.iter().count(), pairs.len());
                }
            }
        }
    }

    #[test]
    fn lengths_that_overflow_are_malformed() {
        for bytes in [
            &b"\xff\xff\xff\xff"[..],
            b"\xff\xff\xff\x1f\0\0\0\0\0\0\0\0",
            b"\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0a\0b\0",
            b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
        ] {
            assert_eq!(
                Pairs::parse(bytes).unwrap_err(),
                Status::Malformed,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_the_proxy_would_drop_is_refused() {
        let many = vec![("a", "b"); 1025];
        assert_eq!(encode(&many), Err(Status::BadArgument));
        assert!(Pairs::parse(&encode(&many[..1024]).unwrap()).is_ok());

        let largest = vec![b'v'; 1024 * 1024 - 14];
        let bytes = encode(&[("", &largest)]).unwrap();
        assert_eq!(bytes.len(), 1024 * 1024);
        assert_eq!(encode(&[("a", &largest)]), Err(Status::BadArgument));
    }
}
