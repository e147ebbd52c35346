//! What reaches root contexts from outside: ticks, queues, answers to their calls.

use super::callback::Callback;
use super::calls::{GrpcAnswer, GrpcEvent, HttpAnswer, HttpResponse};
use super::context::{ContextId, Root};
use super::exports::Call3;
use super::headers::Headers;
use super::instance::Instance;
use super::pairs::length;
use super::status::Status;

const DEADLINE_REACHED: &str = "upstream request timeout";
/// What Envoy 1.40 says when a unary gRPC call has timed out.
const GRPC_DEADLINE_REACHED: (u32, &str) = (14, "upstream request timeout{response_timeout}");

impl Instance {
    /// Delivers one thing that is due: a queue notice, a tick, a deadline. Whether there was
    /// one.
    pub(crate) fn deliver_due(&mut self) -> bool {
        if self.failed() {
            return false;
        }
        self.deliver_notice() || self.deliver_tick() || self.deliver_deadline()
    }

    /// When the next tick or deadline is due, in nanoseconds since the Unix epoch.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let host = self.host();
        let ticks = host
            .contexts
            .values()
            .filter_map(|c| Some(c.root()?.tick?.due));
        let http = host.http_calls.values().filter_map(|call| call.deadline);
        let grpc = host.grpc_calls.values().filter_map(|call| call.deadline);
        ticks.chain(http).chain(grpc).min()
    }

    fn deliver_notice(&mut self) -> bool {
        let host = self.host();
        let Some(notice) = host.shared.next_notice(host.machine) else {
            return false;
        };
        let id = notice.consumer.context;
        if host.contexts.contains_key(&id)
            && let Some(f) = self.exports.on_queue_ready.clone()
        {
            self.call(id, Callback::OnQueueReady, &f, (id, notice.token));
            self.settle();
        }
        true
    }

    fn deliver_tick(&mut self) -> bool {
        let now = self.host().clock.now_nanos();
        let due = |root: &Root| root.tick.map(|tick| tick.due).filter(|due| *due <= now);
        let contexts = self.host().contexts.iter();
        let first = contexts
            .filter_map(|(id, c)| Some((due(c.root()?)?, *id)))
            .min();
        let Some((_, id)) = first else { return false };
        let function = self.exports.on_tick.clone();
        if let Some(f) = &function {
            self.call(id, Callback::OnTick, f, id);
            self.settle();
        }
        if let Some(root) = self.root_mut(id) {
            // Without the callback the timer would fire for nobody.
            root.tick = root.tick.filter(|_| function.is_some());
            if let Some(tick) = &mut root.tick {
                tick.due = now.saturating_add(tick.period);
            }
        }
        true
    }

    /// The proxy answers calls that have waited too long.
    fn deliver_deadline(&mut self) -> bool {
        let host = self.host();
        let now = host.clock.now_nanos();
        let over = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now);
        let http = host
            .http_calls
            .values()
            .find(|call| over(call.deadline))
            .map(|call| call.token);
        if let Some(token) = http {
            let length = DEADLINE_REACHED.len().to_string();
            let headers = [
                ("content-length", length.as_str()),
                ("content-type", "text/plain"),
            ];
            let response = HttpResponse::new(504, &headers, DEADLINE_REACHED);
            return self.answer_http(token, HttpAnswer::Response(response));
        }
        let grpc = host
            .grpc_calls
            .values()
            .find(|call| over(call.deadline))
            .map(|call| call.token);
        grpc.is_some_and(|token| {
            let (status, message) = GRPC_DEADLINE_REACHED;
            let message = message.into();
            self.answer_grpc(token, GrpcAnswer::Failure { status, message })
        })
    }

    /// Ends an HTTP call. Whether it was waiting.
    pub(crate) fn answer_http(&mut self, token: u32, answer: HttpAnswer) -> bool {
        let Some(call) = self.host_mut().http_calls.remove(&token) else {
            return false;
        };
        let id = call.context_id;
        let Some(f) = self.exports.on_http_call_response.clone() else {
            return true;
        };
        let Some(root) = self.root_mut(id) else {
            return true;
        };
        let sizes = match answer {
            HttpAnswer::Response(response) => {
                let sizes = (
                    length(response.headers.len()),
                    length(response.body.len()),
                    length(response.trailers.len()),
                );
                root.http_response = Some(response);
                sizes
            }
            HttpAnswer::Reset => {
                root.status = (Status::BrokenConnection.code(), b"reset".to_vec());
                (0, 0, 0)
            }
        };
        let parameters = (id, token, sizes.0, sizes.1, sizes.2);
        self.call(id, Callback::OnHttpCallResponse, &f, parameters);
        self.after_answer(id, |root| root.http_response = None);
        true
    }

    /// Ends a unary gRPC call. Whether it was waiting.
    pub(crate) fn answer_grpc(&mut self, token: u32, answer: GrpcAnswer) -> bool {
        let Some(call) = self.host_mut().grpc_calls.remove(&token) else {
            return false;
        };
        match answer {
            GrpcAnswer::Message(message) => self.tell_message(call.context_id, token, message),
            GrpcAnswer::Failure { status, message } => {
                self.tell_close(call.context_id, token, status, message);
            }
        }
        true
    }

    /// Something happens on a gRPC stream. Whether the filter still listens to it.
    pub(crate) fn grpc_event(&mut self, token: u32, event: GrpcEvent) -> bool {
        let Some(open) = self.host_mut().grpc_streams.get_mut(&token) else {
            return false;
        };
        if open.closed_by_server {
            return false;
        }
        let id = open.stream.context_id;
        match event {
            GrpcEvent::InitialMetadata(headers) => {
                let callback = Callback::OnGrpcReceiveInitialMetadata;
                let f = self.exports.on_grpc_receive_initial_metadata.clone();
                self.tell_metadata(id, token, callback, f, headers);
            }
            GrpcEvent::TrailingMetadata(headers) => {
                let callback = Callback::OnGrpcReceiveTrailingMetadata;
                let f = self.exports.on_grpc_receive_trailing_metadata.clone();
                self.tell_metadata(id, token, callback, f, headers);
            }
            GrpcEvent::Message(message) => self.tell_message(id, token, message),
            GrpcEvent::Close { status, message } => {
                open.closed_by_server = true;
                self.tell_close(id, token, status, message);
                let streams = &mut self.host_mut().grpc_streams;
                if streams
                    .get(&token)
                    .is_some_and(|open| open.closed_by_filter)
                {
                    streams.remove(&token);
                }
            }
        }
        true
    }

    /// Calls `proxy_on_foreign_function`.
    pub(crate) fn tell_foreign(&mut self, id: ContextId, function: u32, data: Vec<u8>) {
        let Some(f) = self.exports.on_foreign_function.clone() else {
            return;
        };
        let size = length(data.len());
        if let Some(root) = self.root_mut(id) {
            root.call_data = data;
        }
        self.call(id, Callback::OnForeignFunction, &f, (id, function, size));
        self.after_answer(id, |root| root.call_data.clear());
    }

    fn tell_metadata(
        &mut self,
        id: ContextId,
        token: u32,
        callback: Callback,
        function: Option<Call3>,
        headers: Headers,
    ) {
        let Some(f) = function else { return };
        let count = length(headers.len());
        let initial = callback == Callback::OnGrpcReceiveInitialMetadata;
        if let Some(root) = self.root_mut(id) {
            let place = match initial {
                true => &mut root.grpc_initial_metadata,
                false => &mut root.grpc_trailing_metadata,
            };
            *place = Some(headers);
        }
        self.call(id, callback, &f, (id, token, count));
        self.after_answer(id, |root| {
            root.grpc_initial_metadata = None;
            root.grpc_trailing_metadata = None;
        });
    }

    fn tell_message(&mut self, id: ContextId, token: u32, message: Vec<u8>) {
        let Some(f) = self.exports.on_grpc_receive.clone() else {
            return;
        };
        let size = length(message.len());
        if let Some(root) = self.root_mut(id) {
            root.grpc_message = Some(message);
        }
        self.call(id, Callback::OnGrpcReceive, &f, (id, token, size));
        self.after_answer(id, |root| root.grpc_message = None);
    }

    fn tell_close(&mut self, id: ContextId, token: u32, status: u32, message: Vec<u8>) {
        let Some(f) = self.exports.on_grpc_close.clone() else {
            return;
        };
        if let Some(root) = self.root_mut(id) {
            root.status = (status, message);
        }
        self.call(id, Callback::OnGrpcClose, &f, (id, token, status));
        self.after_answer(id, |_| ());
    }

    /// What the callback could read is gone before anything that it asked for is done; so is
    /// the message of the status, but not its code.
    fn after_answer(&mut self, id: ContextId, clear: impl FnOnce(&mut Root)) {
        if let Some(root) = self.root_mut(id) {
            clear(root);
            root.status.1.clear();
        }
        self.settle();
    }
}
