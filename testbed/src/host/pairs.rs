//! The wire form of header maps, and of maps and lists in properties.
//!
//! All numbers are 32 bits little-endian: the count, then for each pair the length of its
//! name and of its value, then for each pair its name, a NUL, its value and a NUL (the
//! lengths do not count the NUL).

/// No more bytes than this are taken from a filter, as in Envoy.
const MAX_BYTES: usize = 1024 * 1024;
/// No more pairs than this are taken from a filter, as in Envoy.
const MAX_PAIRS: usize = 1024;

/// A name and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Encodes pairs.
pub(crate) fn encode<'a, I>(pairs: I) -> Vec<u8>
where
    I: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    let count = pairs.clone().count();
    let bytes: usize = pairs.clone().map(|(n, v)| n.len() + v.len() + 10).sum();
    let mut out = Vec::with_capacity(4 + bytes);
    out.extend_from_slice(&length(count).to_le_bytes());
    for (name, value) in pairs.clone() {
        out.extend_from_slice(&length(name.len()).to_le_bytes());
        out.extend_from_slice(&length(value.len()).to_le_bytes());
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

/// Decodes what a filter sent. Like Envoy's host this takes malformed input for an empty
/// map: the ABI has no way to refuse it.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Pair> {
    if bytes.len() > MAX_BYTES {
        return Vec::new();
    }
    decode_exact(bytes).unwrap_or_default()
}

fn decode_exact(bytes: &[u8]) -> Option<Vec<Pair>> {
    let (count, rest) = number(bytes)?;
    if count > MAX_PAIRS {
        return None;
    }
    let (mut lengths, mut data) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_length, rest) = number(lengths)?;
        let (value_length, rest) = number(rest)?;
        lengths = rest;
        let (name, rest) = terminated(data, name_length)?;
        let (value, rest) = terminated(rest, value_length)?;
        data = rest;
        pairs.push((name.to_vec(), value.to_vec()));
    }
    data.is_empty().then_some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

fn terminated(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let (nul, rest) = rest.split_first()?;
    (*nul == 0).then_some((text, rest))
}

/// A length as the ABI writes it. Nothing longer than 4 GiB fits into a filter's memory.
pub(crate) fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Pair> {
        vec![
            (b":path".to_vec(), b"/a?b".to_vec()),
            (b"x-bytes".to_vec(), vec![0xff, 0, 0xfe]),
            (b"empty".to_vec(), Vec::new()),
        ]
    }

    fn encoded(pairs: &[Pair]) -> Vec<u8> {
        encode(pairs.iter().map(|(n, v)| (n.as_slice(), v.as_slice())))
    }

    #[test]
    fn pairs_survive_the_round_trip() {
        assert_eq!(decode(&encoded(&sample())), sample());
        assert_eq!(encoded(&[]), [0, 0, 0, 0]);
    }

    #[test]
    fn the_layout_is_the_one_of_the_specification() {
        let bytes = encoded(&[(b"a".to_vec(), b"bc".to_vec())]);
        assert_eq!(
            bytes,
            [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'a', 0, b'b', b'c', 0]
        );
    }

    #[test]
    fn whatever_is_not_exactly_a_map_is_an_empty_map() {
        let good = encoded(&sample());
        for cut in 0..good.len() {
            assert_eq!(decode(&good[..cut]), Vec::new(), "cut at {cut}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(decode(&longer), Vec::new());
        let mut unterminated = good;
        *unterminated.last_mut().unwrap() = 1;
        assert_eq!(decode(&unterminated), Vec::new());
        assert_eq!(decode(&[0xff; 64]), Vec::new());
    }

    #[test]
    fn the_limits_are_envoys() {
        let many: Vec<Pair> = (0..=MAX_PAIRS)
            .map(|_| (b"n".to_vec(), Vec::new()))
            .collect();
        assert_eq!(decode(&encoded(&many)), Vec::new());
        assert_eq!(decode(&encoded(&many[1..])).len(), MAX_PAIRS);
        let large = vec![(b"n".to_vec(), vec![b'v'; MAX_BYTES])];
        assert_eq!(decode(&encoded(&large)), Vec::new());
    }
}
