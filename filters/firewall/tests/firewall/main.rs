//! The filter over a proxy in memory: what it asks, what it decides, what it costs in calls.
#![cfg(test)]

mod configuration;
mod connections;
mod delivery;
mod messages;
mod requests;
mod revocation;
mod support;
