//! For gRPC clients only, and of those for the ones that another service does not fail.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, GrpcStatusCode, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Gate));
}}

struct Gate;

impl Gate {
    fn request_starts(&self, header: &str, prefix: &str) -> bool {
        self.get_http_request_header(header)
            .is_some_and(|value| value.starts_with(prefix))
    }
}

impl HttpContext for Gate {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if !self.request_starts("content-type", "application/grpc") {
            let body = b"Service accessible only to gRPC clients.\n";
            self.send_http_response(503, vec![("Powered-By", "proxy-wasm")], Some(body));
            return Action::Pause;
        }
        if self.request_starts(":path", "/grpc.reflection") {
            return Action::Continue;
        }
        let timeout = Duration::from_secs(1);
        let (service, method) = ("grpcbin.GRPCBin", "RandomError");
        match self.dispatch_grpc_call("grpcbin", service, method, vec![], None, timeout) {
            Ok(_) => Action::Pause,
            Err(status) => {
                log::error!("{status:?}");
                self.send_http_response(500, vec![], None);
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("Powered-By", Some("proxy-wasm"));
        Action::Continue
    }
}

impl Context for Gate {
    fn on_grpc_call_response(&mut self, _token: u32, status: u32, _size: usize) {
        if status.is_multiple_of(2) {
            log::info!("Access granted.");
            self.resume_http_request();
        } else {
            log::info!("Access forbidden.");
            let metadata: Vec<(&str, &[u8])> = vec![("Powered-By", b"proxy-wasm")];
            let message = Some("Aborted by Proxy-Wasm!");
            self.send_grpc_response(GrpcStatusCode::Aborted, message, metadata);
        }
    }
}
