//! Asks three services at once and tells the upstream what each of them said.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

const SERVICES: [&str; 3] = ["first", "second", "third"];

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Survey::default()));
}}

#[derive(Default)]
struct Survey {
    /// The calls that wait, by token, and the service of each.
    waiting: Vec<(u32, &'static str)>,
}

impl HttpContext for Survey {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        for service in SERVICES {
            let headers = vec![(":method", "GET"), (":path", "/"), (":authority", service)];
            let timeout = Duration::from_millis(200);
            match self.dispatch_http_call(service, headers, None, vec![], timeout) {
                Ok(token) => self.waiting.push((token, service)),
                Err(status) => log::warn!("{service}: {status:?}"),
            }
        }
        if self.waiting.is_empty() {
            Action::Continue
        } else {
            Action::Pause
        }
    }
}

impl Context for Survey {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _body: usize, _: usize) {
        let Some(at) = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == token)
        else {
            return;
        };
        let (_, service) = self.waiting.remove(at);
        // Of a call that was reset there are no headers, and asking for one panics.
        let status = match headers {
            0 => None,
            _ => self.get_http_call_response_header(":status"),
        };
        let status = status.as_deref().unwrap_or("reset");
        self.add_http_request_header(&format!("x-{service}"), status);
        if self.waiting.is_empty() {
            log::info!("All have answered.");
            self.resume_http_request();
        }
    }
}
