//! Panics when it is told to: at the head of a request that has the header `x-panic`, or at
//! data on a TCP connection that begins with `panic`. Everything else passes.
//!
//! The guard around it is that of every filter here, the firewall included, which has no way
//! to be made to panic.

use meshwall_filter_host::ports::{Buffers, HeaderMaps, Metrics};
use meshwall_filter_host::{
    Action, BufferKind, Callback, ContextId, CounterCache, Filter, LocalReply, MapKind,
};

/// What it knows: nothing but how to count.
#[derive(Debug, Default)]
pub struct Panics {
    counters: CounterCache,
    /// Grows for ever if what unwinds is not dropped.
    held: Vec<Vec<u8>>,
}

impl<P: Buffers + HeaderMaps + Metrics> Filter<P> for Panics {
    const PANIC_REPLY: LocalReply<'static> = LocalReply {
        details: b"panicked",
        ..LocalReply::new(403)
    };

    fn on_request_headers(&mut self, proxy: &P, _: ContextId, _: u32, _: bool) -> Action {
        let Ok(head) = proxy.header_map(MapKind::RequestHeaders) else {
            return Action::Continue;
        };
        for value in head.values(b"x-panic") {
            self.fail(value);
        }
        Action::Continue
    }

    fn on_downstream_data(&mut self, proxy: &P, _: ContextId, len: usize, _: bool) -> Action {
        let data = proxy.buffer(BufferKind::DownstreamData, 0, len.min(1024));
        match data {
            Ok(data) if data.starts_with(b"panic") => self.fail(&data),
            _ => Action::Continue,
        }
    }

    fn on_panic(&mut self, proxy: &P, callback: Callback, _: ContextId) {
        self.held.clear();
        let name = format!("panics_total;reason={callback:?}");
        if let Ok(counter) = self.counters.counter(proxy, &name) {
            let _ = proxy.increment_counter(counter, 1);
        }
    }
}

impl Panics {
    /// Panics in the middle of something, in one of the ways that code does.
    fn fail(&mut self, how: &[u8]) -> Action {
        self.held.push(how.to_vec());
        let kept = [0; 3];
        match how.len() % 3 {
            0 => panic!("told to: {how:?}"),
            1 => assert_eq!(kept[how.len()], 1),
            _ => drop(std::str::from_utf8(&[0xff]).unwrap()),
        }
        Action::Continue
    }
}

meshwall_filter_host::export! {
    filter: Panics = Panics::default();
    callbacks: [request_headers, downstream_data];
}
