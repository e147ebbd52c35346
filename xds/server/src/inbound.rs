//! Messages of gRPC out of the body of a request.
//!
//! A stream that is idle holds no buffer: a message is cut out of what came, and what is left of
//! the buffer is freed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use meshwall_xds_protocol::Request;
use tonic::Status;

use crate::method::Variant;
use crate::proto;

/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

pub(crate) struct Inbound {
    body: Incoming,
    buffer: BytesMut,
    variant: Variant,
    /// Bytes that a message may have.
    limit: usize,
}

impl Inbound {
    pub(crate) fn new(body: Incoming, variant: Variant, limit: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            variant,
            limit,
        }
    }

    /// The next request; none when the client has ended its side of the stream.
    pub(crate) async fn next(&mut self) -> Option<Result<Request, Status>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Request, Status>>> {
        loop {
            match cut(&mut self.buffer, self.limit) {
                Ok(Some(message)) => return Poll::Ready(Some(self.read(message))),
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    let status = Status::cancelled(format!("the stream broke: {error}"));
                    return Poll::Ready(Some(Err(status)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn read(&self, message: Bytes) -> Result<Request, Status> {
        let request = match self.variant {
            Variant::State => proto::state_request(message),
            Variant::Delta => proto::delta_request(message),
        };
        request.map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Takes the first message out of a buffer, if all of it is there.
fn cut(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Status> {
    let Some((&[compressed, a, b, c, d], rest)) = buffer.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if compressed != 0 {
        return Err(Status::unimplemented(
            "compressed messages are not supported",
        ));
    }
    if length > limit {
        return Err(Status::resource_exhausted(format!(
            "a message of {length} bytes, where at most {limit} are allowed"
        )));
    }
    if rest.len() < length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    let message = buffer.split_to(length).freeze();
    if buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[compressed], &length[..], message].concat()
    }

    #[test]
    fn messages_are_cut_wherever_frames_end() {
        let bytes = [frame(0, b"first"), frame(0, b""), frame(0, b"third")].concat();
        for size in 1..=bytes.len() {
            let mut buffer = BytesMut::new();
            let mut messages = Vec::new();
            for frame in bytes.chunks(size) {
                buffer.extend_from_slice(frame);
                while let Some(message) = cut(&mut buffer, 5).unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&b"first"[..], b"", b"third"]);
            assert_eq!(buffer.capacity(), 0);
        }
    }

    #[test]
    fn a_message_is_refused_by_its_length_before_it_is_there() {
        let mut buffer = BytesMut::from(&frame(0, b"123456")[..PREFIX]);
        let status = cut(&mut buffer, 5).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_compressed_message_is_refused() {
        let mut buffer = BytesMut::from(&*frame(1, b"x"));
        assert_eq!(cut(&mut buffer, 5).unwrap_err().code(), Code::Unimplemented);
    }
}
