//! The validating admission webhook: a policy that is wrong is refused before it is stored.
//!
//! It reads documents with the parser of `meshwall check` and the index, and compiles each policy
//! by itself: what one of them takes all take, and each refuses it with the same words.
//! [`review`] is pure; [`serve`] answers an API server over HTTPS; [`configuration`] is the object
//! that tells the API server to ask.

mod configuration;
mod review;
mod service;

pub use self::configuration::configuration;
pub use self::review::{Checker, MAX_WARNING_BYTES, Malformed, Review, Verdict, review};
pub use self::service::{PATH, serve};
pub use crate::web::tls::{CertificateError, CertificateFiles};
