//! An HTTP stream on its way through the filter: what Envoy's filter manager does when the
//! chain has one filter and a router behind it.
//!
//! Each direction has headers, then any number of body frames, then trailers. The filter can
//! stop the direction at each of them; what has arrived meanwhile waits, and goes on when the
//! filter continues. The names of the verdicts and their numbers are those of Envoy's C++
//! headers, which the ABI passes through.

use super::callback::Callback;
use super::context::{Client, ContextId, Http, Iteration, Side};
use super::exports::OnHeaders;
use super::headers::Headers;
use super::instance::Instance;
use super::outcome::{LocalReply, Outcome};
use super::properties::Phase;

/// What a filter says about a frame of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyVerdict {
    Continue,
    /// Stop, and collect the body up to the limit.
    Buffer,
    /// Stop, and have the peer wait.
    Watermark,
    /// Stop, and drop this frame.
    NoBuffer,
}

impl Instance {
    /// Headers arrive.
    pub(crate) fn on_headers_arrived(
        &mut self,
        id: ContextId,
        side: Side,
        headers: Headers,
        end: bool,
    ) {
        let Some(http) = self.http_mut(id) else {
            return;
        };
        if side == Side::Request {
            http.client = Client::of(&headers);
        }
        let flow = http.flow_mut(side);
        flow.headers = Some(headers);
        flow.end_seen = end;
        let verdict = self.filter_headers(id, side, end);
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        if verdict == Iteration::Passing {
            flow.headers_passed = true;
            flow.pass_headers(end);
        } else {
            flow.iteration = verdict;
        }
    }

    /// A frame of the body arrives.
    pub(crate) fn on_data_arrived(&mut self, id: ContextId, side: Side, data: Vec<u8>, end: bool) {
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        flow.end_seen |= end;
        if flow.iteration.stopped_all() {
            flow.buffered
                .get_or_insert_default()
                .extend_from_slice(&data);
            if flow.iteration == Iteration::StoppedAllBuffer {
                self.enforce_buffer_limit(id, side);
            }
            return;
        }
        flow.in_flight = data;
        self.run_data(id, side, end, false);
    }

    /// Trailers arrive. They end the message.
    pub(crate) fn on_trailers_arrived(&mut self, id: ContextId, side: Side, trailers: Headers) {
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        flow.trailers = Some(trailers);
        flow.end_seen = true;
        if !flow.iteration.stopped_all() {
            self.run_trailers(id, side);
        }
    }

    /// The filter continues a direction that it has stopped.
    pub(crate) fn continue_message(&mut self, id: ContextId, side: Side) {
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        if flow.headers.is_none() {
            return;
        }
        // What the filter has not seen yet goes through it; the rest goes on.
        let through_filter = flow.iteration.stopped_all();
        flow.iteration = Iteration::Passing;
        flow.collecting = false;
        if !flow.headers_passed {
            flow.headers_passed = true;
            let end = flow.end_seen && flow.buffered.is_none() && flow.trailers.is_none();
            flow.pass_headers(end);
        }
        let has_trailers = flow.trailers.is_some() && flow.passed.trailers.is_none();
        if let Some(data) = flow.buffered.take() {
            let end = flow.end_seen && !has_trailers;
            flow.in_flight = data;
            if through_filter {
                self.run_data(id, side, end, true);
            } else {
                flow.pass_in_flight(end);
            }
        }
        if !has_trailers {
            return;
        }
        if through_filter {
            self.run_trailers(id, side);
        } else if let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) {
            http.flow_mut(side).pass_trailers();
        }
    }

    /// Shows the filter what is in flight and does what it says. `from_buffer`: it has waited
    /// before, so that it goes on waiting whatever kind of stop the filter asks for.
    fn run_data(&mut self, id: ContextId, side: Side, end: bool, from_buffer: bool) {
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let had_trailers = http.flow(side).trailers.is_some();
        let end = end && !had_trailers;
        let verdict = self.filter_data(id, side, end);

        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        let added_trailers = !had_trailers && flow.trailers.is_some();
        if verdict == BodyVerdict::Continue {
            if flow.iteration == Iteration::Stopped {
                flow.keep_in_flight();
                self.continue_message(id, side);
            } else {
                flow.pass_in_flight(end && !added_trailers);
                if added_trailers {
                    flow.pass_trailers();
                }
            }
            return;
        }
        flow.iteration = Iteration::Stopped;
        if verdict != BodyVerdict::NoBuffer || from_buffer {
            flow.keep_in_flight();
        } else {
            flow.in_flight.clear();
            if flow.end_seen && flow.trailers.is_none() {
                // So that the end is not lost when the filter continues.
                flow.buffered.get_or_insert_default();
            }
        }
        if verdict == BodyVerdict::Buffer {
            self.enforce_buffer_limit(id, side);
        }
    }

    fn run_trailers(&mut self, id: ContextId, side: Side) {
        if self.http_mut(id).is_none_or(|http| http.is_over(side)) {
            return;
        }
        let passes = self.filter_trailers(id, side);
        let Some(http) = self.http_mut(id).filter(|http| !http.is_over(side)) else {
            return;
        };
        let flow = http.flow_mut(side);
        match (passes, flow.iteration) {
            (true, Iteration::Stopped) => self.continue_message(id, side),
            (true, _) => flow.pass_trailers(),
            (false, Iteration::Passing) => flow.iteration = Iteration::Stopped,
            (false, _) => {}
        }
    }

    fn filter_headers(&mut self, id: ContextId, side: Side, end: bool) -> Iteration {
        if side == Side::Request {
            self.create_stream_context(id);
        }
        if !self.enter_filter(id, side, Phase::of_headers(side)) {
            return Iteration::Passing;
        }
        let Some(http) = self.http_mut(id) else {
            return Iteration::Passing;
        };
        http.last_frame_ended = end;
        let flow = http.flow_mut(side);
        flow.headers_visible = true;
        let count = flow.headers.as_ref().map_or(0, Headers::len);
        let verdict = self.ask_about_headers(id, side, count, end);
        if verdict == Iteration::Passing
            && let Some(http) = self.http_mut(id)
        {
            http.flow_mut(side).headers_visible = false;
        }
        self.leave_filter(id, side);
        verdict
    }

    fn filter_data(&mut self, id: ContextId, side: Side, end: bool) -> BodyVerdict {
        if !self.enter_filter(id, side, Phase::of_body(side)) {
            return BodyVerdict::Continue;
        }
        let Some(http) = self.http_mut(id) else {
            return BodyVerdict::Continue;
        };
        http.last_frame_ended = end;
        let flow = http.flow_mut(side);
        if flow.collecting {
            flow.keep_in_flight();
            if self.enforce_buffer_limit(id, side) {
                self.leave_filter(id, side);
                return BodyVerdict::Buffer;
            }
        }
        let Some(http) = self.http_mut(id) else {
            return BodyVerdict::Continue;
        };
        let flow = http.flow_mut(side);
        flow.in_flight_visible = true;
        let shown = if flow.collecting {
            flow.buffered.as_ref()
        } else {
            Some(&flow.in_flight)
        };
        let size = shown.map_or(0, Vec::len);
        let verdict = self.ask_about_body(id, side, size, end);
        if let Some(http) = self.http_mut(id) {
            let flow = http.flow_mut(side);
            flow.collecting = verdict == BodyVerdict::Buffer;
            flow.in_flight_visible &= verdict != BodyVerdict::Continue;
        }
        self.leave_filter(id, side);
        verdict
    }

    fn filter_trailers(&mut self, id: ContextId, side: Side) -> bool {
        if !self.enter_filter(id, side, Phase::of_trailers(side)) {
            return true;
        }
        let Some(http) = self.http_mut(id) else {
            return true;
        };
        let flow = http.flow_mut(side);
        flow.trailers_visible = true;
        let count = flow.trailers.as_ref().map_or(0, Headers::len);
        let passes = self.ask_about_trailers(id, side, count);
        if passes && let Some(http) = self.http_mut(id) {
            http.flow_mut(side).trailers_visible = false;
        }
        self.leave_filter(id, side);
        passes
    }

    /// Whether the filter takes part in what comes.
    fn enter_filter(&mut self, id: ContextId, side: Side, phase: Phase) -> bool {
        let machine_failed = self.failed();
        let Some(context) = self.host_mut().contexts.get_mut(&id) else {
            return false;
        };
        let created = context.created || machine_failed;
        let Some(http) = context.http_mut() else {
            return false;
        };
        if http.bypassed || !created || (side == Side::Response && http.failed) {
            return false;
        }
        http.phase = http.phase.max(phase);
        http.decoding |= side == Side::Request;
        true
    }

    fn leave_filter(&mut self, id: ContextId, side: Side) {
        if side == Side::Request {
            if let Some(http) = self.http_mut(id) {
                http.decoding = false;
            }
            self.flush_local_reply(id);
        }
    }

    fn ask_about_headers(
        &mut self,
        id: ContextId,
        side: Side,
        count: usize,
        end: bool,
    ) -> Iteration {
        if self.failed() {
            self.fail_http(id);
            return Iteration::StoppedAllWatermark;
        }
        let (callback, function) = match side {
            Side::Request => (
                Callback::OnRequestHeaders,
                self.exports.on_request_headers.clone(),
            ),
            Side::Response => (
                Callback::OnResponseHeaders,
                self.exports.on_response_headers.clone(),
            ),
        };
        let Some(function) = function else {
            return Iteration::Passing;
        };
        let count = super::pairs::length(count);
        let code = match function {
            OnHeaders::WithEnd(f) => self.call(id, callback, &f, (id, count, u32::from(end))),
            OnHeaders::WithoutEnd(f) => self.call(id, callback, &f, (id, count)),
        };
        let verdict = match code {
            None => {
                self.fail_http(id);
                Iteration::StoppedAllWatermark
            }
            Some(code) => self.headers_verdict(id, code),
        };
        self.settle();
        verdict
    }

    /// A plain stop in the headers stops everything, unless the plugin's configuration says
    /// otherwise.
    fn headers_verdict(&self, id: ContextId, code: u32) -> Iteration {
        let host = self.host();
        if host.stop_iteration {
            return Iteration::StoppedAllWatermark;
        }
        let context = host.contexts.get(&id);
        match code {
            0 | 2 => Iteration::Passing,
            1 if context.is_some_and(|context| context.plugin.headers_stop_iteration) => {
                Iteration::Stopped
            }
            3 => Iteration::StoppedAllBuffer,
            _ => Iteration::StoppedAllWatermark,
        }
    }

    fn ask_about_body(&mut self, id: ContextId, side: Side, size: usize, end: bool) -> BodyVerdict {
        if self.failed() {
            self.fail_http(id);
            return BodyVerdict::NoBuffer;
        }
        let (callback, function) = match side {
            Side::Request => (
                Callback::OnRequestBody,
                self.exports.on_request_body.clone(),
            ),
            Side::Response => (
                Callback::OnResponseBody,
                self.exports.on_response_body.clone(),
            ),
        };
        let Some(function) = function else {
            return BodyVerdict::Continue;
        };
        let parameters = (id, super::pairs::length(size), u32::from(end));
        let verdict = match self.call(id, callback, &function, parameters) {
            None => {
                self.fail_http(id);
                BodyVerdict::NoBuffer
            }
            Some(_) if self.host().stop_iteration => BodyVerdict::NoBuffer,
            Some(0) => BodyVerdict::Continue,
            Some(1) => BodyVerdict::Buffer,
            Some(2) => BodyVerdict::Watermark,
            Some(_) => BodyVerdict::NoBuffer,
        };
        self.settle();
        verdict
    }

    fn ask_about_trailers(&mut self, id: ContextId, side: Side, count: usize) -> bool {
        if self.failed() {
            self.fail_http(id);
            return false;
        }
        let (callback, function) = match side {
            Side::Request => (
                Callback::OnRequestTrailers,
                self.exports.on_request_trailers.clone(),
            ),
            Side::Response => (
                Callback::OnResponseTrailers,
                self.exports.on_response_trailers.clone(),
            ),
        };
        let Some(function) = function else {
            return true;
        };
        let passes = match self.call(id, callback, &function, (id, super::pairs::length(count))) {
            None => {
                self.fail_http(id);
                false
            }
            Some(code) => code == 0 && !self.host().stop_iteration,
        };
        self.settle();
        passes
    }

    /// Tells the filter of a stream, once.
    pub(crate) fn create_stream_context(&mut self, id: ContextId) {
        let failed = self.failed();
        let Some(context) = self.host_mut().contexts.get_mut(&id) else {
            return;
        };
        let bypassed = context.http().is_some_and(|http| http.bypassed)
            || context.tcp().is_some_and(|tcp| tcp.bypassed);
        if context.created || bypassed || failed {
            return;
        }
        context.created = true;
        let parent = context.parent;
        if let Some(function) = self.exports.on_context_create.clone() {
            self.call(id, Callback::OnContextCreate, &function, (id, parent));
            self.settle();
        }
    }

    /// The end of a stream: the access log, then the farewell.
    pub(crate) fn finish_http(&mut self, id: ContextId) {
        if self.http_mut(id).is_none() {
            return;
        }
        self.create_stream_context(id);
        if let Some(http) = self.http_mut(id).filter(|http| !http.bypassed) {
            http.phase = Phase::Log;
            http.logging = true;
            self.tell_log(id);
            if let Some(http) = self.http_mut(id) {
                http.logging = false;
            }
            self.tell_done(id);
            self.tell_delete(id);
        }
        self.end_stream(id);
    }

    /// What has become of a direction.
    pub(crate) fn http_outcome(&self, id: ContextId, side: Side) -> Outcome {
        let Some(http) = self.http(id) else {
            return Outcome::Continue;
        };
        if http.reset {
            return Outcome::Reset {
                details: http.details.clone().unwrap_or_default(),
            };
        }
        if let Some(reply) = http.local_reply() {
            return Outcome::LocalReply(reply);
        }
        match http.flow(side).iteration {
            Iteration::Passing => Outcome::Continue,
            Iteration::Stopped | Iteration::StoppedAllBuffer | Iteration::StoppedAllWatermark => {
                Outcome::Pause
            }
        }
    }
}

impl Http {
    /// The proxy's own answer, with the details that came last.
    pub(crate) fn local_reply(&self) -> Option<LocalReply> {
        let details = self.details.clone().unwrap_or_default();
        self.reply
            .clone()
            .map(|reply| LocalReply { details, ..reply })
    }
}

impl super::context::Flow {
    fn pass_headers(&mut self, end: bool) {
        self.passed.headers.clone_from(&self.headers);
        self.passed.complete = end;
    }

    fn pass_in_flight(&mut self, end: bool) {
        self.passed.body.append(&mut self.in_flight);
        self.passed.complete |= end;
    }

    fn pass_trailers(&mut self) {
        self.passed.trailers.clone_from(&self.trailers);
        self.passed.complete = true;
    }

    /// What is in flight joins what waits.
    fn keep_in_flight(&mut self) {
        self.buffered
            .get_or_insert_default()
            .append(&mut self.in_flight);
    }
}

impl Phase {
    fn of_headers(side: Side) -> Self {
        match side {
            Side::Request => Self::RequestHeaders,
            Side::Response => Self::ResponseHeaders,
        }
    }

    fn of_body(side: Side) -> Self {
        match side {
            Side::Request => Self::RequestBody,
            Side::Response => Self::ResponseBody,
        }
    }

    fn of_trailers(side: Side) -> Self {
        match side {
            Side::Request => Self::RequestTrailers,
            Side::Response => Self::ResponseTrailers,
        }
    }
}
