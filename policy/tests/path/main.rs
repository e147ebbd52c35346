//! Normal forms of paths: a table of cases, a second implementation to compare with, and
//! properties of arbitrary input.

mod cases;
mod document;
mod oracle;
mod patterns;
mod properties;
mod templates;
