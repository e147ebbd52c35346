//! A filter that does in each callback what a script tells it, and logs what came of it.
//!
//! The script of an HTTP stream is its request header `x-script`, that of a TCP connection its
//! first bytes up to a newline; `x-case`, or the script's first word, is its name. A script is
//! `PHASE: COMMAND | COMMAND; PHASE: ...`, a command is words between spaces, and `%XX` in a
//! word is a byte. Everything is logged with the name in front, so that the lines of one case
//! can be told from others.
//!
//! `wait` in a phase has the phase `tick` run some ticks later, acting for the stream.

mod abi;
mod commands;
mod script;

use std::cell::RefCell;
use std::collections::BTreeMap;

use commands::Effect;
use script::Script;

/// Milliseconds between ticks, and how many of them a script waits: long enough for
/// everything that was sent at once to have arrived.
const TICK_PERIOD: u32 = 10;
const TICKS: u32 = 5;

thread_local! {
    static STREAMS: RefCell<BTreeMap<u32, Script>> = RefCell::default();
    static WAITING: RefCell<Vec<(u32, u32)>> = RefCell::default();
}

/// Runs a phase of a context's script; the value is what the callback returns.
fn run(id: u32, phase: &str, facts: &str) -> u32 {
    let Some((name, commands)) = STREAMS.with_borrow(|streams| {
        let script = streams.get(&id)?;
        Some((script.name.clone(), script.commands(phase)))
    }) else {
        return 0;
    };
    abi::log(&format!("{name}: {phase}{facts}"));
    let mut result = 0;
    for command in commands {
        match commands::run(&command) {
            Effect::Said(lines) => {
                for line in lines {
                    abi::log(&format!("{name}: {phase}: {}: {line}", command.join(" ")));
                }
            }
            Effect::Return(value) => result = value,
            Effect::Wait => WAITING.with_borrow_mut(|waiting| waiting.push((id, TICKS))),
        }
    }
    result
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::leak(vec![0; size].into_boxed_slice()).as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_id: u32, _size: u32) -> u32 {
    abi::set_tick_period(TICK_PERIOD);
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(_id: u32) {
    let due: Vec<u32> = WAITING.with_borrow_mut(|waiting| {
        for (_, ticks) in waiting.iter_mut() {
            *ticks -= 1;
        }
        let due = waiting
            .iter()
            .filter(|(_, ticks)| *ticks == 0)
            .map(|(id, _)| *id)
            .collect();
        waiting.retain(|(_, ticks)| *ticks > 0);
        due
    });
    for id in due {
        abi::set_effective_context(id);
        run(id, "tick", "");
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, end: u32) -> u32 {
    let (name, text) = (abi::header(0, b"x-case"), abi::header(0, b"x-script"));
    if let (Ok(name), Ok(text)) = (name, text) {
        let script = Script::parse(&name, &text);
        STREAMS.with_borrow_mut(|streams| streams.insert(id, script));
    }
    run(id, "request_headers", &format!(" end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: u32, end: u32) -> u32 {
    run(id, "request_body", &format!(" size={size} end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, count: u32) -> u32 {
    run(id, "request_trailers", &format!(" count={count}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _count: u32, end: u32) -> u32 {
    run(id, "response_headers", &format!(" end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: u32, end: u32) -> u32 {
    run(id, "response_body", &format!(" size={size} end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(id: u32, count: u32) -> u32 {
    run(id, "response_trailers", &format!(" count={count}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(id: u32, size: u32, end: u32) -> u32 {
    if STREAMS.with_borrow(|streams| !streams.contains_key(&id)) {
        let data = abi::buffer(2, 0, size).unwrap_or_default();
        let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let name = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let text = line.get(name.len()..).unwrap_or_default();
        STREAMS.with_borrow_mut(|streams| streams.insert(id, Script::parse(name, text)));
    }
    run(id, "downstream_data", &format!(" size={size} end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_data(id: u32, size: u32, end: u32) -> u32 {
    run(id, "upstream_data", &format!(" size={size} end={end}"))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_connection_close(id: u32, by: u32) {
    run(id, "downstream_close", &format!(" by={by}"));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_connection_close(id: u32, by: u32) {
    run(id, "upstream_close", &format!(" by={by}"));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(id: u32) -> u32 {
    run(id, "done", "");
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    run(id, "log", "");
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    run(id, "delete", "");
    STREAMS.with_borrow_mut(|streams| streams.remove(&id));
    WAITING.with_borrow_mut(|waiting| waiting.retain(|(waits, _)| *waits != id));
}
