//! A background service: says hello, then tells the time every five seconds.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

const PERIOD: Duration = Duration::from_secs(5);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Greeter));
}}

struct Greeter;

impl Context for Greeter {}

impl RootContext for Greeter {
    fn on_vm_start(&mut self, _configuration_size: usize) -> bool {
        log::info!("Hello, World!");
        self.set_tick_period(PERIOD);
        true
    }

    fn on_tick(&mut self) {
        let time = DateTime::<Utc>::from(self.get_current_time());
        log::info!("It's {time}, there is no lucky number.");
    }
}
