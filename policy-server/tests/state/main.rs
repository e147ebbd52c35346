//! The state on disk: what is committed is read, and nothing else ever is.

#![cfg(test)]

mod damage;
mod killed;
mod obstacles;
mod round_trip;
mod support;
