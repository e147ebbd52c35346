//! The versions of the ABI, as modules declare them.

/// The version of the proxy-wasm ABI that a module speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// 0.1.0: a missing header reads as an empty one, `on_request_headers` has no end flag.
    V0_1_0,
    /// 0.2.0.
    V0_2_0,
    /// 0.2.1: 0.2.0 with `proxy_get_log_level`.
    V0_2_1,
}

impl AbiVersion {
    /// The version whose marker function a module exports. Of several the first counts.
    pub(crate) fn of<'a>(mut exports: impl Iterator<Item = &'a str>) -> Option<Self> {
        exports.find_map(Self::from_marker)
    }

    fn from_marker(export: &str) -> Option<Self> {
        match export {
            "proxy_abi_version_0_1_0" => Some(Self::V0_1_0),
            "proxy_abi_version_0_2_0" => Some(Self::V0_2_0),
            "proxy_abi_version_0_2_1" => Some(Self::V0_2_1),
            _ => None,
        }
    }
}
