//! How large a document may be. Every limit is far beyond what a person writes, is checked when
//! the document is read, and is named in the error.

/// Rules of one policy, both directions together.
pub const MAX_RULES: usize = 1_000;

/// Items of one list.
pub const MAX_ITEMS: usize = 1_000;

/// Bytes of one text value, in UTF-8.
pub const MAX_TEXT_BYTES: usize = 8_192;

/// Mappings and lists within each other.
pub const MAX_DEPTH: usize = 64;

/// Values that the anchors of one document may add to it by being referred to.
pub const MAX_ALIASED_VALUES: usize = 100_000;

/// Bytes of text that the anchors of one document may add to it by being referred to.
pub const MAX_ALIASED_BYTES: usize = 4 * 1_024 * 1_024;

/// Errors listed for one document.
pub const MAX_ERRORS: usize = 1_000;

/// Bytes of the body that a denied client is sent.
pub const MAX_DENIAL_BODY_BYTES: usize = 1_024;

/// Priorities of ordered tiers.
pub const MAX_PRIORITY: u16 = 1_000;
