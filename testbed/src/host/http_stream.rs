//! An HTTP stream as a test holds it.

use std::sync::{Arc, Mutex};

use super::attributes::StreamAttributes;
use super::clock::Clock;
use super::context::{Client, ContextId, Flow, Http, Kind, Side};
use super::error::StreamError;
use super::filter_state::FilterState;
use super::headers::{HeaderKind, Headers};
use super::instance::Instance;
use super::outcome::{LocalReply, Message, Outcome};
use super::plugin::Place;
use super::properties::{Path, Phase};
use super::value::Value;
use super::vm::{lock, watch};

/// An HTTP stream: a request and its response on their way through the filter.
///
/// The methods named after parts of messages let that part arrive at the filter, and say
/// what has become of its direction. A test delivers them as a proxy would: headers, body
/// frames, trailers, once the message has not ended before. What arrives after the stream was
/// answered or reset is dropped, as in a proxy.
///
/// When it is dropped, a stream that was not [finished](Self::finish) finishes.
pub struct HttpStream {
    instance: Arc<Mutex<Instance>>,
    id: ContextId,
}

impl HttpStream {
    pub(crate) fn open(place: Place, mut attributes: StreamAttributes, clock: &Clock) -> Self {
        attributes.settle(Phase::RequestBody);
        let StreamAttributes {
            properties,
            connection,
            buffer_limit,
            ..
        } = attributes;
        let id = place.insert(Kind::Http(Box::new(Http {
            properties,
            connection,
            filter_state: FilterState::default(),
            buffer_limit,
            started: clock.now_nanos(),
            phase: Phase::RequestHeaders,
            request: Flow::default(),
            response: Flow::default(),
            last_frame_ended: false,
            decoding: false,
            reply: None,
            prepared: None,
            replaced: false,
            failed: false,
            bypassed: place.bypassed,
            client: Client::default(),
            details: None,
            reset: false,
            logging: false,
            route_cache_cleared: 0,
        })));
        Self {
            instance: place.instance,
            id,
        }
    }

    /// The stream's context id.
    pub fn context_id(&self) -> u32 {
        self.id
    }

    /// The request headers arrive, `:method`, `:path` and `:authority` among them.
    /// `end_of_stream` says that nothing follows.
    ///
    /// # Errors
    /// If the filter traps, or a request has come before.
    pub fn request_headers<N, V>(
        &self,
        headers: &[(N, V)],
        end_of_stream: bool,
    ) -> Result<Outcome, StreamError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let headers = Headers::new(HeaderKind::Request, headers);
        self.deliver(
            "request_headers",
            Side::Request,
            Part::Headers,
            |instance, id, side| {
                instance.on_headers_arrived(id, side, headers, end_of_stream);
            },
        )
    }

    /// A frame of the request body arrives.
    ///
    /// # Errors
    /// If the filter traps, or the request has not begun or has ended.
    pub fn request_body(
        &self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, StreamError> {
        let data = data.as_ref().to_vec();
        self.deliver(
            "request_body",
            Side::Request,
            Part::Rest,
            |instance, id, side| {
                instance.on_data_arrived(id, side, data, end_of_stream);
            },
        )
    }

    /// The request trailers arrive and end the request.
    ///
    /// # Errors
    /// If the filter traps, or the request has not begun or has ended.
    pub fn request_trailers<N, V>(&self, trailers: &[(N, V)]) -> Result<Outcome, StreamError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let trailers = Headers::new(HeaderKind::Trailers, trailers);
        self.deliver(
            "request_trailers",
            Side::Request,
            Part::Rest,
            |instance, id, side| {
                instance.on_trailers_arrived(id, side, trailers);
            },
        )
    }

    /// The response headers arrive from the upstream, `:status` among them.
    ///
    /// # Errors
    /// If the filter traps, there was no request, or a response has come before.
    pub fn response_headers<N, V>(
        &self,
        headers: &[(N, V)],
        end_of_stream: bool,
    ) -> Result<Outcome, StreamError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let headers = Headers::new(HeaderKind::Response, headers);
        self.deliver(
            "response_headers",
            Side::Response,
            Part::Headers,
            |instance, id, side| {
                if let Some(http) = instance.http_mut(id) {
                    http.details.get_or_insert_with(|| b"via_upstream".to_vec());
                }
                instance.on_headers_arrived(id, side, headers, end_of_stream);
            },
        )
    }

    /// A frame of the response body arrives.
    ///
    /// # Errors
    /// If the filter traps, or the response has not begun or has ended.
    pub fn response_body(
        &self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, StreamError> {
        let data = data.as_ref().to_vec();
        self.deliver(
            "response_body",
            Side::Response,
            Part::Rest,
            |instance, id, side| {
                instance.on_data_arrived(id, side, data, end_of_stream);
            },
        )
    }

    /// The response trailers arrive and end the response.
    ///
    /// # Errors
    /// If the filter traps, or the response has not begun or has ended.
    pub fn response_trailers<N, V>(&self, trailers: &[(N, V)]) -> Result<Outcome, StreamError>
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let trailers = Headers::new(HeaderKind::Trailers, trailers);
        self.deliver(
            "response_trailers",
            Side::Response,
            Part::Rest,
            |instance, id, side| {
                instance.on_trailers_arrived(id, side, trailers);
            },
        )
    }

    /// The stream ends, complete or not: `proxy_on_log`, `proxy_on_done`, `proxy_on_delete`.
    /// What it was can still be asked.
    ///
    /// # Errors
    /// If the filter traps.
    pub fn finish(&self) -> Result<(), StreamError> {
        watch(&mut lock(&self.instance), |instance| {
            instance.finish_http(self.id)
        })?;
        Ok(())
    }

    /// What has become of the request, perhaps since it was last asked.
    pub fn request_outcome(&self) -> Outcome {
        lock(&self.instance).http_outcome(self.id, Side::Request)
    }

    /// What has become of the response.
    pub fn response_outcome(&self) -> Outcome {
        lock(&self.instance).http_outcome(self.id, Side::Response)
    }

    /// The proxy's own answer, if it has answered.
    pub fn local_reply(&self) -> Option<LocalReply> {
        self.with(Http::local_reply).flatten()
    }

    /// The request as far as the upstream has got it.
    pub fn upstream_request(&self) -> Message {
        self.with(|http| http.request.passed.clone())
            .unwrap_or_default()
    }

    /// The response as far as the client has got it, from the upstream or from the proxy.
    pub fn downstream_response(&self) -> Message {
        self.with(|http| http.sent().clone()).unwrap_or_default()
    }

    /// `%RESPONSE_CODE_DETAILS%`, such as `via_upstream` or what a local reply says.
    pub fn response_code_details(&self) -> Option<Vec<u8>> {
        self.with(|http| http.details.clone()).flatten()
    }

    /// A filter state object of the stream or its connection: `wasm.KEY` for what a filter has
    /// set as the property `KEY`.
    pub fn filter_state(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let key = key.as_ref();
        self.with(|http| match http.filter_state.get(key) {
            Some(value) => Some(value.to_vec()),
            None => http.connection.filter_state(key),
        })
        .flatten()
    }

    /// Changes a property from now on: what the proxy learns while the stream runs.
    pub fn set_property(&self, path: impl Into<Path>, value: impl Into<Value>) {
        if let Some(http) = lock(&self.instance).http_mut(self.id) {
            http.properties.set(path.into(), http.phase, value.into());
        }
    }

    /// How often the filter has cleared the route cache.
    pub fn route_cache_cleared(&self) -> u64 {
        self.with(|http| http.route_cache_cleared).unwrap_or(0)
    }

    fn with<T>(&self, look: impl FnOnce(&Http) -> T) -> Option<T> {
        lock(&self.instance).http(self.id).map(look)
    }

    fn deliver(
        &self,
        event: &'static str,
        side: Side,
        part: Part,
        work: impl FnOnce(&mut Instance, ContextId, Side),
    ) -> Result<Outcome, StreamError> {
        let mut instance = lock(&self.instance);
        let http = instance.http_mut(self.id);
        let http = http.ok_or(StreamError::OutOfOrder {
            event,
            reason: "the stream has ended",
        })?;
        // A stream that the proxy has answered gets no response from the upstream.
        let dropped = http.is_over(side) || http.reply.is_some();
        if !dropped {
            if let Some(reason) = forbidden(http, side, part) {
                return Err(StreamError::OutOfOrder { event, reason });
            }
            watch(&mut instance, |instance| work(instance, self.id, side))?;
        }
        Ok(instance.http_outcome(self.id, side))
    }
}

/// What of a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Headers,
    Rest,
}

fn forbidden(http: &Http, side: Side, part: Part) -> Option<&'static str> {
    let flow = http.flow(side);
    match (side, part) {
        (_, Part::Headers) if flow.headers.is_some() => Some("there were headers before"),
        (_, Part::Rest) if flow.headers.is_none() => Some("there were no headers before"),
        (_, Part::Rest) if flow.end_seen => Some("the message has ended"),
        (Side::Response, _) if http.request.headers.is_none() => Some("there was no request"),
        _ => None,
    }
}

impl Drop for HttpStream {
    fn drop(&mut self) {
        let mut instance = lock(&self.instance);
        instance.finish_http(self.id);
        instance.host_mut().ended.remove(&self.id);
    }
}

impl std::fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpStream")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
