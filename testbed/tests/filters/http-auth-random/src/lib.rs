//! Admits a request if another service answers with an even byte.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const REQUEST: [(&str, &str); 3] = [
    (":method", "GET"),
    (":path", "/bytes/1"),
    (":authority", "httpbin.org"),
];

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Gate));
}}

struct Gate;

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let headers = REQUEST.to_vec();
        let sent =
            self.dispatch_http_call("httpbin", headers, None, vec![], Duration::from_secs(1));
        if sent.is_err() {
            self.refuse();
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("Powered-By", Some("proxy-wasm"));
        Action::Continue
    }
}

impl Context for Gate {
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, size: usize, _: usize) {
        let body = self
            .get_http_call_response_body(0, size)
            .unwrap_or_default();
        match body.first() {
            Some(byte) if byte.is_multiple_of(2) => {
                log::info!("Access granted.");
                self.resume_http_request();
            }
            _ => self.refuse(),
        }
    }
}

impl Gate {
    fn refuse(&self) {
        log::info!("Access forbidden.");
        let headers = vec![("Powered-By", "proxy-wasm")];
        self.send_http_response(403, headers, Some(b"Access forbidden.\n"));
    }
}
