//! The Meshwall firewall filter for Envoy.
