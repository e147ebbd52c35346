//! The little of protobuf that Envoy's host functions need: the fields of a message.

/// A field's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2: a string, bytes or a message.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5: numbers of fixed size, of which nothing here has use.
    Fixed,
}

/// The fields of a message in their order, by number; `None` if these bytes are none.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = varint(bytes)?;
        let number = key >> 3;
        if number == 0 || number >= 1 << 29 {
            return None;
        }
        let (field, rest) = match key & 7 {
            0 => varint(rest).map(|(value, rest)| (Field::Varint(value), rest))?,
            1 => (Field::Fixed, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let (content, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Field::Bytes(content), rest)
            }
            5 => (Field::Fixed, rest.get(4..)?),
            _ => return None,
        };
        bytes = rest;
        fields.push((number, field));
    }
    Some(fields)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_out_in_order() {
        let bytes = [0x0a, 2, b'u', b'p', 0x10, 0x96, 0x01, 0x1d, 1, 2, 3, 4];
        assert_eq!(
            fields(&bytes),
            Some(vec![
                (1, Field::Bytes(b"up")),
                (2, Field::Varint(150)),
                (3, Field::Fixed)
            ])
        );
        assert_eq!(fields(b""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b"nope"[..],
            b"up",
            &[0x0a],
            &[0x0a, 5, 1],
            &[0xff; 11],
            &[0x00, 0x00],
        ] {
            assert_eq!(fields(bytes), None, "{bytes:?}");
        }
    }
}
