//! Names, by the rules of Kubernetes.

use super::super::types::Resource;
use super::super::{Located, reason::Form};
use super::{At, Error, Fault, Findings, Reason};

/// RFC 1123 label: names of namespaces.
const MAX_LABEL: usize = 63;

/// RFC 1123 subdomain: names of objects.
const MAX_SUBDOMAIN: usize = 253;

const LABEL_RULE: &str = "lower-case letters, digits and `-`, with a letter or digit at both \
                          ends, at most 63 characters";
const SUBDOMAIN_RULE: &str = "lower-case letters, digits, `-` and `.`, with a letter or digit \
                              around each `.` and at both ends, at most 253 characters";
const KEY_RULE: &str = "letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, \
                        at most 63 characters, after an optional domain and `/`";
const VALUE_RULE: &str = "letters, digits, `-`, `_` and `.`, with a letter or digit at both \
                          ends, at most 63 characters";

/// Checks what names an object.
pub(super) fn metadata<S: Resource>(document: &Located<S>, findings: &mut Findings) {
    let root = At::Root;
    let at = root.field("metadata");
    let name = &document.object().metadata.name;
    let checked = if is_subdomain(name) {
        Ok(())
    } else {
        Err(lower_case(
            Fault::new(Form::ObjectName, SUBDOMAIN_RULE),
            name,
            is_subdomain,
        ))
    };
    findings.take(&at.field("name"), name, checked);
    let at = at.field("namespace");
    match &document.object().metadata.namespace {
        None if S::NAMESPACED => {
            let hint = "the rules hold for the pods of this namespace";
            findings.push(Error::new(&at, Reason::Missing).hint(hint));
        }
        Some(name) if !S::NAMESPACED => {
            let error = Error::new(&at, Reason::ClusterScoped).value(name);
            findings.push(error.hint("remove the field"));
        }
        Some(name) => {
            findings.take(&at, name, namespace(name));
        }
        None => {}
    }
}

/// Checks the name of a namespace.
pub(super) fn namespace(name: &str) -> Result<(), Fault> {
    if is_label(name) {
        return Ok(());
    }
    Err(lower_case(
        Fault::new(Form::Namespace, LABEL_RULE),
        name,
        is_label,
    ))
}

/// Checks the name of a service account, without its namespace.
pub(super) fn service_account(name: &str) -> Result<(), Fault> {
    if is_subdomain(name) {
        return Ok(());
    }
    Err(lower_case(
        Fault::new(Form::ServiceAccount, SUBDOMAIN_RULE),
        name,
        is_subdomain,
    ))
}

/// Checks the name of a rule.
pub(super) fn rule(name: &str) -> Result<(), Fault> {
    if is_label(name) {
        return Ok(());
    }
    Err(lower_case(
        Fault::new(Form::RuleName, LABEL_RULE),
        name,
        is_label,
    ))
}

/// Whether a text is the name of a container port (RFC 6335 service name).
pub(super) fn is_port(name: &str) -> bool {
    name.len() <= 15
        && is_label(name)
        && !name.contains("--")
        && name.bytes().any(|b| b.is_ascii_lowercase())
}

/// Checks the key of a label.
pub(super) fn label_key(key: &str) -> Result<(), Fault> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name) {
        return Ok(());
    }
    Err(Fault::new(Form::LabelKey, KEY_RULE))
}

/// Checks the value of a label.
pub(super) fn label_value(value: &str) -> Result<(), Fault> {
    if is_label_value(value) {
        Ok(())
    } else {
        Err(Fault::new(Form::LabelValue, VALUE_RULE))
    }
}

/// Offers the name in lower case, if that is what is wrong with it.
fn lower_case(fault: Fault, name: &str, is_name: impl Fn(&str) -> bool) -> Fault {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    if is_name(&lower) {
        fault.replace(lower)
    } else {
        fault
    }
}

pub(super) fn is_label(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_LABEL
        && name.bytes().all(|b| alphanumeric(b) || b == b'-')
        && name.bytes().next().is_some_and(alphanumeric)
        && name.bytes().next_back().is_some_and(alphanumeric)
}

fn is_subdomain(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        part.bytes().all(|b| alphanumeric(b) || b == b'-')
            && part.bytes().next().is_some_and(alphanumeric)
            && part.bytes().next_back().is_some_and(alphanumeric)
    };
    name.len() <= MAX_SUBDOMAIN && name.split('.').all(part)
}

fn is_label_value(value: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_alphanumeric();
    value.is_empty()
        || value.len() <= MAX_LABEL
            && value
                .bytes()
                .all(|b| alphanumeric(b) || matches!(b, b'-' | b'_' | b'.'))
            && value.bytes().next().is_some_and(alphanumeric)
            && value.bytes().next_back().is_some_and(alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kubernetes() {
        for name in ["a", "shop", "shop-2", "0", &"x".repeat(63)] {
            assert!(is_label(name), "{name}");
        }
        for name in ["", "-a", "a-", "Shop", "a.b", "a_b", "ä", &"x".repeat(64)] {
            assert!(!is_label(name), "{name}");
        }
        for name in ["a", "a.b", "a-b.c-d", &"x".repeat(253)] {
            assert!(is_subdomain(name), "{name}");
        }
        for name in ["", ".", "a.", ".a", "a..b", "a.-b", "A", &"x".repeat(254)] {
            assert!(!is_subdomain(name), "{name}");
        }
        for key in ["app", "app.kubernetes.io/name", "A_b", "example.com/a.b"] {
            assert!(label_key(key).is_ok(), "{key}");
        }
        for key in ["", "/", "a/", "/a", "a/b/c", "-a", "A.io/x", "a b"] {
            assert!(label_key(key).is_err(), "{key}");
        }
        for name in ["http", "grpc-web", "p2", &"x".repeat(15)] {
            assert!(is_port(name), "{name}");
        }
        for name in ["", "80", "a--b", "HTTP", "-a", &"x".repeat(16)] {
            assert!(!is_port(name), "{name}");
        }
    }
}
