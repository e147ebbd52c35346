//! The message by which a filter names the cluster of a gRPC stream.
//!
//! Envoy takes a bare name as well, if it cannot be read as this message, which depends on the
//! letters in it. And it makes the whole name the `:authority` of the request, which servers
//! refuse that hold it against RFC 3986: the names of Istio's clusters,
//! `outbound|443||xds.example`, have bars. So the message says both.

/// An `envoy.config.core.v3.GrpcService` with an `envoy_grpc` of this cluster. The authority is
/// what follows the last bar of its name, and the name if it has none.
pub(crate) fn encode(cluster: &str) -> Vec<u8> {
    const ENVOY_GRPC: u32 = 1;
    const CLUSTER_NAME: u32 = 1;
    const AUTHORITY: u32 = 2;
    let authority = cluster.rsplit('|').next().unwrap_or_default();
    let mut envoy_grpc = field(CLUSTER_NAME, cluster.as_bytes());
    if !authority.is_empty() {
        envoy_grpc.extend(field(AUTHORITY, authority.as_bytes()));
    }
    field(ENVOY_GRPC, &envoy_grpc)
}

/// A field with bytes: its tag, their length, the bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u32 = 2;
    let mut field = Vec::new();
    varint(&mut field, (number << 3 | LENGTH_DELIMITED) as usize);
    varint(&mut field, bytes.len());
    field.extend_from_slice(bytes);
    field
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    const MORE: u8 = 0x80;
    while value > 0x7f {
        out.push(value as u8 | MORE);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn the_authority_has_no_bars() {
        assert_eq!(encode("up"), b"\x0a\x08\x0a\x02up\x12\x02up");
        assert_eq!(
            encode("outbound|443||a.b"),
            b"\x0a\x18\x0a\x11outbound|443||a.b\x12\x03a.b"
        );
        assert_eq!(encode("a|"), b"\x0a\x04\x0a\x02a|");
        assert_eq!(encode(""), b"\x0a\x02\x0a\x00");
    }

    #[test]
    fn long_names_have_long_lengths() {
        let name = "n".repeat(300);
        let encoded = encode(&format!("{name}|"));
        assert_eq!(encoded[..6], *b"\x0a\xb0\x02\x0a\xad\x02");
        assert_eq!(encoded.len(), 6 + 301);
    }
}
