//! The framing of gRPC messages on HTTP/2: a flag byte, a big-endian length, the message.
//!
//! The rig speaks gRPC without protobuf: to a firewall a message is opaque, and what it
//! decides on (the path, the headers, the trailers) is all HTTP. The format is that of
//! the gRPC document "gRPC over HTTP2", section "Length-Prefixed-Message".

use bytes::{BufMut, Bytes, BytesMut};

/// Why bytes are not a sequence of gRPC messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end within a message.
    #[error("a gRPC message is cut short")]
    Truncated,
    /// The compressed flag is set; the rig negotiates no compression.
    #[error("a gRPC message is compressed")]
    Compressed,
}

const PREFIX: usize = 5;

/// Frames one message of at most 4 GiB; a longer one is cut there.
#[must_use]
pub fn encode(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = BytesMut::with_capacity(PREFIX.saturating_add(message.len()));
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put(message);
    frame.freeze()
}

/// Takes the first complete message off the front of `buffer`; none if it has not
/// arrived in full.
///
/// # Errors
///
/// [`FrameError::Compressed`].
pub fn decode_next(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(&[flag, a, b, c, d]) = buffer.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    if flag != 0 {
        return Err(FrameError::Compressed);
    }
    let Ok(length) = usize::try_from(u32::from_be_bytes([a, b, c, d])) else {
        return Ok(None);
    };
    let end = PREFIX.saturating_add(length);
    if buffer.len() < end {
        return Ok(None);
    }
    Ok(Some(buffer.split_to(end).split_off(PREFIX).freeze()))
}

/// All messages of a complete body.
///
/// # Errors
///
/// If the body ends within a message or one is compressed.
pub fn decode_all(body: &[u8]) -> Result<Vec<Bytes>, FrameError> {
    let mut buffer = BytesMut::from(body);
    let mut messages = Vec::new();
    while let Some(message) = decode_next(&mut buffer)? {
        messages.push(message);
    }
    if buffer.is_empty() {
        Ok(messages)
    } else {
        Err(FrameError::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_order() {
        let body = [encode(b"one"), encode(b""), encode(b"three")].concat();
        assert_eq!(decode_all(&body).unwrap(), ["one", "", "three"]);
    }

    #[test]
    fn a_cut_message_is_an_error_at_every_length() {
        let body = encode(b"one");
        for length in 1..body.len() {
            assert_eq!(
                decode_all(&body[..length]),
                Err(FrameError::Truncated),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn a_compressed_message_is_an_error() {
        assert_eq!(decode_all(&[1, 0, 0, 0, 0]), Err(FrameError::Compressed));
    }
}
