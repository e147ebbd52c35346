//! The Meshwall policy language and its engine: documents in, decisions out.
//!
//! One direction: a *document* is what a person writes; the *spec* is its parsed, validated
//! form; a *program* is what one workload's filter needs and nothing else; a *decision* is a
//! verdict with its cause.
//!
//! The crate is pure: no I/O, clock, randomness, async, Kubernetes or Envoy. Everything that a
//! decision may look at is an argument, the time too. That is what makes the verdict of the test
//! bed the verdict of production.

pub mod attributes;
pub mod bundle;
pub mod cases;
pub mod compile;
pub mod decide;
pub mod decision;
pub mod delivery;
pub mod document;
pub mod explain;
pub mod inventory;
pub mod lint;
pub mod path;
pub mod peers;
pub mod program;
pub mod properties;
pub mod reference;
pub mod spec;
pub mod text;
