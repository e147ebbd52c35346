//! HTTP/1.1 requests that no proper implementation would send.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;
use super::{Error, Response, within};

/// More headers than this in a response are an error.
const MAX_HEADERS: usize = 128;

/// A connection on which any bytes can be sent in place of a request, and the responses
/// are read.
#[derive(Debug)]
pub struct HostileHttp1 {
    stream: Stream,
    buffer: BytesMut,
    timeout: Duration,
}

impl HostileHttp1 {
    pub(super) fn new(stream: Stream, timeout: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            timeout,
        }
    }

    /// Sends `request` as it is and reads one response. Interim (1xx) responses are
    /// skipped. The body of a response to HEAD is read as if it were there: do not ask.
    ///
    /// # Errors
    ///
    /// If the connection ends without a response, or with something else.
    pub async fn send(&mut self, request: &[u8]) -> Result<Response, Error> {
        let timeout = self.timeout;
        within(timeout, self.converse(request)).await
    }

    async fn converse(&mut self, request: &[u8]) -> Result<Response, Error> {
        let start = Instant::now();
        // A server may refuse before it has read everything, and then close: what it
        // answered counts, not that the rest could not be written.
        let written = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await
        }
        .await;
        let (status, headers) = match self.head().await {
            Ok(head) => head,
            Err(error) => return Err(written.err().map_or(error, Error::from)),
        };
        let body = self.body(status, &headers).await?;
        let trailers = HeaderMap::new();
        Ok(Response {
            status,
            headers,
            body,
            trailers,
            duration: start.elapsed(),
        })
    }

    async fn head(&mut self) -> Result<(u16, HeaderMap), Error> {
        loop {
            if let Some((length, status, headers)) = parse_head(&self.buffer)? {
                self.buffer.advance(length);
                if status >= 200 {
                    return Ok((status, headers));
                }
            } else {
                self.fill().await?;
            }
        }
    }

    async fn body(&mut self, status: u16, headers: &HeaderMap) -> Result<Bytes, Error> {
        if matches!(status, 204 | 304) {
            return Ok(Bytes::new());
        }
        if headers.contains_key(TRANSFER_ENCODING) {
            return self.chunks().await;
        }
        match headers.get(CONTENT_LENGTH).map(HeaderValue::to_str) {
            Some(length) => match length.map(str::parse) {
                Ok(Ok(length)) => self.exactly(length).await,
                _ => Err(malformed("its content-length is not a number")),
            },
            None => self.rest().await,
        }
    }

    async fn chunks(&mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Err(_) => return Err(malformed("the size of a chunk is not a number")),
                Ok(httparse::Status::Partial) => self.fill().await?,
                Ok(httparse::Status::Complete((line, size))) => {
                    self.buffer.advance(line);
                    let size =
                        usize::try_from(size).map_err(|_| malformed("a chunk is too large"))?;
                    body.extend_from_slice(&self.exactly(size).await?);
                    self.exactly(b"\r\n".len()).await?;
                    if size == 0 {
                        return Ok(body.freeze());
                    }
                }
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, Error> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn rest(&mut self) -> Result<Bytes, Error> {
        while self.stream.read_buf(&mut self.buffer).await? > 0 {}
        Ok(self.buffer.split().freeze())
    }

    async fn fill(&mut self) -> Result<(), Error> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }
}

/// The length of a response's head, its status and its headers; none if it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u16, HeaderMap)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Err(error) => return Err(malformed(&error.to_string())),
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(length)) => length,
    };
    let mut map = HeaderMap::new();
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(http::Error::from)?;
        let value = HeaderValue::from_bytes(header.value).map_err(http::Error::from)?;
        map.append(name, value);
    }
    Ok(Some((length, response.code.unwrap_or_default(), map)))
}

fn malformed(reason: &str) -> Error {
    Error::Response {
        reason: reason.to_owned(),
    }
}
