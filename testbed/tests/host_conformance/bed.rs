//! The host's side of the comparison.

use std::path::Path;
use std::time::Duration;

use meshwall_testbed::host::{
    CloseType, Direction, FailurePolicy, Message, Module, Outcome, Plugin, PluginConfig,
    StreamAttributes, TcpOutcome, TcpStream, Vm,
};

use super::cases::{Http, Tcp};
use super::transcript::{DESCRIPTION, Transcript, request_received, response_received};

/// Long enough for a script that waits for a tick, and for a failed machine to be replaced.
const WHILE: Duration = Duration::from_millis(200);

pub(crate) struct Bed {
    vm: Vm,
    network: Plugin,
}

impl Bed {
    pub(crate) fn start(module: &Path) -> Self {
        let module = Module::from_bytes(&std::fs::read(module).unwrap()).unwrap();
        let reloads = |config: PluginConfig| {
            config
                .failure_policy(FailurePolicy::Reload)
                .reload_backoff(WHILE)
        };
        let vm = Vm::builder(&module)
            .vm_id("machine")
            .plugin(reloads(PluginConfig::new("http").name("probe")))
            .property("xds.node.id", "bed")
            .property("xds.node.metadata.k", "kv")
            .build()
            .unwrap();
        let network = vm
            .add_plugin(reloads(PluginConfig::new("network")))
            .unwrap();
        Self { vm, network }
    }

    pub(crate) fn http(&self, case: &Http) -> Transcript {
        let attributes = StreamAttributes::new()
            .no_mtls()
            .direction(Direction::Inbound);
        let stream = self.vm.http_stream(attributes);
        // A trap is seen in the outcome.
        let _ = stream.request_headers(&request(case), case.body.is_empty());
        if !case.body.is_empty() {
            let _ = stream.request_body(case.body, true);
        }
        self.vm.advance(WHILE).unwrap();
        let upstream = stream.upstream_request();
        if upstream.complete {
            if case.is_grpc() {
                let _ = stream.response_headers(
                    &[(":status", "200"), ("content-type", "application/grpc")],
                    false,
                );
                let _ = stream.response_body(&upstream.body, false);
                let _ = stream.response_trailers(&[("grpc-status", "0")]);
            } else {
                let response = [(":status", "200"), ("content-type", "application/json")];
                let _ = stream.response_headers(&response, case.method == "HEAD");
                if case.method != "HEAD" {
                    let _ = stream.response_body(DESCRIPTION, true);
                }
            }
        }
        self.vm.advance(WHILE).unwrap();
        let client = match stream.response_outcome() {
            Outcome::Reset { .. } => "reset".to_owned(),
            _ => received(&stream.downstream_response()),
        };
        let _ = stream.finish();
        let described = client.ends_with(DESCRIPTION);
        let upstream = if described {
            sent(&upstream)
        } else {
            String::new()
        };
        Transcript::new(case.name, self.log(), upstream, client)
    }

    pub(crate) fn tcp(&self, case: &Tcp) -> Transcript {
        let stream = self.network.tcp_stream(StreamAttributes::new().no_mtls());
        stream.new_connection().unwrap();
        stream.downstream_data(opening(case), false).unwrap();
        self.vm.advance(WHILE).unwrap();
        let echoed = self.echo(&stream, 0);
        let client = format!(
            "{}{}",
            stream.sent_downstream().escape_ascii(),
            if stream.downstream_outcome() == TcpOutcome::Closed {
                " closed"
            } else {
                ""
            }
        );
        if stream.downstream_outcome() != TcpOutcome::Closed {
            // The client goes, the upstream follows, and the proxy closes.
            stream.downstream_data("", true).unwrap();
            self.vm.advance(WHILE).unwrap();
            self.echo(&stream, echoed);
            stream.upstream_data("", true).unwrap();
            stream.downstream_close(CloseType::Local).unwrap();
        }
        Transcript::new(case.name, self.log(), String::new(), client)
    }

    /// The backend echoes what it gets. How much it has echoed.
    fn echo(&self, stream: &TcpStream, echoed: usize) -> usize {
        let all = stream.sent_upstream();
        let fresh = all.get(echoed..).unwrap_or_default();
        if !fresh.is_empty() && stream.downstream_outcome() != TcpOutcome::Closed {
            stream.upstream_data(fresh, false).unwrap();
            self.vm.advance(WHILE).unwrap();
        }
        all.len()
    }

    fn log(&self) -> Vec<String> {
        self.vm.take_log().iter().map(|line| line.text()).collect()
    }
}

/// What the client sends on a connection.
pub(crate) fn opening(case: &Tcp) -> String {
    format!("{} {}\n{}", case.name, case.script, case.data)
}

fn request(case: &Http) -> Vec<(&str, &str)> {
    let mut request = vec![
        (":method", case.method),
        (":scheme", "https"),
        (":authority", "backend"),
        (":path", "/a?b=c"),
    ];
    request.extend_from_slice(case.headers);
    request.extend([("x-case", case.name), ("x-script", case.script)]);
    request
}

fn sent(message: &Message) -> String {
    let headers = message.headers.clone().unwrap_or_default();
    let line = |name| {
        headers
            .get(name)
            .unwrap_or_default()
            .escape_ascii()
            .to_string()
    };
    request_received(
        &line(":method"),
        &line(":path"),
        headers.iter(),
        message.body.len(),
    )
}

fn received(message: &Message) -> String {
    let Some(head) = message.headers.as_ref().filter(|_| message.complete) else {
        return "nothing".to_owned();
    };
    let trailers = message.trailers.clone().unwrap_or_default();
    response_received(head.iter(), trailers.iter(), &message.body)
}
