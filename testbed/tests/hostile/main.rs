//! What attackers send: requests that no client would send, and programs that no server would.
//! Each gets its right verdict, nobody else notices, and the virtual machine stays the same.
#![cfg(test)]

#[path = "../sidecar/mod.rs"]
mod sidecar;

mod flood;
mod headers;
mod panics;
mod paths;
mod programs;
mod questions;
mod vm;
