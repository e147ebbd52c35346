//! The index, held against what everything would be if it was made from the beginning.

#![cfg(test)]

mod cases;
mod conflicts;
mod keeping;
mod model;
mod property;
mod support;
mod world;
