//! Logs the headers of requests and responses, and answers one path itself.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|id, _| Box::new(Witness { id }));
}}

struct Witness {
    id: u32,
}

impl Witness {
    fn tell(&self, arrow: &str, headers: &[(String, String)]) {
        for (name, value) in headers {
            log::info!("#{} {arrow} {name}: {value}", self.id);
        }
    }
}

impl Context for Witness {}

impl HttpContext for Witness {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.tell("->", &self.get_http_request_headers());
        if self.get_http_request_header(":path").as_deref() != Some("/hello") {
            return Action::Continue;
        }
        let headers = vec![("Hello", "World"), ("Powered-By", "proxy-wasm")];
        self.send_http_response(200, headers, Some(b"Hello, World!\n"));
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.tell("<-", &self.get_http_response_headers());
        Action::Continue
    }

    fn on_log(&mut self) {
        log::info!("#{} completed.", self.id);
    }
}
