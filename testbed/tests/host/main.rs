//! The proxy-wasm host, one file for each area of the ABI, with filters of a few lines of
//! WebAssembly text. What the filters log is compared.

#![cfg(test)]

mod budgets;
mod buffers;
mod calls;
mod exceptions;
mod failure;
mod header_maps;
mod hostile;
mod http;
mod lifecycle;
mod modules;
mod properties;
mod services;
mod shared;
mod support;
mod tcp;
mod wasi;
