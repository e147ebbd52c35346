//! The bootstrap: what a filter is configured with that is to get its programs by itself.
//!
//! A small JSON text, since that is what a mesh's control plane hands on. `docs/delivery.md`
//! lists the fields. A field that is not known is refused: it would be one that somebody relies
//! on.

use meshwall_policy::spec::{DefaultAction, Direction};
use serde::Deserialize;

/// Most bytes of a bootstrap.
const MAX_BYTES: usize = 16 << 10;

/// Where programs come from, and what holds until then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Bootstrap {
    /// Name of the policy server's cluster.
    pub(crate) cluster: String,
    /// Which rules apply.
    pub(crate) direction: Direction,
    /// What holds before the first program.
    pub(crate) until_first: DefaultAction,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    policy_server: PolicyServer,
    direction: Stands,
    #[serde(default)]
    until_first: UntilFirst,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyServer {
    cluster: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Stands {
    Ingress,
    Egress,
}

#[derive(Default, Deserialize)]
enum UntilFirst {
    #[default]
    Deny,
    Allow,
}

impl Bootstrap {
    /// Whether a configuration is meant to be a bootstrap: a JSON object.
    pub(crate) fn is_meant(configuration: &[u8]) -> bool {
        configuration.trim_ascii_start().starts_with(b"{")
    }

    /// Reads a bootstrap. The error says what is wrong, and where.
    pub(crate) fn read(configuration: &[u8]) -> Result<Bootstrap, String> {
        if configuration.len() > MAX_BYTES {
            let length = configuration.len();
            return Err(format!(
                "bootstrap of {length} bytes, more than {MAX_BYTES}"
            ));
        }
        let Document {
            policy_server: PolicyServer { cluster },
            direction,
            until_first,
        } = serde_json::from_slice(configuration).map_err(|error| format!("bootstrap: {error}"))?;
        if cluster.is_empty() {
            return Err("bootstrap: `policyServer.cluster` is empty".to_owned());
        }
        Ok(Bootstrap {
            cluster,
            direction: match direction {
                Stands::Ingress => Direction::Ingress,
                Stands::Egress => Direction::Egress,
            },
            until_first: match until_first {
                UntilFirst::Deny => DefaultAction::Deny,
                UntilFirst::Allow => DefaultAction::Allow,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bootstrap;
    use meshwall_policy::spec::{DefaultAction, Direction};

    #[test]
    fn a_bootstrap_says_where_programs_come_from() {
        let text = br#" {"policyServer": {"cluster": "outbound|15443||meshwall.svc"},
            "direction": "egress", "untilFirst": "Allow"}"#;
        assert!(Bootstrap::is_meant(text));
        let expected = Bootstrap {
            cluster: "outbound|15443||meshwall.svc".to_owned(),
            direction: Direction::Egress,
            until_first: DefaultAction::Allow,
        };
        assert_eq!(Bootstrap::read(text), Ok(expected));

        let text = br#"{"policyServer": {"cluster": "c"}, "direction": "ingress"}"#;
        let expected = Bootstrap {
            cluster: "c".to_owned(),
            direction: Direction::Ingress,
            until_first: DefaultAction::Deny,
        };
        assert_eq!(Bootstrap::read(text), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            (
                r#"{"policyServer": {"cluster": "c"}, "direction": "ingress", "polcy": 1}"#,
                "bootstrap: unknown field `polcy`, expected one of `policyServer`, `direction`, \
                 `untilFirst` at line 1 column 66",
            ),
            (
                r#"{"policyServer": {"cluster": "c", "port": 1}, "direction": "ingress"}"#,
                "bootstrap: unknown field `port`, expected `cluster` at line 1 column 40",
            ),
            (
                r#"{"policyServer": {"cluster": ""}, "direction": "ingress"}"#,
                "bootstrap: `policyServer.cluster` is empty",
            ),
            (
                r#"{"policyServer": {"cluster": "c"}}"#,
                "bootstrap: missing field `direction` at line 1 column 34",
            ),
            (
                r#"{"policyServer": {"cluster": "c"}, "direction": "in"}"#,
                "bootstrap: unknown variant `in`, expected `ingress` or `egress` at line 1 \
                 column 52",
            ),
            (
                r#"{"policyServer": {"cluster": "c"}, "direction": "ingress", "untilFirst": "deny"}"#,
                "bootstrap: unknown variant `deny`, expected `Deny` or `Allow` at line 1 column 79",
            ),
            (
                "{",
                "bootstrap: EOF while parsing an object at line 1 column 1",
            ),
        ] {
            let error = Bootstrap::read(text.as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!(error, reason, "{text}");
        }
        let long = format!("{{{}", " ".repeat(20_000));
        let error = Bootstrap::read(long.as_bytes()).unwrap_err();
        assert_eq!(error, "bootstrap of 20001 bytes, more than 16384");
    }
}
