//! The commands of a script: one for each function of the ABI that depends on the stream.

use crate::abi;
use crate::script::{Command, bytes, shown};

/// What a command does.
pub(crate) enum Effect {
    /// Its result, in lines.
    Said(Vec<String>),
    /// The callback returns this.
    Return(u32),
    /// The tick is to come back to the stream.
    Wait,
}

pub(crate) fn run(command: &Command) -> Effect {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let said = |status: u32| Effect::Said(vec![status.to_string()]);
    match words.as_slice() {
        [] => Effect::Said(Vec::new()),
        ["return", value] => Effect::Return(number(value)),
        ["wait"] => Effect::Wait,
        ["trap"] => std::process::abort(),

        ["get", map, name] => told(abi::header(number(map), &bytes(name))),
        ["add", map, name, value] => {
            said(abi::add_header(number(map), &bytes(name), &bytes(value)))
        }
        ["set", map, name, value] => said(abi::replace_header(
            number(map),
            &bytes(name),
            &bytes(value),
        )),
        ["remove", map, name] => said(abi::remove_header(number(map), &bytes(name))),
        ["all", map] => match abi::headers(number(map)) {
            Ok(pairs) => Effect::Said(
                pairs
                    .iter()
                    .map(|(name, value)| format!("{}={}", shown(name), shown(value)))
                    .collect(),
            ),
            Err(status) => said(status),
        },
        ["all", map, pairs @ ..] => said(abi::set_headers(number(map), &pairs_of(pairs))),
        ["size", map] => match abi::headers_size(number(map)) {
            // What the proxy adds makes the number itself its own affair.
            Ok(size) => Effect::Said(vec![format!("ok {}", size > 0)]),
            Err(status) => said(status),
        },

        ["buffer", buffer, start, size] => {
            told(abi::buffer(number(buffer), number(start), number(size)))
        }
        ["write", buffer, start, size, data @ ..] => {
            let data = bytes(data.first().unwrap_or(&""));
            said(abi::set_buffer(
                number(buffer),
                number(start),
                number(size),
                &data,
            ))
        }
        ["length", buffer] => match abi::buffer_length(number(buffer)) {
            Ok(length) => Effect::Said(vec![format!("ok {length}")]),
            Err(status) => said(status),
        },

        ["property", path] => told(abi::property(&bytes(path))),
        ["property", path, value] => said(abi::set_property(&bytes(path), &bytes(value))),

        ["reply", status, details, body, grpc_status, pairs @ ..] => said(abi::reply(
            number(status),
            &bytes(details.trim_matches('-')),
            &bytes(body.trim_matches('-')),
            &pairs_of(pairs),
            number(grpc_status),
        )),
        ["continue", stream] => said(abi::continue_stream(number(stream))),
        ["close", stream] => said(abi::close_stream(number(stream))),
        ["act", context] => said(abi::set_effective_context(number(context))),
        ["done"] => said(abi::done()),
        ["foreign", name, argument] => told(abi::foreign(&bytes(name), &bytes(argument))),
        other => Effect::Said(vec![format!("unknown command {other:?}")]),
    }
}

fn told(result: Result<Vec<u8>, u32>) -> Effect {
    Effect::Said(vec![match result {
        Ok(bytes) => format!("ok {}", shown(&bytes)),
        Err(status) => status.to_string(),
    }])
}

/// A number; `-1` is the largest.
fn number(word: &str) -> u32 {
    word.parse().unwrap_or(u32::MAX)
}

/// The wire form of `NAME=VALUE` words.
fn pairs_of(words: &[&str]) -> Vec<u8> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect();
    let mut wire = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in &pairs {
        wire.extend((name.len() as u32).to_le_bytes());
        wire.extend((value.len() as u32).to_le_bytes());
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        wire.extend(part);
        wire.push(0);
    }
    wire
}
