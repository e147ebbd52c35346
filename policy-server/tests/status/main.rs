//! The status of objects: what it should say, when it is written, and by whom.

#![cfg(test)]

mod bed;
mod desired;
mod election;
mod ledger;
mod written;
