//! Policies that Envoy fetches while it runs: they are live at once and drop nothing, a bad
//! one changes nothing, and connections that the new one does not permit end.
#![cfg(test)]

#[path = "../sidecar/mod.rs"]
mod sidecar;

mod live;
mod refused;
mod revoked;
