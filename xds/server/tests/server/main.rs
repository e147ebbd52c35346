//! The server as clients see it, over loopback.

#![cfg(test)]

mod client;
mod pki;
mod world;

mod delivery;
mod drain;
mod hostile;
mod slow;
mod status;
mod tls;
