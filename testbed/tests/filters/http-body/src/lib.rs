//! Collects a response and replaces it if it has a secret in it.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const SECRET: &[u8] = b"secret";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Censor));
}}

struct Censor;

impl Context for Censor {}

impl HttpContext for Censor {
    /// The length may change, and once the headers have gone it is too late to say so.
    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size).unwrap_or_default();
        if body.windows(SECRET.len()).any(|part| part == SECRET) {
            let note = format!("Original message body ({size} bytes) redacted.\n");
            self.set_http_response_body(0, size, note.as_bytes());
        }
        Action::Continue
    }
}
