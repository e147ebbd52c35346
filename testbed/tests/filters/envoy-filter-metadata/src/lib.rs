//! Answers with what another filter has left in the request's metadata.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const PATH: [&str; 4] = [
    "metadata",
    "filter_metadata",
    "envoy.filters.http.lua",
    "uppercased-custom-metadata",
];

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Reader));
}}

struct Reader;

impl Context for Reader {}

impl HttpContext for Reader {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let found = self.get_property(PATH.to_vec());
        let Some(text) = found.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Action::Continue;
        };
        let headers = vec![("Powered-By", "proxy-wasm"), ("uppercased-metadata", &text)];
        let body = format!("Custom response with Envoy metadata: {text:?}\n");
        self.send_http_response(200, headers, Some(body.as_bytes()));
        Action::Pause
    }
}
