//! The Meshwall policy language and its engine: documents in, decisions out.
