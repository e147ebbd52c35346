use std::fmt;

use super::MAX_LENGTH;

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Fault {
    /// More than [`MAX_LENGTH`] bytes.
    TooLong = 1,
    /// Nothing at all.
    Empty = 2,
    /// A target that does not begin with `/`: the absolute form, the authority form, or no form.
    NotOriginForm = 3,
    /// Two or more slashes in front: URL parsers take what follows for a host.
    LeadingSlashes = 4,
    /// A segment `.` or `..`, in any spelling.
    DotSegment = 5,
    /// `%2F`.
    EncodedSlash = 6,
    /// `\` or `%5C`.
    Backslash = 7,
    /// `;` or `%3B`: servlet containers drop what follows in the segment.
    Parameters = 8,
    /// `%25` before two hexadecimal digits.
    DoubleEscape = 9,
    /// A `%` without two hexadecimal digits behind it, `%u002F` among them.
    BadEscape = 10,
    /// Octets, raw or escaped, that are not UTF-8.
    NotUtf8 = 11,
    /// NUL, raw or escaped.
    Nul = 12,
    /// Another control character of ASCII, raw or escaped.
    Control = 13,
    /// A space that is not escaped.
    Space = 14,
    /// `#`, which clients do not send.
    Fragment = 15,
}

impl Fault {
    /// Every fault, in the order of the codes.
    pub const ALL: [Fault; 15] = [
        Fault::TooLong,
        Fault::Empty,
        Fault::NotOriginForm,
        Fault::LeadingSlashes,
        Fault::DotSegment,
        Fault::EncodedSlash,
        Fault::Backslash,
        Fault::Parameters,
        Fault::DoubleEscape,
        Fault::BadEscape,
        Fault::NotUtf8,
        Fault::Nul,
        Fault::Control,
        Fault::Space,
        Fault::Fragment,
    ];

    /// A number that stays the same in all versions, from 1.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Short name for counters and logs: lower-case letters, digits and `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::TooLong => "too_long",
            Fault::Empty => "empty",
            Fault::NotOriginForm => "not_origin_form",
            Fault::LeadingSlashes => "leading_slashes",
            Fault::DotSegment => "dot_segment",
            Fault::EncodedSlash => "encoded_slash",
            Fault::Backslash => "backslash",
            Fault::Parameters => "parameters",
            Fault::DoubleEscape => "double_escape",
            Fault::BadEscape => "bad_escape",
            Fault::NotUtf8 => "not_utf8",
            Fault::Nul => "nul",
            Fault::Control => "control",
            Fault::Space => "space",
            Fault::Fragment => "fragment",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::TooLong => return write!(f, "path is longer than {MAX_LENGTH} bytes"),
            Fault::Empty => "path is empty",
            Fault::NotOriginForm => "path does not begin with `/`",
            Fault::LeadingSlashes => "path begins with more than one slash",
            Fault::DotSegment => "path contains a dot segment (`.` or `..`)",
            Fault::EncodedSlash => "path contains an encoded slash (`%2F`)",
            Fault::Backslash => "path contains a backslash",
            Fault::Parameters => "path contains parameters (`;`)",
            Fault::DoubleEscape => "path contains a double escape (`%25` before two digits)",
            Fault::BadEscape => "path contains an incomplete percent escape",
            Fault::NotUtf8 => "path is not UTF-8",
            Fault::Nul => "path contains a NUL byte",
            Fault::Control => "path contains a control character",
            Fault::Space => "path contains a space that is not escaped",
            Fault::Fragment => "path contains a fragment (`#`)",
        })
    }
}

impl std::error::Error for Fault {}
