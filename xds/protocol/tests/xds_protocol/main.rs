//! The rules of the xDS protocol document, under its headings.
//!
//! Each file is a section of <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>,
//! or of the xRFC that it refers to, and each test a rule of that section for servers.

#![cfg(test)]

mod harness;

mod ack_nack;
mod aggregated_discovery_service;
mod basic_protocol_overview;
mod deleting_resources;
mod duplicate_resource_names;
mod eventual_consistency;
mod grouping_resources;
mod incremental;
mod nonexistent_resources;
mod requesting_multiple_resources;
mod resource_updates;
mod resource_warming;
mod ttl;
mod unsubscribing;
mod variants;
mod what_to_return;
mod when_to_send;
mod xdstp;
