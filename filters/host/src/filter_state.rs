//! Declarations of filter state, in the encoding of Envoy's `declare_property`.
//!
//! The foreign function takes a protobuf message of five fields
//! (`envoy.source.extensions.common.wasm.DeclarePropertyArguments`), of which three are used.
//! Three fields are a few bytes; they need no protobuf library in the module.

/// How long a value of filter state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// As long as the filter chain that the filter is in: what holds without a declaration.
    FilterChain,
    /// One request and its response.
    Request,
    /// The downstream connection: what one request sets, later ones on the connection see.
    Connection,
}

/// What filter state under one key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration<'a> {
    /// The key, as in `set_filter_state`.
    pub key: &'a str,
    /// How long a value lives.
    pub span: Span,
    /// Whether the first value set is also the last; setting another is a bad argument.
    pub read_only: bool,
}

impl Declaration<'_> {
    /// The name of the foreign function that takes it.
    #[cfg(target_arch = "wasm32")]
    pub(crate) const FUNCTION: &'static str = "declare_property";

    /// The protobuf message. The type of the value is left at its default, bytes.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "only the adapter encodes")
    )]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let span = match self.span {
            Span::FilterChain => 0,
            Span::Request => 1,
            Span::Connection => 2,
        };
        let mut message = vec![field(1, LENGTH_DELIMITED)];
        varint(&mut message, self.key.len());
        message.extend(self.key.as_bytes());
        message.extend([field(2, VARINT), u8::from(self.read_only)]);
        message.extend([field(5, VARINT), span]);
        message
    }
}

const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

const fn field(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

fn varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::{Declaration, Span};

    #[test]
    fn fields_are_those_of_the_message() {
        let declaration = Declaration {
            key: "id",
            span: Span::Connection,
            read_only: true,
        };
        assert_eq!(declaration.encode(), b"\x0a\x02id\x10\x01\x28\x02");
        let declaration = Declaration {
            key: "",
            span: Span::FilterChain,
            read_only: false,
        };
        assert_eq!(declaration.encode(), b"\x0a\x00\x10\x00\x28\x00");
    }

    #[test]
    fn long_keys_have_long_lengths() {
        let key = "k".repeat(300);
        let declaration = Declaration {
            key: &key,
            span: Span::Request,
            read_only: false,
        };
        let message = declaration.encode();
        assert_eq!(message[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(message[3..303], *key.as_bytes());
        assert_eq!(message[303..], [0x10, 0x00, 0x28, 0x01]);
    }
}
